"""Recorded runs in words and tables: what there is, how it was made, what came out.

Nothing here fails where runs are missing: what is not recorded yet is said, with the command.
"""

from collections.abc import Iterable, Mapping, Sequence

from cifar_lessons import recipes, runs
from cifar_lessons.config import Json, Recipe
from cifar_lessons.evaluation.metrics import Estimate, mean_interval
from cifar_lessons.fields import NOT_COMPARED, to_dict
from cifar_lessons.runs import Run
from cifar_lessons.tables import Markdown, Table, number_of
from cifar_lessons.targets import first_reach

Choice = Iterable[str | Recipe] | Mapping[str, str | Recipe]  # a mapping gives labels of its own
RunsByLabel = Mapping[str, Sequence[Run]]


def _labelled(chosen: Choice) -> dict[str, Recipe]:
    """Return recipes by label; without labels of their own, by name."""
    found = [recipes.get(c) if isinstance(c, str) else c for c in _values(chosen)]
    labels = list(chosen) if isinstance(chosen, Mapping) else [recipe.name for recipe in found]
    return dict(zip(labels, found, strict=True))


def _values(chosen: Choice) -> list[str | Recipe]:
    return list(chosen.values() if isinstance(chosen, Mapping) else chosen)


def available(chosen: Choice) -> dict[str, list[Run]]:
    """Return the recorded runs of recipes that have any, by label; the others are left out.

    Args:
        chosen: Recipes or their names; a mapping gives each a label of its own.

    Raises:
        UserError: A name that is no recipe.
    """
    found = {
        label: [run for _, _, run in runs.status(recipe) if run is not None]
        for label, recipe in _labelled(chosen).items()
    }
    return {label: seeds for label, seeds in found.items() if seeds}


def missing_note(chosen: Choice) -> Markdown:
    """Return which seeds are not recorded, with the commands; empty where all are."""
    lines = []
    for recipe in _labelled(chosen).values():
        states = runs.status(recipe)
        gone = {seed: state for seed, state, _ in states if state != "fresh"}
        if not gone:
            continue
        stale = any(state == "stale" for state in gone.values())
        words = "recorded with other settings" if stale else "not recorded yet"
        seed = min(gone)
        each = "folds" if recipe.data.folds else "seeds"
        lines.append(
            f"- `{recipe.name}`: {len([s for _, s, _ in states if s != 'fresh'])} of "
            f"{len(states)} {each} {words}; `{runs.train_command(recipe, seed)}`, then "
            f"`{runs.record_command(recipe, seed)}`"
        )
    return Markdown("\n".join(["**Not all runs are recorded yet:**", "", *lines]) if lines else "")


def estimate(seeds: Sequence[Run]) -> Estimate:
    """Return the mean test accuracy of runs, with its interval, from their stored logits."""
    return mean_interval([run.logits("test") for run in seeds])


def card(seeds: Sequence[Run]) -> Markdown:
    """Return one line that says how runs were made: seeds, machine, precision, commit, time."""
    if not seeds:
        return Markdown("*Not recorded yet.*")

    def each(values: Iterable[str]) -> str:
        return " / ".join(dict.fromkeys(values))

    facts = [run.provenance for run in seeds]
    parts = [
        number_of(len(seeds), "seed" if seeds[0].fold is None else "fold"),
        each(f["device"] for f in facts),
        # Runs from before several processes could train together name no world size.
        each(f"{f['world_size']} processes" for f in facts if f.get("world_size", 1) > 1),
        each(number_of(f["threads"], "thread") for f in facts if f["threads"]),
        each(f["precision"] for f in facts),
        "torch " + each(f["packages"]["torch"] for f in facts),
        "commit " + each(f["git_commit"][:7] or "unknown" for f in facts),
        f"{sum(run.core_minutes for run in seeds) / len(seeds):.1f} core-minutes"
        + " each" * (len(seeds) > 1),
    ]
    line = ", ".join(part for part in parts if part)
    several = len({run.name for run in seeds}) > 1
    surprises = [
        f"{f'Seed {r.seed} of `{r.name}`' if several else f'Seed {r.seed}'} is outside its band: "
        f"{r.surprise}."
        for r in seeds
        if r.surprise
    ]
    return Markdown(" ".join([f"*Recorded: {line}.*", *surprises]))


def results_table(found: RunsByLabel) -> Table:
    """Return test accuracy with its interval, seeds, parameters and core-minutes of each recipe."""
    rows = []
    for label, seeds in found.items():
        e = estimate(seeds)
        rows.append(
            (
                label,
                f"{100 * e.mean:.2f} %",
                f"{100 * e.low:.2f} to {100 * e.high:.2f} %",
                str(e.n),
                f"{seeds[0].parameters:,}",
                f"{sum(run.core_minutes for run in seeds) / len(seeds):.1f}",
            )
        )
    columns = ("Recipe", "Test accuracy", "95 % interval", "Seeds", "Parameters", "Core-minutes")
    caption = (
        "Mean test accuracy over seeds. The interval covers seeds and test images; of a single "
        "seed, test images only. Core-minutes are processor time, of all threads together."
    )
    return Table(columns, rows, caption if rows else "Nothing is recorded yet.")


def targets_table(found: RunsByLabel, targets: Sequence[float]) -> Table:
    """Return when each recipe first reaches validation accuracies, and where it ends.

    Args:
        found: Runs by label, as from `available`.
        targets: Accuracies, fractions in [0, 1].

    Returns:
        A row a recipe. A target's cell has the epoch of each seed, a dash for never, and the mean
        core-seconds of training until then, of the seeds that get there.
    """
    rows = []
    for label, seeds in found.items():
        row = [label]
        for target in targets:
            reached = [first_reach(run.history, target) for run in seeds]
            epochs = ", ".join(str(r.epoch) if r else "–" for r in reached)
            seconds = [
                r.seconds * run.core_minutes / run.minutes
                for run, r in zip(seeds, reached, strict=True)
                if r and r.seconds is not None
            ]
            row.append(epochs + (f" ({_mean(seconds):.0f} s)" if seconds else ""))
        e = estimate(seeds)
        row.append(f"{_mean([60 * run.core_minutes / len(run.history) for run in seeds]):.0f}")
        row.append(f"{100 * e.mean:.2f} % ({100 * e.low:.2f} to {100 * e.high:.2f})")
        rows.append(row)
    columns = ["Schedule", *(f"{100 * t:g} %" for t in targets), "Core-seconds an epoch"]
    caption = (
        "Epochs until the validation accuracy first reaches a target, a number a seed; a dash is "
        "never. In brackets core-seconds, a mean of the seeds that get there. Then the final test "
        "accuracy with its 95 % interval."
    )
    return Table(
        [*columns, "Final test accuracy"], rows, caption if rows else "Nothing is recorded yet."
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def recipe_diff(first: Recipe, second: Recipe) -> Table:
    """Return the fields in which two recipes differ: the experiment, as a table."""

    def flat(data: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
        out: dict[str, Json] = {}
        for key, value in data.items():
            name = prefix + key
            out |= flat(value, name + ".") if isinstance(value, Mapping) else {name: value}
        return out

    a, b = (
        flat({k: v for k, v in to_dict(r).items() if k not in (*NOT_COMPARED, "name")})
        for r in (first, second)
    )
    rows = [
        (key, *(str(side[key]) if key in side else "–" for side in (a, b)))
        for key in dict.fromkeys([*a, *b])
        if (key in a, a.get(key)) != (key in b, b.get(key))
    ]
    caption = f"Where {first.name} and {second.name} differ."
    return Table(("Field", first.name, second.name), rows, caption)
