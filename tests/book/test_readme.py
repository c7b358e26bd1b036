"""Proves that the README shows commands, files and code that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from picture import MOST_BYTES, PICTURE
from PIL import Image

import cifar_lessons

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_its_picture_is_there_small_and_says_what_it_shows():
    [(alt, file)] = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)
    assert ROOT / file == PICTURE
    assert PICTURE.stat().st_size <= MOST_BYTES
    with Image.open(PICTURE) as picture:
        assert picture.width >= 1000
    assert len(alt.split()) > 8


def test_every_page_that_it_links_is_there():
    links = {link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link}
    assert len(links) > 6
    assert {link for link in links if not (ROOT / link).is_file()} == set()


def test_a_newcomer_finds_what_it_takes():
    """Two commands, minutes, disk, and what to read next, before anything else."""
    start = README.partition("## The first ten minutes")[2].partition("\n## ")[0]
    assert README.index("## The first ten minutes") == README.index("\n## ") + 1
    commands = re.search(r"```console\n(.+?)```", start, re.DOTALL)[1].splitlines()
    assert [c.split("#")[0].strip() for c in commands] == ["$ make book", "$ make lab"]
    for word in ("minutes", "download", "on disk", "What to read next"):
        assert word in start


def test_its_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert shown
    assert shown <= targets


def test_its_commands_exist():
    shown = set(re.findall(r"(?:`|\$ )cifar-lessons ([a-z]+)", README))
    usage = subprocess.run(
        [sys.executable, "-m", "cifar_lessons", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = set(re.findall(r"[a-z]+", usage.partition("{")[2].partition("}")[0]))
    assert shown
    assert shown <= known


def test_its_map_names_files_that_exist():
    rows = re.findall(r"^\| (`.+?) \|", README.partition("## Map")[2], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(names) > 8
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_its_versions_are_those_that_are_installed():
    pins = (ROOT / "requirements.txt").read_text()
    shown = re.findall(r"\w+==[\d.]+", README)
    assert shown
    assert [pin for pin in shown if f"{pin} " not in pins] == []


@pytest.mark.parametrize("example", re.findall(r"```python\n(.+?)```", README, re.DOTALL))
def test_its_python_runs(example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert "train_loss" in capsys.readouterr().out


def test_the_citation_names_the_version_of_the_library():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == cifar_lessons.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_every_licence_that_it_names_is_there():
    section = README.partition("## Licence")[2]
    files = re.findall(r"\]\(([^)]+)\)", section)
    assert len(files) >= 4
    assert [name for name in files if not (ROOT / name).is_file()] == []
