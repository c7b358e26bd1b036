"""Few labels in tables: what each way of using them reaches, and what it costs. No torch."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from cifar_lessons import recipes, runs
from cifar_lessons.evaluation.metrics import Estimate, mean_interval, paired_difference
from cifar_lessons.pretraining.results import (
    ARMS,
    LONG,
    NETWORKS,
    SCRATCH,
    SHARES,
    STUDY,
    Recorded,
    spelled,
)
from cifar_lessons.runs import Run
from cifar_lessons.tables import Markdown, Table

NOTHING = "Nothing is recorded yet."
Trained = Mapping[str, Mapping[float, Sequence[Run]]]


def shares_table(trained: Trained, probes: Recorded | None) -> Table:
    """Return accuracy by share of the labels: from scratch, fine-tuned with the gain, and frozen.

    Args:
        trained: From `results.trained`.
        probes: From `results.recorded`.
    """
    frozen = tuple(probes.probes) if probes else ()
    rows = []
    for share in SHARES:
        cells = [_cell(trained, arm, share) for arm in ARMS]
        if probes:
            cells += [_percent(probes.estimate(network, share)) for network in frozen]
        if any(cell != "–" for cell in cells):
            rows.append((spelled(share), *cells))
    columns = ["Labels", *(a[0].upper() + a[1:] for a in ARMS)]
    columns += [f"Linear on {network}" for network in frozen]
    caption = (
        "Test accuracy by share of the labels, with its 95 % interval over draws (seeds, at all "
        "labels) and test images; for fine-tuned networks, then, the points above from scratch. "
        "With n = 1 it covers test images only. Linear: a linear classifier on frozen features."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def _cell(trained: Trained, arm: str, share: float) -> str:
    """Return what an arm reaches, and for one that was pre-trained, its paired gain."""
    seeds = trained.get(arm, {}).get(share)
    if not seeds:
        return "–"
    told = _percent(mean_interval([run.logits("test") for run in seeds]))
    gained = None if arm == SCRATCH else gain(trained, arm, share)
    if gained is None:
        return told
    ends = f"({100 * gained.low:+.1f} to {100 * gained.high:+.1f}{_one(gained)})"
    return f"{told}: {100 * gained.mean:+.1f} {ends}".replace("-", "−")


def gain(trained: Trained, arm: str, share: float) -> Estimate | None:
    """Return how far an arm lies above from scratch at a share, paired over the seeds of both.

    Args:
        trained: From `results.trained`.
        arm: A key of `results.ARMS`.
        share: Of the labels.

    Returns:
        None where no seed is in both.
    """
    first, second = (
        {run.seed: run.logits("test") for run in trained.get(a, {}).get(share, ())}
        for a in (SCRATCH, arm)
    )
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    return paired_difference([first[s] for s in shared], [second[s] for s in shared])


def _percent(e: Estimate | None) -> str:
    """Return an accuracy with its interval."""
    if e is None:
        return "–"
    return f"{100 * e.mean:.1f} ({100 * e.low:.1f} to {100 * e.high:.1f}{_one(e)})"


def _one(e: Estimate) -> str:
    """Return a mark for an interval that knows one draw alone, so covers test images only."""
    return "; n = 1" if e.n == 1 else ""


# --- What it costs -----------------------------------------------------------------------------


def costs_table() -> Table:
    """Return minutes and views of pre-training, of what follows, and of the long control."""
    rows = []
    for name in (*NETWORKS, ARMS[SCRATCH][0.1], ARMS["after SimCLR"][0.1], LONG):
        found = [run for _, _, run in runs.status(recipes.get(name)) if run]
        if found:
            accuracy = _percent(mean_interval([run.logits("test") for run in found]))
            what = "neighbours' vote" if found[0].kind == "pretrain" else "classifier"
            minutes = f"{fmean(run.core_minutes for run in found):.1f}"
            rows.append((name, f"{views_of(name):,}", minutes, accuracy, what))
    columns = ("Run", "Views in training", "Core-minutes", "Test accuracy", "Of what")
    caption = (
        "What pre-training costs, beside training from scratch that may take as long. Core-minutes "
        "are processor time. A pre-training view has 0.56 of the pixels."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def control_note() -> Markdown:
    """Return how far training from scratch for as long ends from fine-tuning, in one sentence."""
    tuned, longer = (
        {run.seed: run.logits("test") for _, _, run in runs.status(recipes.get(name)) if run}
        for name in (ARMS["after SimCLR"][0.1], LONG)
    )
    shared = sorted(tuned.keys() & longer.keys())
    if not shared:
        return Markdown("")
    gap = paired_difference([tuned[s] for s in shared], [longer[s] for s in shared])
    ends = f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}{_one(gap)}".replace("-", "−")
    if gap.low > 0 or gap.high < 0:
        where = f"{abs(100 * gap.mean):.1f} points {'above' if gap.mean > 0 else 'below'}"
    else:
        where = "not clearly apart from"
    return Markdown(
        f"On a tenth of the labels, from scratch *for as long* ends {where} fine-tuning from "
        f"features ({ends})."
    )


def views_of(name: str) -> int:
    """Return how many views of images a recipe's network sees in training.

    Args:
        name: Of a recipe on CIFAR's 50,000 training images.
    """
    recipe = recipes.get(name)
    images = (50_000 - recipe.data.val_size) // 10
    images = 10 * round(recipe.data.label_share * images)
    steps = max(1, images // recipe.batch_size)
    views = 2 if recipe.pretrains else 1
    return views * recipe.epochs * steps * min(recipe.batch_size, images)


# --- Cards -------------------------------------------------------------------------------------


def probes_card(probes: Recorded | None) -> Markdown:
    """Return how the study of probes was made, and which networks it has not seen yet."""
    command = f"`{runs.study_command(STUDY)}`"
    if probes is None:
        return Markdown(f"*Linear probes are not recorded yet: {command} fits them.*")
    facts = probes.provenance
    line = (
        f"*Linear probes: {facts['device']}, torch {facts['packages']['torch']}, commit "
        f"{facts['git_commit'][:7]}.*"
    )
    if probes.missing:
        line += f" Not probed yet: {', '.join(probes.missing)}; {command} adds them."
    return Markdown(line)
