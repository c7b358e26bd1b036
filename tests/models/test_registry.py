"""Mirrors cifar_lessons/models/__init__.py and base.py: what holds for every network."""

import copy

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.errors import UserError
from cifar_lessons.models import MODELS, Classifier, build_model, list_models

# Each network once, the large ones narrow: the code is the same, the test is quick.
SMALL: dict[str, dict[str, object]] = {
    "simple_cnn": {},
    "deep_cnn": {"widths": [8, 8, 16, 16], "batch_norm": True},
    "resnet18": {"width": 8},
    "resnet34": {"width": 8},
    "resnet50": {"width": 8},
    "mobilenet_v2": {"width": 0.5},
    "speednet": {"widths": [24, 32, 32]},
    "enas": {"architecture": "c3/s5+0/mp/c5+0+2/s3/ap+1", "width": 8},
}

# The contract of DESIGN, and the ratios of claim C06.
PARAMETERS = [
    ("simple_cnn", {}, 2_122_186),
    ("simple_cnn", {"num_classes": 100}, 2_168_356),
    ("deep_cnn", {"widths": (32, 32, 64, 64), "pools": 2}, 2_168_362),
    ("deep_cnn", {"widths": (64, 64, 128, 128), "pools": 2}, 4_460_106),
    ("deep_cnn", {"pools": 2}, 8_782_666),
    ("deep_cnn", {}, 2_491_210),
    ("deep_cnn", {"pools": 4}, 918_346),
    ("deep_cnn", {"batch_norm": True}, 2_491_690),
    ("resnet18", {}, 11_173_962),
    ("resnet18", {"num_classes": 100}, 11_220_132),
    ("resnet34", {}, 21_282_122),
    ("resnet50", {}, 23_520_842),
    ("mobilenet_v2", {}, 2_236_682),
    ("mobilenet_v2", {"width": 0.75}, 1_368_234),
    ("mobilenet_v2", {"width": 0.5}, 700_490),
    ("speednet", {}, 1_972_792),  # 1,440 of them are never trained
    ("enas", {}, 257_650),
]


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    return build_model(request.param, **SMALL[request.param])


@pytest.fixture
def images() -> Tensor:
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def gradients(model: Classifier, images: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    labels = torch.arange(len(images)) % model.num_classes
    torch.nn.functional.cross_entropy(model(images).float(), labels).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_every_network_stands_in_the_list_and_in_these_tests():
    assert list_models() == list(MODELS)
    assert set(SMALL) == set(MODELS)
    assert {name for name, _, _ in PARAMETERS} == set(MODELS)


@pytest.mark.parametrize(("name", "options", "count"), PARAMETERS)
def test_number_of_parameters(name, options, count):
    with torch.device("meta"):  # shapes without memory or arithmetic
        model = build_model(name, **options)
    assert sum(p.numel() for p in model.parameters()) == count


def test_forward_and_backward_are_finite_and_reach_every_parameter(model, images):
    logits = model(images)
    assert logits.shape == (8, 10)
    assert logits.isfinite().all()
    grads = gradients(model, images)
    assert set(grads) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(g.isfinite().all() for g in grads.values())
    assert all(g.abs().sum() > 0 for g in grads.values())


@pytest.mark.parametrize("name", list(MODELS))
def test_a_hundred_classes(name, images):
    model = build_model(name, num_classes=100, **SMALL[name])
    assert model.num_classes == 100
    assert model(images).shape == (8, 100)


def test_features_and_head_make_the_forward_pass(model, images):
    model.eval()
    features = model.features(images)
    assert features.shape == (8, model.feature_dim)
    torch.testing.assert_close(model.head(features), model(images), rtol=0, atol=0)


def test_the_last_stage_gives_the_last_maps(model, images):
    seen = []
    model.last_conv.register_forward_hook(lambda _, __, out: seen.append(out))
    model.eval()(images)
    [maps] = seen
    assert maps.ndim == 4
    assert min(maps.shape[2:]) >= 3  # it still knows where things are


def test_smaller_images_fit_where_a_network_says_so(model):
    small = torch.randn(2, 3, 20, 20)
    if model.any_side:
        assert model(small).shape == (2, 10)
    else:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            model(small)


def test_images_are_left_as_they_were(model, images):
    before = images.clone()
    model(images)
    torch.testing.assert_close(images, before, rtol=0, atol=0)


def test_the_seed_decides_the_weights():
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_model("resnet18", width=4).parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def settled(model: Classifier, images: Tensor) -> Classifier:
    """Give batch norm the statistics of `images`, then switch to evaluation.

    Untrained statistics would let the signal die on the way, and nothing would be compared. In
    training mode a deep random network multiplies a rounding error a thousandfold.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(images)
    return model.eval()


def test_memory_layout_changes_nothing(model, images):
    model = settled(model, images)
    logits, grads = model(images), gradients(model, images)
    assert relative_error(logits.mean(0, keepdim=True).expand(8, 10), logits) > 0.1  # alive
    model = model.to(memory_format=torch.channels_last)
    turned = images.contiguous(memory_format=torch.channels_last)
    assert relative_error(model(turned), logits) < 1e-4
    got = flat(gradients(model, turned))
    # Looser: a clip (ReLU6) that just opens or just closes moves a gradient, not the logits.
    assert relative_error(got, flat(grads)) < 0.05


def test_each_layer_in_bf16_agrees_with_fp32_forward_and_backward(model, images):
    """Same rounded inputs, both arithmetics: so the kernels differ by their last rounding."""
    model = model.to(memory_format=torch.channels_last)
    met: list[tuple[nn.Module, Tensor]] = []
    for layer in layers(model):
        layer.register_forward_hook(lambda m, inputs, _: met.append((m, inputs[0].detach())))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(images.contiguous(memory_format=torch.channels_last))
    assert len(met) == len(layers(model))
    met = [(copy.deepcopy(layer), inputs) for layer, inputs in met]
    for layer, inputs in met:
        layer._forward_hooks.clear()
        layer.weight.data = rounded(layer.weight.data)
        layer.weight.requires_grad_(True)  # a layer that is never trained too
        results = []
        for half in (True, False):
            x = rounded(inputs).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                out = layer(x)
            upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
            out.backward(rounded(upstream).to(out.dtype))
            results.append((out.float(), x.grad, layer.weight.grad))
            layer.zero_grad()
        for got, expected in zip(*results, strict=True):
            assert relative_error(got, expected) < 0.01, layer


def test_bf16_errs_no_more_than_its_rounding_explains(model, images):
    """Against fp32 arithmetic with every layer's input, weight and output rounded to bf16.

    A random network magnifies rounding by its depth, from 0.5 % for two convolutions to 30 % for
    fifty; so the bound is what the rounding alone does in the same network.
    """
    model = settled(model, images).to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        full = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(images)
        for layer in layers(model):
            layer.weight.data = rounded(layer.weight.data)
            layer.register_forward_pre_hook(lambda _, inputs: rounded(inputs[0]))
            layer.register_forward_hook(lambda _, inputs, out: rounded(out))
        expected = relative_error(model(images), full)
    assert half.dtype is torch.bfloat16
    assert expected < 0.4
    assert relative_error(half.float(), full) < 2 * expected


def layers(model: Classifier) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors.values()])


def relative_error(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet81", {}, r"unknown model 'resnet81': did you mean 'resnet18'"),
        ("zzz", {}, r"unknown model 'zzz': known: deep_cnn, enas, mobilenet_v2, resnet18"),
        (
            "resnet18",
            {"widht": 16},
            r"unknown option 'widht' of model 'resnet18': known: width=64, skip=True, norm=True",
        ),
        ("simple_cnn", {"width": 2}, "option 'width' of model 'simple_cnn': it has no options"),
        ("resnet18", {"skip": "false"}, "'skip' .* must be like its default True, got 'false'"),
        ("resnet18", {"width": 0.5}, "'width' .* must be like its default 64, got 0.5"),
        ("resnet18", {"width": True}, "must be like its default 64, got True"),
        ("mobilenet_v2", {"width": float("inf")}, "mobilenet_v2': cannot convert float infinity"),
        ("mobilenet_v2", {"width": "1"}, "must be like its default 1.0, got '1'"),
        ("deep_cnn", {"widths": [1, 2.5, 3, 4]}, r"default \(32, 64, 128, 256\), got \[1, 2.5"),
        ("resnet18", {"width": 0}, "model 'resnet18': width must be >= 1, got 0; 64"),
        ("resnet50", {"num_classes": 1}, "'resnet50': num_classes must be >= 2, got 1"),
        ("mobilenet_v2", {"width": -1}, "width must be > 0, got -1; 1.0"),
        ("deep_cnn", {"pools": 5}, "pools must be 2, 3 or 4, got 5; 3"),
        ("deep_cnn", {"widths": [8, 8]}, r"four numbers >= 1, got \[8, 8\]; try \[32, 64"),
        ("deep_cnn", {"widths": []}, r"four numbers >= 1, got \[\]"),
        ("deep_cnn", {"widths": [8, 8, 8, 0]}, r"four numbers >= 1, got \[8, 8, 8, 0\]"),
        ("deep_cnn", {"hidden": 0}, "hidden must be >= 1, got 0; try 512"),
        ("deep_cnn", {"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0; try 0.5"),
    ],
)
def test_errors_name_the_value_and_the_mend(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        build_model(name, **options)
    assert "\n" not in str(caught.value)


def test_whole_numbers_and_lists_are_fine_where_json_gives_them():
    assert build_model("mobilenet_v2", width=1).feature_dim == 1280
    assert build_model("deep_cnn", widths=[2, 2, 2, 2], hidden=7, dropout=0).feature_dim == 7
