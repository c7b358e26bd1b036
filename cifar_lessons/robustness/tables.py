"""The studies `corruptions` and `near_duplicates` in words and tables: no torch.

Nothing here fails where a study is missing: `recorded` gives None, and every table of None says
that nothing is recorded yet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons import runs
from cifar_lessons.evaluation.metrics import (
    Estimate,
    Predictions,
    holm,
    paired_difference,
    two_way,
    wilson_interval,
)
from cifar_lessons.tables import Markdown, Table, number_of

Study = Mapping[str, Any] | None  # the values of a study, or None where it is not recorded
NOTHING = "Nothing is recorded yet."
# Barz & Denzler (2020): 3.25 % of the test images; their list has 286 with a copy in train.
CIFAIR = {"share": 0.0325, "in_train": 286}


def recorded(name: str) -> dict[str, Any] | None:
    """Return the values of a study, or None."""
    study = runs.find_study(name)
    return None if study is None else study["values"]


def card(name: str) -> Markdown:
    """Return one line that says how a study was measured, or the command that measures it."""
    study = runs.find_study(name)
    if study is None:
        return Markdown(f"**Not recorded yet:** `{runs.study_command(name)}`")
    facts, values = study["provenance"], study["values"]
    parts = [
        str(facts["device"]),
        number_of(facts["threads"], "thread") if facts["threads"] else "",
        str(values.get("precision", "")),
        f"torch {facts['packages']['torch']}",
        f"commit {facts['git_commit'][:7] or 'unknown'}",
        f"{values['seconds'] / 60:.0f} minutes" if "seconds" in values else "",
    ]
    return Markdown(f"*Recorded: {', '.join(part for part in parts if part)}.*")


# --- Spoiled images ---------------------------------------------------------------------------


def overview(study: Study) -> Table:
    """Return for each network its accuracy on clean and on spoiled images, and what a flip adds."""
    columns = (
        "Network", "Images", "Clean", "Spoiled, mean", "Lost", "Flip adds, spoiled", "… clean",
    )  # fmt: skip
    rows = []
    for name, found in (study or {}).get("networks", {}).items():
        images = found["images"]
        rows.append(
            (
                name,
                f"{images:,}",
                f"{100 * found['clean']['plain'] / images:.1f} %",
                _percent(found["plain"]),
                points(found["lost"]),
                points(found["gained"]),
                points(found["gained_clean"]),
            )
        )
    caption = (
        "Test accuracy on clean images, and the mean over all corruptions and severities, with one "
        "look; what is lost between the two; what the mirror image adds as a second look. Points, "
        "with 95 % intervals over test images: one seed each. One look at clean images differs "
        f"from the recorded fp32 score by at most {_precision_gap(study)} images."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def _precision_gap(study: Study) -> int:
    clean = [found["clean"] for found in (study or {}).get("networks", {}).values()]
    return max((abs(c["plain"] - c["recorded"]) for c in clean), default=0)


def by_corruption(study: Study, look: str = "plain") -> Table:
    """Return accuracy by corruption and network: the mean over severities, and the first to last.

    Args:
        study: Of corruptions.
        look: `plain`, or `flip` for two looks.
    """
    networks = (study or {}).get("networks", {})
    names = list(networks)
    corruptions = list(networks[names[0]]["corruptions"]) if names else []
    rows = []
    for corruption in corruptions:
        row = [corruption.replace("_", " ")]
        for found in networks.values():
            share = [100 * n / found["images"] for n in found["corruptions"][corruption][look]]
            row.append(f"{np.mean(share):.1f} ({share[0]:.0f} → {share[-1]:.0f})")
        rows.append(row)
    looks = {"plain": "one look", "flip": "the image and its mirror image"}
    caption = (
        f"Test accuracy in percent, {looks[look]}: mean over five severities, and from the weakest "
        "to the strongest."
    )
    return Table(["Corruption", *names], rows, caption if rows else NOTHING)


def comparisons(study: Study) -> Table:
    """Return the networks that were to be compared: clean, spoiled, and what is lost between."""
    pairs: Sequence[Mapping[str, Any]] = (study or {}).get("pairs", [])
    kinds = ("clean_plain", "plain", "lost")
    # All that is tested here at once is corrected together.
    corrected = iter(holm([_estimate(p[kind]).p_value() for p in pairs for kind in kinds]))
    rows = []
    for pair in pairs:
        cells = [points(pair[kind]) + _star(next(corrected)) for kind in kinds]
        rows.append((f"{pair['second']} against {pair['first']}", f"{pair['images']:,}", *cells))
    caption = (
        "The second network minus the first, on the same images, in points with 95 % intervals "
        "over test images (one seed each, so not over training). Below 0 in the last column: it "
        "loses less. A star: different from 0 after Holm's correction."
    )
    columns = ("Compared", "Images", "Clean", "Spoiled, mean", "Lost")
    return Table(columns, rows, caption if rows else NOTHING)


def _star(p: float) -> str:
    return " *" if p < 0.05 else ""


def not_kept(study: Study) -> Markdown:
    """Return which of the listed networks have no weights yet, so that nothing is said of them."""
    names: Sequence[str] = (study or {}).get("not_kept", [])
    if not names:
        return Markdown("")
    listed = ", ".join(f"`{name}`" for name in names)
    return Markdown(
        f"**Not recorded yet:** {listed}: listed, but no weights were kept when the study ran. A "
        "recipe with `keep_weights=True` that is trained and recorded joins in when "
        "`cifar-lessons study corruptions --record` runs again; the rest is not computed again."
    )


# --- Near duplicates --------------------------------------------------------------------------


def twins(study: Study) -> npt.NDArray[np.int64]:
    """Return the test images that count as near duplicates of a train image, ascending."""
    if study is None:
        return np.array([], np.int64)
    found = np.array(study["pairs"]["test"])[
        np.array(study["pairs"]["detail"]) >= study["rule"]["near"]
    ]
    return np.sort(found).astype(np.int64)


def looked_at(study: Study) -> Table:
    """Return how many pairs of each band were looked at, and how many show one photograph."""
    rows, high, expected, total = [], 1.0, 0.0, 0
    for low, same, looked in (study or {}).get("looked_at", []):
        detail = np.array(study["pairs"]["detail"])  # type: ignore[index]
        pairs = int(((detail >= low) & ((detail < high) | (high == 1.0))).sum())
        begin, end = wilson_interval(same, looked)
        rows.append(
            (
                f"{low:g} to {high:g}",
                f"{pairs}",
                f"{same} of {looked}",
                f"{pairs * same / looked:.0f} ({pairs * begin:.0f} to {pairs * end:.0f})",
            )
        )
        expected, total, high = expected + pairs * same / looked, total + pairs, low
    caption = NOTHING
    if study and rows:
        caption = (
            f"Pairs by shared detail; those from {study['rule']['near']:g} count. Of all {total} "
            f"listed, about {expected:.0f} should be one photograph twice, which is "
            f"{100 * expected / study['test_images']:.1f} % of the test images."
        )
    columns = ("Shared detail", "Pairs", "One photograph", "So in all, about")
    return Table(columns, rows, caption)


def by_looking(study: Study) -> Markdown:
    """Return how many of the counted pairs, and of those below, are copies by what eyes said."""
    if study is None:
        return Markdown("")
    near, detail = study["rule"]["near"], np.array(study["pairs"]["detail"])
    real, below, high = 0.0, 0.0, np.inf
    for low, same, looked in study["looked_at"]:
        copies = float(((detail >= low) & (detail < high)).sum()) * same / looked
        real, below, high = real + copies * (low >= near), below + copies * (low < near), low
    false = study["near"] - real
    return Markdown(
        f"By looking, about **{real:.0f}** of the {study['near']} that count are one photograph "
        f"twice; the other {false:.0f}, {100 * false / study['near']:.0f} % of them, are not. "
        f"About {below:.0f} more lie just below the threshold. What the features did not propose "
        "is in neither number."
    )


def against_published(study: Study) -> Markdown:
    """Return our count beside the published one."""
    if study is None:
        return Markdown("")
    return Markdown(
        f"By our rule, **{study['near']}** of {study['test_images']:,} test images "
        f"({100 * study['near'] / study['test_images']:.1f} %) share their detail with a training "
        f"image; {study['near_of_another_class']} of them carry another label there. Barz and "
        f"Denzler report {100 * CIFAIR['share']:.2f} %, copies within the test images included; "
        f"{CIFAIR['in_train']:.0f} of theirs have a copy in train."
    )


def without_twins(study: Study, found: Mapping[str, Sequence[runs.Run]]) -> Table:
    """Return test accuracy of recorded runs with and without the near duplicates.

    Args:
        study: Of near duplicates.
        found: Runs by label, as from `reports.available`.
    """
    chosen = twins(study)
    rows = []
    for label, seeds in found.items() if len(chosen) else ():
        predictions = [run.logits("test") for run in seeds]
        right = np.stack([p.correct for p in predictions]).astype(np.float64)
        rest = np.delete(right, chosen, axis=1)
        rows.append(
            (
                label,
                str(len(seeds)),
                f"{100 * right.mean():.2f} %",
                f"{100 * rest.mean():.2f} %",
                f"{100 * right[:, chosen].mean():.1f} %",
                _signed(change_without(predictions, chosen)),
            )
        )
    columns = ("Recipe", "Seeds", "All test images", "Without them", "On them alone", "Difference")
    caption = (
        f"Test accuracy without the {len(chosen)} near duplicates, from the recorded answers. "
        "The difference in points, with a 95 % interval over test images, and seeds where there "
        "are several."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def without_in_words(study: Study, found: Mapping[str, Sequence[runs.Run]]) -> Markdown:
    """Return whose accuracy falls most without the near duplicates, and whose least.

    Args:
        study: Of near duplicates.
        found: Runs by label, as from `reports.available`.
    """
    chosen = twins(study)
    if not len(chosen) or not found:
        return Markdown("")
    falls = {
        label: -100 * change_without([run.logits("test") for run in seeds], chosen).mean
        for label, seeds in found.items()
    }
    least, most = (end(falls, key=lambda label: falls[label]) for end in (min, max))
    return Markdown(
        f"Without them the accuracy falls by {falls[least]:.2f} points ({least}) to "
        f"{falls[most]:.2f} ({most})."
    )


def memory(
    study: Study, first: Sequence[runs.Run] | None, second: Sequence[runs.Run] | None
) -> Table:
    """Return how two recipes differ on the near duplicates and on all other test images.

    Args:
        study: Of near duplicates.
        first: Runs of one recipe by seed, or None where there are none.
        second: Of the other.
    """
    chosen, rows = twins(study), []
    shared = sorted({r.seed for r in first or ()} & {r.seed for r in second or ()})
    if len(chosen) and shared:
        sides = [
            [r.logits("test") for r in side or () if r.seed in shared] for side in (first, second)
        ]
        inside = np.zeros(len(sides[0][0]), bool)
        inside[chosen] = True
        for label, part in (("the near duplicates", inside), ("all other images", ~inside)):
            a, b = ([Predictions(p.logits[part], p.labels[part]) for p in side] for side in sides)
            shares = [float(np.mean([p.correct for p in side])) for side in (a, b)]
            cells = [f"{100 * share:.1f} %" for share in shares]
            rows.append([label, f"{part.sum():,}", *cells, _signed(paired_difference(a, b))])
    names = [side[0].name if side else "–" for side in (first, second)]
    caption = (
        f"Test accuracy over {len(shared)} paired seeds; the difference is the second minus the "
        "first, in points with a 95 % interval over test images and seeds."
    )
    columns = ("On", "Images", *names, "Difference")
    return Table(columns, rows, caption if rows else NOTHING)


def change_without(seeds: Sequence[Predictions], chosen: npt.NDArray[np.int64]) -> Estimate:
    """Return the accuracy without some images minus that with them.

    It is the share of these images times (accuracy on the rest - accuracy on them).

    Args:
        seeds: One entry a seed, on the same images.
        chosen: Positions of the images to leave out, at least two, and not all but one.
    """
    right = np.stack([p.correct for p in seeds]).astype(np.float64)  # (seeds, images)
    inside, rest = right[:, chosen], np.delete(right, chosen, axis=1)
    share = len(chosen) / right.shape[1]
    by_seed = share * (rest.mean(axis=1) - inside.mean(axis=1))
    spread = sum(two_way(part).image_variance for part in (inside, rest))
    return Estimate(
        float(by_seed.mean()),
        len(seeds),
        float(by_seed.var(ddof=1)) / len(seeds) if len(seeds) > 1 else 0.0,
        share**2 * spread,
    )


# --- Numbers as text --------------------------------------------------------------------------


def _estimate(stored: Mapping[str, float]) -> Estimate:
    """Return a mean of the study with its variance over images, of one seed."""
    return Estimate(stored["mean"], 1, 0.0, stored["variance"])


def _percent(stored: Mapping[str, float]) -> str:
    e = _estimate(stored)
    return f"{100 * e.mean:.1f} % ({100 * e.low:.1f} to {100 * e.high:.1f})"


def points(stored: Mapping[str, float]) -> str:
    """Return a stored difference in points, with its interval."""
    return _signed(_estimate(stored))


def _signed(e: Estimate) -> str:
    text = f"{100 * e.mean:+.2f} ({100 * e.low:+.2f} to {100 * e.high:+.2f})"
    return text.replace("-", "−")
