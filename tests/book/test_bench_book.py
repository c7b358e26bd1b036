"""Mirrors book/_ext/bench_book.py: what it adds up and how it judges. It builds nothing."""

import json

import bench_book
import pytest


def test_what_pages_share_is_told_apart():
    site = "http://127.0.0.1:8000"
    loaded = [
        (f"{site}/a.html", 1_000),
        (f"{site}/_images/x.png", 200),
        (f"{site}/_static/vendor/katex/katex.min.css", 50_000),
    ]
    assert bench_book.split(loaded) == (1_200, 50_000)


@pytest.mark.parametrize(("seconds", "verdict"), [(60.0, "met"), (60.1, "NOT MET")])
def test_a_build_is_held_against_its_target(seconds, verdict):
    table = bench_book.times(700.0, seconds, 100.0, 480.0)
    assert [row[-1] for row in table.rows] == ["NOT MET", "met", verdict, "-"]


def test_a_page_that_is_too_heavy_is_told():
    table = bench_book.pages({"a": 12.3}, {"a": (500_000, 1_000_000), "b": (500_001, 1_000_000)})
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [
        ("a", "12", "met"),
        ("b", "not known", "NOT MET"),
    ]


def test_as_it_is_builds_nothing(tmp_path, monkeypatch, capsys):
    stamp = {"commit": "0123456789abcdef", "dirty": True, "seconds": {"01_data": 7.0, "status": 99}}
    (tmp_path / "built.json").write_text(json.dumps(stamp))
    monkeypatch.setattr(bench_book, "HTML", tmp_path)
    monkeypatch.setattr(bench_book, "build", lambda: pytest.fail("it builds"))
    monkeypatch.setattr(bench_book, "weigh", lambda pages: dict.fromkeys(pages, (1, 2)))
    bench_book.main(["--as-it-is"])
    out = capsys.readouterr().out
    assert "all chapters, when they last ran  7 " in out
    assert "first build" not in out
    assert "commit 0123456789 with uncommitted changes" in out
