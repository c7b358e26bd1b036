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
        (1, {" / len(d) ** 0.5": ""}),
        (1, {"d.std(ddof=1)": "flip.std(ddof=1)"}),
        (1, {"d.std(ddof=1)": "abs(d).mean()"}),
        (2, {"a, b = a - a.mean(), b - b.mean()": "pass"}),
        (2, {"(a * b).sum()": "abs((a * b).sum())"}),
        (2, {f"{DOT} / np.sqrt((a**2).sum() * (b**2).sum())": f"{DOT} / (a**2).sum()"}),
    ]
