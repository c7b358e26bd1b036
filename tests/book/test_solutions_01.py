"""Proves that the exercises of chapter 1 have solutions, and that their checks find mistakes."""

from exercises import Exercises, imports

NOTEBOOK = "01_data.ipynb"
BATCH_MEANS = """
def running_statistics(batches):
    each = [(b.double() / 255, (b.double() / 255).square()) for b in batches]
    means, squares = (torch.stack([x.mean((0, 2, 3)) for x in xs]) for xs in zip(*each))
    mean = means.mean(0)  # the short batch counts as much as a full one
    return mean, (squares.mean(0) - mean**2).sqrt()
"""
ALL_AT_ONCE = """
def running_statistics(batches):
    pixels = torch.cat(list(batches)).double() / 255  # they do not fit into memory
    return tuple(reversed(torch.std_mean(pixels, dim=(0, 2, 3), correction=0)))
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
    mistakes = [(0, BATCH_MEANS), (0, ALL_AT_ONCE), (1, SLICES), (2, IN_ORDER)]
