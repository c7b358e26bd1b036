"""Mirrors book/_ext/."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import unchanged
from docutils import nodes

BOOK = Path(__file__).resolve().parents[2] / "book"
EXT = BOOK / "_ext"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """Empty folders for the data and the recorded runs."""
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "quick")
    return tmp_path


def test_cache_is_kept_while_nothing_changes(places):
    cache = load("execution_cache")
    assert cache.inputs_hash() == cache.inputs_hash()


@pytest.mark.parametrize(
    "file", ["data/cifar-10-batches-py/test_batch", "runs/simple_cnn/seed0/run.json"]
)
def test_cache_is_left_when_the_data_or_a_run_appears(places, file):
    cache = load("execution_cache")
    before = cache.inputs_hash()
    path = places / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert cache.inputs_hash() != before


def test_cache_is_left_when_the_library_or_the_profile_changes(places, monkeypatch):
    cache = load("execution_cache")
    before = cache.inputs_hash()
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "full")
    full = cache.inputs_hash()
    monkeypatch.setattr(cache, "ROOT", places)  # a repository without a library
    assert len({before, full, cache.inputs_hash()}) == 3


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("`a` and `b c`.", "``a`` and ``b c``."),
        ("Lines such as `a: b`.", "Lines such as ``a: b``."),
        ("many `OSError`s", "many ``OSError``\\ s"),
        ("already ``literal``", "already ``literal``"),
        (":func:`role`", ":func:`role`"),
        ("`link`_", "`link`_"),
    ],
)
def test_code_in_docstrings(written, read):
    lines = [written]
    load("docstrings").double_backticks(None, "", "", None, None, lines)
    assert lines == [read]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("(a: Config = Config(b=(1, 2), c=D(e=1)), f=3)", "(a: Config = Config(...), f=3)"),
        ("(a: dict = <factory>)", "(a: dict = ...)"),
        ("(a: int = 3, b: tuple = (1, 2))", "(a: int = 3, b: tuple = (1, 2))"),
    ],
)
def test_defaults_in_signatures(written, read):
    assert load("docstrings").plain_defaults(None, "", "", None, None, written, None)[0] == read


def test_the_arrows_of_the_sidebar_get_a_name():
    """They hold an icon alone, of which a screen reader says nothing."""
    page = {"generate_toctree_html": lambda kind: f"<details><summary><i>{kind}</i></summary>"}
    load("accessible_html").name_toggles(None, "page", "page.html", page, None)
    made = page["generate_toctree_html"]("sidebar")
    assert made.startswith('<details><summary aria-label="Show or hide the sections')
    assert "<i>sidebar</i>" in made
    load("accessible_html").name_toggles(None, "page", "page.html", {}, None)  # no sidebar


class Config:
    def __init__(self) -> None:
        self.html_static_path: list[str] = []


def test_the_demo_is_exported_once_and_again_when_its_weights_change(places, monkeypatch):
    ext = load("browser_demo")
    monkeypatch.setattr(ext, "STATIC", places / "static")
    monkeypatch.setattr(ext, "MODELS", places / "models")
    config = Config()
    ext.place_demo(None, config)  # nothing is recorded
    assert config.html_static_path == []
    assert not (places / "static").exists()

    class Run:
        folder = places

    (places / "weights.safetensors").write_bytes(b"weights")
    (places / "run.json").write_text("{}")
    made: list[bytes] = []
    monkeypatch.setattr(ext.shipped, "run", lambda: Run)
    monkeypatch.setattr(ext.shipped, "exported", lambda run: made.append(b"") or b"model")
    monkeypatch.setattr(ext, "any_size", lambda model: model + b" %d" % len(made))
    for weights, expected in ((b"weights", 1), (b"weights", 1), (b"others", 2), (b"others", 2)):
        (places / "weights.safetensors").write_bytes(weights)
        config = Config()
        ext.place_demo(None, config)
        assert config.html_static_path == [str(places / "static")]
        assert (places / "static" / "demo" / "model.onnx").read_bytes() == b"model %d" % expected
    names = {p.name for p in (places / "static" / "demo").iterdir()}
    assert names == {"model.onnx", "demo.mjs", "classifier.mjs", "picture.mjs"}
    # Jupyter Book loads every *.js and *.css of a static folder on every page.
    assert not [name for name in names if name.endswith((".js", ".css"))]
    assert len(list((places / "models").iterdir())) == 1


# --- Pages that are up to date -----------------------------------------------------------------


@pytest.fixture
def repository(places, monkeypatch) -> Path:
    """A repository with a library, a chapter, a record and pages of a build that ended well."""
    for name, text in {
        "cifar_lessons/models.py": "x = 1",
        "book/01_data.ipynb": "{}",
        "book/claims.toml": "a = 1",
        "book/walk.json": "{}",
        "book/_ext/figures.py": "x = 1",
        "runs/simple_cnn/seed0/run.json": "{}",
        "_config.yml": "title: A",
        "package-lock.json": "{}",
        "_build/html/built.json": '{"commit": "old", "dirty": true, "seconds": {"01_data": 3}}',
    }.items():
        path = places / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(unchanged, "ROOT", places)
    monkeypatch.setattr(unchanged, "BUILD", places / "_build")
    monkeypatch.setattr(unchanged.execution_cache, "ROOT", places)
    assert not unchanged.is_unchanged()
    (places / "_build" / "inputs").rename(places / "_build" / unchanged.SEEN)
    return places


def test_pages_stay_while_nothing_changes_and_then_name_todays_commit(repository, monkeypatch):
    monkeypatch.setattr(unchanged.build_stamp, "commit", lambda: {"commit": "new", "dirty": False})
    assert unchanged.is_unchanged()
    stamp = json.loads((repository / "_build/html/built.json").read_text())
    assert stamp == {"commit": "new", "dirty": False, "seconds": {"01_data": 3}}


@pytest.mark.parametrize(
    "file",
    [
        "cifar_lessons/models.py",
        "cifar_lessons/new.py",
        "book/01_data.ipynb",
        "book/claims.toml",
        "book/walk.json",
        "book/_ext/figures.py",
        "book/_ext/templates/new.html",
        "runs/simple_cnn/seed0/run.json",
        "runs/simple_cnn/seed1/run.json",
        "data/cifar-10-batches-py/test_batch",
        "_config.yml",
        "package-lock.json",
        "CHANGELOG.md",
    ],
)
def test_pages_are_built_again_when_anything_that_they_show_changes(repository, file):
    path = repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    assert not unchanged.is_unchanged()
    assert not unchanged.is_unchanged(), "asking alone remembers nothing"


def test_pages_are_built_again_after_a_file_goes_or_the_profile_changes(repository, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "full")
    assert not unchanged.is_unchanged()
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "quick")
    assert unchanged.is_unchanged()
    (repository / "runs/simple_cnn/seed0/run.json").unlink()
    assert not unchanged.is_unchanged()


def test_what_changes_during_a_build_counts_as_changed_after_it(repository):
    (repository / "book/01_data.ipynb").write_text("first")
    assert not unchanged.is_unchanged()
    (repository / "book/01_data.ipynb").write_text("second")  # while the build runs
    (repository / "_build" / "inputs").rename(repository / "_build" / unchanged.SEEN)
    assert not unchanged.is_unchanged()


def test_what_an_editor_or_python_leaves_behind_changes_nothing(repository):
    for name in ("book/.ipynb_checkpoints/01_data.ipynb", "book/_ext/__pycache__/a.pyc"):
        (repository / name).parent.mkdir()
        (repository / name).write_text("x")
    assert unchanged.is_unchanged()


def test_make_remembers_a_build_only_after_it_ended_well():
    recipe = (EXT.parents[1] / "Makefile").read_text().partition("\nbook: ")[2].partition("\n\n")[0]
    steps = [recipe.index(s) for s in ("unchanged.py", "rm -rf", "jupyter-book build", "mv _build")]
    assert steps == sorted(steps)
    between = recipe[steps[2] : steps[3]]
    assert " -W -n --keep-going && \\" in between
    assert ";" not in between


# --- The public address ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "repository", "issues", "colab"),
    [
        ("", False, False, False),
        (None, False, False, False),
        ("https://github.com/example/lessons.git/", True, True, True),
        ("https://example.org/group/lessons", True, False, False),
    ],
)
def test_buttons_follow_the_one_setting(address, repository, issues, colab):
    config = Config()
    config.html_theme_options = {"repository_url": address}
    load("public_address").place_buttons(None, config)
    options = config.html_theme_options
    assert options["use_repository_button"] == repository
    assert options["use_issues_button"] == issues
    assert bool(options["launch_buttons"]) == colab


# --- words of the glossary -----------------------------------------------------------------------

ADDRESS = {"glossary": "glossary.html"}


def linked(page: nodes.Node, *terms: str) -> list[tuple[str, str]]:
    """Return the links that a page gets: the word, and the term that it leads to."""
    ext = load("glossary_links")
    places = {form: ("glossary", f"term-{t}") for t in terms for form in ext.forms(t)}
    found = ext.link_first_uses(page, places, ADDRESS)
    made = [r for r in page.findall(nodes.reference) if r["refuri"].startswith("glossary.html#")]
    assert [(word, f"glossary.html#{place}") for word, place in found] == [
        (r.astext(), r["refuri"]) for r in made
    ]
    return [(word, place.removeprefix("term-")) for word, place in found]


def page_of(*texts: str) -> nodes.section:
    return nodes.section("", *(nodes.paragraph("", text) for text in texts))


def test_the_first_use_of_a_term_is_linked_and_the_words_stay_as_they_were():
    texts = ("A seed, and more seeds.", "The seed again: see the Logits of a batch.")
    page = page_of(*texts)
    assert linked(page, "seed", "logit", "batch") == [
        ("seed", "seed"),
        ("Logits", "logit"),
        ("batch", "batch"),
    ]
    assert [p.astext() for p in page.findall(nodes.paragraph)] == list(texts)
    [inline] = page.findall(nodes.reference).__next__().children
    assert inline["classes"] == ["xref", "std", "std-term"]  # as a link by hand


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a step schedule", [("step schedule", "step schedule")]),  # the longest wins
        ("a step\nschedule", [("step\nschedule", "step schedule")]),  # over a line break
        ("schedules", [("schedules", "schedule")]),
        ("reschedule, schedule_name, schedule-free, a.schedule, a/schedule", []),  # whole words
        ("Student’s t", [("Student’s t", "Student's t")]),  # with a curly apostrophe
        ("a step schedule, and no schedule", [("step schedule",) * 2, ("schedule",) * 2]),
        ("accuracies", [("accuracies", "accuracy")]),
        ("batches", [("batches", "batch")]),
        ("it uses batch norm", [("batch norm", "batch normalisation")]),  # listed by hand
    ],
)
def test_which_words_are_a_use(text, found):
    terms = ("schedule", "step schedule", "Student's t", "accuracy", "batch", "batch normalisation")
    assert linked(page_of(text), *terms) == found


def test_only_running_prose_is_linked():
    page = nodes.section(
        "",
        nodes.title("", "The seed"),
        nodes.literal_block("", "seed = 0"),
        nodes.paragraph("", "", nodes.literal("", "seed"), nodes.Text(" is ours.")),
        nodes.paragraph("", "", nodes.reference("", "seed", refuri="https://example.org/")),
        nodes.figure("", nodes.image(uri="a.png"), nodes.caption("", "A seed.")),
        nodes.table("", nodes.paragraph("", "seed")),
        nodes.container("", nodes.paragraph("", "seed"), classes=["cell_output", "docutils"]),
    )
    assert linked(page, "seed") == []
    page += nodes.block_quote("", nodes.paragraph("", "", nodes.strong("", "One seed.")))
    assert linked(page, "seed") == [("seed", "seed")]


def test_a_link_by_hand_counts_as_the_first_use():
    by_hand = nodes.reference("", "seeds", refuri="glossary.html#term-seed", internal=True)
    page = nodes.section(
        "", nodes.paragraph("", "", by_hand, nodes.Text(" and a seed")), nodes.paragraph("", "seed")
    )
    ext = load("glossary_links")
    assert ext.link_first_uses(page, {"seed": ("glossary", "term-seed")}, ADDRESS) == []


def test_what_the_glossary_s_machine_knows_stands_in_the_glossary():
    """A renamed term must not leave a list behind."""
    ext = load("glossary_links")
    text = (BOOK / "glossary.md").read_text().partition("```{glossary}")[2]
    terms = set(re.findall(r"^([^\s:`].*)$", text, re.MULTILINE))
    assert len(terms) > 140
    named = set(ext.BY_HAND) | set(ext.VARIANTS) | set().union(*ext.ELSE.values())
    assert named - terms == set()
    pages = {p.stem for p in BOOK.iterdir()}
    assert set(ext.ELSE) <= pages


def test_a_word_that_is_linked_by_hand_alone_is_linked_by_hand_somewhere():
    ext = load("glossary_links")
    pages = [nbformat.read(p, as_version=4).cells for p in BOOK.glob("*.ipynb")]
    text = "\n".join(c.source for cells in pages for c in cells if c.cell_type == "markdown")
    links = {
        (named or said).lower()
        for said, named in re.findall(r"\{term\}`([^`<]+?)(?: <([^>]+)>)?`", text)
    }
    assert {term for term in ext.BY_HAND if term.lower() not in links} == set()
