"""`cifar-lessons tune`: search the settings of a recipe. Imports neither torch nor Optuna early."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed

if TYPE_CHECKING:
    from cifar_lessons.tuning.search import Found
    from cifar_lessons.tuning.trials import Trial


def tune(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    /,
    *,
    trials: int = 48,
    seconds: float | None = None,
    storage: str | None = None,
    study: str | None = None,
    seed: int = 0,
    range: UseAppendAction[tuple[str, ...]] = (),
    set: UseAppendAction[tuple[str, ...]] = (),
    repeat: int = 0,
    record: bool = False,
    data: Annotated[Path | None, arg(metavar="DIR")] = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> None:
    """Search batch size, peak rate and weight decay of a recipe; validation accuracy chooses.

    The same command goes on with a search that was stopped or killed. Typed again meanwhile, in
    another terminal or on another machine, it takes a share of the work: N trials are trained in
    all, not N each. Give each process its own cores with --threads.

    Example: cifar-lessons tune tuning_base --trials 48

    Example: cifar-lessons tune simple_cnn --trials 20 --range optim.peak_lr=0.0001..0.01

    Args:
        recipe: A name from `cifar-lessons list`.
        trials: How many to train, in all sittings and processes together.
        seconds: Stop after this many; the same command goes on.
        storage: Where the search is kept: a file, else outputs/tune/RECIPE.journal; or the URL of
            a database, as in postgresql://me@host/tune.
        study: Name of the search within its storage; the recipe's if not given.
        seed: Of the search.
        range: FIELD=LOW..HIGH searches a field of the recipe, or another range of it; may be given
            several times. Above 0 the scale is logarithmic.
        set: FIELD=VALUE changes a field for all trials, as in epochs=4; may be given several times.
        repeat: After the search, train the best settings and the article's from this many seeds
            each, to see how far chance moves them.
        record: Keep search and repeats with the recorded runs.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        threads: CPU threads; as many as there are cores if not given.
    """
    from cifar_lessons import recipes, recording
    from cifar_lessons.fields import override
    from cifar_lessons.tuning import space as spaces

    chosen = override(recipes.get(recipe), *set)
    space = spaces.merged(spaces.SPACE, [spaces.parse_range(text, chosen) for text in range])
    _check(trials=trials, seconds=seconds, seed=seed, repeat=repeat, threads=threads, record=record)
    _require_optuna()
    deadline = None if seconds is None else time.monotonic() + seconds
    import torch

    from cifar_lessons import experiment, origins
    from cifar_lessons.tuning.record import gather, require_planned, study_name
    from cifar_lessons.tuning.search import Found, search
    from cifar_lessons.tuning.search import repeat as repeat_settings
    from cifar_lessons.tuning.storage import shown
    from cifar_lessons.tuning.worker import Workplace

    if record:  # told before the search, not after it
        require_planned(chosen, space=space, seed=seed)
        origins.require_committed("the search")
    if threads is not None:
        torch.set_num_threads(threads)
    found_runtime = experiment.runtime_for(chosen, device=device, precision=precision)
    where = storage or str(Path("outputs") / "tune" / f"{chosen.name}.journal")
    loaded = experiment.load_data(chosen, data)
    place = Workplace(
        recipe=chosen,
        data=loaded,
        runtime=found_runtime,
        storage=where,
        deadline=deadline,
        provenance=_provenance(found_runtime, loaded.digest),
    )
    on = f"{found_runtime.device}, {found_runtime.precision}"
    print(f"tuning {chosen.name} on {on} -> {shown(where)}", flush=True)
    found = search(place, trials=trials, space=space, seed=seed, name=study or "")
    print(_summary(found.trials, trials, found.stopped_by))
    best = found.best
    if best is None:
        return
    print(f"train with them: cifar-lessons train {chosen.name} {spaces.options(best.settings)}")
    repeated = Found()
    if repeat and not found.stopped_by:
        arms = {"best": best.settings, **spaces.ADVICE}
        print(f"the best settings and the article's, {repeat} seeds each")
        repeated = repeat_settings(place, arms, seeds=repeat, name=study or "")
        print(_repeats(repeated))
    if record:
        values, provenance = gather(chosen, found, repeated, space=space, seed=seed)
        path = recording.record_study(study_name(chosen.name), values, provenance=provenance)
        print(f"recorded {path}")


def _check(
    *,
    trials: int,
    seconds: float | None,
    seed: int,
    repeat: int,
    threads: int | None,
    record: bool,
) -> None:
    """Raise for numbers out of range, before anything is loaded."""
    if trials < 1:
        raise UserError(f"--trials must be >= 1, got {trials}; try --trials 48")
    if seconds is not None and not seconds > 0:  # so that NaN is refused too
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 600")
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
    if repeat < 0:
        raise UserError(f"--repeat must be >= 0, got {repeat}; try --repeat 5")
    if record and repeat < 2:
        raise UserError(
            f"--record needs to know how far chance moves a result, got --repeat {repeat}; try "
            "--repeat 5"
        )
    if threads is not None and not 1 <= threads <= 256:
        raise UserError(f"--threads must be in [1, 256], got {threads}; try --threads 2")


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UserError(
            "tune needs Optuna, which is not installed: pip install 'cifar-lessons[tune]'"
        ) from None


def _provenance(found: Any, digest: str) -> dict[str, Any]:
    """Return the provenance of this process, with the versions that a search depends on besides."""
    from importlib import metadata

    from cifar_lessons import origins, runtime

    facts = origins.provenance(command=typed(), data_digest=digest, **runtime.machine(found))
    for package in ("optuna", "scikit-learn"):
        facts["packages"][package] = metadata.version(package)
    return facts


def _summary(trials: "list[Trial]", wanted: int, stopped_by: str) -> str:
    """Return what there is, in one line or two."""
    from cifar_lessons.tuning.trials import best, counted

    states = [t.state for t in trials]
    each = [f"{states.count(s)} {s}" for s in ("complete", "pruned", "diverged", "failed")]
    text = f"{len(counted(trials))} of {wanted} trials: {', '.join(each)}"
    if stopped_by:
        text += f"; stopped by the {stopped_by}, the same command goes on"
    leader = best(trials)
    if leader is None:
        return text
    spelled = ", ".join(f"{field} {value:g}" for field, value in leader.settings.items())
    return (
        f"{text}\nbest: trial {leader.number}, validation accuracy {100 * leader.accuracy:.2f} % "
        f"(too high by chance: it was picked for it) at {spelled}"
    )


def _repeats(found: "Found") -> str:
    """Return a line for each of the repeated settings."""
    lines = [
        f"  {r.label:18} {100 * r.mean:.2f} % on average over {len(r.accuracies)} seeds, standard "
        f"deviation {100 * r.sd:.2f}"
        for r in found.repeats
    ]
    if found.stopped_by:
        lines.append(f"stopped by the {found.stopped_by}, the same command goes on")
    return "\n".join(lines)
