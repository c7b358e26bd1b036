"""Proves that the exercises of `12b_browser` have solutions, and that checks find mistakes."""

import numpy as np
from exercises import Exercises, cell
from PIL import Image

NOTEBOOK = "12b_browser.ipynb"
BEFORE = """
import numpy as np

from cifar_lessons.evaluation import outsiders
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"(width - side) // 2": "-(-(width - side) // 2)"}),
        (0, {"(height - side) // 2, (width - side) // 2": "(width - side) // 2, 0"}),
        (1, {" / step": ""}),
        (1, {"np.maximum(last - first, 0)": "(last > first)"}),
        (1, {"np.arange(n) + 1": "np.arange(n)"}),
        (2, {"most + np.log": "np.log"}),
        (2, {"< familiar[0]": "> familiar[0]"}),
    ]


def test_the_shrinking_from_scratch_is_pillow_s():
    """The chapter holds it against the exported graph; here against what both copy."""
    names = TestExercises.run(cell(NOTEBOOK, "def my_weights"))
    rng = np.random.default_rng(0)
    for side in (20, 32, 50, 129, 400):
        square = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        small = Image.fromarray(square).resize((32, 32), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(names["my_shrink"](square), np.asarray(small), atol=1)
