"""What students reached and what they cost, in tables; the study of the gradient, as it is read.

Nothing is measured here, and no torch. Where runs or the study are missing, a table says so.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from cifar_lessons import recipes, runs
from cifar_lessons.distilling.results import STUDY, Recorded, Values, share_of
from cifar_lessons.evaluation.metrics import Estimate, mean_interval, paired_difference
from cifar_lessons.reports import RunsByLabel
from cifar_lessons.runs import Run
from cifar_lessons.tables import Markdown, Table, number_of

NOTHING = "Nothing is recorded yet."


# --- The teacher's share of the gradient -----------------------------------------------------


def share_card(study: Recorded | None) -> Markdown:
    """Return how the study was made, and which students it has not seen yet."""
    command = f"`{runs.study_command(STUDY)}`"
    if study is None:
        return Markdown(f"*Not recorded yet: {command} measures it.*")
    values, facts = study.values, study.provenance
    line = (
        f"*Recorded: {values['images']:,} training views in batches of {values['batch_size']}, "
        f"teacher {values['teacher']}, {facts['device']}, {values['precision']}, torch "
        f"{facts['packages']['torch']}, commit {facts['git_commit'][:7]}.*"
    )
    if study.missing:
        line += f" Not measured yet: {', '.join(study.missing)}; {command} adds them."
    return Markdown(line)


def share_table(study: Recorded | None) -> Table:
    """Return the norm of each term's gradient on the weights, and the teacher's share of both."""
    rows = []
    values: Values = study.values if study else {"students": {}}
    for student, arms in values["students"].items():
        for arm, places in arms.items():
            terms = [f"{places['weights'][term]:.3g}" for term in ("labels", "teacher")]
            shares = [
                f"{100 * share_of(values, student, arm, place):.0f} %"
                for place in ("weights", "logits")
            ]
            rows.append((f"{student}: {arm}", *terms, *shares))
    columns: tuple[str, ...] = ("Student and loss", "Labels' term", "Teacher's term")
    columns += ("Teacher's share", "Share on the logits")
    caption = (
        "Norm of each term's gradient on the student's weights, a mean over batches, and the "
        "teacher's share of the two norms together; last, the share on the logits."
    )
    return Table(columns, rows, caption if rows else NOTHING)


# --- Students ----------------------------------------------------------------------------------


def arms_table(found: RunsByLabel, *, base: str, teacher: str = "resnet18") -> Table:
    """Return what each loss gives a student beyond the labels alone, on test and on validation.

    Args:
        found: Runs by label, as from `reports.available`.
        base: Label of the students that had no teacher.
        teacher: Recipe whose stored answers the students are held against.
    """
    alone = found.get(base, ())
    taught = next((run for _, _, run in runs.status(recipes.get(teacher)) if run), None)
    rows = []
    for label, seeds in found.items():
        e = mean_interval([run.logits("test") for run in seeds])
        gains = ["–", "–"] if label == base else [
            _points(_gain(alone, seeds, split)) for split in ("test", "val")
        ]  # fmt: skip
        rows.append(
            (
                label,
                f"{100 * e.mean:.2f} % ({100 * e.low:.2f} to {100 * e.high:.2f})",
                *gains,
                _agreement(taught, seeds),
                str(e.n),
                f"{fmean(run.core_minutes for run in seeds):.1f}",
            )
        )
    columns: tuple[str, ...] = (
        "Learns from",
        "Test accuracy",
        "Above labels alone",
        "The same on validation",
    )
    columns += (f"Says what {teacher} says", "Seeds", "Core-minutes a run")
    caption = (
        "Mean test accuracy with its 95 % interval; points above the students without a teacher, "
        "over the seeds of both; and the share of the test images that student and teacher give "
        "one class. Core-minutes are processor time, and leave out the teacher's."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def _gain(alone: Sequence[Run], seeds: Sequence[Run], split: str) -> Estimate | None:
    """Return the paired gain on a split, or None where no seed is in both."""
    first, second = ({run.seed: run for run in group} for group in (alone, seeds))
    shared = [
        seed
        for seed in sorted(first.keys() & second.keys())
        if all(f"{split}_accuracy" in group[seed].final for group in (first, second))
    ]
    if not shared:
        return None
    a, b = ([group[seed].logits(split) for seed in shared] for group in (first, second))
    return paired_difference(a, b)


def _points(e: Estimate | None) -> str:
    """Return a difference in points with its interval, with true minus signs."""
    if e is None:
        return "–"
    return f"{100 * e.mean:+.2f} ({100 * e.low:+.2f} to {100 * e.high:+.2f})".replace("-", "−")


def _agreement(taught: Run | None, seeds: Sequence[Run]) -> str:
    if taught is None:
        return "–"
    said = taught.logits("test").predicted
    return f"{100 * fmean((run.logits('test').predicted == said).mean() for run in seeds):.1f} %"


def chosen_note(found: RunsByLabel) -> Markdown:
    """Return which runs are best on their validation images: what may be chosen, and is.

    Args:
        found: Runs by label; those without a validation split are left out, and seeds that not all
            others have.
    """
    scores = {
        label: {run.seed: run.final["val_accuracy"] for run in seeds}
        for label, seeds in found.items()
        if all("val_accuracy" in run.final for run in seeds)
    }
    shared = sorted(set.intersection(*(set(seeds) for seeds in scores.values()))) if scores else []
    if not shared:
        return Markdown("")
    means = {label: fmean(seeds[s] for s in shared) for label, seeds in scores.items()}
    best = max(means, key=lambda label: means[label])
    listed = ", ".join(f"{label} {100 * mean:.2f} %" for label, mean in means.items())
    dropped = any(len(seeds) > len(shared) for seeds in scores.values())
    over = f" over the {number_of(len(shared), 'seed')} that all have" if dropped else ""
    return Markdown(f"Mean validation accuracy{over}: {listed}. It would choose **{best}**.")


def costs_table(
    found: RunsByLabel,
    costs: Mapping[str, tuple[int, int]],
    *,
    teacher: str,
    latency: Mapping[str, str] | None = None,
) -> Table:
    """Return accuracy beside what a network costs: parameters, multiplications, latency.

    Args:
        found: Runs by label, as from `reports.available`.
        costs: Parameters, and multiplications for one image (`speed.layers.multiplications`), by
            label. Labels without runs are shown too: what a network costs needs none.
        teacher: Label of the network that the others are held against; it has a cost.
        latency: Of one picture, in words, by label; without it the column is left out.
    """
    whole, _ = costs[teacher]
    rows = []
    for label, (parameters, multiplications) in costs.items():
        seeds = found.get(label, ())
        is_teacher = label == teacher
        rows.append(
            (
                label,
                f"{100 * mean_interval([r.logits('test') for r in seeds]).mean:.2f} %"
                if seeds
                else "not recorded yet",
                "–" if is_teacher else _points(_gain(found.get(teacher, ()), seeds, "test")),
                f"{parameters:,}",
                "–" if is_teacher else f"{100 * (parameters / whole - 1):+.1f} %".replace("-", "−"),
                f"{multiplications / 1e6:.1f} million",
                *([latency.get(label, "not recorded yet")] if latency else []),
            )
        )
    columns: tuple[str, ...] = (
        "Network",
        "Test accuracy",
        "Points against the teacher",
        "Parameters",
    )
    columns += ("Against the teacher", "Multiplications")
    columns += ("Latency of one picture",) if latency else ()
    caption = (
        "What each network reaches and costs. Differences are paired over the seeds of both; with "
        "one seed the interval covers test images only."
    )
    return Table(columns, rows, caption)
