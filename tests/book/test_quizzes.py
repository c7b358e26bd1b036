"""Proves that every chapter has a quiz that can be answered, and learned from, without a kernel."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "book").glob("*.ipynb"))

INTRODUCTION = "## Quiz\n\nNo kernel needed: open the answer you would give.\n\n"
QUESTION = re.compile(r"^\*\*(\d+)\.\*\* ", re.MULTILINE)
ANSWER = re.compile(
    r'<details class="cl-answer"><summary>([A-Z])\. (.+)</summary>\n\n'
    r"(?:\*(Right|Not quite)\.\* ?)?(.*)\n\n</details>(?:\n\n|$)"
)
RIGHT, WRONG = "Right", "Not quite"
FEWEST_WORDS = 8  # of an explanation
# Markup that only this book's build knows, and Markdown where only HTML is read.
UNKNOWN_ELSEWHERE = re.compile(r"\{[\w-]+\}`|`{3}\{")
TYPED_AS_IT_IS = re.compile(r"[`$]|\*\S")


class Answer(NamedTuple):
    letter: str
    words: str
    judgement: str | None
    explanation: str


class Question(NamedTuple):
    number: int
    words: str
    answers: list[Answer]
    rest: str  # what is neither question nor answer

    @property
    def right(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.judgement == RIGHT]


def questions(source: str) -> list[Question]:
    """Return what stands in the cell of a quiz."""
    found = []
    _, *parts = QUESTION.split(source)
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        answers = [Answer(*match) for match in ANSWER.findall(text)]
        answers = [a._replace(judgement=a.judgement or None) for a in answers]
        words, *after = text.split("<details", 1)
        rest = ANSWER.sub("", "<details" + after[0]) if after else ""
        found.append(Question(int(number), words.strip(), answers, rest.strip()))
    return found


def question_faults(question: Question) -> Iterator[str]:
    if question.rest:
        yield f"this is no answer: {question.rest[:60]!r}"
    if len(question.answers) not in (3, 4):
        yield f"{len(question.answers)} answers, and not 3 or 4"
    if [a.letter for a in question.answers] != list("ABCDEFGH"[: len(question.answers)]):
        yield "the letters are not A, B, C in order"
    if len(question.right) != 1:
        yield f"{len(question.right)} right answers, and not 1"
    for answer in question.answers:
        if answer.judgement is None:
            yield f"{answer.letter} says neither *{RIGHT}.* nor *{WRONG}.*"
        if len(answer.explanation.split()) < FEWEST_WORDS:
            yield f"{answer.letter} is not explained: {answer.explanation!r}"
        if found := TYPED_AS_IT_IS.search(answer.words):
            yield f"{answer.letter} has {found[0]!r}, which a summary shows as it is typed"


def faults(notebook: NotebookNode) -> list[str]:
    """Return what is wrong with a chapter's quiz, a line each."""
    sources = [c.source if c.cell_type == "markdown" else "" for c in notebook.cells]
    places = [i for i, source in enumerate(sources) if re.search(r"^## Quiz$", source, re.M)]
    if len(places) != 1:
        return [f"{len(places)} quizzes, and not 1"]
    quiz, found = sources[places[0]], []
    if not quiz.startswith(INTRODUCTION):
        found.append("the cell does not begin with the heading and the line of introduction")
    if not "".join(sources[places[0] + 1 :][:1]).startswith("## Exercises\n"):
        found.append("the exercises do not follow")
    if outside := UNKNOWN_ELSEWHERE.search(quiz):
        found.append(f"only this book's build knows {outside[0]!r}")
    asked = questions(quiz)
    if not 3 <= len(asked) <= 5:
        found.append(f"{len(asked)} questions, and not 3 to 5")
    if [q.number for q in asked] != list(range(1, len(asked) + 1)):
        found.append("the questions are not numbered 1, 2, 3")
    for question in asked:
        found += [f"question {question.number}: {fault}" for fault in question_faults(question)]
    right = [(q, q.right[0]) for q in asked if len(q.right) == 1]
    if len(right) > 1 and len({answer.letter for _, answer in right}) == 1:
        found.append(f"the right answer is always {right[0][1].letter}")
    if right and all(max(q.answers, key=lambda a: len(a.words)) == answer for q, answer in right):
        found.append("the right answer is always the longest")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_chapter_has_a_quiz_that_keeps_to_the_rules(path):
    assert faults(nbformat.read(path, as_version=4)) == []


# --- That the check can fail ---------------------------------------------------------------

WHY = "This is a sentence of eight words, about."


def written(right: str, *, letters: str = "ABC", last: str = "A long and wrong one.") -> str:
    """Return the answers to one question."""
    words = dict.fromkeys(letters, "A short one.") | {letters[-1]: last}
    return "\n\n".join(
        f'<details class="cl-answer"><summary>{letter}. {words[letter]}</summary>\n\n'
        f"*{RIGHT if letter in right else WRONG}.* {WHY}\n\n</details>"
        for letter in letters
    )


def quiz_of(*answers: str) -> str:
    asked = [f"**{n}.** What is it?\n\n{text}" for n, text in enumerate(answers, 1)]
    return INTRODUCTION + "\n\n".join(asked)


GOOD = quiz_of(written("B"), written("A"), written("D", letters="ABCD"))


def chapter(*sources: str) -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell(source) for source in sources])


def test_a_good_quiz_has_no_faults_and_is_read_whole():
    assert faults(chapter("# Title", GOOD, "## Exercises\n\nDo.")) == []
    first, _, last = questions(GOOD)
    assert first.words == "What is it?"
    assert first.right == [Answer("B", "A short one.", RIGHT, WHY)]
    assert [answer.letter for answer in last.answers] == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("quiz", "words"),
    [
        ("## Another heading", "0 quizzes"),
        (GOOD.replace("No kernel needed", "Python needed"), "the line of introduction"),
        (quiz_of(written("A"), written("B")), "2 questions"),
        (quiz_of(*map(written, "ABCABC")), "6 questions"),
        (GOOD.replace("**2.**", "**4.**"), "not numbered"),
        (quiz_of(written("A"), written("B"), written("A", letters="AB")), "3: 2 answers"),
        (quiz_of(written("A"), written("B"), written("A", letters="ABCDE")), "3: 5 answers"),
        (quiz_of(written("A"), written("B"), written("B", letters="ACB")), "A, B, C in order"),
        (quiz_of(written("A"), written("B"), written("")), "3: 0 right answers"),
        (quiz_of(written("A"), written("B"), written("AC")), "3: 2 right answers"),
        (quiz_of(written("B"), written("B"), written("B")), "always B"),
        (
            quiz_of(written("C"), written("C"), written("D", letters="ABCD")),
            "always the longest",
        ),
        (GOOD.replace(f"*{RIGHT}.* {WHY}", WHY, 1), "B says neither"),
        (GOOD.replace(f"*{WRONG}.* {WHY}", f"*{WRONG}.* No.", 1), "A is not explained"),
        (GOOD.replace("A short one.", "What `eval` does.", 1), "A has '`'"),
        (GOOD.replace("What is it?", "What is a {term}`batch`?", 1), "'{term}`'"),
        (GOOD.replace("</summary>\n\n", "</summary>\n", 1), "this is no answer"),
    ],
)
def test_a_bad_quiz_is_found(quiz, words):
    found = faults(chapter("# Title", quiz, "## Exercises\n\nDo."))
    assert [fault for fault in found if words in fault], found


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ((GOOD, "# Title", "## Exercises\n\nDo."), "the exercises do not follow"),
        ((GOOD,), "the exercises do not follow"),
        ((GOOD, GOOD, "## Exercises\n\nDo."), "2 quizzes, and not 1"),
    ],
)
def test_a_quiz_in_the_wrong_place_is_found(sources, fault):
    assert faults(chapter(*sources)) == [fault]
