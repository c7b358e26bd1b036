"""Proves that the exercises of chapter 1 have solutions, and that their checks find mistakes."""

from exercises import Exercises, imports

NOTEBOOK = "01_data.ipynb"
BATCH_MEANS = """
def running_statistics(batches):
    means = torch.stack([(b.double() / 255).mean((0, 2, 3)) for b in batches])
    squares = torch.stack([(b.double() / 255).square().mean((0, 2, 3)) for b in batches])
    mean = means.mean(0)  # the short batch counts as much as a full one
    return mean, (squares.mean(0) - mean**2).sqrt()
"""
SLICES = """
def cover(images, centres, side):
    images = images.clone()
    for image, (row, column) in zip(images, centres.tolist()):
        top, left = row - side // 2, column - side // 2  # may be negative
        image[:, top : top + side, left : left + side] = 0
    return images
"""
IN_ORDER = """
def folds(labels, k, rng):
    fold = np.empty(len(labels), int)
    fold[np.argsort(labels)] = np.arange(len(labels)) % k  # even, and the same for every rng
    return fold
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = imports(NOTEBOOK)
    mistakes = [(0, BATCH_MEANS), (1, SLICES), (2, IN_ORDER)]
