"""Mirrors cifar_lessons/judges/schedules.py: every judge can end each way that it says."""

from collections.abc import Sequence

import pytest

from cifar_lessons.judges.schedules import saved
from cifar_lessons.verdicts import Evidence

FIXED, PLATEAU, LOW = (f"resnet18_w16_{name}" for name in ("constant", "plateau", "constant_low"))
Epochs = Sequence[int | None]  # by seed; None is never
NEVER: Epochs = (None, None, None)


def history(to80: int | None, to85: int | None = None) -> list[dict[str, float]]:
    """Twelve epochs that reach 80 and 85 % validation accuracy when told, and 88 % never."""
    late = [e or 99 for e in (to80, to85)]
    accuracy = [0.85 if e >= late[1] else 0.8 if e >= late[0] else 0.7 for e in range(1, 13)]
    return [{"epoch": e, "val_accuracy": a} for e, a in enumerate(accuracy, start=1)]


@pytest.fixture
def schedules(evidence):
    """Return a function that makes evidence from test accuracies, and epochs to 80 and 85 %."""

    def make(
        accuracies: dict[str, float],
        epochs: dict[str, Epochs],
        to85: dict[str, Epochs] | None = None,
    ) -> Evidence:
        histories = {
            name: dict(enumerate(map(history, numbers, (to85 or {}).get(name, NEVER))))
            for name, numbers in epochs.items()
        }
        return evidence(accuracies, 3, history=histories)

    return make


def arms(fixed: object, plateau: object) -> dict[str, object]:
    return {FIXED: fixed, PLATEAU: plateau}


TEN, SIX = (10, 10, 10), (6, 6, 6)


@pytest.mark.parametrize(
    ("gain", "fixed", "plateau", "verdict", "words"),
    [
        (0.02, TEN, SIX, "reproduced", "accuracy: as claimed; time to a target: as claimed"),
        (0.02, TEN, TEN, "corrected", "time to a target: clearly not as claimed"),  # none saved
        (0.02, TEN, (2, 2, 2), "corrected", "time to a target: clearly not"),  # more than claimed
        (0.05, TEN, SIX, "corrected", "final accuracy: clearly not as claimed"),
        (-0.01, TEN, SIX, "corrected", "final accuracy: clearly not as claimed"),
        (0.02, TEN, (4, 6, 9), "open", "time to a target: unclear"),  # seeds that disagree
        (0.02, NEVER, NEVER, "open", "unclear, since neither reaches a target in two seeds"),
        (0.05, NEVER, NEVER, "corrected", "final accuracy: clearly not as claimed"),
        # Bounds: the one that does not arrive in 12 epochs takes 13 or more.
        (0.02, TEN, NEVER, "corrected", "time to a target: clearly not"),
        (0.02, NEVER, (11, 11, 11), "open", "time to a target: unclear"),  # saved 15 % or more
        (0.02, NEVER, (3, 3, 3), "corrected", "time to a target: clearly not"),  # 77 % or more
        # One seed that tells something has no spread.
        (0.02, (10, None, None), (10, None, None), "open", "unclear, since neither reaches"),
    ],
)
def test_c10_asks_for_the_time_and_for_the_accuracy(
    judge, schedules, gain, fixed, plateau, verdict, words
):
    found = judge("C10", schedules(arms(0.80, 0.80 + gain), arms(fixed, plateau)))
    assert found.verdict == verdict, found
    assert words in found.reason
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(gain, abs=0.003)


def test_c10_holds_at_one_target_or_fails_at_all_of_them(judge, schedules):
    accuracies = arms(0.80, 0.82)
    to80 = arms((8, 8, 8), (8, 8, 8))  # nothing is saved
    at_one = judge("C10", schedules(accuracies, to80, arms(TEN, SIX)))
    assert at_one.verdict == "reproduced"
    at_none = judge("C10", schedules(accuracies, to80, arms(TEN, TEN)))
    assert at_none.verdict == "corrected"
    # 85 % tells too little: by the other target alone it would be corrected.
    unclear = judge("C10", schedules(accuracies, to80, arms(TEN, (9, 6, 10))))
    assert unclear.verdict == "open"


def test_c10_is_corrected_for_the_number_of_parts(judge, schedules):
    """A miss that is clear alone is not clear among two."""
    found = schedules(arms(0.80, 0.82), arms((12, 12, 12), (10, 10, 9)))
    assert 0.025 < saved(found, FIXED, PLATEAU, 0.8).p_outside(0.35, 0.45) < 0.05
    assert judge("C10", found).verdict == "open"


def test_c10_tells_what_it_saw_against_both_fixed_rates(judge, schedules):
    found = judge(
        "C10",
        schedules(
            {**arms(0.80, 0.82), LOW: 0.85, "resnet18_w16": 0.88},
            {**arms((10, 10, None), (6, 6, 7)), LOW: (6, 6, 6), "resnet18_w16": (9, 9, 9)},
        ),
    )
    text = "\n".join(found.details)
    assert f"80 % validation accuracy: {FIXED} 10, 10, –; {PLATEAU} 6, 6, 7; saved: 42 %" in text
    assert f"80 % validation accuracy: {LOW} 6, 6, 6; {PLATEAU} 6, 6, 7; saved: −6 %" in text
    assert f"88 % validation accuracy: {FIXED} –, –, –; {PLATEAU} –, –, –; saved: unknown" in text
    assert f"{PLATEAU} against {FIXED}: +" in text
    assert f"{PLATEAU} against {LOW}: −" in text
    assert f"resnet18_w16 against {FIXED}: +" in text
    assert found.ours.startswith("epochs saved to 80 %: ")
    assert "88 %" not in found.ours


@pytest.mark.parametrize(
    ("fixed", "plateau", "text"),
    [
        (TEN, (6, 6, 8), "33 % (5 % to 62 %)"),
        ((10, None, 10), (6, 6, 6), "45 % to 60 %"),
        (TEN, (6, None, 6), "at most 17 %"),
        (NEVER, TEN, "at least 23 %"),
        (NEVER, NEVER, "unknown"),
    ],
)
def test_bounds_in_words(schedules, fixed, plateau, text):
    found = schedules(arms(0.8, 0.8), arms(fixed, plateau))
    assert saved(found, FIXED, PLATEAU, 0.8).text() == text
