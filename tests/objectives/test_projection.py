"""Mirrors cifar_lessons/objectives/projection.py."""

import pytest
import torch
from torch import nn

from cifar_lessons.config import SimClr, VicReg
from cifar_lessons.objectives.projection import Projected, build_head


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.feature_dim = 6
        self.body, self.head = nn.Linear(3, 6), nn.Linear(6, 10)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


@pytest.mark.parametrize(
    ("config", "widths"),
    [
        (SimClr(hidden=8, out=4), [(6, 8), (8, 4)]),
        (VicReg(hidden=8, out=5), [(6, 8), (8, 8), (8, 5)]),
    ],
)
def test_heads_have_the_depth_of_their_source(config, widths):
    linear = [m for m in build_head(6, config) if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == widths


def test_it_projects_features_and_leaves_the_classifying_head_alone():
    torch.manual_seed(0)
    model = Projected(Tiny(), SimClr(hidden=8, out=4)).eval()
    x = torch.randn(5, 3)
    torch.testing.assert_close(model(x), model.projector(model.encoder.body(x)))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"encoder", "projector"}
    assert not any(".head." in name for name in trained)
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
