"""Gives each chapter's list of mistakes to the shared test, and writes the report of the walk."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import walk as walking

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "_build"
PAGES_FILE = "test_pages.py"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mistake" in metafunc.fixturenames:
        mistakes = metafunc.cls.mistakes
        assert mistakes, "name at least one mistake, or nothing shows that the checks can fail"
        ids = [f"{number + 1}-{place}" for place, (number, _) in enumerate(mistakes)]
        metafunc.parametrize("mistake", mistakes, ids=ids)


# --- The walk through the rendered pages (tests/support/walk.py) -----------------------------


@pytest.fixture
def notes(request: pytest.FixtureRequest, record_property) -> Iterator[walking.Notes]:
    """What this test checks and finds; a finding fails it."""
    parameters = getattr(request.node, "callspec", None)
    page = parameters.params.get("page", "") if parameters else ""
    kept = walking.Notes(page=page, everywhere=bool(page))
    yield kept
    record_property(walking.PROPERTY, kept.as_dict())
    assert kept.findings == []


class Recorder:
    """Hears the outcome of each test, from whichever process it ran in, and writes the report."""

    def __init__(self) -> None:
        self.walk = walking.Walk(HERE / PAGES_FILE)
        self.heard: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, test = report.nodeid.partition("::")
        if Path(file).name != PAGES_FILE:
            return
        phases = self.heard.setdefault(test, [])
        phases.append(report)
        if report.when == "teardown":  # the last of set-up, call and teardown
            worst = next((r for r in phases if r.outcome != "passed"), report)
            self.walk.add(
                test,
                worst.outcome,
                notes=dict(report.user_properties).get(walking.PROPERTY),
                why=reason(worst),
                seconds=sum(r.duration for r in phases),
            )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        built = BUILD / "html" / "built.json"
        if self.heard and built.is_file():
            stamp = json.loads(built.read_text("utf-8"))
            about = {name: stamp[name] for name in ("commit", "dirty")}
            walking.write(
                self.walk.report(walking.rendered(BUILD / "html"), **about), BUILD / "walk.json"
            )


def reason(report: pytest.TestReport) -> str:
    """Return in one line why a test was skipped or failed."""
    told = report.longrepr
    words = told[2] if isinstance(told, tuple) else getattr(told, "reprcrash", told)
    words = getattr(words, "message", words) or ""
    return next(iter(str(words).removeprefix("Skipped: ").splitlines()), "")[:300]


def pytest_configure(config: pytest.Config) -> None:
    # Workers of xdist report to the first process, which writes for all.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder())
