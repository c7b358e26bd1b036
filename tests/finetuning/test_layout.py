"""Mirrors cifar_lessons/finetuning/layout.py: what is wrong with a folder is said in one line."""

import shutil

import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.finetuning.layout import given_split, list_classes, require_same_classes


def test_classes_are_subfolders_and_system_files_are_nobody(mine):
    for name in (".DS_Store", "chart/.DS_Store", "chart/Thumbs.db", "house/desktop.ini"):
        (mine / name).write_bytes(b"x")
    (mine / "__MACOSX").mkdir()
    (mine / "labels.csv").write_text("beside the classes, and no picture")
    (mine / "house" / "000.png").rename(mine / "house" / "000.PNG")
    found = list_classes(mine, [], skip_broken=False)
    assert {name: len(files) for name, files in found.items()} == {"chart": 5, "house": 5}


def nothing(folder) -> None:
    for path in (folder / "chart", folder / "house"):
        shutil.rmtree(path)


def flat(folder) -> None:
    nothing(folder)
    (folder / "a.png").write_bytes(b"x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (nothing, "mine holds no class: sort the pictures into one subfolder a class, such as"),
        (flat, "mine holds no class: sort the pictures"),
        (lambda f: shutil.rmtree(f / "chart"), "holds one class, 'house': two are the fewest"),
        (lambda f: (f / "a.JPG").write_bytes(b"x"), "a.JPG belongs to no class: move it into"),
        (lambda f: (f / "house" / "big").mkdir(), "house/big is a folder inside a class"),
        (lambda f: (f / "house" / "a.webp").write_bytes(b"x"), "a.webp is no PNG or JPEG: convert"),
    ],
    ids=["empty", "flat", "one class", "loose", "nested", "other format"],
)
def test_a_folder_that_cannot_be_used(mine, change, said):
    change(mine)
    with pytest.raises(UserError) as caught:
        list_classes(mine, [], skip_broken=False)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_strangers_the_first_is_named_and_all_can_be_left_out(mine):
    for name in ("a.txt", "b.gif"):
        (mine / "house" / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"a.txt is no .* \(and 1 more like it\); --skip-broken"):
        list_classes(mine, [], skip_broken=False)
    notes: list[str] = []
    assert len(list_classes(mine, notes, skip_broken=True)["house"]) == 5
    assert [note.endswith("is no PNG or JPEG") for note in notes] == [True, True]


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_split_that_is_there_is_seen(mine, name):
    whole = mine.parent / "whole"
    shutil.copytree(mine, whole / "train")
    with pytest.raises(UserError, match=r"holds train, and no val beside it: give .*train, of"):
        given_split(whole, [])
    shutil.copytree(mine, whole / name)
    notes: list[str] = []
    assert given_split(whole, notes) == (whole / "train", whole / name)
    assert notes == []


def test_what_stands_beside_a_split_is_named(mine):
    whole = mine.parent / "whole"
    for name in ("train", "val", "test"):
        shutil.copytree(mine, whole / name)
    (whole / "labels.csv").write_text("")
    notes: list[str] = []
    assert given_split(whole, notes) == (whole / "train", whole / "val")
    assert notes == [f"not looked at: labels.csv, test in {whole}"]


def test_a_class_may_be_called_train(mine):
    """It holds pictures, not classes."""
    (mine / "chart").rename(mine / "train")
    (mine / "house").rename(mine / "val")
    assert given_split(mine, []) is None


def test_both_halves_of_a_split_name_the_same_classes(tmp_path):
    train, val = tmp_path / "train", tmp_path / "val"
    require_same_classes(train, val, {"a": []}, {"a": []})
    with pytest.raises(UserError, match=r"train holds a class 'b' that .*val lacks: add it there"):
        require_same_classes(train, val, {"a": [], "b": []}, {"a": []})
    with pytest.raises(UserError, match=r"val holds a class 'c' that .*train lacks"):
        require_same_classes(train, val, {"a": []}, {"a": [], "c": []})


def test_a_class_whose_name_is_no_text_is_told(mine):
    import os

    try:
        os.rename(os.fsencode(mine / "house"), os.fsencode(mine) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(UserError, match=r"is no text, 'caf\\udce9': rename it"):
        list_classes(mine, [], skip_broken=False)
