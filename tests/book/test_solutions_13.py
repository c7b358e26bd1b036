"""Proves that the exercises of chapter 13 have solutions, and that their checks find mistakes."""

import pytest
import torch
from exercises import Exercises, cell, imports

from cifar_lessons.objectives.simclr import nt_xent
from cifar_lessons.objectives.vicreg import vicreg_terms

NOTEBOOK = "13_simclr.ipynb"
# What the cells before the exercises leave behind.
BEFORE = """
import numpy as np
import torch
import torch.nn.functional as F

from cifar_lessons.evaluation.probe import knn
from cifar_lessons.objectives.simclr import nt_xent
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        # Each of the four, left in.
        (0, {"F.normalize(torch.cat([first, second]), dim=1)": "torch.cat([first, second])"}),
        (0, {"z.T / T": "z.T * T"}),
        (0, {".fill_diagonal_(-torch.inf)": ""}),
        (0, {"+ len(first)": "+ 1"}),
        (1, {"F.normalize(bank, dim=1)": "bank"}),
        (1, {"(best.values / T).exp()": "torch.ones(k)"}),
        (1, {" / shares.sum()": ""}),
        (1, {"best.values / T": "best.values * T"}),
        (2, {"default_rng(seed)": "default_rng([seed, int(1000 * share)])"}),
        (2, {"default_rng(seed)": "default_rng(0)"}),
        (2, {"len(of_class)": "len(labels)"}),
        (2, {"rng.permutation(np.flatnonzero(labels == k))": "rng.permutation(len(labels) // 10)"}),
    ]


@pytest.fixture
def views() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    first = torch.randn(64, 16)
    return first, first + 0.5 * torch.randn(64, 16)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_contrast_that_the_chapter_writes_is_the_librarys(views, temperature):
    names = TestExercises.run(cell(NOTEBOOK, "def contrast("))
    theirs = nt_xent(*views, temperature=temperature)
    torch.testing.assert_close(names["contrast"](*views, temperature), theirs)


def test_the_three_terms_that_the_chapter_writes_are_the_librarys(views):
    names = TestExercises.run(cell(NOTEBOOK, "def three_terms("))
    terms = vicreg_terms(*views)
    theirs = (terms.invariance, terms.variance, terms.covariance)
    for ours, other in zip(names["three_terms"](*views), theirs, strict=True):
        torch.testing.assert_close(ours, other)


def test_colours_give_a_crop_away_until_they_change():
    """On made-up images too: the cheat finds most partners among crops, and few among the rest."""
    from types import SimpleNamespace

    from cifar_lessons.data.cifar import synthetic

    source = cell(NOTEBOOK, "def cheat(").split("kinds =")[0]
    names = TestExercises.run(imports(NOTEBOOK), source)
    names["session"] = SimpleNamespace(data=synthetic(num_train=300, val_size=20, num_test=20))
    crops = names["cheat"](names["PairConfig"](jitter=0.0, grey=0.0))
    changed = names["cheat"](names["PairConfig"]())
    assert crops > 2 * changed > 0


def test_one_position_is_left_by_the_wrong_stem_and_sixteen_by_ours():
    names = TestExercises.run(
        imports(NOTEBOOK),
        cell(NOTEBOOK, "import torchvision"),
        cell(NOTEBOOK, "photos, ours").split("columns =")[0],
    )
    assert [row[-1] for row in names["rows"]] == ["1 x 1", "4 x 4"]
