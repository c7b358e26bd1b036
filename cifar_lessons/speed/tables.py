"""What the speed studies say, as tables and in words; nothing is measured here, and no torch.

Each function takes a study as `recorded` gives it. Where that is None, it says what to run.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cifar_lessons import runs
from cifar_lessons.tables import Markdown, Table, number_of
from cifar_lessons.throughput import Result, conditions

Study = Result | None
STEPS = {
    "plain_0": "plain loop, no workers",
    "memory": "+ batches from memory",
    "channels_last": "+ channels last",
    "ours": "+ bf16: ours",
}
PIPELINES = {
    "plain_0": "plain: PIL images, DataLoader, no workers",
    "plain_1": "plain, 1 worker",
    "plain_2": "plain, 2 workers",
    "image_tensors": "+ images in memory, no PIL",
    "image_loop": "+ no DataLoader",
    "ours": "+ whole batches: ours",
}


def recorded(name: str) -> Study:
    """Return a recorded study, or None where it is not recorded yet."""
    return runs.find_study(name)


def missing(name: str) -> Markdown:
    """Return what to run for a study that is not recorded."""
    return Markdown(f"*Not recorded yet: `{runs.study_command(name)}` measures it.*")


def card(study: Study, name: str) -> Markdown:
    """Return one line on how a study was measured: machine, threads, versions, commit, load."""
    if study is None:
        return missing(name)
    facts, seconds = study["provenance"], study["values"]["seconds"]
    threads = f"{number_of(facts['threads'], 'thread')}, " if facts["threads"] else ""
    busy = facts["cores_busy_elsewhere"]
    others = "" if busy is None else f", other processes used {busy:.2f} cores meanwhile"
    return Markdown(
        f"*Recorded: {facts['device']}, {threads}torch {facts['packages']['torch']}, commit "
        f"{facts['git_commit'][:7] or 'unknown'}, {seconds / 60:.0f} minutes{others}.*"
    )


def format_study(study: Result, *tables: Table | Markdown) -> str:
    """Return tables under their captions and the machine below them, for a terminal."""
    parts = [f"{t.caption}\n{t}" if isinstance(t, Table) else str(t) for t in tables]
    machine = conditions(study["provenance"], seconds=study["values"]["seconds"])
    return "\n\n".join([*parts, machine])


# --- bench precision -----------------------------------------------------------------------


def lower(study: Result) -> list[str]:
    """Return the 16-bit precisions of the study."""
    return [str(p) for p in study["values"]["precisions"] if p != "fp32"]


def cell(study: Result, model: str, batch: int) -> dict[str, Any] | None:
    """Return the entry of a network and batch size, None where it was not measured."""
    for found in study["values"]["cells"]:
        if (found["model"], found["batch"]) == (model, batch):
            return dict(found)
    return None


def speed(study: Study) -> Table | Markdown:
    """Return images a second by network, batch size and precision, and the gain over fp32."""
    if study is None:
        return missing("bench_precision")
    low = lower(study)
    rows = []
    for found in study["values"]["cells"]:
        rates = [_rate(median(found["rates"][p])) for p in ("fp32", *low)]
        gains = [_gain(found["speedup"][p]) for p in low]
        rounds = str(len(found["rates"]["fp32"]))
        rows.append([found["model"], str(found["batch"]), *rates, *gains, rounds])
    columns = ["Network", "Batch", *(f"{p}, images/s" for p in ("fp32", *low))]
    columns += [*(f"{p}: times as fast" for p in low), "Rounds"]
    caption = (
        "Training steps in turns: medians; in brackets the lowest and highest ratio of a round."
    )
    return Table(columns, rows, caption)


def _rate(number: float) -> str:
    return f"{number:,.{1 if number < 1000 else 0}f}"


def _gain(found: Mapping[str, float]) -> str:
    return f"{found['ratio']:.2f}x ({found['low']:.2f} to {found['high']:.2f})"


def memory(study: Study) -> Table | Markdown:
    """Return bytes kept for the backward pass and peak memory, and what a 16-bit format saves."""
    if study is None:
        return missing("bench_precision")
    low = lower(study)
    rows = []
    for found in study["values"]["cells"]:
        row = [found["model"], str(found["batch"])]
        for what in (kept, needed):
            exact = what(found["memory"]["fp32"])
            row.append(_mb(exact))
            for p in low:
                row.append(f"{_mb(what(found['memory'][p]))} ({_change(found, what, p)})")
        rows.append(row)
    columns = ["Network", "Batch"]
    for words in ("Kept for backward", "Peak"):
        columns += [f"{words}, {p}" for p in ("fp32", *low)]
    caption = (
        "Memory of training steps. Kept for backward: tensors that autograd holds after the "
        "forward pass, parameters left out. Peak: the most the process held, less what it held "
        "before the network was built."
    )
    return Table(columns, rows, caption)


def kept(found: Mapping[str, int]) -> int:
    """Return bytes that autograd keeps between forward and backward, cast weights included."""
    return found["saved"] + found["weight_copies"]


def needed(found: Mapping[str, int]) -> int:
    """Return the peak of a process above what it held before the network was built, in bytes."""
    return found["peak"] - found["before"]


def change(found: Mapping[str, Any], what: Any, precision: str) -> float:
    """Return by which share a precision changes a memory against fp32; below 0 is less."""
    return float(what(found["memory"][precision]) / what(found["memory"]["fp32"]) - 1)


def _change(found: Mapping[str, Any], what: Any, precision: str) -> str:
    return f"{100 * change(found, what, precision):+.0f} %".replace("-", "−")


def _mb(number: float) -> str:
    return f"{number / 1e6:,.0f} MB"


# --- bench input ---------------------------------------------------------------------------


def pipeline(study: Study) -> Table | Markdown:
    """Return images a second of each input pipeline, and each step's gain."""
    if study is None:
        return missing("bench_input")
    rates = study["values"]["pipeline"]
    return _ladder(
        rates,
        {key: label for key, label in PIPELINES.items() if key in rates},
        f"Input pipelines without a network, batch {study['values']['batch_size']}",
        aside=("plain_1", "plain_2"),
    )


def _ladder(
    rates: Mapping[str, Sequence[float]],
    labels: Mapping[str, str],
    caption: str,
    *,
    aside: Sequence[str] = (),
) -> Table:
    """Return rates with the gain of each step over the one before, and over the first."""
    steps = [key for key in labels if key not in aside]
    rows = []
    for key, label in labels.items():
        rate = median(rates[key])
        before = steps[max(0, steps.index(key) - 1)] if key in steps else steps[0]
        gain = "" if key == steps[0] else f"{rate / median(rates[before]):.2f}x"
        whole = "" if key == steps[0] else f"{rate / median(rates[steps[0]]):.2f}x"
        spread = f"{_rate(min(rates[key]))} to {_rate(max(rates[key]))}"
        rows.append([label, _rate(rate), spread, str(len(rates[key])), gain, whole])
    columns = ["Step", "images/s (median)", "lowest to highest", "blocks", "gain", "together"]
    return Table(columns, rows, caption)


def best_plain(study: Study) -> Markdown:
    """Return how our pipeline compares with the plain one at its best, in one line."""
    if study is None:
        return missing("bench_input")
    found = study["values"]["pipeline_alone"]
    workers = found["against"].removeprefix("plain_")
    return Markdown(
        f"Ours is {found['ratio']:.2f} times as fast as the plain one at its best ({workers} "
        f"worker{'s' * (workers != '1')}); {found['low']:.2f} to {found['high']:.2f} over the "
        "rounds. Target for two idle cores at batch 128: 20."
    )


# --- bench roofline ------------------------------------------------------------------------


def roofs(study: Study) -> Table | Markdown:
    """Return the measured peaks, by number of threads."""
    if study is None:
        return missing("roofline")
    values = study["values"]
    threads = list(values["bandwidth"])
    rows = [
        [f"matrix product, {p}", *(f"{values['peaks'][p][n] / 1e9:,.0f} GFLOP/s" for n in threads)]
        for p in values["precisions"]
    ]
    rates = [f"{values['bandwidth'][n] / 1e9:,.1f} GB/s" for n in threads]
    rows.append(["copy of a large array", *rates])
    columns = ["At most", *(f"{n} thread{'s' * (n != '1')}" for n in threads)]
    return Table(columns, rows, "What this CPU can do: the best of several trials.")


def by_kind(study: Study) -> Table | Markdown:
    """Return operations, time and reached rates of each kind of layer, by network."""
    if study is None:
        return missing("roofline")
    values = study["values"]
    precisions = values["precisions"]
    rows = []
    for model in dict.fromkeys(row["model"] for row in values["layers"]):
        found = [row for row in values["layers"] if row["model"] == model]
        whole = {"operations": sum(row["count"] * row["operations"] for row in found)}
        whole |= {p: sum(row["count"] * row["seconds"][p]["median"] for row in found)
                  for p in precisions}  # fmt: skip
        for kind in dict.fromkeys(row["kind"] for row in found):
            some = [row for row in found if row["kind"] == kind]
            operations = sum(row["count"] * row["operations"] for row in some)
            times = {p: sum(row["count"] * row["seconds"][p]["median"] for row in some)
                     for p in precisions}  # fmt: skip
            row = [f"{model}: {kind}", f"{100 * operations / whole['operations']:.1f} %"]
            for p in precisions:
                row += [f"{100 * times[p] / whole[p]:.0f} %", f"{operations / times[p] / 1e9:,.0f}"]
            rows.append(row)
    columns = ["Layers", "Operations"]
    for p in precisions:
        columns += [f"Time, {p}", f"GFLOP/s, {p}"]
    caption = (
        f"Shares of a training step at batch {values['batch_size']}, each layer timed alone, "
        f"{values['threads']} thread{'s' * (values['threads'] != 1)}."
    )
    return Table(columns, rows, caption)


# --- bench profile -------------------------------------------------------------------------


def breakdown(study: Study) -> Table | Markdown:
    """Return milliseconds of a training step by group of operations, for each loop."""
    if study is None:
        return missing("profile")
    loops = study["values"]["loops"]
    steps = steps_of(loops)
    first = loops[next(iter(steps))]
    groups = list(first["groups"])
    rows = [
        [group, *(f"{1000 * loops[key]['groups'][group]:,.0f}" for key in steps)]
        for group in groups
    ]
    rows.append(["whole step", *(f"{1000 * loops[key]['step']['median']:,.0f}" for key in steps)])
    values = study["values"]
    caption = (
        f"Milliseconds of a training step of {values['model']}, batch {values['batch_size']}, in "
        f"the round of the median time ({first['step']['n']} rounds)."
    )
    return Table(["Group", *steps.values()], rows, caption)


def steps_of(loops: Mapping[str, Any]) -> dict[str, str]:
    """Return the steps from the plain loop to ours that were measured, and what each is called.

    Where the machine has no bf16, channels_last is the last step, and is ours.
    """
    labels = dict(STEPS)
    if "channels_last" not in loops:
        labels["ours"] = f"{STEPS['channels_last']}: ours"
    return {key: label for key, label in labels.items() if key in loops}
