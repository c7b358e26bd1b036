"""Mirrors cifar_lessons/finetuning/work.py: a run's folder is whole, honest, and not recorded."""

import hashlib
import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons import building, recipes, runs
from cifar_lessons.atomic import alone_in
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.finetuning import work
from cifar_lessons.finetuning.card import summary
from cifar_lessons.finetuning.folder import read_folder
from cifar_lessons.finetuning.network import recipe_from, tune
from cifar_lessons.finetuning.work import finetune
from cifar_lessons.training.step import LossIsNotFinite

from .conftest import FP32, KINDS


@pytest.fixture(scope="module")
def pictures(drawn):
    return read_folder(drawn, val_share=0.25)


@pytest.fixture(scope="module")
def recipe(tiny):
    return replace(recipe_from(tiny, pictures=18, epochs=2), batch_size=6)


@pytest.fixture(scope="module")
def done(tiny, pictures, recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "drawn"
    found = finetune(pictures, tiny, recipe, out=out, runtime=FP32, scratch=True, progress=False)
    assert found == out
    return out


def test_the_folder_holds_a_run_of_its_own(done, pictures):
    names = {path.name for path in done.iterdir()}
    assert names == {
        *("run.json", "history.csv", "val_logits.npz", "weights.safetensors"),
        *("classes.json", "README.md"),
    }
    run = runs.read_run(done)
    assert run.kind == "demo"
    assert run.classes == KINDS
    assert json.loads((done / "classes.json").read_text()) == list(KINDS)
    assert run.final == {k: run.final[k] for k in ("val_accuracy", "val_loss")}
    assert run.final["val_accuracy"] == accuracy(run.logits("val"))
    assert run.provenance["data_digest"] == pictures.digest
    about = json.loads((done / "run.json").read_text())["finetune"]
    assert about["start"] == "tiny seed0"
    assert (about["train_pictures"], about["val_pictures"]) == (18, 6)
    assert 0 <= about["scratch"] <= 1


def test_its_weights_give_its_logits(done, pictures, recipe):
    run = runs.read_run(done)
    content = (done / "weights.safetensors").read_bytes()
    assert run.weights["sha256"] == hashlib.sha256(content).hexdigest()
    model = building.load_model(run, FP32)
    assert model.num_classes == 3
    found = predict(model, pictures.val, recipe.data, runtime=FP32)
    np.testing.assert_allclose(found.logits, run.logits("val").logits, rtol=1e-3, atol=0.02)


def test_the_same_call_again_returns_at_once_and_another_is_refused(
    done, tiny, pictures, recipe, drawn, capsys
):
    again = finetune(pictures, tiny, recipe, out=done, runtime=FP32)
    assert again == done
    assert capsys.readouterr().out == f"already finished: {done}\n"
    others = read_folder(drawn, val_share=0.25, seed=1)
    with pytest.raises(UserError, match="holds a finished run on other pictures"):
        finetune(others, tiny, recipe, out=done, runtime=FP32)
    with pytest.raises(UserError, match=r"other settings \(epochs: recorded 2, now 3\)"):
        finetune(pictures, tiny, replace(recipe, epochs=3), out=done, runtime=FP32)
    with pytest.raises(UserError, match="that started from tiny seed0, not from tiny seed1; del"):
        finetune(pictures, replace(tiny, key="seed1"), recipe, out=done, runtime=FP32)


def test_a_comparison_that_was_not_made_is_not_said_to_be_finished(
    tiny, pictures, recipe, tmp_path
):
    given = {"out": tmp_path / "o", "runtime": FP32, "progress": False}
    finetune(pictures, tiny, recipe, **given)
    with pytest.raises(UserError, match="a finished run without --scratch; delete it, or choose"):
        finetune(pictures, tiny, recipe, scratch=True, **given)


def test_one_process_at_a_time(tiny, pictures, recipe, tmp_path):
    taken = pytest.raises(UserError, match="another process is at work in")
    with alone_in(tmp_path / "o"), taken:
        finetune(pictures, tiny, recipe, out=tmp_path / "o", runtime=FP32)


def test_a_deadline_saves_and_the_same_call_ends_it(tiny, pictures, recipe, tmp_path, capsys):
    given = {"out": tmp_path / "o", "runtime": FP32}
    late = time.monotonic() - 1
    assert finetune(pictures, tiny, recipe, deadline=late, **given) is None
    assert (
        "stopped by the deadline and saved: the same command continues" in capsys.readouterr().out
    )
    assert (tmp_path / "o" / "checkpoint.pt").exists()
    assert finetune(pictures, tiny, recipe, progress=False, **given) == tmp_path / "o"
    assert not (tmp_path / "o" / "checkpoint.pt").exists()


def test_it_never_reaches_the_recorded_runs(done):
    assert runs.read_run(done).name not in recipes.RECIPES


def test_weights_that_do_not_fit_the_classes_beside_them_are_one_line(done, tmp_path):
    shutil.copytree(done, tmp_path / "changed")
    path = tmp_path / "changed" / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"classes": ["chart", "house"]}))
    with pytest.raises(UserError, match="does not fit the run beside it") as caught:
        building.load_model(runs.read_run(tmp_path / "changed"), FP32)
    assert "\n" not in str(caught.value)


def test_a_comparison_that_diverges_costs_nothing_else(tiny, pictures, recipe, tmp_path, capsys):
    def tune_or_fail(pictures, start, *rest, **more):
        if start is None:
            raise LossIsNotFinite("the loss is nan")
        return tune(pictures, start, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "tune", tune_or_fail)
        out = finetune(pictures, tiny, recipe, out=tmp_path / "o", runtime=FP32, scratch=True)
    assert "from new weights diverged: there is nothing to compare" in capsys.readouterr().out
    assert "  the same network from new weights: diverged" in summary(runs.read_run(out))
    assert sorted(path.suffix for path in out.iterdir() if path.suffix == ".pt") == []
    again = finetune(pictures, tiny, recipe, out=out, runtime=FP32, scratch=True, progress=False)
    assert again == out
