"""What a second process gains: images/s of one and of several, and where the rest of the time goes.

Each setup is a process group of its own, started as a user would start it, and the setups take
turns: whatever slows the machine for a while slows them all. The batch stays the same, so that
every setup trains the same run (strong scaling); each of n processes works on one n-th of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from cifar_lessons import recipes, runs
from cifar_lessons.data.cifar import load_or_synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import detect
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.tables import Markdown, Table
from cifar_lessons.throughput import Result, disturbances
from cifar_lessons.torchrun import torchrun

STUDY = "bench_scaling"
RECIPES = ("simple_cnn", "resnet18_w16")  # many weights and little work, and the other way round
ROUNDS = 3
START = 8.0  # seconds that a setup needs before it trains, about


def setups(processes: int) -> dict[str, tuple[int, int]]:
    """Return processes and threads of each setup: one process alone, with all cores, and many."""
    chosen = ((1, processes), (1, 1), (processes, 1))
    return {f"{n} x {threads}": (n, threads) for n, threads in chosen}


def bench_scaling(
    *,
    names: Sequence[str] = RECIPES,
    processes: int = 2,
    seconds: float = 300.0,
    data: Path | None = None,
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure all setups in turns, three rounds of them.

    Args:
        names: Recipes to train.
        processes: n: measured are 1 process of n threads, 1 of 1, and n of 1.
        seconds: For everything.
        data: Folder of the data; the synthetic twin stands in where there is none.
        command: What the user typed, kept in the provenance.
        progress: Print a line a round.

    Returns:
        `values` and `provenance`, ready for `recording.record_study`.

    Raises:
        UserError: A value out of range, an unknown recipe, or processes that do not start.
    """
    if not 0 < seconds <= 86_400:
        raise UserError(f"--seconds must be in (0, 86400], got {seconds:g}; try --seconds 300")
    if not 2 <= processes <= 64:
        raise UserError(f"--processes must be in [2, 64], got {processes}; try --processes 2")
    batches = {name: recipes.get(name).batch_size for name in names}
    conditions = Conditions()
    found = load_or_synthetic("cifar10", root=data)
    # Fewer accelerators than processes can't be shared.
    device = "auto" if torch.accelerator.device_count() >= processes else "cpu"
    here = detect(device=device)
    ways = setups(processes)
    each = max(seconds / ROUNDS / len(ways) - START, 1.0) / len(names)
    rates: dict[str, dict[str, list[float]]] = {
        name: {**{way: [] for way in ways}, "own": []} for name in names
    }
    said: dict[str, Any] = {}
    conditions.start(here, command=command, data_digest=found.digest)
    for turn in range(ROUNDS):
        for way, (n, threads) in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
            said = _run(names, n, threads, each, device, data)
            for name, measured in said["recipes"].items():
                rates[name][way].append(measured["averaged"])
                rates[name]["own"] += [measured["own"]] if "own" in measured else []
        if progress:
            latest = "; ".join(
                f"{name} " + ", ".join(f"{way} {r[-1]:,.1f}" for way, r in rates[name].items())
                for name in names
            )
            print(f"round {turn + 1} of {ROUNDS}, images/s: {latest}", flush=True)
    facts, spent = conditions.finish()
    facts["threads"] = 1  # of each process, not of this one, which only waits
    values = {
        "processes": processes,
        "backend": "nccl" if said["device"] == "cuda" else "gloo",
        "precision": said["precision"],
        "batch_sizes": batches,
        "images": said["images"],
        "synthetic": found.synthetic,
        "seconds": round(spent, 1),
        "parameters": {name: said["recipes"][name]["parameters"] for name in names},
        "rates": rates,
    }
    return {"values": values, "provenance": facts}


def _run(
    names: Sequence[str],
    processes: int,
    threads: int,
    seconds: float,
    device: str,
    data: Path | None,
) -> dict[str, Any]:
    """Start a setup, wait for it, and return what its rank 0 says."""
    arguments = ["-m", "cifar_lessons.scaling_worker", *names]
    arguments += [f"--seconds={seconds}", f"--threads={threads}", f"--device={device}"]
    arguments += [f"--data={data}"] if data else []
    said = torchrun(arguments, processes=processes, threads=threads)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


# --- What it means --------------------------------------------------------------------------


def parts(values: Mapping[str, Any], name: str) -> dict[str, float]:
    """Return where the time of several processes goes, as shares of it; they sum to 1.

    `computing` is what they would need if each were as fast as a process alone on its core. A step
    without averaging takes longer than that, since slices are smaller and processes share memory
    and caches; and averaging comes on top. Noise can make a part negative: it is then counted as 0.
    """
    n, rates = values["processes"], values["rates"][name]
    averaged, own = median(rates[f"{n} x 1"]), median(rates["own"])
    ideal = n * median(rates["1 x 1"])
    raw = {
        "computing": averaged / ideal,
        "smaller slices, shared memory": averaged / own - averaged / ideal,
        "averaging gradients": 1 - averaged / own,
    }
    kept = {part: max(share, 0.0) for part, share in raw.items()}
    return {part: share / sum(kept.values()) for part, share in kept.items()}


def rates_table(values: Mapping[str, Any]) -> Table:
    """Return images/s of every setup, and what it gains over one process on one core."""
    n = values["processes"]
    rows = []
    for name, rates in values["rates"].items():
        base = median(rates["1 x 1"])
        for way, (processes, threads) in setups(n).items():
            found = rates[way]
            label = f"{processes} process{'es' * (processes > 1)}, {threads} thread"
            gain = median(found) / base
            rows.append(
                [
                    f"{name}: {label}{'s' * (threads > 1)}{' each' * (processes > 1)}",
                    f"{median(found):,.0f}",
                    f"{min(found):,.0f} to {max(found):,.0f}",
                    f"{gain:.2f}x",
                    f"{100 * gain / (processes * threads):.0f} %",
                ]
            )
    columns = ["setup", "images/s (median)", "lowest to highest", "gain", "of the cores' worth"]
    batch = " and ".join(str(b) for b in sorted(set(values["batch_sizes"].values())))
    caption = (
        f"Training at batch {batch} in {values['precision']}, {values['backend']}. "
        "Gain: over one process on one core."
    )
    return Table(columns, rows, caption)


def parts_table(values: Mapping[str, Any]) -> Table:
    """Return where the time of several processes goes."""
    shares = {name: parts(values, name) for name in values["rates"]}
    columns = ["recipe", "gradient", *(f"{part}" for part in next(iter(shares.values())))]
    rows = [
        [
            name,
            f"{4 * values['parameters'][name] / 1e6:.1f} MB",
            *(f"{100 * share:.0f} %" for share in found.values()),
        ]
        for name, found in shares.items()
    ]
    caption = f"Where the time of {values['processes']} processes goes."
    return Table(columns, rows, caption)


def card(result: Result) -> Markdown:
    """Return the machine, the data and the code in a line, and what disturbed the measurement.

    Args:
        result: From `bench_scaling` or `load`.
    """
    values, facts = result["values"], result["provenance"]
    made_up = " (synthetic)" if values["synthetic"] else ""
    machine = (
        f"{facts['device']}: {facts['cores']} cores; {values['images']:,} images{made_up}; commit "
        f"{facts['git_commit'][:10] or 'unknown'}{' with changes' if facts['git_dirty'] else ''}; "
        f"{facts['started_at']}, {values['seconds']:.0f} s"
    )
    warnings = [f"WARNING: not an idle machine: {found}." for found in disturbances(facts)]
    return Markdown("\n".join([machine, *warnings]))


def format_result(result: Result) -> str:
    """Return both tables and the card, for a terminal."""
    tables = (rates_table(result["values"]), parts_table(result["values"]))
    return "\n\n".join([*(f"{t.caption}\n{t}" for t in tables), str(card(result))])


def load(*, root: Path | None = None) -> Result:
    """Return the recorded study.

    Raises:
        MissingRun: It is not recorded; the message holds the command.
    """
    return runs.load_study(STUDY, root=root)
