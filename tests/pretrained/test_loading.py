"""Mirrors cifar_lessons/pretrained/__init__.py: what is shipped is small, whole and as recorded."""

import hashlib
import json
import shutil
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

import cifar_lessons
from cifar_lessons import pretrained, recipes, runs
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, from_dict
from cifar_lessons.pretrained.ship import MOST_BYTES, MOST_TOGETHER

PACKAGE = Path(cifar_lessons.__file__).parent
NAMES = pretrained.names()


@pytest.fixture
def copied(tmp_path, monkeypatch) -> Path:
    """The folder of a set that a test may spoil."""
    shutil.copytree(pretrained.root() / "resnet18_w16", tmp_path / "resnet18_w16")
    monkeypatch.setattr(pretrained, "root", lambda: tmp_path)
    return tmp_path / "resnet18_w16"


# --- what is shipped --------------------------------------------------------------------------


def test_something_is_shipped_and_all_of_it_is_small():
    assert "resnet18_w16" in NAMES
    sizes = [path.stat().st_size for path in pretrained.root().glob("*/*")]
    assert max(sizes) <= MOST_BYTES
    assert sum(sizes) <= MOST_TOGETHER


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_the_recorded_run_byte_for_byte_and_number_for_number(name):
    card, recorded = pretrained.card(name), runs.load_run(recipes.get(name))
    content = (card.folder / "weights.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == recorded.weights["sha256"]
    assert len(content) == card.weights["bytes"]
    assert card.final == recorded.final
    assert card.seed == recorded.seed
    assert card.provenance["git_commit"] == recorded.provenance["git_commit"]
    assert differences(card.recipe, from_dict(Recipe, recorded.recipe)) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_card_for_a_person_says_the_same_numbers(name):
    card = pretrained.card(name)
    text = (card.folder / "README.md").read_text()
    assert f"{100 * card.final['test_accuracy']:.2f} %" in text
    assert card.weights["sha256"] in text
    assert card.provenance["git_commit"] in text
    for heading in ("What it is not for.", "Licences."):
        assert f"**{heading}**" in text


def test_wheel_and_sdist_take_every_file_that_is_no_code():
    """setuptools takes what these patterns match into both."""
    pyproject = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    patterns = pyproject["tool"]["setuptools"]["package-data"]["cifar_lessons"]
    taken = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    there = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name != ".DS_Store"
    }
    assert there - taken == set()
    assert PACKAGE / "pretrained" / "resnet18_w16" / "weights.safetensors" in taken


def test_an_installed_package_finds_them_as_resources():
    folder = resources.files("cifar_lessons") / "pretrained" / "resnet18_w16"
    assert {"card.json", "README.md", "weights.safetensors"} <= {f.name for f in folder.iterdir()}


# --- loading ----------------------------------------------------------------------------------


def test_a_loaded_network_answers_as_the_record_says(real_data):
    from cifar_lessons.data.cifar import load
    from cifar_lessons.evaluation.predict import predict
    from cifar_lessons.runtime import detect

    card = pretrained.card("resnet18_w16")
    model, data = pretrained.load("resnet18_w16"), from_dict(Recipe, card.recipe).data
    some = load(root=real_data).test[:100]
    found = predict(model, some, data, runtime=detect(device="cpu", precision="fp32"))
    recorded = runs.load_run(recipes.get("resnet18_w16")).logits("test").logits[:100]
    # Weights and recorded logits are in half precision.
    np.testing.assert_allclose(found.logits, recorded, atol=0.05)


def test_a_loaded_network_is_in_evaluation_mode_and_in_float32():
    model = pretrained.load("resnet18_w16")
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.num_classes == 10


def test_a_wrong_name_offers_the_nearest():
    with pytest.raises(UserError, match="no shipped weights 'resnet18_w61': did you mean 'resnet1"):
        pretrained.load("resnet18_w61")


def test_one_changed_bit_is_found_before_anything_is_read(copied):
    path = copied / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"its sha256 differs"):
        pretrained.load("resnet18_w16")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"recipe": None}, None),
        ("{", "cannot be read"),
    ],
)
def test_a_card_that_cannot_be_read_is_one_line(copied, change, said):
    path = copied / "card.json"
    if isinstance(change, str):
        path.write_text(change)
    else:
        content = json.loads(path.read_text()) | change
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises(UserError, match=said or "'recipe'") as caught:
        pretrained.card("resnet18_w16")
    assert "\n" not in str(caught.value)


def test_the_best_is_the_best_on_validation_never_on_test(copied):
    other = copied.with_name("other")
    shutil.copytree(copied, other)
    content = json.loads((other / "card.json").read_text())
    content["final"] = {"val_accuracy": 0.5, "test_accuracy": 0.99}
    content["recipe"]["name"] = "other"
    (other / "card.json").write_text(json.dumps(content))
    assert pretrained.best().name == "resnet18_w16"
