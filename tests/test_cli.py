"""Mirrors cifar_lessons/cli.py: what the commands do, and what they say to a wrong input.

Whatever a person gets wrong, they read one line with the value and what to type, the status is 2,
and nothing that was saved is lost.
"""

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Answer, Type
from PIL import Image

from cifar_lessons import cli, origins, recipes, recording, runs
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.training import checkpoint

TINY = (
    *("deep_cnn_pool4", "--set=model.options.widths=[4,4,4,4]", "--set=data.val_size=20"),
    *("--set=epochs=2", "--set=batch_size=20", "--threads=1", "--precision=fp32"),
)


@pytest.fixture
def train(typed, tiny_official) -> Type:
    """Return `train` of a tiny network, on made-up data, in a second."""

    def run(*arguments: str) -> Answer:
        return typed("train", *TINY, "--data", str(tiny_official.root), *arguments)

    return run


RUN = Path("outputs/deep_cnn_pool4/seed0")


# --- help -------------------------------------------------------------------------------------


def test_nothing_typed_is_a_question_for_help(typed):
    assert typed() == typed("--help")
    assert typed().status == 0


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_says_what_it_does_with_an_example(typed, command):
    found = typed(command, "--help")
    assert found.status == 0
    assert f"Example: cifar-lessons {command}" in found.out
    doc = (cli.COMMANDS[command].__doc__ or "").splitlines()[0]
    assert doc.split()[0] in found.out


def test_help_says_what_has_never_run(typed):
    said = " ".join(typed("train", "--help").out.split())
    assert "Code for CUDA and MPS is in place, and has never run on such a device" in said


def test_the_examples_of_the_help_are_commands(typed, monkeypatch):
    """They are parsed, and not run."""
    examples = [
        line.partition("cifar-lessons ")[2]
        for command in cli.COMMANDS.values()
        for line in (command.__doc__ or "").splitlines()
        if "Example: cifar-lessons" in line
    ]
    assert len(examples) >= len(cli.COMMANDS)
    for example in examples:
        assert callable(cli._parse(shlex.split(example))), example


# --- mistakes that need no data ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trian simple_cnn", "no command 'trian': did you mean 'train'?"),
        ("zzz", "no command 'zzz': known: "),
        ("train", "Missing from cifar-lessons train: RECIPE A name from `cifar-lessons list`"),
        ("train simple_cnn --sed 3", "Unrecognized options: --sed, 3: did you mean --seed"),
        ("train simple_cnn again", "Unrecognized options: again; `cifar-lessons train --help`"),
        ("train simple_cnn --seed one", "Error parsing --seed: invalid literal for int() with"),
        ("train simple_cnn --set", "Missing value for argument '--set'"),
        ("data --dataset cifar20", "invalid choice 'cifar20' for argument '--dataset'. Expected"),
        ("train simplecnn", "no recipe 'simplecnn': did you mean 'simple_cnn'"),
        ("train vit", "no recipe 'vit': known: deep_cnn, deep_cnn_bn, "),
        ("record simplecnn", "no recipe 'simplecnn': did you mean 'simple_cnn'"),
        ("train simple_cnn --set optim.lr=1", "unknown field 'optim.lr': known: clip_norm, "),
        ("train simple_cnn --set peak_lr=1", "unknown field 'peak_lr': "),
        ("train simple_cnn --set epochs", "--set needs FIELD=VALUE, got 'epochs'; try --set opt"),
        ("train simple_cnn --set epochs=0", "epochs must be in [1, 10000], got 0; try 12"),
        ("train simple_cnn --set epochs=many", "epochs must be int, got 'many'"),
        ("train simple_cnn --set optim.peak_lr=-1", "must be in (0, 100], got -1.0; try 0.1"),
        (
            "train simple_cnn --set optim.name=lion",
            "must be one of 'sgd', 'adam', 'adamw', 'muon', got",
        ),
        ("train simple_cnn --seconds 0", "--seconds must be > 0, got 0; try --seconds 600"),
        ("train simple_cnn --seconds -5", "--seconds must be > 0, got -5; try --seconds 600"),
        ("train simple_cnn --seconds nan", "--seconds must be > 0, got nan; try --seconds 600"),
        ("train simple_cnn --seconds soon", "Error parsing --seconds: no type matching"),
        ("train simple_cnn --threads 0", "--threads must be in [1, 256], got 0; try --threads 2"),
        ("train simple_cnn --threads 999", "--threads must be in [1, 256], got 999; try"),
        ("train simple_cnn --seed -1", "--seed must be >= 0, got -1; try --seed 0"),
        ("train simple_cnn --device toaster", "must be auto, cpu, cuda or mps, got 'toaster'"),
        ("train simple_cnn --precision fp8", "must be auto, fp32, bf16 or fp16, got 'fp8'"),
        ("train simple_cnn --device cpu --precision fp16", "do not support fp16; try --precision"),
        (
            "train simple_cnn_fp32 --precision bf16",
            "simple_cnn_fp32 computes in fp32, got --precision bf16; leave --precision out, or",
        ),
        ("train simple_cnn --set precision=fp8", "precision must be one of 'auto', 'fp32', 'bf1"),
        ("train simple_cnn --set name=../x", "name must be letters, digits and _, got '../x'"),
        ("teach mobilenet_w05_kdd", "no recipe 'mobilenet_w05_kdd': did you mean"),
        ("teach mobilenet_w05_kd --seed -1", "--seed must be >= 0, got -1; try --seed 0"),
        ("teach mobilenet_w05_kd --threads 0", "--threads must be in [1, 256], got 0"),
        ("range-test simplecnn", "no recipe 'simplecnn': did you mean 'simple_cnn'"),
        ("range-test simple_cnn --seed -1", "--seed must be >= 0, got -1; try --seed 0"),
        ("record simple_cnn", "no finished run in outputs/simple_cnn/seed0; run `cifar-lessons t"),
        ("record simple_cnn --seed 5", "seed 5 is not among the planned ones of simple_cnn (0 to"),
        ("evaluate simple_cnn", "no run 'simple_cnn', neither a folder nor a recorded one"),
        ("evaluate simple_cnn --tta flop", "no view set 'flop': did you mean 'flip'"),
        ("evaluate simple_cnn --tta", "Missing value for argument '--tta'"),
        (
            "evaluate simple_cnn --tta flip --merge probability",
            "no merge 'probability': did you mean 'probabilities'",
        ),
        (
            "evaluate simple_cnn --merge logits",
            "--merge logits says how views are averaged: give some, as in --tta flip",
        ),
        ("study ttta", "no study 'ttta': did you mean 'tta'?"),
        ("study tta", "keeps weights; record one first, such as `cifar-lessons record"),
        ("predict", "predict needs an image; try `cifar-lessons predict cat.png`"),
        ("predict cat.png", "no file cat.png: give the path of a PNG or JPEG"),
        ("study weather", "no study 'weather': known: corruptions, data_facts"),
    ],
)
def test_a_mistake_gets_one_line_with_the_value_and_the_mend(typed, line, said):
    assert said in typed(*shlex.split(line)).mistake


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--epochs 3", "epochs"),
        ("--batch-size=64", "batch_size"),
        ("--lr 0.1", "optim.peak_lr"),
        ("--weight-decay 0", "optim.weight_decay"),
        ("--val-size 0", "data.val_size"),
        ("--width 8", "model.options.width"),
    ],
)
def test_a_field_that_is_taken_for_an_option_is_shown_as_it_is_set(typed, option, field):
    said = typed(*f"train simple_cnn {option}".split()).mistake
    assert said.endswith(f"a field of the recipe is changed by `--set {field}=VALUE`")


def test_a_path_that_the_system_refuses_is_named(typed, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300)

    monkeypatch.setattr(runs, "find_run", refused)
    assert typed("evaluate", "a" * 300).mistake == f"cannot use {'a' * 300}: File name too long"


def test_memory_that_runs_out_is_one_line(typed, monkeypatch):
    def starved(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total")

    monkeypatch.setattr(runs, "find_run", starved)
    assert "there is not enough memory for 20.00 GiB" in typed("evaluate", "simple_cnn").mistake


def test_a_study_to_record_needs_committed_code_before_it_is_measured(typed, monkeypatch):
    from cifar_lessons import studies

    monkeypatch.setattr(origins, "is_dirty", lambda: True)
    monkeypatch.setattr(studies, "measure", lambda *_: pytest.fail("it was measured"))
    said = typed("study", "corruptions", "--record").mistake
    assert "--record needs committed code, so that corruptions can be repeated" in said


# --- data that is not there, or not right -----------------------------------------------------


def test_no_data(typed, tmp_path):
    said = typed("train", "simple_cnn").mistake
    folder = tmp_path / "no data"
    assert f"no cifar10 in {folder / 'cifar-10-batches-py'}: data_batch_1 is missing" in said
    assert f"run `cifar-lessons data --dataset cifar10 --data '{folder}'`" in said
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("harm", ["truncated", "corrupted", "swapped"])
def test_a_batch_file_that_is_not_the_official_one(train, tiny_official, harm):
    victim = tiny_official.folder / "data_batch_2"
    raw = victim.read_bytes()
    changed = {
        "truncated": raw[:-1],
        "corrupted": raw[:2000] + bytes([raw[2000] ^ 1]) + raw[2001:],
        "swapped": (tiny_official.folder / "data_batch_5").read_bytes(),
    }
    victim.write_bytes(changed[harm])
    said = train().mistake
    assert f"{victim} is damaged or not the official file: md5 " in said
    assert "delete it, then run `cifar-lessons data" in said


def test_data_says_what_is_there(typed, tiny_official):
    there = typed("data", "--check", "--data", str(tiny_official.root))
    assert there.status == 0
    assert "complete, official order" in there.out
    assert typed("data", "--check").out.endswith(": absent\n")


# --- training ---------------------------------------------------------------------------------


def test_a_run_from_start_to_end(train, typed):
    found = train()
    assert found.status == 0, found.err
    first, *epochs, last = found.out.splitlines()
    assert first == f"deep_cnn_pool4 seed 0 on cpu, fp32 -> {RUN}"
    assert [line[:9] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    final = runs.read_run(RUN).final
    assert last.startswith(f"test accuracy {100 * final['test_accuracy']:.2f} % after ")
    assert runs.read_run(RUN).provenance["command"].startswith("cifar-lessons train deep_cnn_pool4")

    assert f"already finished: {RUN}" in train().out
    scored = typed("evaluate", str(RUN), "--data", str(RUN.parent / "nowhere"))
    assert "is missing" in scored.mistake  # this run keeps its weights, which need the images


def test_evaluate_scores_the_weights_as_training_did(train, typed, tiny_official):
    train()
    found = typed("evaluate", str(RUN), "--data", str(tiny_official.root), "--device=cpu")
    assert found.status == 0, found.err
    accuracy = runs.read_run(RUN).final["test_accuracy"]
    head, score, *classes = found.out.splitlines()
    assert head == "deep_cnn_pool4 seed0, from its weights, cpu, fp32"
    assert score.startswith(f"test accuracy {100 * accuracy:.2f} % (95 % interval over images ")
    assert [line.split()[0] for line in classes[:2]] == ["airplane", "automobile"]
    assert len(classes) == 10
    (RUN / "weights.safetensors").unlink()
    stored = typed("evaluate", str(RUN))
    assert "from stored logits" in stored.out
    assert f"test accuracy {100 * accuracy:.2f} %" in stored.out


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("nan", "logits hold NaN or infinity in 1 of 40 rows (first: row 3"),
        ("label", "labels must lie in [0, 10), got 10 in row 3"),
        ("empty", "class 4 has no image among 36, so it has no accuracy; evaluate on the whole"),
    ],
)
def test_stored_logits_that_cannot_be_scored_are_told_in_one_line(typed, harm, said):
    logits = np.eye(10)[np.arange(40) % 10]
    labels = np.arange(40) % 10
    stored = {"logits": logits.copy(), "labels": labels.copy()}
    if harm == "nan":
        stored["logits"][3, 2] = np.nan
    elif harm == "label":
        stored["labels"][3] = 10
    else:
        stored = {name: array[labels != 4] for name, array in stored.items()}
    recording.write_run(
        RUN,
        recipe=recipes.get("deep_cnn_pool4"),
        seed=0,
        provenance={},
        history=[{"epoch": 1.0}],
        logits={"test": Predictions(logits, labels)},
        extra={},
    )
    np.savez(RUN / "test_logits.npz", **stored)
    assert said in typed("evaluate", str(RUN)).mistake


def test_evaluate_with_views_says_what_they_gain(train, typed, tiny_official):
    train()
    data = ("--data", str(tiny_official.root), "--device=cpu")
    plain = typed("evaluate", str(RUN), *data)
    for extra, words in (
        (("--tta", "flip"), "with flip (2 forward passes an image, logits averaged): "),
        (("--tta=five_crop", "--merge=probabilities"), "(5 forward passes an image, probabilities"),
        (("--tta=none",), "with none (1 forward pass an image, logits averaged): "),
    ):
        found = typed("evaluate", str(RUN), *extra, *data)
        assert found.status == 0, found.err
        *before, gain, counts = found.out.splitlines()
        assert "\n".join(before) + "\n" == plain.out
        assert words in gain
        number = re.search(r"([+-]\d\.\d\d|[+-]\d\d\.\d\d) points", gain)
        right, wrong = re.match(r"  (\d+) images corrected, (\d+) broken; McN", counts).groups()
        assert float(number[1]) == pytest.approx(100 * (int(right) - int(wrong)) / 40, abs=0.01)
    assert "0 images corrected, 0 broken; McNemar's test of this one network: p = 1" in counts
    (RUN / "weights.safetensors").unlink()
    said = typed("evaluate", str(RUN), "--tta", "flip", *data).mistake
    assert f"{RUN} keeps no weights; `cifar-lessons train deep_cnn_pool4 --seed 0` makes" in said


def test_a_deadline_saves_and_the_same_command_continues(train):
    stopped = train("--seconds", "1e-9")
    assert stopped.status == 0
    assert stopped.out.endswith("stopped by the deadline and saved: the same command continues\n")
    assert (RUN / "checkpoint.pt").exists()
    assert f"resuming at epoch 1, step 1 ({RUN / 'checkpoint.pt'})" in train().out
    assert (RUN / "run.json").exists()


def test_a_finished_run_with_other_settings_is_kept(train):
    train()
    said = train("--set=optim.peak_lr=0.5").mistake
    assert f"{RUN} holds a finished run with other settings (optim.peak_lr: recorded 0.02" in said
    assert "delete it, or choose another folder with --out" in said
    assert train("--set=optim.peak_lr=0.5", "--out", "other").status == 0


def test_a_run_with_changed_settings_cannot_be_recorded(train, typed):
    train()
    said = typed("record", "deep_cnn_pool4").mistake
    assert f"{RUN} was made with other settings (" in said
    assert "epochs: recorded 2, now 12" in said


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("other settings", "is of another run (optim.peak_lr: saved 0.02, now 0.5)"),
        ("other seed", "is of another run (seed: saved 1, now 0)"),
        ("other version", "is no 'cifar-lessons checkpoint 1' but 'cifar-lessons checkpoint 0'"),
        ("truncated", "is damaged (its sha256 does not match)"),
        ("foreign", "is no 'cifar-lessons checkpoint 1' but 'PK"),
        ("empty", "is no 'cifar-lessons checkpoint 1' but 'an empty file'"),
    ],
)
def test_a_checkpoint_that_does_not_belong(train, harm, said):
    more = ["--seed=1"] if harm == "other seed" else []
    train("--seconds", "1e-9", *more)
    if more:
        shutil.move(RUN.parent / "seed1", RUN)
    path = RUN / "checkpoint.pt"
    raw = path.read_bytes()
    match harm:
        case "other version":
            path.write_bytes(raw.replace(b"checkpoint 1\n", b"checkpoint 0\n", 1))
        case "truncated":
            path.write_bytes(raw[:-1])
        case "foreign":
            path.write_bytes(raw[len(checkpoint.MAGIC) + 32 :])  # what torch.save writes
        case "empty":
            path.write_bytes(b"")
    before = path.read_bytes()
    found = train(*(["--set=optim.peak_lr=0.5"] if harm == "other settings" else [])).mistake
    assert str(path) in found
    assert said in found
    assert "choose another folder with --out" in found
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("model.name=resnet81", "unknown model 'resnet81': did you mean 'resnet18'"),
        ("model.options.width=3", "unknown option 'width' of model 'deep_cnn': known: "),
        ("model.options.pools=99", "model 'deep_cnn': pools must "),
        ("model.options.pools=two", "option 'pools' of model 'deep_cnn' must be like its default"),
        ("data.val_size=119", "data.val_size 119 cannot be stratified over 120 images"),
    ],
)
def test_settings_that_only_the_network_or_the_data_can_judge(train, assignment, said):
    assert said in train(f"--set={assignment}").mistake


def test_a_loss_that_becomes_nan(train):
    """At this rate the decay multiplies the weights by -89 at every step."""
    wild = ("optim.name=adamw", "optim.peak_lr=100", "optim.weight_decay=0.9", "epochs=50")
    said = train(*(f"--set={setting}" for setting in wild)).mistake
    assert re.search(r"the loss became (nan|-?inf)|gives NaN or infinity", said)
    assert "a lower rate (--set optim.peak_lr=…)" in said
    saved = checkpoint.load(RUN / "checkpoint.pt")
    assert saved["history"]
    assert all(np.isfinite(row["train_loss"]) for row in saved["history"])
    assert not (RUN / "run.json").exists()


def test_a_folder_that_cannot_be_written(train, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = train("--out", "file").mistake
    assert said.startswith("cannot write file/deep_cnn_pool4/seed0: ")
    assert said.endswith("choose another folder with --out")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="no /proc: a folder nobody writes")
def test_a_folder_that_not_even_the_superuser_can_write(train):
    said = train("--out", "/proc/outputs").mistake
    assert said.startswith("cannot write /proc/outputs/deep_cnn_pool4/seed0: ")
    assert said.endswith("choose another folder with --out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a device that is full")
@pytest.mark.parametrize("name", ["checkpoint.pt", "weights.safetensors", "test_logits.npz"])
def test_a_full_disk_loses_nothing(train, name):
    """A real "No space left on device", then the same command with space again."""
    train("--seconds", "1e-9")
    (RUN / f"{name}.part").symlink_to("/dev/full")
    said = train().mistake
    assert said.startswith(f"cannot write {RUN / name}: No space left on device; free some space")
    assert "run the same command again; what was saved before is intact" in said
    assert not (RUN / "run.json").exists()
    again = train()
    assert "resuming at epoch" in again.out
    straight = train("--out", "straight")
    assert straight.status == again.status == 0
    for kept in ("weights.safetensors", "test_logits.npz"):
        expected = Path("straight", *RUN.parts[1:]) / kept
        assert (RUN / kept).read_bytes() == expected.read_bytes()


# --- list, record, claims ---------------------------------------------------------------------


def test_list_shows_what_is_fresh_stale_and_missing(typed, recorded):
    recorded("simple_cnn", 0.75, seeds=(0, 1))
    path = runs.runs_root() / "simple_cnn" / "seed1" / "run.json"
    content = json.loads(path.read_text())
    content["recipe"]["epochs"] = 3
    path.write_text(json.dumps(content))
    found = typed("list")
    assert found.status == 0
    lines = found.out.splitlines()
    row = next(line for line in lines if line.startswith("simple_cnn "))
    assert row.split()[1] == "●◐○○○"
    assert re.search(r"7[45]\.\d\d % +3.0 ", row)  # core-minutes
    assert re.fullmatch(r"● 1 fresh  ◐ 1 stale  ○ \d+ missing", lines[-1])
    assert next(line for line in lines if line.startswith("resnet18 ")).split()[1:4] == [
        *("○", "-", "-")
    ]


def test_claims_prints_the_table_and_fails_where_a_measured_claim_has_no_fresh_run(
    typed, monkeypatch
):
    nothing = typed("claims")
    assert nothing.status == 1
    assert "C12 is marked measured, but not recorded: simple_cnn (0 of 1 seeds)" in nothing.err
    assert nothing.out.endswith("21 open.\n")
    monkeypatch.delenv("CIFAR_LESSONS_RUNS")  # the book's own
    whole = typed("claims")
    assert whole.status == 0, whole.err
    assert re.search(r"^C12  [A-Z ]+  Cats and dogs", whole.out, re.MULTILINE)
    assert re.fullmatch(r"21 claims: \d+ reproduced, .* \d+ open\.", whole.out.splitlines()[-1])


def test_ctrl_c_before_there_is_anything_to_save(typed, monkeypatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "claims", interrupted)
    found = typed("claims")
    assert found.status == 130
    assert found.err == "cifar-lessons: interrupted; what was saved is intact\n"


# --- predict ----------------------------------------------------------------------------------


@pytest.fixture
def trained(train) -> Path:
    assert train().status == 0
    return RUN


def test_predict_names_the_five_likeliest(typed, trained, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[:32, :32]).save(tmp_path / "b.jpg")
    found = typed("predict", "a.png", "b.jpg", "--run", str(trained))
    assert found.status == 0, found.err
    head, first, *lines = found.out.splitlines()
    assert head.startswith("deep_cnn_pool4 seed0, test accuracy ")
    assert first == "a.png: 64 x 48, centre 48 x 48 shrunk to 32 x 32"
    assert lines[5] == "b.jpg: 32 x 32"
    for five in (lines[:5], lines[6:]):
        shares = [float(re.search(r"([\d.]+) %", line).group(1)) for line in five]  # type: ignore[union-attr]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 100.1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"no image at all", "text.png is no PNG or JPEG: convert it first"),
        ("empty.jpg", b"", "empty.jpg is empty: give a PNG or JPEG"),
        ("wide.png", (30_000, 1), "wide.png is 30000 x 1 pixels, and 10000 a side is the most"),
    ],
)
def test_predict_on_what_is_no_picture(typed, tmp_path, name, content, said):
    """Said before any network is looked for."""
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        Image.new("RGB", content).save(tmp_path / name)
    assert said in typed("predict", name).mistake


def test_predict_without_a_run_answers_with_shipped_weights(typed, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "grey.png")
    found = typed("predict", "grey.png")
    assert found.status == 0, found.err
    assert ", shipped weights, test accuracy " in found.out.splitlines()[0]
    said = typed("predict", "grey.png", "--run", "resnet18_w17").mistake
    assert said.startswith("no run 'resnet18_w17', neither a folder nor a recorded one")


def test_ship_needs_a_recorded_run(typed):
    assert typed("ship", "simple_cnn").mistake.startswith("simple_cnn seed 0 is not recorded yet")


# --- export -----------------------------------------------------------------------------------


def test_export_writes_both_files_and_says_what_they_give(typed, trained, tiny_official):
    where = ("--data", str(tiny_official.root))
    plain = typed("export", str(trained), *where)
    assert plain.status == 0
    assert "deep_cnn_pool4 seed0 against its export: 40 of 40 images with the same" in plain.out
    assert "wrote deep_cnn_pool4.onnx: fp32" in plain.out
    small = typed("export", str(trained), *where, "--int8", "--out", "small/it.onnx")
    assert re.search(r"test accuracy .* % in fp32, .* % in int8; \d+ of 40 images", small.out)
    assert Path("small/it.onnx").stat().st_size < Path("deep_cnn_pool4.onnx").stat().st_size


def test_an_engine_needs_tensorrt_and_says_so_before_anything_is_done(typed, trained):
    said = typed("export", str(trained), "--engine").mistake
    assert "pip install 'cifar-lessons[tensorrt]'" in said


def test_export_of_nothing_or_to_nowhere(typed, trained, tiny_official, tmp_path):
    assert typed("export", "resnet").mistake.startswith("no run 'resnet', neither a folder nor")
    (tmp_path / "file").write_text("")
    said = typed("export", str(trained), "--out", str(tmp_path / "file" / "m.onnx")).mistake
    assert said.startswith("cannot write")
    (trained / "weights.safetensors").unlink()
    said = typed("export", str(trained), "--data", str(tiny_official.root)).mistake
    assert "keeps no weights" in said


def test_export_without_its_packages_names_the_extra(typed, trained, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else real(name)
    )
    said = typed("export", str(trained)).mistake
    assert said == "export needs onnxscript: `pip install 'cifar-lessons[deploy]'`"


# --- teach ------------------------------------------------------------------------------------


STUDENT = (
    *("mobilenet_w05_kd", "--set=objective.teacher=deep_cnn_pool4", "--set=data.val_size=20"),
    *("--set=epochs=2", "--set=batch_size=20", "--threads=1", "--precision=fp32"),
)


@pytest.fixture
def student(typed, tiny_official, train, monkeypatch) -> Callable[..., Answer]:
    """Return `teach` and `train` of a student, whose teacher is trained and of tiny settings."""
    from cifar_lessons import recipes
    from cifar_lessons.fields import override

    small = recipes.get("deep_cnn_pool4")
    for change in (argument[6:] for argument in TINY if argument.startswith("--set=")):
        small = override(small, change)
    monkeypatch.setitem(recipes.RECIPES, "deep_cnn_pool4", lambda: small)
    assert typed("train", *TINY, "--data", str(tiny_official.root)).status == 0

    def run(command: str, *arguments: str) -> Answer:
        return typed(command, *STUDENT, "--data", str(tiny_official.root), *arguments)

    return run


def test_teach_keeps_the_answers_that_train_then_finds(student):
    taught = student("teach")
    assert taught.status == 0
    assert "deep_cnn_pool4 seed0 has answered for epoch 2/2" in taught.out
    assert "has answered for all 2 epochs: outputs/teachers/" in taught.out
    found = student("train")
    assert found.status == 0
    assert "has answered for epoch" not in found.out  # nothing was left to ask
    assert "test accuracy" in found.out


def test_train_asks_the_teacher_by_itself(student):
    found = student("train")
    assert found.status == 0
    assert "deep_cnn_pool4 seed0 has answered for epoch 2/2" in found.out


def test_teach_wants_a_recipe_that_has_a_teacher(typed, tiny_official):
    said = typed("teach", "mobilenet_w05", "--data", str(tiny_official.root)).mistake
    assert said == "mobilenet_w05 learns from labels alone; name a recipe that has a teacher"


def test_an_untrained_teacher_is_named_with_its_command(typed, tiny_official):
    said = typed("train", *STUDENT, "--data", str(tiny_official.root)).mistake
    assert said.startswith("deep_cnn_pool4, the teacher of mobilenet_w05_kd, is not trained yet:")


# --- range-test -------------------------------------------------------------------------------


def test_range_test_shows_rates_and_suggests_one(typed, tiny_official):
    options = [word for word in TINY if word != "--threads=1"]
    found = typed("range-test", *options, "--data", str(tiny_official.root), "--steps", "20")
    assert found.status == 0, found.err
    head, *lines, last = found.out.splitlines()
    assert head == "deep_cnn_pool4 seed 0 on cpu, fp32: rate and mean loss"
    assert len(lines) >= 10
    assert "loss" in last
    assert not Path("outputs").exists()
    said = typed("range-test", *options, "--data", str(tiny_official.root), "--low", "20").mistake
    assert said == "low and high must be 0 < low < high, got 20 and 10; try 1e-4 and 10"


# --- real processes ---------------------------------------------------------------------------


def test_module_and_status_of_a_real_process(tmp_path):
    command = [sys.executable, "-m", "cifar_lessons", "train", "simple_cn"]
    package = Path(cli.__file__).parent.parent
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    said = Answer(done.returncode, done.stdout, done.stderr).mistake
    assert said.startswith("no recipe 'simple_cn': did you mean 'simple_cnn'")
    assert done.stdout == ""


def test_a_reader_that_goes_away_is_no_error():
    """`cifar-lessons list | head -1`"""
    package = Path(cli.__file__).parent.parent
    code = "import sys; sys.argv[1:] = ['list'] ; from cifar_lessons.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=package,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_saves_and_the_same_command_continues(made_up_cli, tmp_path, number):
    arguments = [
        *("train", *TINY, "--set=data.val_size=0", "--set=epochs=10000"),
        *("--out", str(tmp_path)),
    ]
    process = subprocess.Popen(
        made_up_cli(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1/"):
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1].startswith("stopped by the signal and saved: the same command")
    again = subprocess.run(
        made_up_cli(*arguments, "--seconds=0.01"), capture_output=True, text=True, timeout=600
    )
    assert again.returncode == 0, again.stderr
    assert "resuming at epoch " in again.stdout
    assert "stopped by the deadline and saved" in again.stdout
