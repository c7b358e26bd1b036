"""Gives each chapter's list of mistakes to the test that the chapters share."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mistake" in metafunc.fixturenames:
        mistakes = metafunc.cls.mistakes
        assert mistakes, "name at least one mistake, or nothing shows that the checks can fail"
        ids = [f"{number + 1}-{place}" for place, (number, _) in enumerate(mistakes)]
        metafunc.parametrize("mistake", mistakes, ids=ids)
