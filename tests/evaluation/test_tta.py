"""Mirrors cifar_lessons/evaluation/tta.py."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import DataConfig, ViewsConfig
from cifar_lessons.data.cifar import Split, synthetic
from cifar_lessons.data.loader import normalise
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.merging import merge
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.tta import least_sure, logits_of_views, predict_set, predict_views
from cifar_lessons.evaluation.view_sets import VIEW_SETS, ViewSet, distinct_views
from cifar_lessons.evaluation.views import VIEWS
from cifar_lessons.models import build_model
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
DATA = DataConfig()


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic(num_train=40, num_test=33, val_size=10).test


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


def by_hand(model: nn.Module, split: Split) -> np.ndarray:
    """The six views of the source, written out."""
    x = normalise(split.images, DATA)
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
    corners = [padded[:, :, :32, :32], padded[:, :, 2:, 2:]]

    def mirrored(x: Tensor) -> Tensor:
        return (model(x) + model(x.flip(3))) / 2

    with torch.no_grad():
        moved = sum(mirrored(c) for c in corners) / 2
        return ((mirrored(x) + moved) / 2).numpy()


@pytest.mark.parametrize("batch_size", [7, 500])
def test_six_views_by_hand(model, split, batch_size):
    plain = predict(model, split, DATA, runtime=FP32)
    views = ViewsConfig(name="flip_shift")
    found = predict_views(
        plain, model, split, DATA, views=views, runtime=FP32, batch_size=batch_size
    )
    np.testing.assert_allclose(found.logits, by_hand(model, split), atol=1e-5)
    np.testing.assert_array_equal(found.labels, plain.labels)


def test_only_the_hardest_images_are_looked_at_again(model, split):
    plain = predict(model, split, DATA, runtime=FP32)
    hard = least_sure(plain.logits, 0.25)
    views = ViewsConfig(name="flip_shift", hardest=0.25)
    found = predict_views(plain, model, split, DATA, views=views, runtime=FP32)
    easy = np.setdiff1d(np.arange(33), hard)
    assert len(hard) == 8
    np.testing.assert_array_equal(found.logits[easy], plain.logits[easy])
    np.testing.assert_allclose(found.logits[hard], by_hand(model, split)[hard], atol=1e-5)


def test_least_sure_is_the_smallest_gap_between_the_first_two():
    logits = np.array([[9.0, 0, 0], [1.0, 0.9, -5], [3.0, 0, 1], [0.0, 0.5, 2]])
    assert least_sure(logits, 0.5).tolist() == [1, 3]
    assert least_sure(logits, 1.0).tolist() == [0, 1, 2, 3]
    assert least_sure(logits, 0.01).tolist() == [1]


def test_labels_play_no_part(model, split):
    """Else the score would be chosen on test."""
    turned = Split(split.images, split.labels.flip(0), split.index)
    views = ViewsConfig(hardest=0.3)
    found = [
        predict_views(
            predict(model, s, DATA, runtime=FP32), model, s, DATA, views=views, runtime=FP32
        ).logits
        for s in (split, turned)
    ]
    np.testing.assert_array_equal(*found)


def test_the_mean_of_a_recipe_keeps_its_bits(model, split):
    """Recorded runs were scored so: float32, one view after the other, a batch at a time."""
    plain = predict(model, split, DATA, runtime=FP32)
    views = ViewsConfig(name="flip_shift")
    found = predict_views(plain, model, split, DATA, views=views, runtime=FP32, batch_size=33)
    x = normalise(split.images.contiguous(memory_format=torch.channels_last), DATA)
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
    up, down = padded[:, :, 2:34, 2:34], padded[:, :, 0:32, 0:32]
    total = 0.25 * plain.logits
    with torch.inference_mode():
        for weight, seen in (
            *((0.25, x.flip(3)), (0.125, up), (0.125, up.flip(3))),
            *((0.125, down), (0.125, down.flip(3))),
        ):
            seen = seen.contiguous(memory_format=torch.channels_last)
            total += weight * model(seen).numpy()
    np.testing.assert_array_equal(found.logits, total)


# --- Any set, any mean --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_model("resnet18", width=2)


def slowly(network: nn.Module, split: Split, view: str) -> np.ndarray:
    """One image at a time, as a whole."""
    network.eval()
    with torch.no_grad():
        rows = [network(VIEWS[view](normalise(i[None], DATA)))[0] for i in split.images]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("batch_size", [7, 33])
def test_each_view_goes_through_once_in_the_order_of_the_split(network, split, batch_size):
    views = ("plain", "rotate_10", "flip")
    found = logits_of_views(
        network.train(), split, DATA, views=views, runtime=FP32, batch_size=batch_size
    )
    assert tuple(found) == views
    assert not network.training
    for view, logits in found.items():
        np.testing.assert_allclose(logits, slowly(network, split, view), atol=1e-5)


@pytest.mark.parametrize("name", VIEW_SETS)
def test_a_set_is_the_mean_of_its_views(network, split, name):
    weights, few = VIEW_SETS[name].weights, split[slice(0, 6)]
    expected = sum(w * slowly(network, few, view) for view, w in weights.items())
    found = predict_set(network, few, DATA, views=name, runtime=FP32)
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    np.testing.assert_array_equal(found.labels, few.labels.numpy())


def test_another_mean_and_a_set_of_ones_own(network, split):
    own = ViewSet("own", "", {"plain": 0.7, "turn_180": 0.3})
    found = predict_set(network, split, DATA, views=own, merged="probabilities", runtime=FP32)
    seen = logits_of_views(network, split, DATA, views=list(own.weights), runtime=FP32)
    np.testing.assert_array_equal(found.logits, merge(seen, own.weights, "probabilities"))
    with pytest.raises(UserError, match="no view set 'flp': did you mean 'flip'"):
        predict_set(network, split, DATA, views="flp", runtime=FP32)


def test_the_plain_set_is_what_predict_says(network, split):
    plain = predict(network, split, DATA, runtime=FP32)
    found = predict_set(network, split, DATA, views="none", runtime=FP32)
    np.testing.assert_allclose(found.logits, plain.logits, atol=1e-6)


def test_in_bf16_the_head_is_exact(network, split):
    """bf16 logits have 8 significant bits, and ties among them."""
    bf16 = Runtime(device=torch.device("cpu"), precision="bf16")
    found = logits_of_views(network, split, DATA, views=("plain",), runtime=bf16)["plain"]
    rounded = torch.from_numpy(found).bfloat16().float().numpy()
    assert found.dtype == np.float32
    assert (found != rounded).mean() > 0.9
    np.testing.assert_allclose(found, slowly(network, split, "plain"), atol=0.05)


def test_all_sets_need_each_view_once(network, split):
    seen = logits_of_views(network, split[slice(0, 5)], DATA, views=distinct_views(), runtime=FP32)
    for views in VIEW_SETS.values():
        alone = predict_set(network, split[slice(0, 5)], DATA, views=views, runtime=FP32)
        np.testing.assert_allclose(merge(seen, views.weights), alone.logits, atol=1e-5)


def test_a_network_in_one_piece_is_refused_with_what_it_lacks(split):
    whole = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    with pytest.raises(TypeError, match=r"must have `features` and `head`.* a Sequential lacks"):
        predict_set(whole, split, DATA, views="flip", runtime=FP32)
