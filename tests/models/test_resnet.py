"""Mirrors cifar_lessons/models/resnet.py."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lessons.models import build_model
from cifar_lessons.models.resnet import (
    BasicBlock,
    Bottleneck,
    PickedConv,
    _shortcut,
    resnet18,
    resnet34,
    resnet50,
    to_common_names,
)


class ArticlesBlock(nn.Module):
    """The article's BasicBlock, letter for letter but for its name."""

    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(
            out_channels, out_channels * self.expansion, kernel_size=3, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm2d(out_channels * self.expansion)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels * self.expansion:
            self.shortcut = nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    out_channels * self.expansion,
                    kernel_size=1,
                    stride=stride,
                    bias=False,
                ),
                nn.BatchNorm2d(out_channels * self.expansion),
            )

    def forward(self, x):
        residual = x
        out = nn.functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(residual)
        return nn.functional.relu(out)


class CommonResNet18(nn.Module):
    """The layout of most CIFAR ports: conv1, bn1, layer1…4, linear; mean by a 4x4 pool."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(ArticlesBlock(64, 64), ArticlesBlock(64, 64))
        self.layer2 = nn.Sequential(ArticlesBlock(64, 128, 2), ArticlesBlock(128, 128))
        self.layer3 = nn.Sequential(ArticlesBlock(128, 256, 2), ArticlesBlock(256, 256))
        self.layer4 = nn.Sequential(ArticlesBlock(256, 512, 2), ArticlesBlock(512, 512))
        self.linear = nn.Linear(512, num_classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(F.avg_pool2d(x, 4).view(x.size(0), -1))


def test_weights_load_into_the_common_layout_and_both_agree():
    torch.manual_seed(0)
    ours, common = resnet18(), CommonResNet18()
    images = torch.randn(4, 3, 32, 32)
    common.load_state_dict(to_common_names(ours.state_dict()), strict=True)

    expected = common(images)  # in training, by the statistics of the batch
    torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)

    # The forward pass has moved the running statistics, alike in both.
    for name, value in to_common_names(ours.state_dict()).items():
        torch.testing.assert_close(common.state_dict()[name], value, rtol=1e-4, atol=1e-5)

    ours.eval()
    common.eval()
    expected = common(images)
    torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)


def test_only_the_head_is_renamed():
    ours = resnet18(width=2).state_dict()
    theirs = to_common_names(ours)
    assert list(theirs)[-2:] == ["linear.weight", "linear.bias"]
    assert list(theirs)[:-2] == list(ours)[:-2]
    assert theirs["linear.weight"] is ours["head.weight"]


@pytest.mark.parametrize(
    ("builder", "block", "depths", "layers"),
    [
        (resnet18, BasicBlock, [2, 2, 2, 2], 18),
        (resnet34, BasicBlock, [3, 4, 6, 3], 34),
        (resnet50, Bottleneck, [3, 4, 6, 3], 50),
    ],
)
def test_blocks_and_depth(builder, block, depths, layers):
    model = builder(width=2)
    stages = [model.layer1, model.layer2, model.layer3, model.layer4]
    assert [len(stage) for stage in stages] == depths
    assert all(type(b) is block for stage in stages for b in stage)
    # The number in the name counts convolutions on the main path, and the linear layer.
    convs = [n for n, m in model.named_modules() if type(m) is nn.Conv2d and "shortcut" not in n]
    assert len(convs) + 1 == layers
    assert model.feature_dim == 8 * 2 * block.expansion


def test_the_image_is_halved_three_times():
    model, sizes = resnet18(width=2), []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        stage.register_forward_hook(lambda *args: sizes.append(tuple(args[2].shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert sizes == [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_without_skips_nothing_goes_around_a_block(name):
    """A block whose last batch norm gives 0 passes its input on by the skip, and only by it."""

    def silenced(skip: bool) -> torch.Tensor:
        model = build_model(name, width=4, skip=skip)
        assert any("shortcut" in n for n, _ in model.named_parameters()) == skip
        block = model.layer1[1]
        last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
        nn.init.zeros_(last.weight)
        x = torch.rand(2, 4 * block.expansion, 8, 8)
        return block(x) - (x if skip else 0)

    assert silenced(skip=True).abs().max() == 0
    assert silenced(skip=False).abs().max() == 0


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_without_norm_convolutions_have_biases(name):
    for norm in (True, False):
        model = build_model(name, width=2, norm=norm)
        convs = [m for m in model.modules() if type(m) is nn.Conv2d]
        assert all((conv.bias is None) == norm for conv in convs)
        assert any(type(m) is nn.BatchNorm2d for m in model.modules()) == norm


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_ablations_train_a_step(skip, norm):
    torch.manual_seed(0)
    model = resnet18(width=4, skip=skip, norm=norm)
    F.cross_entropy(model(torch.randn(8, 3, 32, 32)), torch.arange(8)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("inputs", [2, 4, 8, 16])
@pytest.mark.parametrize("side", [8, 32])
def test_a_projection_of_few_channels_has_the_right_gradient(inputs, side):
    """PyTorch's own overruns its memory on some CPUs: gradients are wrong, or Python crashes."""
    torch.manual_seed(0)
    shortcut = _shortcut(inputs, 2 * inputs, stride=2, skip=True, norm=True)[0]
    assert isinstance(shortcut, PickedConv) is (inputs < 16)
    x = torch.randn(4, inputs, side, side)
    for layout in (torch.contiguous_format, torch.channels_last):
        network, images = shortcut.to(memory_format=layout), x.to(memory_format=layout)
        network.zero_grad()
        out = network(images)
        out.sum().backward()
        exact = x.double()[:, :, ::2, ::2]
        sums = exact.sum((0, 2, 3)).expand(2 * inputs, inputs)
        torch.testing.assert_close(
            network.weight.grad[:, :, 0, 0].double(), sums, rtol=1e-4, atol=1e-3
        )
        wanted = torch.einsum("oi,bihw->bohw", network.weight[:, :, 0, 0].double(), exact)
        torch.testing.assert_close(out.double(), wanted, rtol=1e-4, atol=1e-3)
