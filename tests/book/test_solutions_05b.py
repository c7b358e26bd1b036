"""Proves that the speedrun's exercises have solutions, and that their checks find mistakes."""

from exercises import Exercises

NOTEBOOK = "05b_speedrun.ipynb"
BEFORE = """
import torch

from cifar_lessons.training.muon import orthogonalise
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"(side / 32) ** 2": "(side / 32)"}),
        (0, {"return rest + ": "return 1 + "}),
        (1, {"(1 / n)": "n"}),
        (1, {"1 - (1 - m)": "(1 - m)"}),
        (2, {"nearest_orthogonal(x.T, sides).T": "nearest_orthogonal(x.T, sides)"}),
        (2, {"x = x / x.norm()": "x = x / x.abs().max()"}),
    ]
