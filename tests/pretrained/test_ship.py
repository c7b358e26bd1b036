"""Mirrors cifar_lessons/pretrained/ship.py: only a fresh, whole, recorded run is shipped."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from cifar_lessons import pretrained, runs
from cifar_lessons.errors import UserError
from cifar_lessons.pretrained import ship as shipping
from cifar_lessons.pretrained.ship import ship

WEIGHTS = save({"head.weight": np.zeros((2, 3), np.float16)})


@pytest.fixture
def kept(recorded, tmp_path, monkeypatch) -> Path:
    """A recorded run with weights, and a package of its own to ship into."""
    monkeypatch.setattr(pretrained, "root", lambda: tmp_path / "package")
    facts = {"bytes": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    recorded("simple_cnn", 0.75, weights=facts, classes=[f"class {k}" for k in range(10)])
    folder = runs.runs_root() / "simple_cnn" / "seed0"
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    change(folder, command="cifar-lessons train simple_cnn", started_at="2026-01-01T00:00:00+00:00")
    change(folder, data_digest="d" * 32, git_dirty=False)
    return folder


def change(folder: Path, **provenance) -> None:
    path = folder / "run.json"
    content = json.loads(path.read_text())
    content["provenance"] |= provenance
    path.write_text(json.dumps(content))


def test_a_set_says_what_its_run_says(kept):
    folder = ship("simple_cnn")
    assert folder == pretrained.root() / "simple_cnn"
    assert pretrained.names() == ["simple_cnn"]
    card, run = pretrained.card("simple_cnn"), runs.read_run(kept)
    assert (folder / "weights.safetensors").read_bytes() == WEIGHTS
    assert card.final == run.final
    assert card.classes == run.classes
    assert card.provenance["git_commit"] == "abcdef0123456789"
    text = (folder / "README.md").read_text()
    assert f"{100 * run.final['test_accuracy']:.2f} % on the 2,000 test images" in text
    assert "load_average" not in json.loads((folder / "card.json").read_text())["provenance"]


def test_shipping_again_gives_the_same_bytes(kept):
    first = {path.name: path.read_bytes() for path in ship("simple_cnn").iterdir()}
    assert {path.name: path.read_bytes() for path in ship("simple_cnn").iterdir()} == first


def as_features(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kind": "pretrain"}))


def spoil(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(WEIGHTS + b" ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (as_features, "is of kind pretrain and answers no classes"),
        (spoil, "is not the file that was recorded"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "keeps no weights"),
        (lambda folder: (folder / "run.json").unlink(), "is not recorded yet"),
        (lambda folder: change(folder, data_digest="synthetic"), "trained on synthetic data"),
        (lambda folder: change(folder, git_dirty=True), "trained from uncommitted code"),
    ],
    ids=["features alone", "another file", "no weights", "no run", "synthetic", "uncommitted"],
)
def test_what_is_not_shipped(kept, damage, said):
    damage(kept)
    with pytest.raises(UserError, match=said) as caught:
        ship("simple_cnn")
    assert "\n" not in str(caught.value)
    assert pretrained.names() == []


def test_a_large_set_is_not_shipped_nor_one_too_many(kept, monkeypatch):
    monkeypatch.setattr(shipping, "MOST_BYTES", len(WEIGHTS) - 1)
    with pytest.raises(UserError, match="take a narrower network"):
        ship("simple_cnn")
    monkeypatch.undo()


def test_all_together_stay_below_their_limit(kept, recorded, monkeypatch):
    ship("simple_cnn")
    (pretrained.root() / "simple_cnn").rename(pretrained.root() / "other")
    monkeypatch.setattr(shipping, "MOST_TOGETHER", 2 * len(WEIGHTS) - 1)
    with pytest.raises(UserError, match="all shipped weights with simple_cnn would be"):
        ship("simple_cnn")
    monkeypatch.setattr(shipping, "MOST_TOGETHER", 2 * len(WEIGHTS))
    ship("simple_cnn")
    ship("simple_cnn")  # its own old set is replaced, and not counted
