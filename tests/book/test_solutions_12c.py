"""Proves that the exercises of the page on own pictures have solutions, and find mistakes."""

from exercises import Exercises


class TestExercises(Exercises):
    notebook = "12c_own_pictures.ipynb"
    # What the first cells leave behind.
    before = "import numpy as np\nimport torch\nfrom cifar_lessons import pretrained\n"
    mistakes = [
        # Pictures in place of leaves; always the same leaves; too many of them.
        (0, {"np.unique(leaves)": "np.arange(len(leaves))"}),
        (0, {"default_rng(seed)": "default_rng(0)"}),
        (0, {"share * len(names)": "2 * share * len(names)"}),
        # The mean of standardised features; the wrong sign; the spread forgotten.
        (1, {"b - plain @ mean": "b - W @ mean"}),
        (1, {"b - plain": "b + plain"}),
        (1, {"W / spread": "W * spread"}),
        # The two exchanged; a part left out; a rate for the body that is the head's.
        (2, {'"params": head, "lr": rate}': '"params": head, "lr": rate / 4}'}),
        (2, {', {"params": rest, "lr": rate / 4}': ""}),
        (2, {"rate / 4": "rate"}),
    ]
