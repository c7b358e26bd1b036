"""What `bench latency` measured, as tables and in words; nothing is measured here, and no torch.

Each function takes the study as `recorded` gives it. Where that is None, it says what to run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cifar_lessons import runs
from cifar_lessons.deploy.runtimes import WAYS, base_of
from cifar_lessons.speed import tables as speed
from cifar_lessons.tables import Markdown, Table
from cifar_lessons.throughput import Result

Study = Result | None
STUDY = "bench_latency"
# Set for one idle core with batch 1: int8 by ONNX Runtime, times eager fp32; points of accuracy.
TARGETS = {"resnet18": 5.0, "mobilenet_v2": 7.0}
MOST_LOST = 0.5


def recorded() -> Study:
    """Return the recorded study, or None where it is not recorded yet."""
    return runs.find_study(STUDY)


def cells_of(
    study: Result, *, batch: int | None = None, threads: int | None = None
) -> list[dict[str, Any]]:
    """Return the entries with that batch and number of threads; all without."""
    return [
        dict(cell)
        for cell in study["values"]["cells"]
        if batch in (None, cell["batch"]) and threads in (None, cell["threads"])
    ]


def latency_table(
    study: Study, *, batch: int | None = None, threads: int | None = None
) -> Table | Markdown:
    """Return latencies, ratios and accuracies by network and way.

    Args:
        study: From `recorded`.
        batch: Only that one.
        threads: Only that number.
    """
    if study is None:
        return speed.missing(STUDY)
    rows = []
    for cell in cells_of(study, batch=batch, threads=threads):
        for way, times in cell["ways"].items():
            where = f"{cell['model']}, {WAYS[way].label}"
            rows.append(
                [
                    where,
                    f"{cell['batch']}",
                    f"{cell['threads']}",
                    *(_ms(times[key]) for key in ("p50", "p90", "p99")),
                    times_faster(cell, way),
                    _accuracy(study, cell["model"], way),
                ]
            )
    columns = ["Network and engine", "Batch", "Threads", "p50, ms", "p90, ms", "p99, ms"]
    columns += ["Times eager fp32", "Accuracy"]
    values = study["values"]
    calls = sorted({cell["calls"] for cell in values["cells"]})
    caption = (
        f"Latency of a call: {' or '.join(str(n) for n in calls)} timed calls in turns, each "
        "engine in a process of its own. In brackets the lowest and highest ratio of a round. "
        f"Accuracy of the very file on {values['images']:,} test images; a dash where the network "
        "has fresh weights."
    )
    return Table(columns, rows, caption)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.{2 if seconds < 0.1 else 0}f}"


def _accuracy(study: Result, model: str, way: str) -> str:
    found = study["values"]["models"][model]["scores"].get(way)
    return "–" if found is None else f"{100 * found['accuracy']:.2f} %"


def one_picture(study: Study, recipes: Mapping[str, str]) -> dict[str, str]:
    """Return how long one picture takes in eager fp32 and in int8, on one thread, in words.

    Args:
        study: From `recorded`.
        recipes: Name of the recipe whose network was timed, by label.

    Returns:
        By label; those that were not timed are left out.
    """
    cells = cells_of(study, batch=1, threads=1) if study else []
    models = study["values"]["models"] if study else {}
    times = {models[cell["model"]]["recipe"]: cell["ways"] for cell in cells}
    found = {}
    for label, recipe in recipes.items():
        if recipe in times:
            ways = times[recipe]
            text = f"{_ms(ways['eager']['p50'])} ms"
            if "ort_int8" in ways:
                text += f"; {_ms(ways['ort_int8']['p50'])} ms in int8"
            found[label] = text
    return found


def accuracy_table(study: Study) -> Table | Markdown:
    """Return the size of each file, and what it changes in accuracy against eager fp32."""
    if study is None:
        return speed.missing(STUDY)
    rows = []
    for model, facts in study["values"]["models"].items():
        for way in study["values"]["ways"]:
            size = f"{facts['bytes'][way] / 1e6:.2f} MB"
            label = f"{model}, {WAYS[way].label}"
            rows.append([label, size, _accuracy(study, model, way), change(study, model, way)])
    caption = (
        f"Files and accuracy on {study['values']['images']:,} test images, with the 95 % interval "
        "of the difference over test images. int8 was calibrated on "
        f"{study['values']['calibration']:,} training images."
    )
    return Table(["Network and engine", "File", "Accuracy", "Against eager fp32"], rows, caption)


def change(study: Result, model: str, way: str) -> str:
    """Return the change in accuracy against the base in points, a dash where it is unknown."""
    found = study["values"]["models"][model]["scores"].get(way)
    if found is None or way == base_of(way):
        return "–"
    mean, low, high = (100 * found[key] for key in ("change", "low", "high"))
    text = f"{mean:+.2f} points" + (f" ({low:+.2f} to {high:+.2f})" if low != high else "")
    return text.replace("-", "−")


def targets(study: Study) -> Markdown:
    """Return whether int8 meets what was set for one core and one image, a line for each."""
    if study is None:
        return Markdown("")
    lines = []
    for cell in cells_of(study, batch=1, threads=1):
        wanted = TARGETS.get(cell["model"])
        if wanted is None or "ort_int8" not in cell["ratios"]:
            continue
        ratio = cell["ratios"]["ort_int8"]
        fast = "met" if ratio["ratio"] >= wanted else "NOT met"
        found = study["values"]["models"][cell["model"]]["scores"].get("ort_int8")
        lost = "its accuracy is not known, since no weights are recorded"
        if found is not None:
            right = "met" if -100 * found["change"] <= MOST_LOST else "NOT met"
            lost = f"{change(study, cell['model'], 'ort_int8')} of accuracy, target at most "
            lost += f"{MOST_LOST:g} lost: {right}"
        lines.append(
            f"{cell['model']} in int8, one image, one thread: {ratio['ratio']:.2f} times as fast "
            f"as eager fp32 ({ratio['low']:.2f} to {ratio['high']:.2f}), target {wanted:g}: "
            f"{fast}; {lost}."
        )
    return Markdown("\n\n".join(lines))


def card(study: Study) -> Markdown:
    """Return how it was measured, in a line; `latency_table` says it where nothing is recorded."""
    if study is None:
        return Markdown("")
    packages = study["provenance"]["packages"]
    loads = [cell["load_average"][0] for cell in study["values"]["cells"] if cell["load_average"]]
    load = (
        f" Load average at the cells' starts: {min(loads):.1f} to {max(loads):.1f}."
        if loads
        else ""
    )
    fresh = [m for m, f in study["values"]["models"].items() if f["weights"] == "fresh"]
    note = f" Fresh weights, so no accuracy: {', '.join(fresh)}." if fresh else ""
    engine = f" ONNX Runtime {packages['onnxruntime']}."
    return Markdown(f"{speed.card(study, STUDY)}{engine}{load}{note}")


def format_result(result: Result) -> str:
    """Return all of it for a terminal."""
    quick = "A quick try: these are no results." if result["values"]["quick"] else ""
    parts: Sequence[Table | Markdown] = [latency_table(result), accuracy_table(result)]
    parts = [*parts, *(text for text in (targets(result), Markdown(quick)) if text)]
    return speed.format_study(result, *parts)


def times_faster(cell: Mapping[str, Any], way: str) -> str:
    """Return a ratio with the range over the rounds."""
    found = cell["ratios"][way]
    if way == base_of(way):
        return "1"
    return f"{found['ratio']:.2f}x ({found['low']:.2f} to {found['high']:.2f})"
