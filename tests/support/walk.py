"""The walk through the rendered pages as a report: what was checked, where, and what was found.

`conftest.py` of tests/book hands every outcome of `test_pages.py` to a `Walk`, in whichever
process it ran, and writes the report when all is done. Nothing passes silently: a test that fails
without naming its finding is one itself, and what did not run is listed.
"""

import ast
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cifar_lessons.atomic import write_atomically

SCHEMA = 1
PROPERTY = "walk"  # the name under which a test's notes travel with its outcome


@dataclass
class Notes:
    """What one test checked and found on one page.

    Attributes:
        page: Such as `01_data.html`; empty where a test looks at no single page.
        everywhere: Whether the test must see each page of the book.
        checked: What was looked at, in plain words, for each view.
        findings: What is wrong.
        about: The browser, axe and the views, where the test knows them.
    """

    page: str = ""
    everywhere: bool = False
    checked: list[str] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def check(
        self,
        what: str,
        wrong: Sequence[object],
        *,
        view: str = "",
        rule: str = "",
        impact: str = "",
    ) -> None:
        """Note that something was looked at, and each thing that is wrong with it.

        Args:
            what: The check, in plain words.
            wrong: A line for each fault; empty if all is well.
            view: Theme and width, where they matter.
            rule: Axe's name of the broken rule.
            impact: How bad axe calls it.
        """
        if what not in self.checked:
            self.checked.append(what)
        said = {"view": view, "rule": rule, "impact": impact}
        for fault in wrong:
            entry = {"check": what, "page": self.page, "what": str(fault)}
            self.findings.append(entry | {k: v for k, v in said.items() if v})

    def as_dict(self) -> dict[str, Any]:
        """Return what a process can send to another."""
        return dict(vars(self))


def rendered(root: Path) -> list[str]:
    """Return the pages of a built book, relative to its root."""
    found = (p.relative_to(root) for p in root.glob("**/*.html"))
    return sorted(p.as_posix() for p in found if "_static" not in p.parts)


def in_words(test: str) -> str:
    """`test_every_link_leads_somewhere[a.html]` -> `every link leads somewhere`."""
    return test.partition("[")[0].removeprefix("test_").replace("_", " ")


class Walk:
    """Gathers outcomes and makes the report of them."""

    def __init__(self, tests: Path) -> None:
        """Take the file of tests, all of whose functions belong to the walk."""
        tree = ast.parse(tests.read_text("utf-8"))
        self.expected = [
            n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name[:5] == "test_"
        ]
        self.ran: set[str] = set()
        self.pages: dict[str, set[str]] = {}  # that each check has seen
        self.everywhere: set[str] = set()  # checks that must see all of them
        self.findings: list[dict[str, str]] = []
        self.left_out: list[str] = []
        self.about: dict[str, Any] = {}
        self.seconds = 0.0

    def add(
        self,
        test: str,
        outcome: str,
        *,
        notes: Mapping[str, Any] | None = None,
        why: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Add what came of a test.

        Args:
            test: Its name, with its parameters in brackets.
            outcome: passed, failed or skipped.
            notes: What it noted, if anything.
            why: It was skipped or failed.
            seconds: It took.
        """
        self.ran.add(test.partition("[")[0])
        self.seconds += seconds
        told = dict(notes or {})
        if outcome == "skipped":
            self.left_out.append(f"{in_words(test)}: {why or 'skipped'}")
            return
        page = told.get("page", "")
        for check in told.get("checked") or [in_words(test)]:
            self.pages.setdefault(check, set()).update([page] if page else [])
            if told.get("everywhere"):
                self.everywhere.add(check)
        self.about |= told.get("about", {})
        found = told.get("findings", [])
        self.findings += found
        if outcome == "failed" and not found:
            entry = {"check": in_words(test), "page": page, "what": why or "failed"}
            self.findings.append(entry)

    def report(self, pages: Sequence[str], **about: Any) -> dict[str, Any]:
        """Return the report.

        Args:
            pages: Every page of the book: a check that looks at pages must have seen them all.
            about: What else to say, such as the commit.
        """
        left_out = sorted(set(self.left_out))
        left_out += [f"{in_words(t)}: did not run" for t in self.expected if t not in self.ran]
        for check in sorted(self.everywhere):
            if missed := sorted(set(pages) - self.pages[check]):
                left_out.append(f"{check}: not on {', '.join(missed)}")
        return {
            "schema": SCHEMA,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **about,
            "test_seconds": round(self.seconds),
            **self.about,
            "pages": sorted(pages),
            "checks": [{"what": c, "pages": len(seen)} for c, seen in sorted(self.pages.items())],
            "findings": sorted(self.findings, key=lambda f: (f["page"], f["check"], f["what"])),
            "left_out": left_out,
        }


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON that people can read and compare."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())
