"""How far a search is, while it runs: a bar on a terminal, a line a trial elsewhere."""

import sys

import optuna
from tqdm import tqdm

from cifar_lessons.tuning.study import trials_of
from cifar_lessons.tuning.trials import Trial, best


class Display:
    """How far a search is: a bar on a terminal, a line a trial elsewhere."""

    def __init__(self, study: optuna.Study, wanted: int, shown: bool) -> None:
        """Open the bar if someone looks at a terminal."""
        self.study, self.shown, self._waits = study, shown, False
        self.bar = tqdm(
            total=wanted,
            unit="trial",
            dynamic_ncols=True,
            disable=not (shown and sys.stderr.isatty()),
        )

    def __enter__(self) -> "Display":
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        self.bar.close()

    def at(self, finished: int) -> None:
        """Set how many trials are finished, by whichever process."""
        self.bar.update(finished - self.bar.n)

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self.shown:
            self.bar.write(line) if not self.bar.disable else print(line, flush=True)

    def wait(self, running: int) -> None:
        """Say once that others are still at work."""
        if not self._waits:
            them = "one trial" if running == 1 else f"{running} trials"
            self.say(
                f"waiting for {them} of other processes, or until they are silent for too long"
            )
        self._waits = True

    def show(self, trial: Trial) -> None:
        """Show a trial that has just ended."""
        self._waits = False
        leader = best(trials_of(self.study))
        if not self.bar.disable:
            self.bar.set_postfix_str(f"best {100 * leader.accuracy:.2f} %" if leader else "")
        elif self.shown:
            print(line(trial, leader), flush=True)


def line(trial: Trial, leader: Trial | None = None) -> str:
    """Return a trial as one line: number, settings, what came out, seconds, and the best so far."""
    settings = "  ".join(f"{k.rpartition('.')[2]} {v:<8g}" for k, v in trial.settings.items())
    after = f" after {len(trial.values)} epochs" if trial.state == "pruned" else ""
    came = f"{100 * trial.accuracy:.2f} %{after}" if trial.values else ""
    parts = [f"trial {trial.number:<3}", settings, f"{trial.state} {came}".strip()]
    if leader:
        parts.append(f"(best {100 * leader.accuracy:.2f} %, trial {leader.number})")
    return "  ".join([*parts, f"{trial.seconds:.0f} s"])
