"""Mirrors cifar_lessons/fields.py: what survives, what is told, and what counts as changed."""

import dataclasses
import functools
import json

import pytest

from cifar_lessons import recipes
from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    Distillation,
    Expectation,
    ModelConfig,
    MuonConfig,
    OptimConfig,
    PairConfig,
    Recipe,
    ScheduleConfig,
    SimClr,
    Supervised,
    VicReg,
    ViewsConfig,
)
from cifar_lessons.errors import UserError
from cifar_lessons.fields import NOT_COMPARED, differences, from_dict, override, to_dict


@pytest.fixture
def recipe() -> Recipe:
    """Every field away from its default, so that a field which gets lost is seen."""
    return Recipe(
        name="all_fields",
        model=ModelConfig(name="resnet18", options={"width": 8, "skip": False}),
        data=DataConfig(
            dataset="cifar100",
            val_size=100,
            split_seed=3,
            folds=4,
            fold=2,
            wrong_labels=0.1,
            label_share=0.5,
            augment=AugmentConfig(crop_padding=2, flip="alternating", cutout=8, seed=3),
            mean=(0.5, 0.4, 0.3),
            std=(0.1, 0.2, 0.3),
            sizes=((0.5, 16),),
        ),
        objective=Supervised(label_smoothing=0.1),
        init="another",
        optim=OptimConfig(
            name="adamw",
            peak_lr=0.3,
            momentum=0.8,
            nesterov=False,
            weight_decay=0.01,
            clip_norm=2.0,
            schedule=ScheduleConfig(
                name="step",
                warmup_epochs=1.5,
                warmup_share=0.1,
                milestones=(0.3, 0.6, 0.9),
                factor=0.2,
                patience=7,
                cycle=3.0,
                floor=0.1,
            ),
            muon=MuonConfig(
                bias_lr=1.0, head_lr=0.1, momentum=0.7, stem_share=0.5, orthogonal=False
            ),
        ),
        epochs=5,
        batch_size=32,
        micro_batch=16,
        views=ViewsConfig(name="flip", hardest=0.5),
        ema_decay=0.99,
        precision="fp32",
        revision=2,
        seeds=4,
        validate_every=2,
        keep_weights=True,
        expects=Expectation(low=0.1, high=0.9, minutes=2.0, device="a device"),
        about="nothing at its default",
    )


def leaves(config: object, prefix: str = "") -> dict[str, object]:
    """Every field with its dotted name."""
    out: dict[str, object] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            out |= leaves(value, f"{prefix}{field.name}.")
        else:
            out[prefix + field.name] = value
    return out


# --- to and from a dict -----------------------------------------------------------------------


def test_the_fixture_leaves_no_field_at_its_default(recipe):
    """Guards the tests that use it: a new field must be added there."""
    default = leaves(Recipe(name="default", model=ModelConfig(name="simple_cnn")))
    same = {key for key, value in leaves(recipe).items() if default.get(key, ...) == value}
    # The kind is the first one, which cannot use pairs of views; see below.
    assert same == {"objective.kind", "data.pair"}


def test_a_recipe_survives_the_way_through_json(recipe):
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(recipe)))) == recipe


def test_a_dict_may_leave_defaults_out():
    short = from_dict(Recipe, {"name": "short", "model": {"name": "simple_cnn"}, "epochs": 3})
    assert short == Recipe(name="short", model=ModelConfig(name="simple_cnn"), epochs=3)


def test_whole_numbers_become_floats_where_floats_are_meant():
    made = from_dict(OptimConfig, {"peak_lr": 1})
    assert made.peak_lr == 1.0
    assert type(made.peak_lr) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "unknown field 'epoch': did you mean 'epochs'"),
        ({"data": {"valsize": 3}}, "unknown field 'data.valsize': did you mean 'val_size'"),
        ({"model": {}}, "field 'model.name' is missing: give it a value"),
        ({"epochs": 1.5}, "epochs must be int, got 1.5"),
        ({"epochs": True}, "epochs must be int, got True"),
        ({"keep_weights": "yes"}, "keep_weights must be bool, got 'yes'"),
        ({"about": 3}, "about must be str, got 3"),
        ({"ema_decay": "high"}, "ema_decay must be float, got 'high'"),
        ({"data": {"mean": [0.1, 0.2]}}, "data.mean must be a list of float x 3, got [0.1, 0.2]"),
        ({"data": {"mean": 0.5}}, "data.mean must be a list of float x 3, got 0.5"),
        (
            {"optim": {"schedule": {"milestones": ["half"]}}},
            "optim.schedule.milestones must be float, got 'half'",
        ),
        (
            {"optim": {"name": "lion"}},
            "optim.name must be one of 'sgd', 'adam', 'adamw', 'muon', got 'lion'",
        ),
        (
            {"data": {"augment": "flip"}},
            "data.augment is a table, got 'flip'; set one of its fields: "
            "data.augment.crop_padding, data.augment.flip, data.augment.cutout",
        ),
        ({"model": {"name": "x", "options": 3}}, "model.options must be a table of fields, got 3"),
    ],
)
def test_a_wrong_name_or_type_is_told(change, message):
    good = {"name": "r", "model": {"name": "simple_cnn"}}
    with pytest.raises(UserError) as error:
        from_dict(Recipe, {**good, **change})
    assert message in str(error.value)


# --- override ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "field", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("optim.peak_lr=0.2", "optim.peak_lr", 0.2),
        ("optim.peak_lr=2e-1", "optim.peak_lr", 0.2),
        ("optim.clip_norm=null", "optim.clip_norm", None),
        ("optim.nesterov=false", "optim.nesterov", False),
        ("optim.schedule.name=cosine", "optim.schedule.name", "cosine"),
        ("optim.schedule.milestones=[0.1, 0.2]", "optim.schedule.milestones", (0.1, 0.2)),
        ("data.augment.flip=random", "data.augment.flip", "random"),
        ("about=a=b", "about", "a=b"),
    ],
)
def test_override_changes_one_field(assignment, field, value):
    base = recipes.resnet18_w16()
    assert leaves(override(base, assignment)) == {**leaves(base), field: value}


def test_fields_that_only_fit_together_can_be_changed_together():
    base = recipes.simple_cnn()
    changes = ('objective={"kind": "simclr"}', "data.pair.side=32")
    for order in (changes, changes[::-1]):
        made = override(base, *order)
        assert (made.pretrains, made.data.pair.side) == (True, 32)
    with pytest.raises(UserError, match=r"data\.pair must be set for the objective 'simclr'"):
        override(base, changes[0])


def test_another_kind_of_table_begins_with_its_own_fields():
    taught = ("objective.kind=distillation", "objective.teacher=resnet18")
    base = override(recipes.simple_cnn(), *taught)
    assert base.objective == Distillation(teacher="resnet18")
    changes = ("objective.kind=simclr", "objective.temperature=0.2", "data.pair.side=32")
    made = override(base, *changes)
    assert made.objective == SimClr(temperature=0.2)
    with pytest.raises(UserError, match=r"unknown field 'objective\.teacher'"):
        override(base, *changes, "objective.teacher=resnet18")
    same = override(base, "objective.kind=distillation")
    assert same == base


def test_override_adds_and_changes_model_options():
    base = recipes.resnet18_w16()
    assert override(base, "model.options.width=8").model.options == {"width": 8}
    assert override(base, "model.options.skip=false").model.options == {"width": 16, "skip": False}
    assert base.model.options == {"width": 16}


def test_an_optional_table_can_be_given_whole():
    band = override(recipes.resnet18_w16_no_bn(), 'expects={"low": 0, "high": 1, "minutes": 2}')
    assert band.expects == Expectation(low=0.0, high=1.0, minutes=2.0)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optim.peak_lr", "--set needs FIELD=VALUE, got 'optim.peak_lr'; try --set optim.peak_lr"),
        ("=3", "--set needs FIELD=VALUE, got '=3'"),
        ("optm.peak_lr=1", "unknown field 'optm': did you mean 'optim'?"),
        (
            "optim.lr=1",
            "unknown field 'optim.lr': known: clip_norm, momentum, muon, name, nesterov, peak",
        ),
        ("optim.schedule.nam=step", "unknown field 'optim.schedule.nam': did you mean 'name'"),
        ("epochs.first=1", "epochs has no fields of its own; try epochs=VALUE"),
        ("expects.low=0.5", "expects has no fields of its own; try expects=VALUE"),
        ("optim.schedule=cosine", "optim.schedule is a table, got 'cosine'; set one of its"),
        ("epochs=[" * 2000, "epochs must be int, got '[epochs="),
        ("optim.peak_lr=" + "9" * 5000, "optim.peak_lr must be float, got '999"),
    ],
)
def test_a_wrong_assignment_is_told(assignment, message):
    with pytest.raises(UserError) as error:
        override(recipes.resnet18_w16_no_bn(), assignment)
    assert message in str(error.value)


# --- differences ------------------------------------------------------------------------------


def recorded(recipe: Recipe) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(to_dict(recipe)))
    return found


@pytest.mark.parametrize("make", recipes.RECIPES.values())
def test_a_recipe_differs_in_nothing_from_its_own_record(make):
    assert differences(recorded(make()), make()) == []


def test_each_changed_field_is_a_line(recipe):
    now = override(override(recipe, "optim.peak_lr=0.5"), "data.augment.flip=none")
    assert differences(recorded(recipe), now) == [
        "data.augment.flip: recorded 'alternating', now 'none'",
        "optim.peak_lr: recorded 0.3, now 0.5",
    ]


def test_every_compared_field_counts(recipe):
    """Replaced one by one by what another recipe has, each must be noticed."""
    other = leaves(Recipe(name="other", model=ModelConfig(name="simple_cnn")))
    for key in leaves(recipe):
        top = key.partition(".")[0]
        if top in NOT_COMPARED or key in ("objective.kind", "model.options", "data.pair"):
            continue
        if key not in other:  # a field of a table that the other recipe does without
            key = key.rpartition(".")[0]
        value = other.get(key)
        text = value if isinstance(value, str) else json.dumps(value)
        assert differences(recorded(recipe), override(recipe, f"{key}={text}")), key


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("model.options.width=16", "model.options.width: recorded 8, now 16"),
        ("model.options.norm=false", "model.options.norm: recorded 'not set'"),
    ],
)
def test_model_options_count(recipe, assignment, line):
    (found,) = differences(recorded(recipe), override(recipe, assignment))
    assert found.startswith(line.replace("'not set'", "not set"))


def test_a_table_that_a_recipe_does_without_can_be_set():
    found = override(recipes.simple_cnn(), "views.hardest=0.5")
    assert found.views == ViewsConfig(hardest=0.5)
    assert override(found, "views=null").views is None
    assert differences(to_dict(recipes.simple_cnn()), found)


def test_an_option_that_is_gone_is_told(recipe):
    now = dataclasses.replace(recipe, model=ModelConfig(name="resnet18", options={"width": 8}))
    assert differences(recorded(recipe), now) == ["model.options.skip: recorded False, now not set"]


def test_what_moves_no_weight_is_not_compared(recipe):
    planned = {"seeds": 1, "keep_weights": False, "expects": None, "about": "another"}
    planned["validate_every"] = 1
    assert set(planned) == set(NOT_COMPARED)
    assert differences(recorded(recipe), dataclasses.replace(recipe, **planned)) == []


def test_a_field_newer_than_the_record_counts_as_its_default():
    now = recipes.simple_cnn()
    then = recorded(now)
    del then["optim"]["clip_norm"], then["ema_decay"]  # type: ignore[attr-defined]
    assert differences(then, now) == []
    assert differences(then, override(now, "ema_decay=0.99")) == [
        "ema_decay: recorded not set, now 0.99"
    ]


def test_a_run_from_before_the_precision_could_be_fixed_stays_fresh():
    base = Recipe(name="old", model=ModelConfig(name="simple_cnn"))
    then = {k: v for k, v in to_dict(base).items() if k != "precision"}
    assert differences(then, base) == []
    fixed = dataclasses.replace(base, precision="fp32")
    assert differences(then, fixed) == ["precision: recorded not set, now 'fp32'"]


def test_a_newer_field_away_from_its_default_is_told_even_if_it_is_null(recipe):
    """`null` in a recipe is a value; only an absent field is "not set"."""
    now = dataclasses.replace(recipe, optim=dataclasses.replace(recipe.optim, clip_norm=None))
    then = recorded(recipe)
    del then["optim"]["clip_norm"]  # type: ignore[attr-defined]
    assert differences(then, now) == []  # the default is null
    del then["data"]["val_size"]  # type: ignore[attr-defined]
    assert differences(then, now) == ["data.val_size: recorded not set, now 100"]


def test_a_field_that_no_longer_exists_is_told():
    then = {**recorded(recipes.simple_cnn()), "mixup": 0.2}
    assert differences(then, recipes.simple_cnn()) == ["mixup: recorded 0.2, now not set"]


# --- which objective --------------------------------------------------------------------------


def with_all_labels(recipe: Recipe) -> Recipe:
    """A teacher answers for all training images."""
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, label_share=1.0))


def test_a_recipe_of_either_objective_survives_the_way_through_json(recipe):
    """The table's `kind` says which of the two it is; without one it is the first."""
    student = dataclasses.replace(
        with_all_labels(recipe), objective=Distillation(teacher="simple_cnn", temperature=2.0)
    )
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(student)))) == student
    plain = to_dict(recipe)
    del plain["objective"]["kind"]
    assert from_dict(Recipe, plain) == recipe


def test_an_unknown_kind_of_objective_names_those_that_there_are(recipe):
    data = to_dict(recipe)
    data["objective"] = {"kind": "distilation"}
    with pytest.raises(
        UserError, match=r"objective.kind must be one of 'supervised', 'distill.*'d"
    ):
        from_dict(Recipe, data)


def test_every_field_of_a_distillation_counts_and_another_objective_is_another_recipe(recipe):
    student = dataclasses.replace(with_all_labels(recipe), objective=Distillation())
    recorded = json.loads(json.dumps(to_dict(student)))
    assert differences(recorded, student) == []
    assert differences(recorded, recipe)
    for change in (
        {"teacher": "simple_cnn"},
        {"loss": "dkd"},
        {"temperature": 2.0},
        {"teacher_weight": 0.5},
        {"mean_over": "elements"},
        {"target_weight": 2.0},
        {"others_weight": 2.0},
    ):
        other = dataclasses.replace(student, objective=Distillation(**change))  # type: ignore[arg-type]
        [line] = differences(recorded, other)
        assert next(iter(change)) in line


# --- two views, and no labels -----------------------------------------------------------------


@pytest.fixture(params=[SimClr(temperature=0.2, hidden=64, out=32), VicReg(variance=5.0)])
def without_labels(request) -> Recipe:
    return Recipe(
        name="pre",
        model=ModelConfig(name="resnet18"),
        data=DataConfig(pair=PairConfig(side=20, hue=0.2)),
        objective=request.param,
    )


def test_a_recipe_without_labels_survives_the_way_through_json(without_labels):
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(without_labels)))) == without_labels
    assert without_labels.pretrains
    assert not recipes.simple_cnn().pretrains


def test_every_field_of_the_views_counts(without_labels):
    then = recorded(without_labels)
    for field in dataclasses.fields(PairConfig):
        value = getattr(PairConfig(side=24, hue=0.3, grey=0.3, smallest=0.3), field.name)
        if value == getattr(without_labels.data.pair, field.name):
            value = 0.123
        assert differences(then, override(without_labels, f"data.pair.{field.name}={value}"))


@pytest.mark.parametrize(
    ("name", "table", "field"),
    [
        ("simple_cnn", "objective", "label_smoothing"),
        ("mobilenet_w05_kd", "objective", "target_weight"),
        ("simclr_w16", "objective", "temperature"),
        ("simclr_w16", "data.pair", "grey"),
        ("enas_search", "objective", "tanh_constant"),
        ("speednet", "optim.muon", "stem_share"),
    ],
)
def test_a_field_newer_than_the_record_is_no_change_at_its_default_in_any_table(name, table, field):
    recipe = recipes.get(name)
    recorded = to_dict(recipe)
    here = recorded
    for part in table.split("."):
        here = here[part]
    del here[field]
    standard = type(functools.reduce(getattr, table.split("."), recipe))
    default = {f.name: f.default for f in dataclasses.fields(standard)}[field]
    assert differences(recorded, override(recipe, f"{table}.{field}={json.dumps(default)}")) == []
    other = override(recipe, f"{table}.{field}={default / 2 + 0.05}")
    assert differences(recorded, other) == [
        f"{table}.{field}: recorded not set, now {default / 2 + 0.05}"
    ]


def test_a_table_that_a_record_lacks_is_a_change_unless_it_is_the_usual_one():
    recipe = recipes.get("mobilenet_w05_kd")
    old = {k: v for k, v in to_dict(recipe).items() if k != "objective"}
    assert any(line.startswith("objective.kind: ") for line in differences(old, recipe))
    plain = recipes.get("mobilenet_w05")
    old = {k: v for k, v in to_dict(plain).items() if k != "objective"}
    assert differences(old, plain) == []
    speedy = recipes.get("speednet")
    old = {k: v for k, v in to_dict(speedy).items() if k != "views"}
    assert any(line.startswith("views.") for line in differences(old, speedy))


def test_a_kind_that_is_no_text_is_one_line():
    with pytest.raises(UserError, match=r"objective.kind must be one of .*, got \[1\]"):
        override(recipes.get("simple_cnn"), 'objective={"kind":[1]}')
