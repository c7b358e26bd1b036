"""CIFAR image classification in PyTorch: the models and training loops behind the book.

Start at `cifar_lessons.recipes` (what is trained), `cifar_lessons.experiment` (how a recipe
becomes a run) and `cifar_lessons.runs` (what was measured). Nothing is re-exported here, so
that importing the package costs milliseconds and touches no device, file or network.
"""

__version__ = "0.1.0"
