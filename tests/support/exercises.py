"""What the tests of every chapter's exercises share.

An exercise is a code cell tagged `exercise`: perhaps imports, then a function or class to mend,
then its check. Its solution is the folded block of code in the text after it.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import pytest
import torch

BOOK = Path(__file__).resolve().parents[2] / "book"
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)


class Exercises:
    """Three exercises, tested: inherit as `class TestExercises(Exercises)` and say which chapter.

    Attributes:
        notebook: File name in `book/`.
        before: Code that stands for the cells before the exercises.
        mistakes: (number of the exercise from 0, what its solution has -> what a mistaken one has),
            or in place of the mapping a whole mistaken answer.
    """

    notebook: ClassVar[str]
    before: ClassVar[str] = ""
    mistakes: ClassVar[Sequence[tuple[int, Mapping[str, str] | str]]]

    cells: ClassVar[list[Any]]
    attempts: ClassVar[list[str]]
    solutions: ClassVar[list[str]]

    def __init_subclass__(cls) -> None:
        """Read the notebook."""
        cls.cells = read(cls.notebook)
        cls.attempts = [c.source for c in cls.cells if "exercise" in c.metadata.get("tags", [])]
        text = [c.source for c in cls.cells if c.cell_type == "markdown"]
        cls.solutions = [code for source in text for code in FOLDED.findall(source)]

    @classmethod
    def run(cls, *code: str) -> dict[str, Any]:
        """Execute code after the cells before the exercises, and return all names."""
        torch.manual_seed(0)
        names: dict[str, Any] = {}
        for part in (cls.before, *code):
            exec(compile(part, "notebook", "exec"), names)
        return names

    @classmethod
    def check(cls, number: int) -> str:
        """Return an exercise's cell without the function or class that the reader mends."""
        body = ast.parse(cls.attempts[number]).body
        mended = next(n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
        return "\n".join(ast.unparse(node) for node in body if node is not mended)

    def test_there_are_three_and_the_build_skips_them(self) -> None:
        assert len(self.attempts) == len(self.solutions) == 3
        tags = [c.metadata.tags for c in self.cells if c.source in self.attempts]
        assert all("skip-execution" in of_cell for of_cell in tags)

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_the_first_attempt_fails_and_the_solution_passes_after_it(self, number: int) -> None:
        names = self.run()
        with pytest.raises(AssertionError):
            exec(compile(self.attempts[number], "notebook", "exec"), names)
        exec(compile(self.solutions[number] + self.check(number), "notebook", "exec"), names)

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_the_solution_passes_alone(self, number: int) -> None:
        self.run(self.solutions[number], self.check(number))

    def test_a_likely_mistake_fails(self, mistake: tuple[int, Mapping[str, str] | str]) -> None:
        number, wrong = mistake
        with pytest.raises(AssertionError):
            self.run(self.mistaken(number, wrong), self.check(number))

    def mistaken(self, number: int, wrong: Mapping[str, str] | str) -> str:
        """Return the solution with changes, each of which must have something to change."""
        if isinstance(wrong, str):
            return wrong
        answer = self.solutions[number]
        for right, other in wrong.items():
            if right not in answer:
                pytest.fail(f"solution {number + 1} has no {right!r}")
            answer = answer.replace(right, other)
        return answer


def read(notebook: str) -> list[Any]:
    """Return the cells of a notebook of the book."""
    return list(nbformat.read(BOOK / notebook, as_version=4).cells)


def cell(notebook: str, begins: str) -> str:
    """Return the source of the cell that begins so."""
    return str(next(c.source for c in read(notebook) if c.source.startswith(begins)))


def imports(notebook: str) -> str:
    """Return all the imports of a notebook."""
    code = [ast.parse(c.source) for c in read(notebook) if c.cell_type == "code"]
    nodes = [node for tree in code for node in tree.body]
    return "\n".join(ast.unparse(n) for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)))
