"""Mirrors cifar_lessons/models/enas.py: one network alone is the same inside all of them."""

import numpy as np
import pytest
import torch

from cifar_lessons.enas.space import Architecture, parse, uniform
from cifar_lessons.errors import UserError
from cifar_lessons.models import build_model
from cifar_lessons.models.enas import EnasNetwork, Halve, SharedNetwork
from cifar_lessons.models.mobilenet import Fp32Conv2d


@pytest.fixture(scope="module")
def shared() -> SharedNetwork:
    torch.manual_seed(0)
    return SharedNetwork(layers=6, width=4, num_classes=10, dropout=0.1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("seed", range(4))
def test_a_network_alone_with_the_shared_weights_is_the_chosen_one(shared, images, seed):
    architecture = uniform(np.random.default_rng(seed))
    alone = EnasNetwork(architecture, width=4, num_classes=10, dropout=0.1)
    weights = {k: v for k, v in shared.state_dict().items() if k in alone.state_dict()}
    missing, unexpected = alone.load_state_dict(weights, strict=False)
    assert all("running" in name or "tracked" in name for name in missing)
    assert not unexpected
    shared.choose(architecture)
    shared.train()
    alone.train()
    for model in (shared, alone):  # the one random part
        model.head[0].eval()
    torch.testing.assert_close(alone(images), shared(images), rtol=0, atol=0)


def test_only_the_chosen_weights_get_a_gradient(shared, images):
    architecture = parse("c3/s5+0/mp/c5+0+2/s3/ap")
    shared.choose(architecture)
    shared.zero_grad(set_to_none=True)
    shared(images).sum().backward()
    moved = {name for name, p in shared.named_parameters() if p.grad is not None}
    names = {id(p): name for name, p in shared.named_parameters()}
    assert moved == {names[id(p)] for p in shared.used()}
    assert any(n.startswith("operations.2_s5.") for n in moved)
    assert not any(n.startswith("operations.2_c3.") for n in moved)
    assert not any(n.startswith("halves.2_1.") for n in moved)  # layer 1 is not used after 2


def test_two_networks_share_the_weights_of_the_same_operation(shared):
    first, second = parse("c3/c3/c3/c3/c3/c3"), parse("c3/s3/c3/c3/c3/c3")

    def of_layer_one(architecture: Architecture) -> set[int]:
        shared.choose(architecture)
        used = {id(p) for p in shared.used()}
        return {id(p) for p in shared.operations["1_c3"].parameters()} & used

    assert of_layer_one(first) == of_layer_one(second) != set()


def test_shared_weights_keep_no_running_statistics(shared):
    assert not list(shared.buffers())


def test_halving_looks_at_half_of_the_pixels_as_the_source_does(images):
    half = Halve(3, running=False).eval()
    x = images.requires_grad_()
    out = half(x)
    assert out.shape == (4, 6, 16, 16)
    out.square().sum().backward()
    seen = x.grad.abs().sum(dim=1) > 0  # a chessboard
    assert seen[:, ::2, ::2].all()
    assert seen[:, 1::2, 1::2].all()
    assert seen.float().mean() == 0.5
    assert half(images[..., :15, :15]).shape == (4, 6, 8, 8)


def test_a_skip_changes_the_output_and_so_does_the_operation(images):
    outs = []
    for text in ("c3/c3/c3", "c3/c3/c3+1", "c3/c3/s3"):
        torch.manual_seed(0)
        outs.append(build_model("enas", architecture=text, width=4).eval()(images))
    assert not torch.allclose(outs[0], outs[1])
    assert not torch.allclose(outs[0], outs[2])


def test_maps_have_16_8_and_4_pixels_and_channels_double(images):
    model = build_model("enas", architecture="c3/c3/c3/c3/c3/c3", width=4)
    shapes: dict[str, torch.Size] = {}
    for name, module in model.operations.items():
        module.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: out.shape}))
    model(images)
    assert [tuple(s[1:]) for s in shapes.values()] == [
        *[(4, 16, 16)] * 2, *[(8, 8, 8)] * 2, *[(16, 4, 4)] * 2,
    ]  # fmt: skip


def test_the_slow_depthwise_convolution_computes_in_float32():
    model = build_model("enas", architecture="s5/s3/s5", width=4)
    kinds = {m.kernel_size: type(m) for m in model.modules() if getattr(m, "groups", 1) > 1}
    assert kinds == {(5, 5): Fp32Conv2d, (3, 3): torch.nn.Conv2d}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "c3/c9/c3"}, "model 'enas': layer 2 of .* unknown operation 'c9'"),
        ({"architecture": "search:enas_search"}, "`cifar-lessons search enas_search` first"),
        ({"width": 0}, "width must be >= 1, got 0; 24"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0; try 0.1"),
    ],
)
def test_errors_name_the_value_and_the_mend(options, message):
    with pytest.raises(UserError, match=message):
        build_model("enas", **options)


def test_shared_weights_take_no_network_of_another_depth(shared):
    with pytest.raises(ValueError, match="has 3 layers, this network 6"):
        shared.choose(parse("c3/c3/c3"))
