"""`python -m cifar_lessons` is `cifar-lessons`."""

from cifar_lessons.cli import main

if __name__ == "__main__":
    main()
