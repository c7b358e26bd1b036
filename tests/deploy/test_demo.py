"""Mirrors cifar_lessons/deploy/demo.py: the files. What they do is tested in test_demo_page.py."""

import json
import re
from pathlib import Path

import pytest

from cifar_lessons.deploy import demo
from cifar_lessons.deploy.demo import ALONE, IN_BOOK, Samples, section, write_folder
from cifar_lessons.deploy.model_file import About
from cifar_lessons.errors import UserError

from .conftest import ABOUT

ROOT = Path(demo.__file__).parents[2]


def config(page: str) -> dict:
    found = re.search(r"config = (\{.*\});", page)
    assert found
    return json.loads(found[1])


def made_up_runtime(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in demo.RUNTIME:
        (folder / name).write_bytes(b"program " + name.encode())
    return folder


def test_a_site_holds_all_that_its_page_names(tmp_path, exported):
    runtime = made_up_runtime(tmp_path / "npm")
    write_folder(exported, tmp_path / "site", runtime=runtime)
    names = {p.relative_to(tmp_path / "site").as_posix() for p in tmp_path.rglob("site/**/*.*")}
    assert names == {
        *("index.html", "model.onnx", "demo.mjs", "classifier.mjs", "picture.mjs"),
        *(f"ort/{name}" for name in demo.RUNTIME),
    }
    page = (tmp_path / "site" / "index.html").read_text()
    handed = config(page)
    assert handed["classes"] == list(ABOUT.classes)
    for key in ("script", "model"):
        assert (tmp_path / "site" / handed[key]).is_file()
    assert (tmp_path / "site" / handed["ort"]).is_dir()
    assert "<title>Try tiny seed0</title>" in page
    assert "test accuracy 50.00 % when it was trained" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)
    assert "{" + "section}" not in page


def test_names_are_text_and_never_markup():
    about = About("<b>x</b>", ("</script><i>", "b & c"), "f" * 64, "fp32", 0.5)
    page = section(about, ALONE, samples=[Samples("<u>", [("<s> it is", b"png")])]).html
    for markup in ("</script><i>", "<u>", "<s>", "<b>"):
        assert markup not in page
    assert page.count("</script>") == 1
    assert config(page)["classes"] == ["</script><i>", "b & c"]


def test_many_classes_are_not_all_listed_in_the_note():
    about = About("x", tuple(f"class {k}" for k in range(100)), "", "fp32", 0.5)
    page = section(about, ALONE).html
    assert "one of its 100 classes (class 0, …)" in page


def test_percentiles_are_all_there_or_none():
    with pytest.raises(ValueError, match="101 percentiles or none, got 3"):
        section(ABOUT, ALONE, familiarity=[1.0, 2.0, 3.0])


def test_the_book_looks_for_its_files_where_the_build_puts_them():
    handed = config(section(ABOUT, IN_BOOK).html)
    assert handed["script"] == "_static/demo/demo.mjs"
    vendored = (ROOT / "book" / "_ext" / "offline_assets.py").read_text()
    for name in demo.RUNTIME:
        assert f'"ort/{name}"' in vendored
    assert handed["ort"] == "_static/vendor/ort/"


def test_the_version_in_the_message_is_the_pinned_one():
    pinned = json.loads((ROOT / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    assert pinned == demo.RUNTIME_VERSION


def test_the_runtime_is_found_or_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"make setup.*npm install onnxruntime-web@1\.30\.0"):
        demo.find_runtime()
    here = made_up_runtime(tmp_path / "node_modules" / "onnxruntime-web" / "dist")
    assert demo.find_runtime() == here


def test_a_folder_that_cannot_be_written(tmp_path, exported):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file.*choose another folder with --out"):
        write_folder(exported, tmp_path / "file", runtime=tmp_path)
