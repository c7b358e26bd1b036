"""The recipes of chapter 14: two searches, and the networks that are trained alone (C17).

All networks alone have as many multiplications as six 3x3 convolutions at width 24, by their
width, and train alike: 6 epochs, the usual rate and augmentation. The random ones were drawn by a
fixed seed, before any search. What a search finds is known only when it is recorded: until then
its recipe plans no seeds, and says what to type.
"""

import json
from collections.abc import Callable
from functools import partial

import numpy as np

from cifar_lessons import runs
from cifar_lessons.config import (
    ArchitectureSearch,
    AugmentConfig,
    DataConfig,
    Expectation,
    ModelConfig,
    OptimConfig,
    Recipe,
    ScheduleConfig,
)
from cifar_lessons.enas.cost import matched_width, reference
from cifar_lessons.enas.space import LAYERS, Architecture, parse, plain, uniform
from cifar_lessons.errors import UserError

WIDTH = 24  # of the search; the source has 36
TARGET = reference(WIDTH)  # multiplications of an image: 9.3 million
RANDOM = 9
RANDOM_SEED = 14
DATA = DataConfig(augment=AugmentConfig(flip="random", crop_padding=4))


def _random(number: int) -> Architecture:
    """Return one of the random architectures; fixed by `RANDOM_SEED`."""
    rng = np.random.default_rng(RANDOM_SEED)
    return [uniform(rng) for _ in range(number + 1)][number]


CONTROLS: dict[str, tuple[Architecture, str]] = {
    "enas_conv3": (plain(["c3"] * LAYERS), "six 3x3 convolutions"),
    "enas_sep3": (plain(["s3"] * LAYERS), "six separable 3x3 convolutions"),
    "enas_alternating": (plain(["c3", "s3"] * (LAYERS // 2)), "3x3 and separable 3x3 in turns"),
    **{f"enas_random{k}": (_random(k), f"random architecture {k}") for k in range(RANDOM)},
}
SEARCHES = {"enas_found": "enas_search", "enas_found_uniform": "enas_uniform"}
PURE = ("enas_conv3", "enas_sep3", "enas_alternating")  # and what is found: five seeds
ALONE = (*CONTROLS, *SEARCHES)
# At equal cost these have the search's width already, so they need no second recipe.
MATCHED_ANYWAY = tuple(n for n, (a, _) in CONTROLS.items() if matched_width(a, TARGET) == WIDTH)


def enas_search() -> Recipe:
    """ENAS: shared weights and a controller that learns (C17).

    Rates, decay, clipping and dropout are the source's (`scripts/cifar10_macro_search.sh`). Its
    l2 term has no factor of 1/2, so 2.5e-4 there is a decay of 5e-4 here; its clipping is written
    down and never applied (`src/utils.py` appends the unclipped gradient), ours is. 30 epochs are
    the first two of its five cycles of 10, 20, 40, 80 and 160.
    """
    return Recipe(
        name="enas_search",
        about="ENAS: a search with shared weights and a learning controller",
        model=ModelConfig(name="enas", options={"width": WIDTH, "dropout": 0.1}),
        data=DATA,
        objective=ArchitectureSearch(),
        optim=OptimConfig(
            peak_lr=0.05,
            clip_norm=5.0,
            schedule=ScheduleConfig(name="cosine_restarts", cycle=10.0, floor=0.01),
        ),
        epochs=30,
        seeds=1,
    )


def enas_uniform() -> Recipe:
    """The same search with a die for a controller: random search with shared weights."""
    from dataclasses import replace

    return replace(
        enas_search(),
        name="enas_uniform",
        about="… with a die in place of the controller",
        objective=ArchitectureSearch(controller="uniform"),
    )


def _alone(name: str, architecture: str, about: str, *, width: int, seeds: int) -> Recipe:
    """Return the recipe that trains an architecture from scratch."""
    return Recipe(
        name=name,
        about=about,
        model=ModelConfig(name="enas", options={"architecture": architecture, "width": width}),
        data=DATA,
        epochs=6,
        seeds=seeds,
        expects=Expectation(low=0.70, high=0.92, minutes=2.7),
    )


def control(name: str, *, same_width: bool = False) -> Recipe:
    """Return the recipe of an architecture that was fixed beforehand.

    Args:
        name: A key of `CONTROLS`.
        same_width: At the search's width, whatever that costs, in place of equal multiplications.
    """
    architecture, about = CONTROLS[name]
    if same_width:
        about = f"{about}, at the search's width"
        return _alone(f"{name}_w{WIDTH}", str(architecture), about, width=WIDTH, seeds=1)
    width = matched_width(architecture, TARGET)
    seeds = 5 if name in PURE else 2
    return _alone(name, str(architecture), about, width=width, seeds=seeds)


def found_by(search: str) -> Architecture | None:
    """Return the best architecture of a recorded search, or None without a fresh one."""
    try:
        run = runs.load_run(MAKERS[search](), seed=0)
        content = json.loads((run.folder / "run.json").read_text())
        return parse(content["search"]["best"])
    except (runs.MissingRun, runs.StaleRun):
        return None
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"the recorded search {search} cannot be read ({error}); record it again"
        ) from None


def found(name: str) -> Recipe:
    """Return the recipe of the architecture that a search found.

    Args:
        name: A key of `SEARCHES`.
    """
    search = SEARCHES[name]
    architecture = found_by(search)
    if architecture is None:
        about = f"search first: cifar-lessons search {search}; then record it"
        return _alone(name, f"search:{search}", about, width=WIDTH, seeds=0)
    about = f"what {search} found"
    width = matched_width(architecture, TARGET)
    return _alone(name, str(architecture), about, width=width, seeds=5)


def _named(name: str, says: str, make: Callable[[], Recipe]) -> Callable[[], Recipe]:
    """Return a function without arguments under a name and a docstring of its own."""

    def recipe() -> Recipe:
        return make()

    recipe.__name__, recipe.__doc__ = name, says
    return recipe


MAKERS: dict[str, Callable[[], Recipe]] = {
    "enas_search": enas_search,
    "enas_uniform": enas_uniform,
    **{
        name: _named(
            name, f"Train {about} from scratch, at equal cost (C17).", partial(found, name)
        )
        for name, about in ((n, f"what {s} found") for n, s in SEARCHES.items())
    },
    **{
        name: _named(
            name, f"Train {about} from scratch, at equal cost (C17).", partial(control, name)
        )
        for name, (_, about) in CONTROLS.items()
    },
    **{
        f"{name}_w{WIDTH}": _named(
            f"{name}_w{WIDTH}",
            f"Train {about} from scratch, at the search's width: for the rank correlation alone.",
            partial(control, name, same_width=True),
        )
        for name, (_, about) in CONTROLS.items()
        if name not in MATCHED_ANYWAY
    },
}
