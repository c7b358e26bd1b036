"""Mirrors cifar_lessons/speed/projection.py: arithmetic alone, checked by hand."""

from dataclasses import replace

import pytest

from cifar_lessons import recipes
from cifar_lessons.speed.projection import compare, pace, seconds, stages, table, verdict

REFERENCE = recipes.get("speednet_reference")
QUICK = replace(
    recipes.get("speednet"),
    data=replace(REFERENCE.data, sizes=((0.35, 20), (0.3, 26))),
    epochs=8,
    batch_size=2_000,
)


def test_stages_end_where_the_size_or_the_stem_changes():
    found = [(s.key, round(s.start, 6), round(s.share, 6)) for s in stages(QUICK)]
    assert found == [
        ("20px", 0.0, 0.35),
        ("26px", 0.35, 0.025),
        ("26px_rested", 0.375, 0.275),
        ("32px_rested", 0.65, 0.35),
    ]


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_the_stages_of_every_recipe_are_the_whole_run(name):
    found = stages(recipes.get(name))
    assert sum(stage.share for stage in found) == pytest.approx(1.0)
    assert len({stage.key for stage in found}) == len(found)


def test_seconds_by_hand():
    rates = {
        "20px": 1000.0,
        "26px": 500.0,
        "26px_rested": 500.0,
        "32px_rested": 400.0,
        "score": 250,
    }
    found = seconds(QUICK, rates)
    images = 8 * 50_000
    assert found["train"] == pytest.approx(images * (0.35 / 1000 + 0.3 / 500 + 0.35 / 400))
    assert found["score"] == 40


def test_batches_that_are_dropped_cost_nothing():
    odd = replace(REFERENCE, batch_size=3_000)  # 16 batches, 2,000 images are left over
    rates = {"32px": 100.0, "32px_rested": 100.0, "score": 100.0}
    assert seconds(odd, rates)["train"] == pytest.approx(8 * 48_000 / 100)


BLOCKS = {
    "speednet_reference": {
        "32px": [400.0, 200.0, 400.0],
        "32px_rested": [400.0, 200.0, 400.0],
        "score": [100.0, 50.0, 100.0],
    },
    "speednet": {
        "20px": [800.0, 400.0, 800.0],
        "26px": [800.0, 400.0, 800.0],
        "26px_rested": [800.0, 400.0, 800.0],
        "32px_rested": [800.0, 400.0, 800.0],
        "score": [400.0, 200.0, 100.0],
    },
}


def test_a_slow_round_slows_both_and_leaves_the_ratio():
    found = compare(BLOCKS, [REFERENCE, QUICK])
    assert found["speednet_reference"]["ratio"] == 1.0
    assert found["speednet_reference"]["train_minutes"] == pytest.approx(16.67, abs=0.01)
    # 1,000 s + 100 s against 500 s + 50 s (the median of 25, 50 and 100 s)
    assert found["speednet"]["ratio"] == 0.5
    assert found["speednet"]["low"] == pytest.approx(525 / 1100, abs=1e-3)
    assert found["speednet"]["high"] == pytest.approx(600 / 1100, abs=1e-3)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.44, "target 0.55x met, stretch 0.45x met"),
        (0.50, "target 0.55x met, stretch 0.45x NOT met"),
        (0.56, "target 0.55x NOT met, stretch 0.45x NOT met"),
    ],
)
def test_the_verdict_says_whether_the_target_is_met(ratio, words):
    runs = compare(BLOCKS, [REFERENCE, QUICK])
    runs["speednet"]["ratio"] = ratio
    runs["speednet_90"] = runs["speednet"]  # another challenger has no such target
    assert verdict({"runs": runs}) == (
        f"speednet: {ratio:.2f}x the time of speednet_reference (0.48 to 0.55 over the rounds); "
        f"{words}."
    )


def test_the_table_has_a_row_a_recipe():
    text = str(table({"runs": compare(BLOCKS, [REFERENCE, QUICK])}))
    assert "speednet_reference" in text
    assert "0.50 (0.48 to 0.55)" in text


def test_recipes_that_differ_in_epochs_alone_have_one_pace():
    longer = replace(QUICK, name="longer", epochs=9, seeds=3, about="more")
    assert pace(longer) == pace(QUICK)
    assert pace(replace(QUICK, micro_batch=125)) != pace(QUICK)
