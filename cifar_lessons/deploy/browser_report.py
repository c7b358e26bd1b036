"""What the study of the demo says, as a table and in words; nothing is measured here, no torch."""

from statistics import median
from typing import Any

from cifar_lessons import runs
from cifar_lessons.tables import Markdown, Table
from cifar_lessons.throughput import Result, conditions

STUDY = "browser"
SHIPPED = "fp32"  # the precision of the page's own network
Study = Result | None


def recorded() -> Study:
    """Return the recorded study, or None where it is not recorded yet."""
    return runs.find_study(STUDY)


def missing() -> Markdown:
    """Return what to run where the study is not recorded."""
    return Markdown(f"*Not recorded yet: `{runs.study_command(STUDY)}` measures it.*")


def card(study: Study) -> Markdown:
    """Return one line on how it was measured; `table` says it where nothing is recorded."""
    if study is None:
        return Markdown("")
    facts, values = study["provenance"], study["values"]
    load = facts["load_average"]
    before = f", load average {load[0]:.1f} before" if load else ""
    return Markdown(
        f"*Recorded: {facts['device']}, {values['browser']} without a window, onnxruntime-web "
        f"{values['onnxruntime_web']} on one thread, commit {facts['git_commit'][:7] or 'unknown'}"
        f"{before}.*"
    )


def table(study: Study) -> Table | Markdown:
    """Return bytes and times of both files, a row a precision."""
    if study is None:
        return missing()
    values = study["values"]
    sizes = list(next(iter(values["ms"].values())))
    rows = [
        [
            name,
            f"{entry['bytes'] / 1e6:.2f} MB",
            f"{median(entry['start_ms']):.0f} ms",
            *(_ms(values["ms"][name][size]) for size in sizes),
        ]
        for name, entry in values["precisions"].items()
    ]
    columns = ["File", "Size", "First answer after", *(f"A picture of {size}" for size in sizes)]
    caption = (
        f"{values['network']} in a browser, one thread: medians, and lowest to highest. The first "
        f"answer includes fetching {values['runtime_bytes'] / 1e6:.1f} MB of ONNX Runtime from "
        "the same machine."
    )
    return Table(columns, rows, caption)


def _ms(blocks: list[float]) -> str:
    return f"{median(blocks):.1f} ms ({min(blocks):.1f} to {max(blocks):.1f})"


def choice(study: Study) -> Markdown:
    """Return what int8 saves and costs in a browser, and which file the page takes."""
    if study is None:
        return Markdown("So the guess stays open. What follows are reasons, not measurements.")
    values = study["values"]
    plain, small = (values["precisions"][name]["bytes"] for name in ("fp32", "int8"))
    size = next(iter(values["ms"]["fp32"]))
    rounds = [
        b / a for a, b in zip(*(values["ms"][n][size] for n in ("fp32", "int8")), strict=True)
    ]
    ratio = median(values["ms"]["int8"][size]) / median(values["ms"]["fp32"][size])
    whole = (plain + values["runtime_bytes"], small + values["runtime_bytes"])
    if min(rounds) > 1:
        time = f"takes {ratio:.2f} times as long"
    elif max(rounds) < 1:
        time = f"takes {ratio:.2f} of the time"
    else:
        time = "is neither faster nor slower beyond what the rounds differ by"
    return Markdown(
        f"In the browser the int8 file has {100 * small / plain:.0f} % of the bytes and {time} "
        f"({min(rounds):.2f} to {max(rounds):.2f} over {len(rounds)} rounds). With the runtime a "
        f"reader fetches {whole[1] / 1e6:.1f} MB in place of {whole[0] / 1e6:.1f} MB: "
        f"{100 * (1 - whole[1] / whole[0]):.0f} % less. **This page runs {SHIPPED}.**"
    )


def agreement(study: Study) -> Markdown:
    """Return how the browser's answers compare with Python's, and how the graph shrinks."""
    if study is None:
        return missing()
    values = study["values"]
    lines = [
        f"- {name}, {what}: {_parity(entry[key])}"
        for name, entry in values["precisions"].items()
        for key, what in (("same_bytes", "test images"), ("any_size", "other sizes"))
    ]
    shrunk = values["resizing"]
    lines.append(
        f"- shrinking in the graph against Pillow's: {100 * shrunk['other']:.2f} % of the pixel "
        f"values differ, by {shrunk['most']} of 255 at most; {shrunk['same']} of "
        f"{shrunk['pictures']} answers are the same, and a probability differs by "
        f"{shrunk['largest']:.1e} at most"
    )
    return Markdown("\n".join(lines))


def _parity(found: dict[str, Any]) -> str:
    return (
        f"{found['same']} of {found['pictures']} with Python's answer, a probability differs by "
        f"{found['largest']:.1e} at most"
    )


def format_result(result: Result) -> str:
    """Return all of it for a terminal."""
    found = table(result)
    head = f"{found.caption}\n{found}" if isinstance(found, Table) else str(found)
    machine = conditions(result["provenance"], seconds=result["values"]["seconds"])
    return "\n\n".join([head, str(choice(result)), str(agreement(result)), machine])
