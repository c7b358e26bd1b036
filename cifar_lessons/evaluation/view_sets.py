"""Sets of views of a test image, by name: which views, and how much each of them counts.

What a view does to the pixels is in `views`. Here are names and weights alone, so that help,
ledger and figures need no torch. Sources: the mirror image and crops, Krizhevsky et al. (2012,
section 4.1); mirror and one pixel of shift with these weights, Jordan (2024), arXiv:2404.00498,
section 3.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cifar_lessons.errors import UserError, suggest

PLAIN = "plain"  # the view that changes nothing


@dataclass(frozen=True)
class ViewSet:
    """Views whose predictions are averaged.

    Attributes:
        name: What a person types.
        about: What is in it, in a line.
        weights: By view, a key of `views.VIEWS`; they add up to 1.
    """

    name: str
    about: str
    weights: Mapping[str, float]

    @property
    def passes(self) -> int:
        """Return how often the network looks at each image, the plain look included."""
        return len(self.weights)


def _even(name: str, about: str, *views: str) -> ViewSet:
    return ViewSet(name, about, MappingProxyType(dict.fromkeys(views, 1 / len(views))))


# Listed before anything was scored with them. The article names five transformations, "rotation,
# flips and so on", and no more: `article` reads that kindly, as views that training images could
# look like; `article_turns` as what libraries call rotation and flips.
_SETS = (
    _even("none", "the image as it is", PLAIN),
    _even("flip", "the image and its mirror image", PLAIN, "flip"),
    _even(
        "shifts", "the image, and moved by a pixel to each corner",
        PLAIN, "up_left", "up_right", "down_left", "down_right",
    ),
    ViewSet(
        "flip_shift",
        "the image, moved by a pixel to two corners, and the mirror image of each",
        MappingProxyType(
            {
                PLAIN: 0.25,
                "flip": 0.25,
                "up_left": 0.125,
                "flip_up_left": 0.125,
                "down_right": 0.125,
                "flip_down_right": 0.125,
            }
        ),
    ),
    _even(
        "five_crop", "four corners and the centre, each cut out and enlarged",
        "crop_top_left", "crop_top_right", "crop_bottom_left", "crop_bottom_right", "crop_centre",
    ),
    _even(
        "rotations_small", "the image, and turned by 5 and 10 degrees either way",
        PLAIN, "rotate_-10", "rotate_-5", "rotate_5", "rotate_10",
    ),
    _even(
        "rotations_90", "the image in all four quarter turns",
        PLAIN, "turn_90", "turn_180", "turn_270",
    ),
    _even("vertical_flip", "the image, and upside down", PLAIN, "vertical_flip"),
    _even(
        "article", "five transforms, read kindly: mirror, 5 degrees, enlarged centre",
        PLAIN, "flip", "rotate_-5", "rotate_5", "crop_centre",
    ),
    _even(
        "article_turns", "five transforms, read literally: both flips and two quarter turns",
        PLAIN, "flip", "vertical_flip", "turn_90", "turn_270",
    ),
)  # fmt: skip
VIEW_SETS: Mapping[str, ViewSet] = MappingProxyType({s.name: s for s in _SETS})


def view_set(name: str) -> ViewSet:
    """Return the set of that name.

    Raises:
        UserError: There is none; the nearest names are offered.
    """
    if name not in VIEW_SETS:
        raise UserError(f"no view set {name!r}: {suggest(name, VIEW_SETS)}")
    return VIEW_SETS[name]


def distinct_views(names: tuple[str, ...] = tuple(VIEW_SETS)) -> tuple[str, ...]:
    """Return the views of some sets, each once, the plain one first."""
    return tuple(dict.fromkeys([PLAIN, *(v for n in names for v in view_set(n).weights)]))
