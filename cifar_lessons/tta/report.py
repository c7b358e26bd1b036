"""What views gain, in tables and in words; nothing is measured here, and no torch.

Each function takes the study as `results.recorded` gives it. Where that is None, it says so.
"""

from collections.abc import Iterable

from cifar_lessons import recipes, runs
from cifar_lessons.evaluation.merging import Merge
from cifar_lessons.evaluation.metrics import accuracy, holm, paired_difference
from cifar_lessons.evaluation.view_sets import VIEW_SETS
from cifar_lessons.tables import Markdown, Table
from cifar_lessons.tta.results import SETS, STUDY, Cell, Network, Recorded

NOTHING = "Nothing is recorded yet."
ALPHA = 0.05


def command() -> str:
    """Return what to type to measure and keep all that is missing."""
    return runs.study_command(STUDY)


def card(study: Recorded | None) -> Markdown:
    """Return how the study was made, and which networks it has not looked at yet."""
    if study is None:
        return Markdown(f"*Not recorded yet: `{command()}` measures it.*")
    facts = [net.facts for net in study.networks.values()]

    def each(key: str) -> str:
        return " / ".join(dict.fromkeys(str(f[key]) for f in facts))

    minutes = sum(f["seconds"] for f in facts) / 60
    line = (
        f"*Recorded: {len(facts)} networks, one seed each, {each('device')}, "
        f"{each('precision')}, torch {each('torch')}, commit "
        f"{' / '.join(dict.fromkeys(f['commit'][:7] for f in facts))}, {minutes:.0f} minutes "
        "(cores may have been shared).*"
    )
    if study.missing:
        line += f" Not looked at yet: {', '.join(study.missing)}; `{command()}` adds them."
    return Markdown(line if facts else f"*Not recorded yet: `{command()}` measures it.*")


def sets_table() -> Table:
    """Return the sets of views that are scored, as they were listed before."""
    rows = [
        (s.name, s.about, str(s.passes), ", ".join(s.weights))
        for s in (VIEW_SETS[name] for name in SETS)
    ]
    return Table(
        ("Set", "What is in it", "Forward passes", "Views"),
        rows,
        "The sets of views, listed before any was scored. All views of a set count alike, but "
        "for flip_shift: there the two that are not moved count twice.",
    )


def gains_table(study: Recorded | None, merged: Merge = "logits") -> Table:
    """Return what each set gains on each network, in points of test accuracy.

    Args:
        study: As recorded.
        merged: What is averaged.
    """
    nets = _nets(study)
    columns = ["Set", "Passes", *(f"{n.name} ({100 * n.accuracy:.2f} %)" for n in nets)]
    found = [[net.test.cells[name][merged] for net in nets] for name in SETS]
    flat = [cell for row in found for cell in row]
    sure = iter(p < ALPHA for p in holm([cell.p_value for cell in flat]))
    rows = [
        [name, str(VIEW_SETS[name].passes), *(_changed(cell, next(sure)) for cell in row)]
        for name, row in zip(SETS, found, strict=True)
    ]
    caption = (
        f"Points of test accuracy gained over one look, {merged} averaged; in brackets images "
        f"corrected and broken. A star: McNemar's test, Holm-corrected for the {len(flat)} "
        f"cells, p < {ALPHA:g}."
    )
    return Table(columns, rows if nets else [], caption if nets else NOTHING)


def _nets(study: Recorded | None) -> list[Network]:
    return list(study.networks.values()) if study else []


def _changed(cell: Cell, sure: bool) -> str:
    return f"{_points(cell.gain.mean)}{'*' if sure else ''} (+{cell.corrected}, −{cell.broken})"


def _points(share: float) -> str:
    """Return a difference in points, with a true minus sign."""
    return f"{100 * share:+.2f}".replace("-", "−")


def per_pass_table(study: Recorded | None) -> Table:
    """Return the points of test accuracy that each further forward pass brings."""
    nets = _nets(study)
    rows = [
        [
            name,
            str(VIEW_SETS[name].passes - 1),
            *(_points(net.test.cells[name]["logits"].per_pass) for net in nets),
        ]
        for name in SETS
    ]
    caption = "Points of test accuracy for each forward pass beyond the first, logits averaged."
    columns = ["Set", "Extra passes", *(n.name for n in nets)]
    return Table(columns, rows if nets else [], caption if nets else NOTHING)


def merges_table(study: Recorded | None, name: str = "flip_shift") -> Table:
    """Return a set's accuracy and loss by what is averaged, beside one look.

    Args:
        study: As recorded.
        name: Of the set.
    """
    rows = []
    for net in _nets(study):
        cells = net.test.cells[name].values()
        right = [net.accuracy, *(cell.accuracy for cell in cells)]
        losses = [net.test.loss, *(cell.loss for cell in cells)]
        shown = [f"{100 * share:.2f} %" for share in right]
        rows.append([net.name, *shown, *(f"{loss:.4f}" for loss in losses)])
    columns = ["Network", "One look", "Logits", "Probabilities"]
    columns += ["Loss, one look", "Loss, logits", "Loss, probabilities"]
    caption = f"Test accuracy and loss of {name} by what is averaged (the loss in nats)."
    return Table(columns, rows, caption if rows else NOTHING)


def validation_table(study: Recorded | None) -> Table:
    """Return what a choice on validation images gives on test, and what peeking would claim."""
    rows = []
    for net in _nets(study):
        if net.chosen is None or net.learned is None:
            continue
        gains = {name: net.test.cells[name]["logits"].gain.mean for name in SETS}
        best = max(gains, key=lambda name: gains[name])
        kept = sorted(net.weights.items(), key=lambda item: -item[1])
        rows.append(
            [
                net.name,
                f"{net.chosen}: {_points(gains.get(net.chosen, 0.0))}",
                f"{_points(net.learned.gain.mean)} in {net.learned.passes} passes",
                ", ".join(f"{view} {weight:.2f}" for view, weight in kept),
                f"{best}: {_points(gains[best])}",
            ]
        )
    columns = ["Network", "Set chosen on validation", "Weights learned on validation"]
    columns += ["The weights", "Best on test, with hindsight"]
    caption = (
        "Points of test accuracy gained, logits averaged. The last column is no result: there the "
        "test images chose."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def over_seeds(names: Iterable[str] = ("speednet_reference", "speednet")) -> Table:
    """Return the gain of recipes that score every seed with views: its interval covers seeds too.

    Args:
        names: Of recipes whose runs store the logits of views beside the plain ones.
    """
    rows = []
    for name in names:
        recipe = recipes.get(name)
        found = [run for _, _, run in runs.status(recipe) if run is not None]
        if recipe.views is None or not found:
            continue
        plain, views = ([run.logits(s) for run in found] for s in ("test", "test_views"))
        each = [accuracy(b) - accuracy(a) for a, b in zip(plain, views, strict=True)]
        e = paired_difference(plain, views)
        looked = f"{recipe.views.name}, {100 * recipe.views.hardest:g} % of the images"
        rows.append(
            [
                name,
                looked,
                str(e.n),
                f"{_points(e.mean)} ({_points(e.low)} to {_points(e.high)})",
                f"{_points(min(each))} to {_points(max(each))}",
            ]
        )
    columns = ["Recipe", "Views", "Seeds", "Gain and 95 % interval", "Lowest and highest seed"]
    caption = "Points of test accuracy gained over one look. The interval covers seeds and images."
    return Table(columns, rows, caption if rows else NOTHING)


def as_text(study: Recorded) -> str:
    """Return the study for a terminal."""
    tables = [gains_table(study), gains_table(study, "probabilities"), per_pass_table(study)]
    tables += [merges_table(study), validation_table(study)]
    return "\n\n".join([*(f"{t.caption}\n{t}" for t in tables), str(card(study)).strip("*")])
