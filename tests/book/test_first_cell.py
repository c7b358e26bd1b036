"""Proves that each notebook begins with the same cell, and that it works wherever it is opened."""

import json
import re
import socket
import sys
from pathlib import Path

import first_cell
import nbformat
import pytest
from sphinx.errors import ConfigError

BOOK = Path(__file__).resolve().parents[2] / "book"
ADDRESS = "https://github.com/example/lessons"


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.ipynb")), ids=lambda p: p.name)
def test_it_is_the_same_in_every_notebook_and_names_the_address_of_the_configuration(path):
    cells = nbformat.read(path, as_version=4).cells
    first = next(c for c in cells if c.cell_type == "code")
    assert first.source == first_cell.source(first_cell.address()), "`make address` mends it"


def run(source: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(source, "first cell", "exec"), names)
    return names


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_it_says_which_data_device_and_profile_there_are_and_asks_no_network(
    address, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path))
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "quick")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("it asks for an address"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it connects"))
    names = run(first_cell.source(address))
    out = capsys.readouterr().out
    assert re.search(r"^data: .+ · device: .+ · profile: quick$", out, re.MULTILINE)
    assert {"notebook", "session"} <= names.keys()


class Missing:
    """Lets one package be found by nobody."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("address", "typed"),
    [
        ("", ["In a clone of this book, run", '%pip install -q -e "..[deploy,tune]"']),
        (
            ADDRESS,
            [
                "In a cell of its own, run",
                f"!git clone {ADDRESS} cifar-lessons\n",
                '%pip install -q -e "./cifar-lessons[deploy,tune]"',
            ],
        ),
    ],
)
def test_it_says_what_to_type_where_the_library_is_missing(address, typed, monkeypatch):
    # Taken away for this test alone: other tests hold classes of the modules that are loaded.
    for name in [n for n in sys.modules if n.partition(".")[0] == "cifar_lessons"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing("cifar_lessons"), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as caught:
        run(first_cell.source(address))
    said = str(caught.value)
    assert said.startswith("cifar_lessons is missing. ")
    assert [words for words in typed if words not in said] == []
    assert caught.value.__suppress_context__  # one message, not two


def test_the_extras_that_it_installs_are_the_package_s():
    import tomllib

    project = tomllib.loads((BOOK.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(first_cell.EXTRAS.strip("[]").split(",")) <= project["optional-dependencies"].keys()


def test_a_notebook_is_changed_once_and_in_that_cell_alone(tmp_path):
    path = tmp_path / "a.ipynb"
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# ä"]},
            {"cell_type": "code", "metadata": {"tags": ["x"]}, "source": ["old\n", "cell"]},
            {"cell_type": "code", "source": ["old\n", "cell"]},
        ]
    }
    path.write_text(json.dumps(notebook), "utf-8")
    assert first_cell.put(path, "new\ncell")
    assert not first_cell.put(path, "new\ncell")
    notebook["cells"][1]["source"] = ["new\n", "cell"]
    assert json.loads(path.read_text("utf-8")) == notebook


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("", ""),
        (f"{ADDRESS}.git", ADDRESS),
        (f"{ADDRESS}/", ADDRESS),
    ],
)
def test_the_address_is_read_from_the_configuration(tmp_path, written, address):
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: '{written}'\n")
    assert first_cell.address(tmp_path / "_config.yml") == address


def test_an_address_that_is_none_is_told(tmp_path):
    (tmp_path / "_config.yml").write_text("repository:\n  url: example/lessons\n")
    with pytest.raises(ConfigError, match="https://HOST/NAME/REPOSITORY or empty, got 'example/"):
        first_cell.address(tmp_path / "_config.yml")
