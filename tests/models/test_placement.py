"""Everything of a step lies on the device that was asked for, shown on CUDA without a GPU.

Fake tensors have a device, a shape and a type but no memory, so a forward pass and a loss "on
cuda" run anywhere. A network that makes a tensor on the CPU inside `forward` fails here.
"""

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cifar_lessons.data.loader import Batch
from cifar_lessons.models import MODELS, build_model
from cifar_lessons.objectives.supervised import SupervisedObjective


class Devices(TorchDispatchMode):
    """Notes the device of every tensor that an operation takes or gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        self.seen |= {t.device.type for t in tensors}
        return out


def fake_batch(device: str) -> Batch:
    labels = torch.zeros(8, dtype=torch.int64, device=device)
    return Batch(torch.empty(8, 3, 32, 32, device=device), labels, labels)


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("training", [True, False])
def test_forward_and_loss_stay_on_cuda(name, training):
    with FakeTensorMode():
        with torch.device("cuda"):
            model = build_model(name).train(training)
        batch = fake_batch("cuda")
        with Devices() as devices:
            logits = model(batch.images)
            output = SupervisedObjective(label_smoothing=0.1)(model, batch)
    assert logits.device.type == "cuda"
    assert logits.shape == (8, 10)
    assert output.loss.device.type == "cuda"
    assert {m.device.type for m in output.metrics.values()} == {"cuda"}
    assert devices.operations > 10
    assert devices.seen == {"cuda"}
    left = [n for n, t in model.state_dict().items() if t.device.type != "cuda"]
    assert left == []


def test_the_check_sees_a_tensor_on_the_wrong_device():
    """Guards the test above: a CPU scalar mixes silently with CUDA tensors."""

    class Stray(torch.nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.flatten(1)) * torch.tensor(2.0)

    with FakeTensorMode():
        model = Stray(3072, 10, device="cuda")
        with Devices() as devices:
            model(fake_batch("cuda").images)
    assert devices.seen == {"cpu", "cuda"}
