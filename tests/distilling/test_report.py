"""Mirrors cifar_lessons/distilling/report.py."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons import plots, recording, runs
from cifar_lessons.distilling import report
from cifar_lessons.evaluation.metrics import Predictions, paired_difference


@pytest.fixture
def students(recorded):
    """Runs of three arms and of their teacher; validation accuracies are made up beside them."""
    recorded("resnet18", 0.91, parameters=1_000)
    recorded("mobilenet_w05", 0.80, seeds=range(3), parameters=125)
    recorded("mobilenet_w05_kd", 0.83, seeds=range(2), parameters=125)
    recorded("mobilenet_w05_dkd", 0.82, parameters=125)
    arms = {"labels": "mobilenet_w05", "right": "mobilenet_w05_kd", "dkd": "mobilenet_w05_dkd"}
    return plots.available(arms)


def column(table, name: str) -> list[str]:
    at = list(table.columns).index(name)
    return [str(row[at]) for row in table.rows]


# --- the study -------------------------------------------------------------------------------


def test_a_row_for_each_student_and_loss(study):
    table = report.share_table(study)
    assert column(table, "Student and loss")[:2] == ["new: printed", "new: right"]
    assert column(table, "Labels' term")[:2] == ["3", "1"]
    assert column(table, "Teacher's share")[:2] == ["25 %", "90 %"]
    assert column(table, "Share on the logits")[:2] == ["50 %", "50 %"]


def test_without_a_study_the_command_is_shown(study):
    told = "cifar-lessons study distillation_share --record"
    assert told in report.share_card(None)
    assert report.share_table(None).caption == "Nothing is recorded yet."
    card = report.share_card(study)
    assert "1,024 training views in batches of 128" in card
    assert "Not measured yet" not in card
    later = report.share_card(replace(study, missing=("mobilenet_w05",)))
    assert f"Not measured yet: mobilenet_w05; `{told}` adds them" in later


# --- students --------------------------------------------------------------------------------


def test_arms_are_paired_with_the_labels_alone_over_the_seeds_of_both(students):
    table = report.arms_table(students, base="labels")
    gains = column(table, "Above labels alone")
    assert gains[0] == "–"
    pairs = [[run.logits() for run in students[arm][:2]] for arm in ("labels", "right")]
    e = paired_difference(*pairs)
    assert gains[1].startswith(f"{100 * e.mean:+.2f} ")
    assert column(table, "The same on validation") == ["–"] * 3  # none is stored here
    assert column(table, "Seeds") == ["3", "2", "1"]


def test_the_gain_on_validation_is_shown_where_it_is_stored(students):
    labels = np.arange(100) % 10
    for arm, right in (("labels", 50), ("right", 60)):
        for run in students[arm]:
            said = np.where(np.arange(100) < right, labels, (labels + 1) % 10)
            logits = {"val": Predictions(np.eye(10, dtype=np.float32)[said], labels)}
            (run.folder / "val_logits.npz").write_bytes(recording._npz(logits["val"]))
            run.final["val_accuracy"] = right / 100
    table = report.arms_table(students, base="labels")
    assert column(table, "The same on validation")[1].startswith("+10.00 (")
    note = report.chosen_note({arm: students[arm] for arm in ("labels", "right")})
    assert note == (
        "Mean validation accuracy over the 2 seeds that all have: labels 50.00 %, right 60.00 %. "
        "It would choose **right**."
    )
    # A seed that only one side has decides nothing.
    students["labels"][2].final["val_accuracy"] = 0.99
    assert report.chosen_note({arm: students[arm] for arm in ("labels", "right")}) == note


def test_agreement_is_with_the_teachers_stored_answers(students):
    said = runs.load_run(report.recipes.get("resnet18")).logits().predicted
    run = students["dkd"][0]
    share = 100 * (run.logits().predicted == said).mean()
    shown = column(report.arms_table(students, base="labels"), "Says what resnet18 says")
    assert shown[2] == f"{share:.1f} %"


def test_nothing_to_choose_by_says_nothing(students):
    assert report.chosen_note(students) == ""
    assert report.arms_table({}, base="labels").caption == "Nothing is recorded yet."
    alone = {"right": students["right"]}  # the base is not recorded yet
    assert column(report.arms_table(alone, base="labels"), "Above labels alone") == ["–"]


def test_costs_are_shown_with_runs_and_without(students):
    found = {**plots.available({"big": "resnet18"}), "small": students["right"]}
    costs = {"big": (1_000, 555_000_000), "small": (125, 6_540_000), "other": (200, 88_000_000)}
    table = report.costs_table(found, costs, teacher="big", latency={"small": "1.2 ms"})
    assert column(table, "Against the teacher") == ["–", "−87.5 %", "−80.0 %"]
    assert column(table, "Multiplications") == ["555.0 million", "6.5 million", "88.0 million"]
    assert column(table, "Test accuracy")[2] == "not recorded yet"
    assert column(table, "Latency of one picture") == [
        "not recorded yet",
        "1.2 ms",
        "not recorded yet",
    ]
    below = column(table, "Points against the teacher")
    assert below[0] == below[2] == "–"
    assert below[1].startswith("−")
    nothing = report.costs_table({}, costs, teacher="big")
    assert "Latency of one picture" not in nothing.columns  # nothing is measured, so no column
    assert column(nothing, "Points against the teacher") == ["–"] * 3


def test_a_gain_needs_a_seed_in_common(students):
    other = [replace(run, seed=run.seed + 5) for run in students["right"]]
    table = report.arms_table({**students, "right": other}, base="labels")
    assert column(table, "Above labels alone")[1] == "–"
