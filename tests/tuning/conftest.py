"""What the tests of a search share: a place where training is a formula, and a made-up search."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cifar_lessons.tuning.space import ADVICE, SPACE
from cifar_lessons.tuning.trials import Repeats, Trial, Tuning

Rows = Callable[[Mapping[str, float]], None]


def end(rate: float, decay: float, batch: float) -> float:
    """Accuracy after the last epoch: best near a rate of 0.2, a decay of 5e-4, a batch of 128."""
    away = math.log10(rate / 0.2) ** 2 + 0.1 * math.log10(decay / 5e-4) ** 2
    return 0.8 - 0.1 * away - 0.01 * math.log2(batch / 128) ** 2


@dataclasses.dataclass
class FakeTrain:
    """Stands for `experiment.train`: a curve by formula, and a note of every call."""

    calls: list[tuple[Any, int]] = dataclasses.field(default_factory=list)
    test_images: int = 0  # that any call was given
    diverges_above: float = math.inf  # rate
    stops_at: int | None = None  # call, from 0, that a person stops in the middle
    before_epoch: Callable[[], None] = lambda: None

    def __call__(self, recipe, data, *, seed, on_epoch, deadline, runtime, progress):
        call = len(self.calls)
        self.calls.append((recipe, seed))
        self.test_images += len(data.test)
        last = end(recipe.optim.peak_lr, recipe.optim.weight_decay, recipe.batch_size)
        for epoch in range(1, recipe.epochs + 1):
            self.before_epoch()
            if recipe.optim.peak_lr > self.diverges_above:
                raise FloatingPointError("the loss became nan")
            if call == self.stops_at:
                return dataclasses.make_dataclass("Result", ["stopped_by"])("signal")
            on_epoch({"epoch": epoch, "val_accuracy": last * epoch / recipe.epochs})
        return dataclasses.make_dataclass("Result", ["stopped_by"])("")


@pytest.fixture
def fake(monkeypatch) -> FakeTrain:
    from cifar_lessons.tuning import worker

    train = FakeTrain()
    monkeypatch.setattr(worker, "train", train)
    return train


@pytest.fixture(scope="session")
def workplace() -> Callable[..., Any]:
    """Return `(storage=":memory:", **more) -> Workplace` of a tiny network on the twin."""
    import torch

    from cifar_lessons import recipes
    from cifar_lessons.config import ModelConfig
    from cifar_lessons.data.cifar import synthetic
    from cifar_lessons.runtime import Runtime
    from cifar_lessons.tuning.worker import Workplace

    data = synthetic(num_train=60, num_test=20, val_size=20)
    tiny = {"widths": [2, 2, 2, 2], "pools": 4, "batch_norm": True, "hidden": 2, "dropout": 0.0}
    recipe = dataclasses.replace(
        recipes.get("tuning_base"), model=ModelConfig(name="deep_cnn", options=tiny), epochs=4
    )

    def make(storage: str = ":memory:", **more: Any) -> Workplace:
        return Workplace(
            **{
                "recipe": recipe,
                "data": data,
                "runtime": Runtime(device=torch.device("cpu"), precision="fp32"),
                "storage": storage,
                "progress": False,
                "beat": 0.1,
                "grace": 0.5,
                "poll": 0.05,
                **more,
            }
        )

    return make


@pytest.fixture(scope="session")
def tuning() -> Tuning:
    """A made-up search of 24 trials: some stopped early, one diverged, one failed."""
    trials = []
    for n in range(24):
        at = [((n + 1) * step) % 1 for step in (0.7549, 0.5698, 0.3247)]
        settings = {r.field: r.rounded(r.value(p)) for r, p in zip(SPACE, at, strict=True)}
        batch, rate, decay = settings.values()
        curve = [end(rate, decay, batch) * (1 - 0.5**e) for e in range(1, 9)]
        state, stop = "complete", 8
        if n % 3 == 2:
            state, stop = "pruned", 4
        if n == 20:
            state, stop = "diverged", 2
        if n == 21:
            state, stop = "failed", 3
        trials.append(
            Trial(
                number=n, state=state, settings=settings, values=tuple(curve[:stop]),
                seconds=10.0, seed=1000 + n,
            )
        )  # fmt: skip
    done = [t for t in trials if t.state == "complete"]
    leader = max(done, key=lambda t: t.accuracy)
    top = leader.accuracy
    jitter = (-0.004, -0.002, 0.0, 0.002, 0.004)
    repeats = [Repeats("best", leader.settings, {k: top - 0.004 + j for k, j in enumerate(jitter)})]
    repeats += [
        Repeats(label, settings, {k: top - 0.01 - 0.02 * i + j for k, j in enumerate(jitter)})
        for i, (label, settings) in enumerate(ADVICE.items())
    ]
    provenance = {
        "device": "Made-up CPU", "threads": 1, "precision": "bf16", "processes": 2,
        "packages": {"torch": "9.8.7", "optuna": "6.5.4"}, "git_commits": ["abcdef0123456789"],
        "train_seconds": 600.0,
    }  # fmt: skip
    return Tuning(
        recipe={"name": "tuning_base", "epochs": 8},
        space=SPACE,
        trials=tuple(trials),
        repeats=tuple(repeats),
        importance={"fanova": {r.field: s for r, s in zip(SPACE, (0.1, 0.7, 0.2), strict=True)}},
        provenance=provenance,
    )
