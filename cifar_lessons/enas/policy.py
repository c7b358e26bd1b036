"""REINFORCE: make choices more likely that were rewarded better than usual.

Source: Williams (1992), Machine Learning 8, 229-256; as in github.com/melodyguan/enas,
`src/cifar10/general_controller.py` (`build_trainer`) and `src/utils.py` (`get_train_ops`): Adam
with beta1 = 0 and epsilon = 1e-3, a moving average of the rewards as baseline, and a bonus for
entropy inside the reward. One departure: the baseline begins at the first reward in place of 0,
since from 0 the first two hundred samples all look good, whatever they are.
"""

from collections.abc import Callable
from typing import Any

import torch

from cifar_lessons.config import ArchitectureSearch
from cifar_lessons.enas.controller import Controller
from cifar_lessons.enas.space import Architecture


class Reinforce:
    """Trains a controller by the rewards of what it draws."""

    def __init__(self, controller: Controller, config: ArchitectureSearch) -> None:
        """Begin without a baseline."""
        self.controller, self.config = controller, config
        self.optimizer = torch.optim.Adam(
            controller.parameters(), lr=config.controller_lr, betas=(0.0, 0.999), eps=1e-3
        )
        self.baseline: float | None = None

    def advantage(self, reward: float) -> float:
        """Move the baseline towards a reward; return by how much the reward lies above it."""
        decay = self.config.baseline_decay
        before = reward if self.baseline is None else self.baseline
        self.baseline = decay * before + (1 - decay) * reward
        return reward - self.baseline

    def update(
        self, reward: Callable[[Architecture], float], rng: torch.Generator
    ) -> dict[str, float]:
        """Draw architectures, ask for their rewards, and move the controller once.

        Args:
            reward: Accuracy of an architecture on some validation images, a fraction in [0, 1].
            rng: Of the draws.

        Returns:
            Mean reward (without the bonus), baseline, and `Sample.summary`.
        """
        config = self.config
        sample = self.controller.sample(config.rewards_per_update, rng)
        rewards = [reward(a) for a in sample.architectures]
        bonus = (config.entropy_weight * sample.entropy.detach()).tolist()
        better = [self.advantage(r + b) for r, b in zip(rewards, bonus, strict=True)]
        loss = -(sample.log_prob * torch.tensor(better)).mean()
        loss = loss + config.skip_weight * sample.skip_kl.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        assert self.baseline is not None
        mean = sum(rewards) / len(rewards)
        return {"reward": mean, "baseline": self.baseline, **sample.summary()}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {
            "controller": self.controller.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.controller.load_state_dict(state["controller"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline = state["baseline"]
