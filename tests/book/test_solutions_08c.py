"""Proves that the exercises of `08c_robustness` have solutions; that checks find mistakes."""

from exercises import Exercises

NOTEBOOK = "08c_robustness.ipynb"
# What the cells before the exercises leave behind.
BEFORE = """
import numpy as np
from scipy.ndimage import gaussian_filter
"""
DOT = "(a * b).sum()"


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"(errors.sum(1) / reference.sum(1)).mean()": "errors.sum() / reference.sum()"}),
        (0, {"(errors.sum(1) / reference.sum(1)).mean()": "(errors / reference).mean()"}),
        (0, {"errors.sum(1) / reference.sum(1)": "errors.sum(0) / reference.sum(0)"}),
        # The same noise for all; another seed changes nothing; the place in the batch, not in the
        # data; image 11 of seed 0 as image 10 of seed 1.
        (1, {"[seed, k]": "seed"}),
        (1, {"[seed, k]": "k"}),
        (1, {"for k in index": "for k in range(len(index))"}),
        (1, {"[seed, k]": "seed + k"}),
        (1, {"size * np.stack": "np.stack"}),
        (2, {"a, b = a - a.mean(), b - b.mean()": "pass"}),
        (2, {"(a * b).sum()": "abs((a * b).sum())"}),
        (2, {f"{DOT} / np.sqrt((a**2).sum() * (b**2).sum())": f"{DOT} / (a**2).sum()"}),
    ]
