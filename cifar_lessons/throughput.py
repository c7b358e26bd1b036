"""Throughput in numbers and words: what `benchmark` measured, compared and laid out as tables.

A measurement is a list of rates in images/s, one for each block of steps. Loops take turns, so
block i of each was measured within the same minute. This module imports no torch.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cifar_lessons.tables import Table, number_of

Blocks = Mapping[str, Sequence[float]]  # images/s by loop: `ours`, `plain_0` (workers), …
Result = dict[str, Any]  # `values` and `provenance`, as `runs.load_study` returns them

# Set for two idle cores: end to end for ResNet-18, the pipeline for any network.
TRAIN_MODEL, TARGET_BATCH = "resnet18", 128
TRAIN_TARGETS = (2.6, 3.3)  # the target and the stretch
PIPELINE_TARGETS = (20.0,)


def compare(blocks: Blocks) -> dict[str, Any]:
    """Return how many times faster `ours` is than the plain loop at its best.

    The best is picked by its median after the fact, which favours the plain loop.

    Args:
        blocks: `ours` and at least one `plain_…`, with one rate for each round.

    Returns:
        `ratio` of the medians, `low` and `high` of the ratios of single rounds, and `against`,
        the key of the best plain loop.
    """
    best = max((k for k in blocks if k.startswith("plain")), key=lambda k: median(blocks[k]))
    return {**ratio(blocks["ours"], blocks[best]), "against": best}


def ratio(rates: Sequence[float], baseline: Sequence[float]) -> dict[str, float]:
    """Return how many times the baseline's rate something reaches.

    Args:
        rates: One for each round.
        baseline: In the same rounds.

    Returns:
        `ratio` of the medians, `low` and `high` of the ratios of single rounds.
    """
    rounds = [a / b for a, b in zip(rates, baseline, strict=True)]
    return {
        "ratio": round(median(rates) / median(baseline), 3),
        "low": round(min(rounds), 3),
        "high": round(max(rounds), 3),
    }


def disturbances(provenance: Mapping[str, Any]) -> list[str]:
    """Return what shows that the machine was not idle, a phrase each; empty when it was.

    The load average after the run is shown and not judged: it holds the run's own threads.
    """
    cores, found = provenance["cores"], []
    load = provenance["load_average"]
    if load and load[0] > cores / 4:
        found.append(f"the load average was {load[0]:.2f} before the start")
    elsewhere = provenance["cores_busy_elsewhere"]
    if elsewhere is not None and elsewhere > cores / 20:
        found.append(f"other processes used {elsewhere:.2f} of {cores} cores meanwhile")
    return found


def format_result(result: Result) -> str:
    """Return a benchmark as tables, ratios with their targets, and the machine.

    Args:
        result: From `benchmark.bench_train`, or from `runs.load_study("bench_train")`.
    """
    values, facts = result["values"], result["provenance"]
    batch = f"batch {values['batch_size']}"
    parts = [_table(f"Training {values['model']}, {batch}", "loop", values, "train")]
    if "memory" in values["train"]:
        parts.append(_ladder(values))
    parts.append(_table(f"Input pipeline alone, {batch}", "pipeline", values, "pipeline"))
    usual = values["batch_size"] == TARGET_BATCH
    train_targets = TRAIN_TARGETS if usual and values["model"] == TRAIN_MODEL else ()
    verdicts = [
        _verdict("End to end", values["end_to_end"], train_targets),
        _verdict("Pipeline alone", values["pipeline_alone"], PIPELINE_TARGETS if usual else ()),
    ]
    made_up = " (synthetic)" if values["synthetic"] else ""
    images = f"{values['images']:,} images{made_up}; "
    machine = conditions(facts, seconds=values["seconds"], about=images)
    parts += ["\n".join(verdicts), machine]
    return "\n\n".join(part for part in parts if part)


def _label(key: str, about_ours: str = "") -> str:
    """Return a loop's key in words."""
    if key == "ours":
        return f"ours ({about_ours})"
    if key.startswith("plain_"):
        return f"plain, {number_of(int(key.removeprefix('plain_')), 'worker')}"
    return {"memory": "+ batches from memory", "channels_last": "+ channels_last"}[key]


def _numbers(rates: Sequence[float]) -> list[str]:
    """Return median, range and count as cells."""
    digits = 1 if median(rates) < 1000 else 0
    low, high = (f"{f(rates):,.{digits}f}" for f in (min, max))
    return [f"{median(rates):,.{digits}f}", f"{low} to {high}", str(len(rates))]


COLUMNS = ["images/s (median)", "lowest to highest", "blocks"]


def _table(title: str, what: str, values: Mapping[str, Any], stage: str) -> str:
    """Return our loop and the plain ones, with our lead over each."""
    blocks = {k: v for k, v in values[stage].items() if k == "ours" or k.startswith("plain")}
    about_ours = "in memory" if stage == "pipeline" else f"{values['precision']}, channels_last"
    rows = []
    for key, rates in blocks.items():
        lead = "" if key == "ours" else f"{median(blocks['ours']) / median(rates):.2f}x"
        rows.append([_label(key, about_ours), *_numbers(rates), lead])
    return f"{title}\n{Table([what, *COLUMNS, 'ours: times as fast'], rows, title)}"


def _ladder(values: Mapping[str, Any]) -> str:
    """Return the steps from the plain loop to ours, each with its own gain."""
    title = f"Step by step, {values['model']}"
    steps = [values["end_to_end"]["against"], "memory", "channels_last", "ours"]
    steps = [key for key in steps if key in values["train"]]
    first = before = median(values["train"][steps[0]])
    rows = []
    for key in steps:
        rates = values["train"][key]
        last = values["precision"] if "channels_last" in steps else "channels_last"
        label = f"+ {last}: ours" if key == "ours" else _label(key)
        rate = median(rates)
        rows.append([label, *_numbers(rates), f"{rate / before:.2f}x", f"{rate / first:.2f}x"])
        before = rate
    return f"{title}\n{Table(['loop', *COLUMNS, 'gain', 'together'], rows, title)}"


def _verdict(what: str, found: Mapping[str, Any], targets: Sequence[float]) -> str:
    """Return a ratio with its range and, beside it, whether each target is met."""
    against = _label(found["against"]).removeprefix("plain, ")
    line = (
        f"{what}: {found['ratio']:.2f}x the plain one at its best ({against}); "
        f"{found['low']:.2f} to {found['high']:.2f} over the rounds."
    )
    words = [
        f"{name} {target:g}x {'met' if found['ratio'] >= target else 'NOT met'}"
        for name, target in zip(("target", "stretch"), targets, strict=False)
    ]
    return f"{line} For two idle cores: {', '.join(words)}." if words else line


def conditions(facts: Mapping[str, Any], *, seconds: float, about: str = "") -> str:
    """Return where, with what and when something was measured, and a warning if not in quiet.

    Args:
        facts: The provenance.
        seconds: That it took.
        about: More words for the second line, with their own end.
    """
    versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    commit = facts["git_commit"][:10] or "unknown"
    loads = [
        " ".join(f"{x:.2f}" for x in facts[key]) or "unknown"
        for key in ("load_average", "load_average_after")
    ]
    elsewhere = facts["cores_busy_elsewhere"]
    busy = "" if elsewhere is None else f"; other processes used {elsewhere:.2f} cores"
    warnings = [f"WARNING: not an idle machine: {found}." for found in disturbances(facts)]
    return "\n".join(
        [
            f"{facts['device']}: {number_of(facts['cores'], 'core')}, "
            f"{number_of(facts['threads'], 'thread')}; "
            f"Python {facts['python']}, {versions}",
            f"{about}commit {commit}"
            f"{' with changes' if facts['git_dirty'] else ''}; {facts['started_at']}, "
            f"{seconds:.0f} s",
            f"load average {loads[0]} before, {loads[1]} after{busy}",
            *warnings,
        ]
    )
