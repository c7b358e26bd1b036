"""Proves that the exercises of chapter 5 have solutions, and that their checks find mistakes."""

import re

from exercises import Exercises

NOTEBOOK = "05_precision.ipynb"
BEFORE = "import torch\nfrom torch import nn\n"


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {" + last": ""}),  # ties away from zero
        (0, {"0x7FFF": "0x8000", " + last": ""}),
        (0, {">> 16": ">> 15"}),
        (1, {"    scaler.unscale_(optimizer)\n": ""}),
        (
            1,
            {
                "    scaler.unscale_(optimizer)\n": "",
                "limit)\n    scaler": "limit)\n    scaler.unscale_(optimizer)\n    scaler",
            },
        ),
        (2, {"x.float()": "x.bfloat16()"}),
        (2, {"(x - x.mean()).square().mean()": "(x.square().mean() - x.mean().half() ** 2)"}),
    ]


def test_the_order_that_the_chapter_prints_is_that_of_train_step():
    """The chapter shows the lines of the library without asking for them."""
    from inspect import getsource

    from cifar_lessons.training.step import train_step

    text = "\n".join(c.source for c in TestExercises.cells)
    [shown] = re.findall(r"```python\n(    optimizer.zero_grad.*?)```", text, re.DOTALL)
    source = re.sub(r"\n +", "\n", getsource(train_step))  # there, in a loop over parts
    source = source.replace("objective(model, part)", "objective(model, batch)")
    source = source.replace(
        "output.loss if len(parts) == 1 else output.loss * share", "output.loss"
    )
    places = [source.index(line.strip()) for line in shown.splitlines()]
    assert places == sorted(places)
