"""Optuna's TPE with draws that depend on (seed, trial number) and on the trials before, alone.

A sampler with one seed would give two processes that share a study the same first trials. With
one stream a process, what comes next would depend on who drew what before. Here a trial's draws
belong to its number, which is unique in a study: so no two processes repeat each other, and a
search that was stopped between two trials goes on as if it had not been. A trial that was stopped
itself begins again under a new number, and shifts the draws of those behind it.
"""

from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial


class NumberedTPE(BaseSampler):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), seeded anew for each trial."""

    def __init__(self, *, seed: int, startup: int) -> None:
        """Keep what each trial's sampler is made from.

        Args:
            seed: Of the search.
            startup: Trials that are drawn at random before the model is trusted.
        """
        self._seed, self._startup = seed, startup
        self._tpe = TPESampler(seed=0, n_startup_trials=startup)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the sampler for this trial."""
        state = np.random.SeedSequence(self._seed, spawn_key=(trial.number,)).generate_state(1)
        self._tpe = TPESampler(seed=int(state[0]), n_startup_trials=self._startup)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`."""
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `optuna.samplers.BaseSampler`."""
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)
