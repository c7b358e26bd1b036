"""A search and what came out of it in words and tables; what is missing is said, with commands."""

from collections.abc import Mapping, Sequence
from statistics import median

from cifar_lessons import recipes, reports, runs
from cifar_lessons.enas.arms import SEARCHES
from cifar_lessons.enas.cost import multiplications
from cifar_lessons.enas.results import Alone, Ranking, Search, label_of
from cifar_lessons.enas.space import made_of
from cifar_lessons.tables import Cell, Markdown, Table


def card(search: Search | None, name: str = "enas_search") -> Markdown:
    """Return one line that says how a search was made, or how to make it.

    Args:
        search: A recorded search, if there is one.
        name: Of its recipe.
    """
    if search is None:
        return Markdown(
            f"**Not recorded yet:** `cifar-lessons search {name}`, then `cifar-lessons record "
            f"{name}`"
        )
    score = search.scores[str(search.best)]
    return Markdown(
        f"{reports.card([search.run])} *Of {len(search.candidates)} candidates* "
        f"`{search.best}` *was best: {100 * score:.2f} % of the validation images with shared "
        "weights (it was chosen for that number, so the number is too good).*"
    )


def found_note(search: Search | None) -> Markdown:
    """Return what the network that a search found is made of, and how far the controller moved."""
    if search is None:
        return Markdown("*What a search finds is not recorded yet.*")
    first, last = search.run.history[0], search.run.history[-1]
    told = f"`{search.best}` is made of {made_of([search.best])}. "
    told += f"It has {100 * search.best.skip_share:.0f} % of the possible skips. "
    surest = max(max(row) for row in search.operations)
    told += (
        f"From the first epoch to the last the entropy went from {first['entropy']:.2f} to "
        f"{last['entropy']:.2f} nats. At the end the most probable operation of any layer has a "
        f"probability of {surest:.2f}."
    )
    return Markdown(told)


def networks_table(networks: Sequence[Alone]) -> Table:
    """Return what each network trained alone is, multiplies, reaches and takes, the best first."""
    columns = ("Network", "Architecture", "Width", "Cost, million")
    rows: list[list[Cell | str]] = []
    for network in sorted(networks, key=lambda n: -n.accuracy):
        e = reports.estimate(network.seeds)
        cost = multiplications(network.architecture, network.width)
        rows.append(
            [
                label_of(network.name),
                Cell(str(network.architecture), code=True),
                str(network.width),
                f"{cost / 1e6:.1f}",
                f"{100 * e.mean:.2f} % ({100 * e.low:.2f} to {100 * e.high:.2f})",
                str(e.n),
                f"{median(run.core_minutes for run in network.seeds):.1f}",
            ]
        )
    caption = (
        "Trained alone, from scratch. The cost is multiplications for one image. The interval "
        "covers seeds and test images; the minutes are the median of the seeds."
    )
    return Table(
        [*columns, "Test accuracy", "Seeds", "Core-minutes"],
        rows,
        caption if rows else "Nothing is recorded yet.",
    )


def standing(networks: Sequence[Alone], searches: Mapping[str, Search]) -> Markdown:
    """Return where the networks stand that searches found, and what these searches gave them.

    Args:
        networks: As from `results.alone`.
        searches: By name, as from `results.searches`.
    """
    order = [n.name for n in sorted(networks, key=lambda n: -n.accuracy)]
    parts = []
    for name, search_name in SEARCHES.items():
        if name in order and search_name in searches:
            search = searches[search_name]
            place, score = order.index(name) + 1, search.scores[str(search.best)]
            parts.append(
                f"the network {label_of(name)} is in place {place} of {len(order)}, and with "
                f"shared weights it had {100 * score:.1f} % on validation images"
            )
    if not parts:
        return Markdown("")
    return Markdown(f"In these runs {'; '.join(parts)}.")


def missing(networks: Sequence[str]) -> Markdown:
    """Return which seeds of some recipes are not recorded, in one line with the first's command."""
    listed, commands = [], []
    for recipe in map(recipes.get, networks):
        gone = [seed for seed, state, _ in runs.status(recipe) if state != "fresh"]
        if not gone:
            continue
        some = f" (seed {', '.join(map(str, gone))})" if len(gone) < recipe.seeds else ""
        listed.append(f"`{recipe.name}`{some}")
        commands += [(recipe, seed) for seed in gone]
    if not listed:
        return Markdown("")
    recipe, seed = commands[0]
    return Markdown(
        f"**Not recorded yet:** {', '.join(listed)}. For each seed, such as the first: "
        f"`{runs.train_command(recipe, seed)}`, then `{runs.record_command(recipe, seed)}`."
    )


def tau_note(found: Ranking | None) -> Markdown:
    """Return the rank correlation in words."""
    if found is None:
        return Markdown("*How shared weights rank networks is not recorded yet.*")
    low, high = found.interval
    share = 100 * (1 + found.tau) / 2
    text = (
        f"Kendall's tau over {len(found.names)} networks is {found.tau:+.2f} (95 % interval "
        f"{low:+.2f} to {high:+.2f}). So shared weights put {share:.0f} % of all pairs in the "
        "order in which they end; a coin would do so for 50 %."
    )
    return Markdown(text.replace("-", "−"))
