"""Mirrors cifar_lessons/deploy/chromium.py."""

import builtins

import pytest

from cifar_lessons.deploy import chromium
from cifar_lessons.errors import UserError


def test_a_tab_reaches_this_machine_alone_and_tells_of_all_else(chrome, tmp_path):
    (tmp_path / "page.html").write_text(
        "<title>x</title><script>console.error('ouch'); "
        "fetch('http://example.org/x').catch(() => document.title = 'done'); fetch('none');"
        "setTimeout(() => { throw new Error('thrown') })</script>"
    )
    trouble: list[str] = []
    with chromium.served(tmp_path) as site:
        context = chrome.new_context()
        chromium.cut_off(context, trouble)
        tab = context.new_page()
        chromium.watch(tab, trouble)
        tab.goto(f"{site}/page.html", wait_until="networkidle")
        tab.wait_for_function("document.title === 'done'")
        context.close()
    assert "asked for http://example.org/x" in trouble
    assert "console: ouch" in trouble
    assert "script: thrown" in trouble
    assert f"404 {site}/none" in trouble


def test_without_a_browser_or_its_driver_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(chromium, "find", lambda: None)
    with pytest.raises(UserError, match="apt-get install chromium"), chromium.launched():
        pass
    monkeypatch.setattr(chromium, "find", lambda: "/usr/bin/chromium")
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.startswith("playwright"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="`pip install playwright`"), chromium.launched():
        pass
