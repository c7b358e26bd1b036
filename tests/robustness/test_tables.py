"""Mirrors cifar_lessons/robustness/tables.py, on made-up studies."""

import json

import numpy as np
import pytest

from cifar_lessons import recording, reports
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.robustness import tables
from cifar_lessons.robustness.answers import summed_up


@pytest.fixture(scope="session")
def spoiled() -> dict:
    """Three networks: the second is 10 points better on spoiled images, the third like it."""
    rng = np.random.default_rng(0)
    results = {}
    for name, share in (("plain_net", 0.5), ("augmented", 0.6), ("wide", 0.6)):
        images = 2_000 if name == "wide" else 4_000
        hard = np.random.default_rng(1).random(4_000)[:images]
        results[name] = {
            "clean": np.stack([hard[None] < 0.8, hard[None] < 0.82]),
            **{
                corruption: np.stack(
                    [hard + 0.05 * rng.normal(size=(5, images)) < s for s in (share, share + 0.01)]
                )
                for corruption in ("gaussian_noise", "fog")
            },
        }
    pairs = (("plain_net", "augmented"), ("augmented", "wide"))
    facts = {"precision": "bf16", "seconds": 600.0, "not_kept": ["simple_cnn"]}
    facts |= summed_up(results, pairs)
    for found in facts["networks"].values():
        found["clean"]["recorded"] = found["clean"]["plain"] + 3
    return facts


@pytest.fixture
def copies() -> dict:
    return {
        "test_images": 2_000,
        "near": 3,
        "near_of_another_class": 1,
        "rule": {"near": 0.6},
        "looked_at": [[0.8, 30, 30], [0.5, 15, 30]],
        "pairs": {"test": [70, 4, 9, 33], "train": [1, 2, 3, 4], "detail": [1.0, 0.85, 0.6, 0.5]},
    }


def text(table) -> str:
    return f"{table}\n{table.caption}"


def test_the_overview_gives_means_intervals_and_gains(spoiled):
    table = tables.overview(spoiled)
    assert [str(row[0]) for row in table.rows] == ["plain_net", "augmented", "wide"]
    row = [str(cell) for cell in table.rows[1]]
    stored = spoiled["networks"]["augmented"]
    assert row[1] == "4,000"
    assert row[2] == f"{100 * stored['clean']['plain'] / 4000:.1f} %"
    half = 196 * stored["plain"]["variance"] ** 0.5  # 1.96 standard errors, in points
    mean = 100 * stored["plain"]["mean"]
    assert row[3] == f"{mean:.1f} % ({mean - half:.1f} to {mean + half:.1f})"
    assert row[4].startswith(f"+{100 * stored['lost']['mean']:.2f}")
    assert "at most 3 images" in table.caption


def test_accuracy_by_corruption_is_the_mean_over_severities(spoiled):
    table = tables.by_corruption(spoiled)
    assert table.columns == ["Corruption", "plain_net", "augmented", "wide"]
    assert [row[0] for row in table.rows] == ["gaussian noise", "fog"]
    counts = spoiled["networks"]["wide"]["corruptions"]["fog"]["plain"]
    share = [100 * n / 2_000 for n in counts]
    assert table.rows[1][3] == f"{np.mean(share):.1f} ({share[0]:.0f} → {share[-1]:.0f})"
    assert text(tables.by_corruption(spoiled, "flip")) != text(table)


def test_only_a_clear_difference_gets_a_star(spoiled):
    table = tables.comparisons(spoiled)
    better, same = ([str(cell) for cell in row] for row in table.rows)
    assert better[0] == "augmented against plain_net"
    assert better[2] == "+0.00 (+0.00 to +0.00)"  # equal on clean images
    assert better[3].endswith("*")
    assert better[4].endswith("*")
    assert better[4].startswith("−")  # it loses less
    assert "*" not in "".join(same)
    assert same[1] == "2,000"


def test_what_is_not_kept_is_said_with_the_command(spoiled):
    said = tables.not_kept(spoiled)
    assert "`simple_cnn`" in said
    assert "study corruptions --record" in said
    assert tables.not_kept({**spoiled, "not_kept": []}) == ""


def test_twins_are_those_over_the_threshold(copies):
    assert tables.twins(copies).tolist() == [4, 9, 70]


def test_what_was_looked_at_is_projected_on_all_pairs(copies):
    table = tables.looked_at(copies)
    assert [row[:3] for row in table.rows] == [
        ("0.8 to 1", "2", "30 of 30"),
        ("0.5 to 0.8", "2", "15 of 30"),
    ]
    assert table.rows[1][3].startswith("1 (")
    assert "Of all 4 listed, about 3 should" in table.caption
    assert "0.1 % of the test images" in table.caption


def test_looking_splits_the_count_into_copies_and_others(copies):
    # Two pairs at 30 of 30, ten at 21 of 30, and below 0.6 five at 15 of 30.
    bands = [[0.8, 30, 30], [0.6, 21, 30], [0.5, 15, 30]]
    pairs = {"test": [1] * 17, "train": [1] * 17, "detail": [1.0, 0.9, *[0.7] * 10, *[0.5] * 5]}
    said = tables.by_looking({**copies, "near": 12, "looked_at": bands, "pairs": pairs})
    assert "about **9** of the 12" in said  # 2 + 7
    assert "the other 3, 25 % of them" in said
    assert "About 2 more" in said
    assert tables.by_looking(None) == ""


def test_whose_accuracy_falls_most_is_said(recorded, copies):
    recorded("simple_cnn", 0.75, seeds=range(2))
    recorded("resnet18", 0.9)
    found = reports.available(["simple_cnn", "resnet18"])
    falls = {
        name: -100 * tables.change_without([r.logits("test") for r in seeds], [4, 9, 70]).mean
        for name, seeds in found.items()
    }
    low, high = sorted(falls, key=falls.__getitem__)
    said = tables.without_in_words(copies, found)
    assert f"by {falls[low]:.2f} points ({low}) to {falls[high]:.2f} ({high})" in said
    assert tables.without_in_words(copies, {}) == tables.without_in_words(None, found) == ""


def test_our_count_stands_beside_the_published_one(copies):
    said = tables.against_published(copies)
    assert "**3** of 2,000 test images (0.1 %)" in said
    assert "1 of them carry" in said
    assert "3.25 %" in said


def test_the_change_without_some_images_by_hand():
    right = np.array([[1, 1, 0, 0, 1, 1], [1, 1, 0, 1, 1, 1]])
    logits = np.stack([right, 1 - right], axis=2).astype(np.float32)
    seeds = [Predictions(seed, np.zeros(6, np.int64)) for seed in logits]
    found = tables.change_without(seeds, np.array([0, 4]))
    differences = right[:, [1, 2, 3, 5]].mean(1) - right.mean(1)
    assert found.mean == pytest.approx(differences.mean())
    assert found.n == 2
    assert found.seed_variance == pytest.approx(differences.var(ddof=1) / 2)
    # All are right on the two that go, so these have no spread. Of the other four, what hangs on
    # the seed is counted with the seeds.
    rest = right[:, [1, 2, 3, 5]]
    residual = rest - rest.mean(1, keepdims=True) - rest.mean(0) + rest.mean()
    hangs_on_both = (residual**2).sum() / 3 / (2 * 4)
    images = rest.mean(0).var(ddof=1) / 4 - hangs_on_both
    assert images > 0
    assert found.image_variance == pytest.approx((2 / 6) ** 2 * images)
    one = tables.change_without(seeds[:1], np.array([0, 4]))
    assert one.seed_variance == 0
    assert one.image_variance == pytest.approx((2 / 6) ** 2 * rest[0].var(ddof=1) / 4)
    assert tables.change_without(seeds[:1], np.array([0, 4])).seed_variance == 0


def test_recorded_runs_are_scored_without_the_twins(recorded, copies):
    recorded("simple_cnn", 0.75, seeds=range(2))
    recorded("resnet18", 0.9)
    found = reports.available(["simple_cnn", "resnet18"])
    table = tables.without_twins(copies, found)
    assert [row[0] for row in table.rows] == ["simple_cnn", "resnet18"]
    right = np.stack([run.logits("test").correct for run in found["simple_cnn"]])
    rest = np.delete(right, [4, 9, 70], axis=1).mean()
    assert table.rows[0][2] == f"{100 * right.mean():.2f} %"
    assert table.rows[0][3] == f"{100 * rest:.2f} %"
    assert "without the 3 near duplicates" in table.caption


def test_memory_compares_two_recipes_on_the_twins_and_on_the_rest(recorded, copies):
    recorded("simple_cnn", 0.75, seeds=range(3))
    recorded("simple_cnn_flip_crop", 0.8, seeds=range(2))
    found = reports.available(["simple_cnn", "simple_cnn_flip_crop"])
    first, second = found.values()
    table = tables.memory(copies, first, second)
    assert table.columns == ("On", "Images", "simple_cnn", "simple_cnn_flip_crop", "Difference")
    assert [row[1] for row in table.rows] == ["3", "1,997"]
    assert "over 2 paired seeds" in table.caption
    rest = [
        np.mean([np.delete(r.logits().correct, [4, 9, 70]) for r in side[:2]])
        for side in (first, second)
    ]
    assert table.rows[1][2] == f"{100 * rest[0]:.1f} %"
    assert table.rows[1][4].startswith(f"{100 * (rest[1] - rest[0]):+.2f} (")
    assert tables.memory(copies, first, None).caption == tables.NOTHING
    assert tables.memory(None, first, second).caption == tables.NOTHING


def test_without_a_study_everything_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert tables.recorded("corruptions") is None
    assert tables.card("corruptions") == (
        "**Not recorded yet:** `cifar-lessons study corruptions --record`"
    )
    empty = [tables.overview(None), tables.by_corruption(None), tables.comparisons(None)]
    empty += [tables.looked_at(None), tables.without_twins(None, {})]
    assert {table.caption for table in empty} == {tables.NOTHING}
    assert tables.not_kept(None) == tables.against_published(None) == ""
    assert tables.twins(None).tolist() == []


def test_a_recorded_study_has_a_card(monkeypatch, tmp_path, spoiled):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    provenance = {
        "git_dirty": False,
        "git_commit": "abcdef0123",
        "device": "Made-up CPU",
        "threads": 2,
        "packages": {"torch": "9.8.7"},
    }
    recording.record_study("corruptions", spoiled, provenance=provenance)
    assert tables.recorded("corruptions") == json.loads(json.dumps(spoiled))
    assert tables.card("corruptions") == (
        "*Recorded: Made-up CPU, 2 threads, bf16, torch 9.8.7, commit abcdef0, 10 minutes.*"
    )
