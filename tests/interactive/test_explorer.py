"""Mirrors cifar_lessons/interactive/explorer.py."""

import base64
import io
import json
import re

import numpy as np
import pytest
from browser import needs_browser
from PIL import Image

from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.evaluation.mistakes import answers, sample
from cifar_lessons.interactive.explorer import COLUMNS, explorer

CLASSES = [f"<{name}>" for name in "abcdefghij"]  # names that would be markup
IMAGES = np.random.default_rng(5).integers(0, 256, (600, 3, 1, 1), dtype=np.uint8)
IMAGES = np.broadcast_to(IMAGES, (600, 3, 32, 32)).copy()  # each of one colour


def network(seed: int, *, skill: float = 2.0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(600) % 10
    logits = 2 * rng.normal(size=(600, 10))
    logits[np.arange(600), labels] += skill
    return Predictions(logits, labels)


NETWORKS = {"good": network(0, skill=3.0), "bad": network(1)}


@pytest.fixture(scope="module")
def page() -> str:
    return explorer(NETWORKS, IMAGES, CLASSES, each=3)._repr_html_()


def handed(page: str) -> dict:
    found = re.search(r'getElementById\("[\w-]+"\), (\{.*\})\);\n</script>', page)
    assert found
    return json.loads(found[1])


def test_every_picture_stands_with_its_answers_where_the_sprite_has_it(page):
    data = handed(page)
    found = answers(NETWORKS)
    rows = sample(found, each=3)
    assert [p["row"] for p in data["pictures"]] == rows.tolist()
    sheet = Image.open(io.BytesIO(base64.b64decode(data["sprite"].partition(",")[2])))
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert pixels.shape[1] == 32 * COLUMNS
    for k, p in enumerate(data["pictures"]):
        assert p["label"] == found.labels[p["row"]]
        assert p["said"] == found.said[:, p["row"]].tolist()
        assert p["sure"] == pytest.approx(1000 * found.sure[:, p["row"]], abs=1)
        tile = pixels[k // COLUMNS * 32 + 16, k % COLUMNS * 32 + 16]
        assert np.abs(tile - IMAGES[p["row"], :, 0, 0]).max() < 24  # WebP is not exact


def test_all_mistakes_are_counted_not_only_those_with_a_picture(page):
    for entry, predictions in zip(handed(page)["networks"], NETWORKS.values(), strict=True):
        assert len(entry["all"]) == (~predictions.correct).sum()
        for code in entry["all"]:
            assert code // 1000 // 10 != code // 1000 % 10


def test_names_are_text_and_never_markup(page):
    assert "<a>" not in page
    assert "&lt;a&gt;" in page


@pytest.mark.parametrize(
    ("networks", "images", "classes", "message"),
    [
        (NETWORKS, IMAGES[:5], CLASSES, r"uint8 \(600, 3, 32, 32\).*got uint8 \(5, 3, 32, 32\)"),
        (NETWORKS, IMAGES.astype(float), CLASSES, "got float64"),
        (NETWORKS, IMAGES, CLASSES[:9], "9 names for 10 classes; give one for each"),
        ({}, IMAGES, CLASSES, "at least one network is needed"),
        ({"perfect": network(0, skill=99.0)}, IMAGES, CLASSES, "perfect: no mistakes to show"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(networks, images, classes, message):
    with pytest.raises(ValueError, match=message):
        explorer(networks, images, classes)


@needs_browser
def test_it_filters_sorts_pages_and_explains(tab, page):
    tab.set_content(page)
    tiles, status = tab.locator(".cl-tiles button"), tab.get_by_role("status")
    wrong = {name: (~p.correct).sum() for name, p in NETWORKS.items()}
    assert f"good makes {wrong['good']} such mistakes" in status.text_content()
    assert tab.get_by_role("button", name="Previous page").is_disabled()

    def sure() -> list[float]:
        return [float(t.split()[-2]) for t in tiles.all_text_contents()]

    assert sure() == sorted(sure(), reverse=True)
    sprite = "data:image/webp"
    assert tab.content().count(sprite) == page.count(sprite) + 1  # however many pictures it shows
    style = "e => getComputedStyle(e).backgroundImage"
    assert tab.locator(".cl-picture").first.evaluate(style).startswith(f'url("{sprite}')
    tab.get_by_label("Order").select_option("unsure")
    assert sure() == sorted(sure())

    tab.get_by_label("Network").select_option("bad")
    assert f"bad makes {wrong['bad']} such mistakes" in status.text_content()
    assert tiles.count() == 40
    tab.get_by_role("button", name="Next page").click()
    assert "page 2 of" in status.text_content()

    tab.get_by_label("Labelled").select_option("<c>")
    assert tab.get_by_role("button", name="Next page").is_disabled()
    assert all(t.startswith("<c>, called ") for t in tiles.all_text_contents())
    p = NETWORKS["bad"]
    assert f"bad makes {(~p.correct & (p.labels == 2)).sum()} such" in status.text_content()

    slider = tab.get_by_label("Confidence from")
    slider.focus()
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
    assert "60 %" in tab.locator("label", has=slider).text_content()
    assert tiles.count() > 0
    assert min(sure()) >= 60

    tiles.first.press("Enter")
    words = tab.locator(".cl-detail").text_content()
    assert "labelled <c>. What each network says:" in words
    assert "good: " in words
    assert tiles.first.get_attribute("aria-pressed") == "true"

    tab.get_by_label("Confidence from").fill("0")
    tab.get_by_label("only what all get wrong").check()
    assert "that every network gets wrong" in status.text_content()
    for tile in tiles.all():
        tile.click()
        assert "right" not in tab.locator(".cl-detail ul").text_content()
