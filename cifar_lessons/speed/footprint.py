"""How much memory a training step needs: bytes kept for the backward pass, and the peak.

Between forward and backward, autograd keeps what the backward pass will need: mostly the inputs
of the layers. That is counted exactly, by a hook. The peak is what the operating system (or the
CUDA allocator) saw, in a process of its own, since a process seldom gives memory back.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from cifar_lessons.building import new_model
from cifar_lessons.config import ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Precision, Runtime, detect, layout
from cifar_lessons.training.optim import build_optimizer
from cifar_lessons.training.step import train_step

RATE = 0.001  # so small that no network diverges; it moves no time
SMALL = ModelConfig(name="resnet18", options={"width": 4})
STEPS = 2  # the first makes the optimizer's buffers, so the second has them from its start


def made_up_batch(size: int, device: torch.device | str = "cpu") -> Batch:
    """Return noise that looks like a normalised batch: neither time nor memory depend on pixels."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(size, 3, 32, 32, generator=rng).to(device)
    labels = torch.randint(0, 10, (size,), generator=rng).to(device)
    return Batch(images.contiguous(memory_format=layout(images.device)), labels, labels)


def training_step(
    model: ModelConfig, runtime: Runtime
) -> tuple[nn.Module, Callable[[Batch], None]]:
    """Return a network with fresh weights, and one optimizer step of it as a function.

    Args:
        model: Which network; SGD with Nesterov momentum trains it.
        runtime: Device and precision.
    """
    recipe = Recipe(name="bench_precision", model=model, optim=OptimConfig(peak_lr=RATE))
    network = new_model(recipe, seed=0, num_classes=10, runtime=runtime).train()
    objective, scaler = SupervisedObjective(), runtime.scaler()
    optimizer = build_optimizer(network, recipe.optim)

    def step(batch: Batch) -> None:
        train_step(network, batch, objective, optimizer, runtime=runtime, scaler=scaler)

    return network, step


def saved_for_backward(model: nn.Module, step: Callable[[], object]) -> dict[str, int]:
    """Return how many bytes autograd keeps between forward and backward.

    A tensor that several layers keep is counted once, by its storage.

    Args:
        model: Its parameters are there anyway and not counted.
        step: Does one training step with it.

    Returns:
        `saved`, bytes that grow with the batch; `weight_copies`, bytes of the weights that
        autocast has cast, which don't.
    """
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[str, dict[int, int]] = {"saved": {}, "weight_copies": {}}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kind = "weight_copies" if _is_cast_parameter(tensor) else "saved"
            sizes[kind][storage.data_ptr()] = storage.nbytes()
        return tensor  # alive until the backward pass, so no address is used twice

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return {kind: sum(found.values()) for kind, found in sizes.items()}


def _is_cast_parameter(tensor: Tensor) -> bool:
    """Return whether a tensor comes from one parameter alone, by casts and views."""
    node = tensor.grad_fn
    while node is not None and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    # What a layer computes has several inputs; a leaf's node has none and holds its variable.
    return hasattr(node, "variable")


def peak_memory(device: torch.device | str = "cpu") -> int:
    """Return the most bytes that this process has held, on the device or in main memory.

    On Linux it is VmHWM, which begins anew with each program. `ru_maxrss` does not: a process
    starts with the peak of the one that started it.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM") or _maxrss()


def memory_now(device: torch.device | str = "cpu") -> int:
    """Return the bytes that this process holds now; where that is unknown, its peak."""
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS") or _maxrss()


def _maxrss() -> int:
    import resource  # Windows has none

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else 1024 * found


def _status(name: str) -> int:
    """Return a line of /proc/self/status in bytes, 0 where there is none."""
    path = Path("/proc/self/status")
    if not path.exists():
        return 0
    found = [line.split()[1] for line in path.read_text().splitlines() if line.startswith(name)]
    return 1024 * int(found[0]) if found else 0


def measure(model: ModelConfig, batch_size: int, runtime: Runtime) -> dict[str, int]:
    """Return the memory of training steps in this process, which must be a fresh one.

    Returns:
        `saved` and `weight_copies`, see `saved_for_backward`; `before`, bytes held before the
        network is built, when a small one has loaded all code; `peak`, the most held until the
        last step was done.
    """
    # The first use of convolutions loads code, which is no part of what training needs.
    _, first_step = training_step(SMALL, runtime)
    first_step(made_up_batch(2, runtime.device))
    del first_step
    batch = made_up_batch(batch_size, runtime.device)
    before = memory_now(runtime.device)
    network, step = training_step(model, runtime)
    kept = {}
    for _ in range(STEPS):
        kept = saved_for_backward(network, lambda: step(batch))
    return {**kept, "before": before, "peak": peak_memory(runtime.device)}


def measure_apart(
    model: ModelConfig, batch_size: int, runtime: Runtime
) -> tuple[dict[str, int] | None, str]:
    """Return what `measure` gives in a new process, or None and why there is no answer.

    A network that does not fit into memory ends that process and not this one.
    """
    asked = {
        "name": model.name,
        "options": dict(model.options),
        "batch_size": batch_size,
        "device": str(runtime.device),
        "precision": runtime.precision,
        "threads": torch.get_num_threads(),
    }
    command = [sys.executable, "-m", "cifar_lessons.speed.footprint", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()
        why = last[-1] if last else f"the process ended with status {done.returncode}"
        return None, why
    found: dict[str, int] = json.loads(done.stdout)
    return found, ""


def main() -> None:
    """Measure what the first argument asks for, as `measure_apart` wrote it, and print it."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    # `detect` sets the CPU up; a precision that is slow here may be measured all the same.
    precision: Precision = asked["precision"]
    runtime = replace(detect(device=asked["device"]), precision=precision)
    model = ModelConfig(name=asked["name"], options=asked["options"])
    print(json.dumps(measure(model, asked["batch_size"], runtime)))


if __name__ == "__main__":
    main()
