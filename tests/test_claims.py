"""Mirrors cifar_lessons/claims.py."""

import json
import subprocess
from pathlib import Path

import pytest

from cifar_lessons import claims, recipes, recording, runs, studies
from cifar_lessons.enas import arms
from cifar_lessons.errors import UserError
from cifar_lessons.judges import JUDGES

ENTRY = """
[[claim]]
id = "X1"
title = "A title"
says = "It says so."
article = "72 %"
kind = "at_least"
rule = "A rule."
chapter = "01"
"""


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "none"))


def ledger(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    return path


# The book's own entries.


def test_every_claim_of_the_article_has_one_entry_in_its_order():
    assert [c.id for c in claims.load_claims()] == [f"C{n:02}" for n in range(1, 22)]


def test_entries_refer_to_recipes_studies_and_judges_that_exist():
    entries = claims.load_claims()
    for claim in entries:
        names = {*claim.recipes, *claim.also}
        assert names <= set(recipes.RECIPES), claim.id
        known = {*studies.STUDIES, *runs.MEASURED_BY}
        assert {*claim.studies, *claim.also_studies} <= known, claim.id
        assert set(claim.predicted) <= names, claim.id
        known_now = [r for r in claim.recipes if r not in arms.SEARCHES]  # or found by a search
        assert all(recipes.get(r).seeds >= claim.min_seeds for r in known_now), claim.id
        assert bool(claim.recipes or claim.studies) == (claim.id in JUDGES), claim.id
        assert (claim.value is not None) or claim.kind in ("ordering", "undefined", "equals")
    assert set(JUDGES) <= {c.id for c in entries}


# Without runs.


def test_without_runs_every_claim_is_open_and_says_what_is_missing(nothing):
    rows = claims.rows()
    assert {row.finding.verdict for row in rows} == {"open"}
    assert claims.summary(rows) == (
        "21 claims: 0 reproduced, 0 corrected, 0 not measurable here, 21 open."
    )
    by_id = {row.claim.id: row for row in rows}
    assert by_id["C05"].finding.reason == "not recorded yet: simple_cnn (0 of 5 seeds)"
    assert "study data_facts" in by_id["C01"].finding.reason
    assert by_id["C20"].finding.reason == "not recorded yet: study bench_latency"


def test_commands_can_be_typed(nothing):
    by_id = {row.claim.id: row.command for row in claims.rows()}
    assert by_id["C01"] == "cifar-lessons study data_facts --record"
    assert by_id["C07"] == "cifar-lessons train resnet18 --seed 0"
    assert by_id["C05"] == ("for s in 0 1 2 3 4; do cifar-lessons train simple_cnn --seed $s; done")
    shell = by_id["C02"].replace("cifar-lessons", "echo")
    typed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    lines = typed.stdout.splitlines()
    assert lines[0] == "study data_facts --record"
    assert len(lines) == 1 + 3 * 3
    assert lines[-1] == "train simple_cnn_wrong_std --seed 2"
    # What others begin with comes first: an architecture that was found, weights, a teacher.
    assert by_id["C17"].startswith("cifar-lessons search enas_search ")  # in the recipes' order
    for search in ("enas_search", "enas_uniform"):
        assert (
            f"cifar-lessons search {search} --seed 0; cifar-lessons record {search} --seed 0; "
        ) in by_id["C17"].partition("for r in")[0]
    assert by_id["C16"].startswith("cifar-lessons train simclr_w16 --seed 0; for r in ")
    assert "train resnet18 " not in by_id["C15"].partition("for r in")[0]  # one of its recipes


# With runs.


@pytest.mark.parametrize(
    ("accuracy", "verdict", "outcome"),
    [(0.74, "reproduced", "inside"), (0.65, "open", "outside"), (0.715, "open", "inside")],
)
def test_the_verdict_follows_the_runs(recorded, accuracy, verdict, outcome):
    recorded("simple_cnn", accuracy, seeds=range(5))
    [row] = claims.rows(["C05"])
    assert row.finding.verdict == verdict
    assert row.finding.estimate is not None
    assert row.finding.estimate.n == 5
    assert row.outcome[0].endswith(f"{outcome} the predicted 71–75 %")


def test_too_few_seeds_leave_a_claim_open(recorded):
    recorded("simple_cnn", 0.74, seeds=(0, 1, 2, 4))
    [row] = claims.rows(["C05"])
    assert row.finding.verdict == "open"
    assert row.missing == ("simple_cnn (4 of 5 seeds)",)


def test_the_whole_ledger_with_runs(recorded):
    for name in ("simple_cnn", "simple_cnn_flip", "simple_cnn_flip_crop"):
        recorded(name, {"simple_cnn": 0.74}.get(name, 0.78), seeds=range(5), parameters=100)
    for name, size in (("deep_cnn_narrow", 102), ("deep_cnn", 414), ("deep_cnn_pool4", 43)):
        recorded(name, 0.85, seeds=range(3), parameters=size)
    for name in ("simple_cnn_truncated_std", "simple_cnn_wrong_std"):
        recorded(name, 0.74, seeds=range(3))
    for name in ("resnet18", "resnet34_w16", "resnet50_w16"):
        recorded(name, 0.94)
    counts = {"blocks": {"resnet50": ["Bottleneck"]}}
    recording.record_study("parameter_counts", counts, provenance={"git_dirty": False})
    rows = {row.claim.id: row for row in claims.rows()}
    verdicts = {name: rows[name].finding.verdict for name in sorted(JUDGES)}
    assert verdicts == {
        "C01": "open",  # its study is missing
        "C02": "open",
        "C03": "reproduced",
        "C04": "open",
        "C05": "reproduced",
        "C06": "corrected",
        "C07": "reproduced",
        "C08": "corrected",
        "C09": "corrected",
        "C10": "open",
        "C11": "open",
        "C12": "corrected",
        "C13": "open",
        "C14": "open",
        "C15": "open",
        "C16": "open",
        "C17": "open",
        "C18": "open",
        "C19": "open",
        "C20": "open",
        "C21": "open",
    }
    assert claims.summary(list(rows.values())).startswith("21 claims: 3 reproduced, 4 corrected")
    notes = claims.notes("C03")
    assert "simple_cnn_flip against simple_cnn: +" in notes
    assert "*Rule (ordering):*" in notes


def test_runs_of_one_claim_in_several_precisions_are_told(recorded):
    for name in ("simple_cnn", "simple_cnn_flip", "simple_cnn_flip_crop"):
        recorded(name, 0.74, seeds=range(5))
    assert "not in one precision" not in claims.notes("C03")
    path = runs.runs_root() / "simple_cnn_flip" / "seed0" / "run.json"
    path.write_text(path.read_text().replace('"bf16"', '"fp32"'))
    assert "simple_cnn in bf16, simple_cnn_flip in bf16 and fp32" in claims.notes("C03")


def make_stale(root: Path, name: str, seed: int) -> None:
    path = root / name / f"seed{seed}" / "run.json"
    content = json.loads(path.read_text())
    content["recipe"]["epochs"] += 1
    path.write_text(json.dumps(content))


def test_stale_runs_count_for_nothing_and_are_reported(recorded):
    recorded("simple_cnn", 0.74, seeds=range(5))
    assert claims.stale_claims(claims.rows(["C05"])) == []
    make_stale(runs.runs_root(), "simple_cnn", 3)
    [row] = rows = claims.rows(["C05"])
    assert row.finding.verdict == "open"
    assert "recorded with other settings: simple_cnn seed 3" in row.finding.reason
    [line] = claims.stale_claims(rows)
    assert line.startswith("C05: recorded with other settings: simple_cnn seed 3; run `for s in")


def test_a_claim_marked_measured_must_have_its_runs(recorded, tmp_path):
    text = ENTRY + 'recipes = ["resnet18"]\nvalue = 90\nmeasured = '
    for mark, lines in (("false", 0), ("true", 1)):
        rows = claims.rows(path=ledger(tmp_path, text + mark))
        assert len(claims.stale_claims(rows)) == lines
    assert (
        "X1 is marked measured, but not recorded: resnet18 (0 of 1 seeds)"
        in (claims.stale_claims(rows)[0])
    )


def test_a_claim_that_needs_another_machine_says_so(nothing, tmp_path):
    path = ledger(tmp_path, ENTRY + 'elsewhere = "it needs a V100"')
    rows = claims.rows(path=path)
    assert rows[0].finding.verdict == "not measurable here"
    assert rows[0].finding.reason == "it needs a V100"
    assert claims.summary(rows) == "1 claim: not measurable here."


# Shown.


def test_the_terminal_shows_each_claim_and_keeps_commands_whole(nothing):
    rows = claims.rows()
    text = claims.format_rows(rows, width=60)
    for row in rows:
        assert f"{row.claim.id}  OPEN  {row.claim.title}" in text
        if row.command:
            assert f"     $ {row.command}\n" in text
    prose = [line for line in text.splitlines() if line.startswith("     ") and "$" not in line]
    assert max(len(line) for line in prose) <= 60
    assert text.endswith(claims.summary(rows))


def test_the_page_links_chapters_that_exist_and_no_others(nothing, tmp_path, monkeypatch):
    (tmp_path / "02_cnn.ipynb").touch()
    (tmp_path / "claims.toml").write_text((claims.BOOK / "claims.toml").read_text("utf-8"), "utf-8")
    monkeypatch.setattr(claims, "BOOK", tmp_path)
    table = claims.table()
    assert table.columns[-1] == "Chapter"
    links = {str(row[0])[:3]: getattr(row[-1], "href", "") for row in table.rows}
    assert links["C05"] == "02_cnn.html#claim-c05"
    assert links["C07"] == ""
    assert [str(row[0])[:3] for row in claims.table("C05", "C07").rows] == ["C05", "C07"]
    assert "Chapter" not in claims.table("C05").columns


def test_the_page_links_each_claim_to_its_notes(nothing):
    notes = str(claims.notes())
    for row in claims.table().rows:
        place = row[0].href.removeprefix("#")
        assert notes.count(f'<span id="{place}"></span>**{str(row[0])[:3]} ') == 1


def test_a_chapter_links_each_claim_to_its_row_in_the_ledger(nothing):
    rows = {row[0].anchor for row in claims.table().rows}
    assert len(rows) == 21
    for row in claims.table("C05", "C03").rows:
        page, _, place = row[0].href.partition("#")
        assert page == "claims.html"
        assert place in rows
        assert not row[0].anchor  # the row itself stands on another page


def test_counts_add_up_in_the_order_of_the_summary(nothing):
    rows = claims.rows()
    counts = claims.counts(rows)
    assert list(counts) == list(claims.VERDICTS)
    assert sum(counts.values()) == len(rows) == 21
    assert f"{counts['open']} open" in claims.summary(rows)


def test_a_star_stands_for_every_other_recipe_with_seeds(nothing, tmp_path):
    path = ledger(tmp_path, ENTRY + 'recipes = ["simple_cnn"]\nalso = ["*"]')
    [claim] = claims.load_claims(path)
    assert "simple_cnn" not in claim.also
    assert "tuning_base" not in claim.also  # it is searched, not trained seed by seed
    assert {"resnet18", "simple_cnn_flip"} < set(claim.also)


# Mistakes.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + ENTRY, "2 entries 'X1'; keep one"),
        (ENTRY + 'verdict = "reproduced"', "unknown field 'X1.verdict'"),
        (ENTRY.replace("at_least", "atleast"), "X1.kind must be one of 'equals'.*got 'atleast'"),
        (ENTRY.replace('rule = "A rule."', ""), "field 'X1?.?rule' is missing"),
        ("[[claim]", r"is no list of \[\[claim\]\] entries"),
        ("", r"is no list of \[\[claim\]\] entries"),
        ("[claim]\nid = 'X1'", r"is no list of \[\[claim\]\] entries: write \[\[claim\]\] above"),
        ("claim = ['X1']", r"is no list of \[\[claim\]\] entries: write"),
        (ENTRY + 'recipes = ["simple_cn"]', "no recipe 'simple_cn': did you mean 'simple_cnn'"),
    ],
)
def test_a_wrong_entry_is_named(nothing, tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        claims.rows(path=ledger(tmp_path, text))


def test_an_unknown_claim_and_a_missing_file_are_named(nothing, tmp_path):
    with pytest.raises(UserError, match="no claim 'C5': did you mean 'C"):
        claims.rows(["C5"])
    with pytest.raises(UserError, match=r"no claims in .*nowhere.toml"):
        claims.load_claims(tmp_path / "nowhere.toml")


def test_the_ledger_works_where_there_is_no_torch(without_torch):
    code = (
        "from cifar_lessons import claims, plots, reports, studies\n"
        "assert claims.format_rows(claims.rows())\n"
        "assert claims.table()._repr_html_()\n"
    )
    without_torch(code)


def test_what_others_measured_is_called_cited(nothing, monkeypatch):
    study = {
        "device_type": "cpu", "device": "A device", "cores": 2, "precisions": ["fp32", "bf16"],
        "cells": [
            {"model": "resnet18", "batch": 128, "rates": {"fp32": [50.0], "bf16": [100.0]}}
        ],
    }  # fmt: skip
    recording.record_study("bench_precision", study, provenance={"git_dirty": False})
    notes = claims.notes("C19")
    assert "- *Measured:* resnet18, 100 images/s (bf16)" in notes
    assert "- *Cited, not measured here:* GTX 1080 Ti, " in notes
    assert "*Measured:* cited" not in notes
