"""The recorded latencies keep the protocol, and their networks are those that are recorded."""

import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.deploy.latency_tables import STUDY


@pytest.fixture(scope="module")
def values():
    try:
        return runs.load_study(STUDY)["values"]
    except runs.MissingRun:
        pytest.skip("no latencies are recorded yet")


def test_it_keeps_the_protocol(values):
    assert not values["quick"]
    assert not values["synthetic"]
    assert values["images"] == 10_000
    assert values["warm_up"] >= 20
    for cell in values["cells"]:
        assert cell["calls"] >= (200 if cell["batch"] == 1 else 100)
        assert {len(times["blocks"]) for times in cell["ways"].values()} == {10}
        for times in cell["ways"].values():
            assert times["p50"] <= times["p90"] <= times["p99"]


def test_its_networks_have_the_weights_that_are_recorded(values):
    """Else `cifar-lessons bench latency --record` measures it again."""
    for facts in values["models"].values():
        run = runs.status(recipes.get(facts["recipe"]))[0][2]
        if facts["weights"] == "recorded":
            assert run is not None
            assert run.weights is not None
            assert facts["sha256"] == run.weights["sha256"]
            # Recorded under bf16 from the unrounded weights; eager fp32 here, from fp16.
            accuracy = facts["scores"]["eager"]["accuracy"]
            assert accuracy == pytest.approx(run.final["test_accuracy"], abs=0.003)
