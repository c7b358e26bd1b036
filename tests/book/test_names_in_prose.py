"""Proves that what the text names exists: modules, recipes, commands with their options, files."""

import re
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
from command_line import type_in
from prose import ROOT, WRITTEN, code_names, commands, exists, markdown

from cifar_lessons import cli, recipes
from cifar_lessons.config import Recipe
from cifar_lessons.models import list_models

MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for p in (ROOT / "cifar_lessons").rglob("*.py")
}
BY_LAST = {}  # `step` -> cifar_lessons.training.step
for module in sorted(MODULES):
    BY_LAST.setdefault(module.rpartition(".")[2], []).append(module)
# A variable of the reader's that is called as a module of ours is.
VARIABLES = {"teacher.eval"}
DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)(?:\(.*\))?")
RECIPE = re.compile(
    r"(?:simple_cnn|deep_cnn|resnet\d+_w|resnet\d+$|mobilenet_|speednet|labels\d+_|simclr_w|vicreg_w"
    r"|enas_|folds_|tuning_)\w*"
)
WITH_RECIPE = {"train", "teach", "record", "range-test", "tune", "search", "folds"}
# Not files of the repository: what a command writes, and holes to fill.
MADE = re.compile(r"outputs/|NN|NAME|_build|\.venv|node_modules")
PATH = re.compile(
    r"(?:book|cifar_lessons|tests|\.ci)/[\w./-]*|_\w+\.yml|\w+\.(?:py|toml|cff|md|bib)"
)
PLACES = ("", "book", "cifar_lessons")

each_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda p: p.name)


def is_setting(path: str) -> bool:
    """Return whether `a.b` is a field of a recipe, as after `--set`."""
    kind: object = Recipe
    for part in path.split("."):
        if not (isinstance(kind, type) and is_dataclass(kind)):
            return kind is not None and not isinstance(kind, type)  # one of several kinds
        if part not in {f.name for f in fields(kind)}:
            return False
        kind = get_type_hints(kind)[part]
    return True


def name_faults(text: str) -> list[str]:
    """Return the names in backticks that look like ours and are nowhere."""
    faults = []
    for code in code_names(text):
        if dotted := DOTTED.fullmatch(code):
            name = dotted[1]
            first, _, rest = name.partition(".")
            if first == "cifar_lessons":
                faults += [code] * (not exists(name))
            elif first in BY_LAST and rest not in ("py", "md") and name not in VARIABLES:
                found = any(exists(f"{module}.{rest}") for module in BY_LAST[first])
                faults += [code] * (not found and not is_setting(name))
        if RECIPE.fullmatch(code) and code not in recipes.RECIPES and code not in list_models():
            faults.append(code)
        if PATH.fullmatch(code) and not MADE.search(code):
            faults += [code] * (not any((ROOT / place / code).exists() for place in PLACES))
    for name, file in re.findall(r"`(\w+)` (?:of|in) `([\w/]+\.py)`", text):
        paths = [ROOT / place / file for place in PLACES if (ROOT / place / file).is_file()]
        faults += [f"{name} of {file}"] * (
            not any(re.search(rf"\b{name}\b", p.read_text()) for p in paths)
        )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    faults += [f"make {t}" for t in re.findall(r"`make ([a-z-]+)", text) if t not in targets]
    for setting in re.findall(r"--(?:set|range) ([a-z_.]+)=", text):
        faults += [setting] * (not is_setting(setting))
    return faults


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """What `--help` says, by command; filled as tests ask."""
    return {}


def command_faults(typed: str, help_of) -> list[str]:
    """Return what a command of ours does not know."""
    words = typed.split()
    if not words or words[0].startswith(("-", "…", "RECIPE")):
        return []
    name, *rest = words
    if name not in cli.COMMANDS:
        return [name]
    if name in cli.GROUPS and rest and not rest[0].startswith("-"):
        member, *rest = rest
        if member not in cli.GROUPS[name]:
            return [f"{name} {member}"]
        name = f"{name} {member}"
    faults = []
    if name in WITH_RECIPE and rest and re.fullmatch(r"[a-z]\w*", rest[0]):
        faults += [f"recipe {rest[0]}"] * (rest[0] not in recipes.RECIPES)
    options = re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", f" {' '.join(rest)}")
    said = help_of(name) if options else ""
    return faults + [
        f"{name} {option}"
        for option in options
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", said)
    ]


@pytest.fixture
def help_of(known, monkeypatch, capsys):
    def ask(name: str) -> str:
        if name not in known:
            known[name] = type_in(monkeypatch, capsys, *name.split(), "--help").out
        return known[name]

    return ask


@each_page
def test_every_name_exists(page):
    assert name_faults(markdown(page)) == []


@each_page
def test_every_command_and_option_exists(page, help_of):
    found = {typed: command_faults(typed, help_of) for typed in commands(markdown(page))}
    assert {typed: faults for typed, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "text",
    [
        "see `cifar_lessons.runs.nonsense`",
        "see `step.train_stop`",
        "see `experiment.objective_off()`",
        "with `resnet18_w17`",
        "and `labels1_nothing`",
        "in `book/nowhere.md`",
        "in `cifar_lessons/models/nothing.py`",
        "a line in `NOWHERE` of `studies.py`",
        "`make nonsense`",
        "`cifar-lessons train resnet18 --set optim.peak_rate=1`",
        "```{note}\nWith `resnet18_w17`.\n```",
    ],
)
def test_a_name_that_is_nowhere_is_found(text):
    assert len(name_faults(text)) == 1


def test_names_that_are_not_ours_pass():
    text = "`torch.no_grad()`, `model.eval()`, `optim.peak_lr`, `step.train_step`, `mobilenet_v2`, "
    text += (
        "`outputs/x`, `book/NN_topic.ipynb`\n\n```python\nstep.nonsense()\n```\n{term}`speednet_x`"
    )
    assert name_faults(text) == []


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("nonsense", "nonsense"),
        ("bench nonsense", "bench nonsense"),
        ("train resnet19", "recipe resnet19"),
        ("train resnet18 --sed 1", "train --sed"),
        ("bench latency --see", "bench latency --see"),
        ("train resnet18 --seed 1", None),
    ],
)
def test_a_command_that_is_no_command_is_found(typed, fault, help_of):
    assert command_faults(typed, help_of) == ([fault] if fault else [])


def test_commands_are_read_from_text_and_from_consoles():
    text = "Type `cifar-lessons list`.\n\n"
    text += "```console\n$ torchrun -n 2 \\\n    -m cifar_lessons train x  # go\n```"
    assert commands(text) == ["list", "train x"]
