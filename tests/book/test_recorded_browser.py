"""The recorded study of the demo is proven again: its network is the shipped one, its parts fit."""

import pytest

from cifar_lessons.deploy import browser_report, demo, shipped


@pytest.fixture(scope="module")
def study():
    found = browser_report.recorded()
    if found is None:
        pytest.skip("no study of the demo is recorded yet: `cifar-lessons bench browser --record`")
    return found


def test_its_network_is_the_one_that_the_book_ships(study):
    run = shipped.required()
    assert study["values"]["weights"] == shipped.about(run).weights
    assert study["values"]["onnxruntime_web"] == demo.RUNTIME_VERSION


def test_its_answers_are_python_s(study):
    for entry in study["values"]["precisions"].values():
        for found in (entry["same_bytes"], entry["any_size"]):
            assert found["other_pixels"] == 0
            assert found["same"] <= found["pictures"]
    plain = study["values"]["precisions"]["fp32"]["same_bytes"]
    assert plain["same"] == plain["pictures"] == 200
    assert plain["largest"] < 1e-4


def test_its_provenance_is_clean(study):
    assert study["provenance"]["git_dirty"] is False
    assert study["values"]["synthetic"] is False
