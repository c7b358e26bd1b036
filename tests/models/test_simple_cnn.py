"""Mirrors cifar_lessons/models/simple_cnn.py."""

import pytest
import torch
from torch import nn

from cifar_lessons.models.simple_cnn import DeepCNN, deep_cnn, simple_cnn


class ArticlesCNN(nn.Module):
    """The article's class, letter for letter but for its name."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(64 * 8 * 8, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)
        )

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        x = self.classifier(x)
        return x


RENAMED = {"features.": "convs.", "classifier.0.": "hidden.0.", "classifier.3.": "head.1."}


def renamed(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for old, new in RENAMED.items():
        state_dict = {k.replace(old, new): v for k, v in state_dict.items()}
    return state_dict


def test_gives_what_the_articles_network_gives_with_its_weights():
    article, ours = ArticlesCNN(), simple_cnn()
    ours.load_state_dict(renamed(article.state_dict()), strict=True)
    images = torch.randn(4, 3, 32, 32)
    article.eval()
    ours.eval()
    assert torch.equal(ours(images), article(images))
    # In training, dropout draws the same units from the same random state.
    article.train()
    ours.train()
    torch.manual_seed(1)
    expected = article(images)
    torch.manual_seed(1)
    assert torch.equal(ours(images), expected)


def test_starts_from_the_articles_weights_at_the_same_seed():
    torch.manual_seed(3)
    article = renamed(ArticlesCNN().state_dict())
    torch.manual_seed(3)
    ours = simple_cnn().state_dict()
    assert list(ours) == list(article)
    assert all(torch.equal(ours[name], article[name]) for name in ours)


@pytest.mark.parametrize(("pools", "side"), [(2, 8), (3, 4), (4, 2)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_deep_cnn_has_four_convolutions_and_halves_as_often_as_told(pools, side, batch_norm):
    model = deep_cnn(widths=(4, 5, 6, 7), pools=pools, batch_norm=batch_norm, hidden=9)
    kinds = [type(m) for m in model.modules()]
    assert kinds.count(nn.Conv2d) == 4
    assert kinds.count(nn.BatchNorm2d) == (4 if batch_norm else 0)
    assert model.convs(torch.zeros(1, 3, 32, 32)).shape == (1, 7, side, side)
    assert all((m.bias is None) == batch_norm for m in model.modules() if type(m) is nn.Conv2d)


@pytest.mark.parametrize(("pools", "millions"), [(2, 122.5), (3, 31.3), (4, 15.6)])
def test_multiplications_of_one_image(pools, millions):
    """Where the pools stand decides the cost; the parameters don't depend on it."""
    model = deep_cnn(pools=pools)
    assert multiplications(model) / 1e6 == pytest.approx(millions, abs=0.1)


def multiplications(model: DeepCNN) -> int:
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        # Each weight is used once a position of the output.
        total += layer.weight.numel() * output[0, 0].numel()

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 3, 32, 32))
    return total


def test_dropout_acts_in_training_alone():
    model = deep_cnn(widths=(4, 4, 4, 4), dropout=0.5)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
