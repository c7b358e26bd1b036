"""Mirrors cifar_lessons/tuning/space.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_lessons import recipes
from cifar_lessons.errors import UserError
from cifar_lessons.tuning import space
from cifar_lessons.tuning.space import ADVICE, SPACE, Range

BASE = recipes.get("tuning_base")
LINEAR = Range("optim.momentum", 0.0, 0.99)


@pytest.mark.parametrize("r", [*SPACE, LINEAR], ids=lambda r: r.field)
@given(position=st.floats(0, 1, allow_subnormal=False))  # a CPU in training flushes them to 0
def test_a_position_and_its_value_belong_together(r, position):
    assert r.position(r.value(position)) == pytest.approx(position, abs=1e-9)


def test_above_zero_equal_factors_are_equally_far():
    rate = SPACE[1]
    steps = [rate.position(v) for v in (0.001, 0.01, 0.1, 1.0)]
    assert steps == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert (rate.log, LINEAR.log) == (True, False)


@pytest.mark.parametrize("r", [*SPACE, LINEAR], ids=lambda r: r.field)
@given(position=st.floats(0, 1, allow_subnormal=False))  # a CPU in training flushes them to 0
def test_rounded_values_stay_in_the_range_and_can_be_typed(r, position):
    value = r.rounded(r.value(position))
    assert r.low <= value <= r.high
    assert isinstance(value, int) if r.whole else float(f"{value:.3g}") == value
    recipe = space.apply(BASE, {r.field: value})
    typed = space.options({r.field: value}).removeprefix(f"--set {r.field}=")
    assert space.apply(BASE, {r.field: float(typed) if not r.whole else int(typed)}) == recipe


def test_settings_are_put_into_the_recipe():
    found = space.apply(BASE, {"batch_size": 64, "optim.peak_lr": 0.3, "optim.weight_decay": 1e-5})
    assert (found.batch_size, found.optim.peak_lr, found.optim.weight_decay) == (64, 0.3, 1e-5)
    assert (found.name, found.epochs) == (BASE.name, BASE.epochs)


def test_the_first_advice_is_the_base_itself_and_all_of_it_lies_in_the_space():
    assert space.apply(BASE, next(iter(ADVICE.values()))) == BASE
    for settings in ADVICE.values():
        assert all(r.low <= settings[r.field] <= r.high for r in SPACE)


def test_a_range_is_read_as_it_is_typed():
    found = space.parse_range("optim.peak_lr=1e-4..0.01", BASE)
    assert found == Range("optim.peak_lr", 1e-4, 0.01)
    assert space.parse_range("batch_size=16..64", BASE) == Range("batch_size", 16, 64, whole=True)
    hidden = space.parse_range("model.options.hidden=32..256", BASE)
    assert (hidden.whole, hidden.high) == (True, 256)
    # Of fields that are not set, too, the field says what it takes.
    assert not space.parse_range("optim.clip_norm=1..5", BASE).whole
    assert space.parse_range("micro_batch=16..64", BASE).whole
    narrow = space.merged(SPACE, [found, LINEAR])
    assert [r.field for r in narrow] == [*(r.field for r in SPACE), "optim.momentum"]
    assert narrow[1] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optim.peak_lr", "--range needs FIELD=LOW..HIGH, got 'optim.peak_lr'; try --range"),
        ("optim.peak_lr=0.1", "--range needs FIELD=LOW..HIGH"),
        ("optim.peak_lr=low..1", "--range optim.peak_lr needs two numbers, got 'optim.peak_lr=low"),
        ("optim.peak_lr=1..0.1", "--range optim.peak_lr must rise, got 1..0.1"),
        ("optim.peak_lr=0.1..nan", "must rise, got 0.1..nan"),
        ("optim.peak_lr=0.1..200", r"optim.peak_lr must be in \(0, 100\], got 200"),
        ("optim.lr=0.1..1", "unknown field 'optim.lr'"),
        ("batch_size=0.5..8", "batch_size is a whole number, got 0.5..8"),
        ("batch_size=0..8", r"batch_size must be in \[1, 50000\], got 0"),
        ("optim.name=0..8", "optim.name must be one of"),
        ("data.val_size=500..5000", "data.val_size cannot be searched: all trials share one"),
        ("seeds=1..5", "seeds cannot be searched"),
    ],
)
def test_a_wrong_range_is_told(text, said):
    with pytest.raises(UserError, match=said):
        space.parse_range(text, BASE)


def test_two_spaces_are_compared_field_by_field():
    stored = space.to_json(SPACE)
    assert space.from_json(stored) == SPACE
    assert space.space_differences(stored, SPACE) == []
    other = space.merged(SPACE[:2], [Range("optim.peak_lr", 1e-3, 0.5), LINEAR])
    assert space.space_differences(stored, other) == [
        "range of optim.peak_lr: recorded 0.001 to 1, now 0.001 to 0.5",
        "range of optim.weight_decay: recorded 1e-06 to 0.01, now not searched",
        "range of optim.momentum: recorded not searched, now 0 to 0.99",
    ]
