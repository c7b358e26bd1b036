"""Throughput in numbers and words: what `benchmark` measured, compared and laid out as tables.

A measurement is a list of rates in images/s, one for each block of steps. Loops take turns, so
block i of each was measured within the same minute. This module imports no torch.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_lessons.errors import UserError
from cifar_lessons.tables import Table

Blocks = Mapping[str, Sequence[float]]  # images/s by loop: `ours`, `plain_0` (workers), …
Result = dict[str, Any]  # `values` and `provenance`, as `runs.load_study` returns them

# Set for two idle cores: end to end for ResNet-18, the pipeline for any network.
TRAIN_MODEL, TRAIN_TARGET, TRAIN_STRETCH = "resnet18", 2.6, 3.3
PIPELINE_TARGET = 20.0


def compare(blocks: Blocks) -> dict[str, Any]:
    """Return how many times faster `ours` is than the plain loop at its best.

    The best is picked by its median after the fact, which favours the plain loop.

    Args:
        blocks: `ours` and at least one `plain_…`, with one rate for each round.

    Returns:
        `ratio` of the medians, `low` and `high` of the ratios of single rounds, and `against`,
        the key of the best plain loop.
    """
    best = max((k for k in blocks if k.startswith("plain")), key=lambda k: _median(blocks[k]))
    rounds = [a / b for a, b in zip(blocks["ours"], blocks[best], strict=True)]
    return {
        "ratio": round(_median(blocks["ours"]) / _median(blocks[best]), 3),
        "low": round(min(rounds), 3),
        "high": round(max(rounds), 3),
        "against": best,
    }


def _median(rates: Sequence[float]) -> float:
    return statistics.median(rates)


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
    batch = f"batch {values['batch_size']}, {facts['threads']} threads"
    parts = [_table(f"Training {values['model']}, {batch}", "loop", values, "train")]
    if "memory" in values["train"]:
        parts.append(_ladder(values))
    parts.append(_table(f"Input pipeline alone, {batch}", "pipeline", values, "pipeline"))
    known = values["model"] == TRAIN_MODEL
    targets = [TRAIN_TARGET, TRAIN_STRETCH] if known else []
    parts.append(
        "\n".join(
            [
                _verdict("End to end", values["end_to_end"], targets),
                _verdict("Pipeline alone", values["pipeline_alone"], [PIPELINE_TARGET]),
            ]
        )
    )
    parts.append(_machine(values, facts))
    parts += [f"WARNING: not an idle machine: {found}." for found in disturbances(facts)]
    return "\n\n".join(parts)


def _label(key: str, values: Mapping[str, Any]) -> str:
    """Return a loop's key in words."""
    if key == "ours":
        return f"ours ({values['precision']}, channels_last)"
    if key.startswith("plain_"):
        workers = key.removeprefix("plain_")
        return f"plain, {workers} worker{'' if workers == '1' else 's'}"
    return {"memory": "+ batches from memory", "channels_last": "+ channels_last"}[key]


def _numbers(rates: Sequence[float]) -> list[str]:
    """Return median, range and count as cells."""
    digits = 1 if _median(rates) < 1000 else 0
    low, high = (f"{f(rates):,.{digits}f}" for f in (min, max))
    return [f"{_median(rates):,.{digits}f}", f"{low} to {high}", str(len(rates))]


COLUMNS = ["images/s (median)", "lowest to highest", "blocks"]


def _table(title: str, what: str, values: Mapping[str, Any], stage: str) -> str:
    """Return our loop and the plain ones, with our lead over each."""
    blocks = {k: v for k, v in values[stage].items() if k == "ours" or k.startswith("plain")}
    ours = _median(blocks["ours"])
    rows = []
    for key, rates in blocks.items():
        label = _label(key, values)
        if stage == "pipeline":
            label = label.replace(f"{values['precision']}, channels_last", "in memory")
        lead = "" if key == "ours" else f"{ours / _median(rates):.2f}x"
        rows.append([label, *_numbers(rates), lead])
    return f"{title}\n{Table([what, *COLUMNS, 'ours is faster by'], rows, title)}"


def _ladder(values: Mapping[str, Any]) -> str:
    """Return the steps from the plain loop to ours, each with its own gain."""
    title = f"Step by step, {values['model']}"
    steps = [values["end_to_end"]["against"], "memory", "channels_last", "ours"]
    steps = [key for key in steps if key in values["train"]]
    first = before = _median(values["train"][steps[0]])
    rows = []
    for key in steps:
        rates = values["train"][key]
        label = _label(key, values)
        if key == "ours":
            last = "channels_last" if "channels_last" not in steps else values["precision"]
            label = f"+ {last}: ours"
        rate = _median(rates)
        rows.append([label, *_numbers(rates), f"{rate / before:.2f}x", f"{rate / first:.2f}x"])
        before = rate
    return f"{title}\n{Table(['loop', *COLUMNS, 'gain', 'together'], rows, title)}"


def _verdict(what: str, found: Mapping[str, Any], targets: Sequence[float]) -> str:
    """Return a ratio with its range and, beside it, whether each target is met."""
    against = _label(found["against"], {}).removeprefix("plain, ")
    line = (
        f"{what}: {found['ratio']:.2f}x the plain one at its best ({against}); "
        f"{found['low']:.2f} to {found['high']:.2f} over the rounds."
    )
    words = [
        f"{name} {target:g}x {'met' if found['ratio'] >= target else 'NOT met'}"
        for name, target in zip(("target", "stretch"), targets, strict=False)
    ]
    return f"{line} On two idle cores: {', '.join(words)}." if words else line


def _machine(values: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Return where, with what and when it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    commit = facts["git_commit"][:10] or "unknown"
    loads = [
        " ".join(f"{x:.2f}" for x in facts[key]) or "unknown"
        for key in ("load_average", "load_average_after")
    ]
    elsewhere = facts["cores_busy_elsewhere"]
    busy = "" if elsewhere is None else f"; other processes used {elsewhere:.2f} cores"
    made_up = " (synthetic)" if values["synthetic"] else ""
    return "\n".join(
        [
            f"{facts['device']}, {facts['cores']} cores, {facts['threads']} threads; "
            f"Python {facts['python']}, {versions}",
            f"{values['images']:,} images{made_up}; commit {commit}"
            f"{' with changes' if facts['git_dirty'] else ''}; {facts['started_at']}, "
            f"{values['seconds']:.0f} s",
            f"load average {loads[0]} before, {loads[1]} after{busy}",
        ]
    )


def save_result(result: Result, path: Path) -> None:
    """Write a result as JSON.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose another file with --json"
        ) from None
