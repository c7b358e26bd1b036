"""Mirrors cifar_lessons/evaluation/explain.py. captum is the oracle for both maps."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.evaluation.explain import (
    cascade,
    grad_cam,
    occlusion,
    randomisation_check,
    rank_correlation,
)
from cifar_lessons.models import Classifier, build_model

NETWORKS = {
    "simple_cnn": {},
    "deep_cnn": {"widths": [8, 8, 16, 16], "batch_norm": True},
    "resnet18": {"width": 8},
    "speednet": {"widths": [24, 32, 32]},
}


@pytest.fixture(params=list(NETWORKS))
def model(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    return build_model(request.param, **NETWORKS[request.param]).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


CLASSES = torch.tensor([3, 0, 9, 9, 5])


class OneMap(Classifier):
    """Its single map is the red channel, and its logits are given multiples of the map's mean."""

    last_stage = "maps"

    def __init__(self, factors: list[float]) -> None:
        super().__init__(feature_dim=1, num_classes=len(factors))
        self.maps = nn.Conv2d(3, 1, 1, bias=False)
        self.head = nn.Linear(1, len(factors), bias=False)
        with torch.no_grad():
            self.maps.weight.copy_(torch.tensor([1.0, 0, 0])[None, :, None, None])
            self.head.weight.copy_(torch.tensor(factors)[:, None])

    def features(self, x: Tensor) -> Tensor:
        return self.maps(x).mean((2, 3))


# --- Grad-CAM ---------------------------------------------------------------------------------


def test_grad_cam_by_hand(images):
    """Score = factor * mean(red), so each slope is factor / 1024 and the map is red times that."""
    model = OneMap([2.0, -2.0])
    for target, factor in ((0, 2.0), (1, -2.0)):
        found = grad_cam(model, images, torch.full((5,), target))
        expected = (factor / 1024 * images[:, 0]).clamp(min=0)
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-5)


def test_grad_cam_agrees_with_captum(model, images):
    captum = pytest.importorskip("captum.attr")
    oracle = captum.LayerGradCam(model, model.last_conv)
    coarse = oracle.attribute(images, target=CLASSES, relu_attributions=True)
    expected = captum.LayerAttribution.interpolate(coarse, (32, 32), "bilinear")[:, 0]
    found = grad_cam(model, images, CLASSES)
    assert found.shape == (5, 32, 32)
    assert found.abs().max() > 0
    torch.testing.assert_close(found, expected.detach(), atol=1e-7, rtol=1e-4)


def test_grad_cam_of_an_earlier_stage_agrees_with_captum(images):
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    model = build_model("resnet18", width=8).eval()
    coarse = captum.LayerGradCam(model, model.layer3).attribute(
        images, target=CLASSES, relu_attributions=True
    )
    expected = captum.LayerAttribution.interpolate(coarse, (32, 32), "bilinear")[:, 0]
    found = grad_cam(model, images, CLASSES, layer=model.layer3)
    torch.testing.assert_close(found, expected.detach(), atol=1e-7, rtol=1e-4)


def test_grad_cam_is_of_each_image_alone_and_of_the_class_asked_for(model, images):
    together = grad_cam(model, images, CLASSES)
    alone = grad_cam(model, images[2:3], CLASSES[2:3])
    torch.testing.assert_close(together[2:3], alone, atol=1e-6, rtol=1e-4)
    others = grad_cam(model, images, (CLASSES + 1) % 10)
    assert not torch.allclose(together, others)


def test_grad_cam_leaves_no_hook_no_gradient_and_no_graph(model, images):
    found = grad_cam(model, images, CLASSES)
    assert not found.requires_grad
    assert not model.last_conv._forward_hooks
    assert all(p.grad is None for p in model.parameters())


def test_grad_cam_works_where_gradients_are_off(model, images):
    expected = grad_cam(model, images, CLASSES)
    frozen = copy.deepcopy(model).requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(grad_cam(frozen, images, CLASSES), expected)


def test_a_layer_without_maps_is_refused_and_leaves_no_hook(images):
    model = build_model("simple_cnn")
    with pytest.raises(ValueError, match=r"maps \(B, C, h, w\), got \(5, 512\); try model.last"):
        grad_cam(model, images, CLASSES, layer=model.hidden)
    assert not model.hidden._forward_hooks


# --- Occlusion --------------------------------------------------------------------------------


def test_occlusion_by_hand(images):
    """Covering 64 pixels of 1,024 takes their share of the mean away."""
    found = occlusion(OneMap([1.0, 0.0]), images, torch.zeros(5, dtype=torch.int64), stride=8)
    blocks = images[:, 0].unfold(1, 8, 8).unfold(2, 8, 8).sum((3, 4)) / 1024  # (5, 4, 4)
    expected = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_occlusion_agrees_with_captum(model, images):
    captum = pytest.importorskip("captum.attr")
    expected = captum.Occlusion(model).attribute(
        images,
        target=CLASSES,
        sliding_window_shapes=(3, 8, 8),
        strides=(3, 4, 4),
        baselines=0.0,
    )[:, 0]
    found = occlusion(model, images, CLASSES)
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=1e-3)


def test_occlusion_reaches_the_last_pixel_at_any_stride(images):
    found = occlusion(OneMap([1.0, 0.0]), images, torch.zeros(5, dtype=torch.int64), stride=5)
    assert found.isfinite().all()
    assert found[..., -1, -1].abs().min() > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side": 33}, r"side must lie in \[1, 32\], got 33; try 8"),
        ({"stride": 9}, r"stride must lie in \[1, 8\], got 9"),
        ({"target": torch.tensor([1])}, r"one class an image, \(5,\), got \(1,\)"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(images, change, words):
    arguments = {"model": OneMap([1.0, 0.0]), "images": images, "target": CLASSES, **change}
    with pytest.raises(ValueError, match=words):
        occlusion(**arguments)


# --- The randomisation check ------------------------------------------------------------------


def test_the_cascade_forgets_one_part_after_the_other_from_the_logits_down():
    torch.manual_seed(0)
    model = build_model("resnet18", width=8)
    before = copy.deepcopy(model.state_dict())
    names, changed = [], []
    for name, forgetting in cascade(model, seed=0):
        names.append(name)
        now = forgetting.state_dict()
        changed.append({k.split(".")[0] for k in now if not torch.equal(now[k], before[k])})
    # bn1 starts as it would begin again: in a fresh network nothing of it changes.
    assert names == ["head", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    assert changed[0] == {"head"}
    assert changed[2] == {"head", "layer4", "layer3"}
    assert changed[-1] == {"head", "layer4", "layer3", "layer2", "layer1", "conv1"}
    after = model.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in before)


def test_the_cascade_depends_on_its_seed_alone():
    model = build_model("resnet18", width=8)
    state = torch.get_rng_state()

    def last(seed: int) -> Tensor:
        *_, (_, forgetting) = cascade(model, seed=seed)
        return forgetting.conv1.weight.detach().clone()

    assert torch.equal(last(0), last(0))
    assert not torch.equal(last(0), last(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = torch.Generator().manual_seed(0)
    a = torch.randn(4, 6, 6, generator=rng)
    b = (a + torch.randn(4, 6, 6, generator=rng)).relu()  # with ties at 0
    expected = [spearmanr(x.flatten(), y.flatten()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected)
    np.testing.assert_allclose(rank_correlation(a, a.exp()), 1.0)
    np.testing.assert_allclose(rank_correlation(a, -a), -1.0)


def test_a_map_that_is_flat_correlates_with_nothing():
    a = torch.arange(9.0).reshape(1, 3, 3)
    assert rank_correlation(a, torch.ones(1, 3, 3)).tolist() == [0.0]


def test_the_check_tells_a_map_of_the_network_from_a_drawing_of_the_image(images):
    torch.manual_seed(0)
    model = build_model("simple_cnn").eval()

    def drawing(model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        return images.abs().sum(1)

    pretty = randomisation_check(model, images, CLASSES, drawing)
    honest = randomisation_check(model, images, CLASSES, grad_cam)
    assert list(pretty) == list(honest) == ["head", "hidden", "convs"]
    assert all((values == 1.0).all() for values in pretty.values())
    assert abs(honest["convs"].mean()) < 0.5


@pytest.mark.parametrize("frozen", [False, True])
def test_grad_cam_of_a_layer_before_an_activation_in_place(images, frozen):
    """The activation must not write over the maps that were kept."""

    def network(in_place):
        torch.manual_seed(0)
        made = build_model("simple_cnn").eval()
        for module in made.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = in_place
        return made.requires_grad_(not frozen)

    target = torch.zeros(len(images), dtype=torch.int64)
    maps = []
    for in_place in (True, False):
        made = network(in_place)
        last = [m for m in made.modules() if isinstance(m, nn.Conv2d)][-1]
        maps.append(grad_cam(made, images, target, layer=last))
    torch.testing.assert_close(maps[0], maps[1])
