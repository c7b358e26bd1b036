"""Mirrors cifar_lessons/judges/distillation.py: every judge can end each way that it says."""

from typing import Any

import pytest

from cifar_lessons.distilling.results import losses
from cifar_lessons.verdicts import Evidence

PRINTED, MEANT = "mobilenet_w05_article", "mobilenet_w05_kd"


def study(*factors: float, classes: int = 10, **changes: Any) -> Evidence:
    """What is stored of students whose printed term is smaller by these factors."""

    def terms(teacher: float) -> dict[str, Any]:
        return {place: {"labels": 1.0, "teacher": teacher} for place in ("logits", "weights")}

    students = {
        f"student {n}": {PRINTED: terms(3 / factor), MEANT: terms(3.0)}
        for n, factor in enumerate(factors)
    }
    values = {"classes": classes, "students": students, "arms": losses(), **changes}
    return Evidence(studies={"distillation_share": values})


def test_c14_is_corrected_where_the_printed_term_is_too_small(judge):
    found = judge("C14", study(10, 10))
    assert found.verdict == "corrected"
    assert "with 10 classes the teacher's term is 10 times too small" in found.reason
    assert found.ours == "0.233 : 1 in place of 2.33 : 1"
    assert found.details[0] == (
        "student 0, the teacher's share of the gradient on the weights: "
        "mobilenet_w05_article 23 %, mobilenet_w05_kd 75 %"
    )


def test_c14_is_reproduced_where_it_weighs_what_is_printed(judge):
    assert judge("C14", study(1.0, 1.001)).verdict == "reproduced"


def test_c14_is_open_where_students_differ_and_says_from_where_to_where(judge):
    found = judge("C14", study(1.0, 10.0))
    assert found.verdict == "open"
    assert found.ours.startswith("0.233 to 2.33 : 1")
    assert "9.9 to 10.1 times" in judge("C14", study(9.9, 10.1)).reason


def test_c14_is_open_where_the_study_is_of_other_losses(judge):
    found = judge("C14", study(10, arms={}))
    assert (found.verdict, found.reason) == (
        "open",
        "the study holds other losses than today's arms",
    )


SIZES = {"resnet18": 11_173_962, "mobilenet": 2_236_682, "mobilenet_kd": 2_236_682}
SMALL = {**SIZES, "mobilenet": 1_452_615, "mobilenet_kd": 1_452_615}  # 87.0 % fewer


@pytest.mark.parametrize(
    ("sizes", "student", "verdict", "words"),
    [
        (SIZES, 0.92, "corrected", "80.0 % fewer parameters, not 87; it loses no more than 1.5"),
        (SIZES, 0.85, "corrected", "it loses more than 1.5 points"),
        (SMALL, 0.92, "reproduced", "87.0 % fewer parameters, as claimed; it loses no more"),
        (SMALL, 0.85, "corrected", "as claimed; it loses more than 1.5 points"),
        (SMALL, 0.8925, "open", "whether it loses more than 1.5 points is unclear"),
    ],
)
def test_c15_asks_for_the_size_and_for_the_accuracy(
    judge, evidence, sizes, student, verdict, words
):
    arms = {"resnet18": 0.908, "mobilenet": 0.90, "mobilenet_kd": student}
    found = judge("C15", evidence(arms, 1, parameters=sizes))
    assert found.verdict == verdict
    assert words in found.reason
    assert "without a teacher the same student is at −0." in found.reason


def test_c15_shows_what_a_teacher_brings_holm_corrected_and_other_widths(judge, evidence):
    arms = {
        "resnet18": 0.908,
        "mobilenet": 0.90,
        "mobilenet_kd": 0.92,
        "mobilenet_w05": 0.83,
        "mobilenet_w05_article": 0.83,
        "mobilenet_w05_kd": 0.85,
    }
    counts = {"models": {"mobilenet_v2": 2_236_682, "mobilenet_v2 x0.75": 1_368_234}}
    more = {"parameters": SIZES, "studies": {"parameter_counts": counts}}
    details = judge("C15", evidence(arms, 3, **more)).details
    assert details[:2] == (
        "mobilenet_v2: 2,236,682 parameters, 80.0 % fewer",
        "mobilenet_v2 x0.75: 1,368,234 parameters, 87.8 % fewer",
    )
    assert details[2].startswith("mobilenet_kd against mobilenet: +")
    assert details[3].startswith("mobilenet_w05_article against mobilenet_w05: ")
    assert details[4].startswith("mobilenet_w05_kd against mobilenet_w05: +")
    assert len(details) == 5
    assert "Holm" not in "".join(details)  # two of four arms: nobody knows yet what to correct for
    arms |= {"mobilenet_w05_kd_soft": 0.85, "mobilenet_w05_dkd": 0.85}
    details = judge("C15", evidence(arms, 3, **more)).details
    assert [line.count("Holm") for line in details] == [0, 0, 0, 1, 1, 1, 1]
    without = {name: arms[name] for name in SIZES}
    assert len(judge("C15", evidence(without, 1, parameters=SIZES)).details) == 1
