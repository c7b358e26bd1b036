"""Fixtures that several tests share."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import Folders

from cifar_lessons import recipes, recording
from cifar_lessons.evaluation.metrics import Predictions

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests run one process a core, and bits depend on the number of threads."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Empty folders for finished and for recorded runs."""
    return Folders(tmp_path / "outputs", tmp_path / "runs")


@pytest.fixture(scope="session")
def chrome() -> Iterator[Any]:
    """A Chromium with a made-up camera; a test that wants it is skipped without one.

    One for all tests of a process: Playwright refuses a second one beside it.
    """
    from browser import CHROMIUM, NO_BROWSER

    from cifar_lessons.deploy import chromium

    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    with chromium.launched(["--use-fake-device-for-media-stream"]) as browser:
        yield browser


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that holds the real CIFAR-10; a test that wants it is skipped without it."""
    from cifar_lessons.data.cifar import data_root

    root = data_root()
    if not (root / "cifar-10-batches-py" / "test_batch").is_file():
        pytest.skip(f"no CIFAR-10 in {root}: `make data` fetches it")
    return root


# --- the command line ------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command line in this process, in a folder of its own."""
    from command_line import type_in

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path / "no data"))
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))
    return lambda *arguments: type_in(monkeypatch, capsys, *arguments)


# --- a tiny data set in the official files ----------------------------------------------------


@dataclass(frozen=True)
class TinyOfficial:
    """Made-up images in the official layout, small enough to train on in a second."""

    root: Path
    folder: Path  # with the batch files
    constants: dict[str, Any]  # what torchvision's class must hold for them to pass as CIFAR-10
    train: tuple[np.ndarray, np.ndarray]  # images (N, 3, 32, 32) uint8, labels (N,)
    test: tuple[np.ndarray, np.ndarray]


def _official_files(root: Path, *, per_file: int = 24, num_test: int = 40) -> TinyOfficial:
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 196, (10, 3, 1, 1))

    def images(labels: np.ndarray) -> np.ndarray:
        noise = rng.normal(0, 25, (len(labels), 3, 32, 32))
        return (colours[labels] + noise).clip(0, 255).astype(np.uint8)

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: dict[str, Any]) -> list[str]:
        raw = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw).hexdigest()]

    def batch(name: str, labels: np.ndarray) -> tuple[list[str], np.ndarray]:
        pixels = images(labels)
        content = {"data": pixels.reshape(-1, 3072), "labels": labels.tolist()}
        return write(name, content), pixels

    order = rng.permutation(5 * per_file) % 10
    parts = [batch(f"data_batch_{k + 1}", order[k::5]) for k in range(5)]
    test_labels = rng.permutation(num_test) % 10
    test_entry, test_images = batch("test_batch", test_labels)
    meta = write("batches.meta", {"label_names": [f"colour {k}" for k in range(10)]})
    constants = {
        "base_folder": folder.name,
        "train_list": [entry for entry, _ in parts],
        "test_list": [test_entry],
        "meta": {"filename": meta[0], "key": "label_names", "md5": meta[1]},
    }
    (root / "constants.json").write_text(json.dumps(constants))
    return TinyOfficial(
        root=root,
        folder=folder,
        constants=constants,
        train=(
            np.concatenate([pixels for _, pixels in parts]),
            np.concatenate([order[k::5] for k in range(5)]),
        ),
        test=(test_images, test_labels),
    )


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> TinyOfficial:
    """The files alone, shared: don't change them. For processes started by `made_up_cli.py`."""
    return _official_files(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyOfficial:
    """Files of the test's own, which pass for the published ones in this process."""
    from torchvision import datasets

    tiny = _official_files(tmp_path / "tiny data")  # a space: messages must stay copyable
    for name, value in tiny.constants.items():
        monkeypatch.setattr(datasets.CIFAR10, name, value)
    return tiny


@pytest.fixture
def made_up_cli(tiny_files: TinyOfficial) -> Callable[..., list[str]]:
    """Return `(*arguments, hook="-") -> command`: `cifar-lessons` in a process of its own.

    It takes `tiny_files` for the official data; for `hook` see `made_up_cli.py`.
    """

    def command(*arguments: str, hook: str = "-") -> list[str]:
        script, constants = TESTS / "made_up_cli.py", tiny_files.root / "constants.json"
        return [sys.executable, str(script), str(constants), hook, *arguments]

    return command


# --- recorded runs ----------------------------------------------------------------------------

Record = Callable[..., None]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Return a function that records made-up runs of a registered recipe in a folder of their own.

    `recorded("simple_cnn", 0.75, seeds=range(5))` writes runs with 75 % of 2,000 test images
    right, give or take a few. Which images are hard is the same for every recipe and seed.
    """
    root = tmp_path / "runs"
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(root))
    images = 2_000
    hardness = np.random.default_rng(0).permutation(images) / images
    labels = np.arange(images) % 10

    def record(
        name: str,
        accuracy: float,
        *,
        seeds: Iterable[int] = (0,),
        parameters: int = 1_000,
        **extra: Any,
    ) -> None:
        recipe = recipes.get(name)
        for seed in seeds:
            rng = np.random.default_rng([seed, *name.encode()])
            right = hardness + 0.05 * rng.normal(size=images) < accuracy
            logits = np.eye(10, dtype=np.float32)[np.where(right, labels, (labels + 1) % 10)]
            epochs = range(1, 4)
            recording.write_run(
                root / name / f"seed{seed}",
                recipe=recipe,
                seed=seed,
                provenance={
                    "device": "Made-up CPU",
                    "threads": 2,
                    "precision": "bf16",
                    "packages": {"torch": "9.8.7"},
                    "git_commit": "abcdef0123456789",
                    "train_seconds": 120.0 + 60 * seed,
                    "cpu_seconds": 180.0 + 60 * seed,
                },
                history=[
                    {"epoch": e, "train_loss": 1 / e}
                    | ({"val_accuracy": accuracy * e / 3} if recipe.data.val_size else {})
                    for e in epochs
                ],
                logits={"test": Predictions(logits, labels)},
                extra={"parameters": parameters, **extra},
            )

    return record


@pytest.fixture
def made_up_predictions() -> Callable[..., dict[int, Predictions]]:
    """Return `(accuracy, seeds, salt=0) -> predictions by seed`, with about that accuracy.

    The same of the 10,000 images are hard for all of them.
    """
    images = 10_000
    hardness = np.random.default_rng(0).permutation(images) / images

    def make(accuracy: float, seeds: int, *, salt: int = 0) -> dict[int, Predictions]:
        found = {}
        for seed in range(seeds):
            noise = np.random.default_rng([seed, salt]).normal(size=images)
            right = hardness + 0.02 * noise < accuracy
            found[seed] = Predictions(np.stack([right, ~right], 1), np.zeros(images, np.int64))
        return found

    return make


@pytest.fixture
def without_torch() -> Callable[[str], None]:
    """Return a function that runs code in a process where torch can't be imported."""
    block = """
import sys
class Block:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
"""

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", block + code], check=True, timeout=120)

    return run


# --- several processes that work together -----------------------------------------------------


@dataclass(frozen=True)
class RankResult:
    """How a process ended."""

    status: int  # exit status, or minus the signal that ended it
    out: str
    err: str
    value: Any  # what the function returned


class Ranks:
    """Runs a function of a test file in several processes; see `rank_server.py`."""

    def __init__(self) -> None:
        """Start the server; its import of torch runs beside the tests."""
        self.server = subprocess.Popen(
            [sys.executable, str(TESTS / "rank_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def __call__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        size: int = 2,
        ranks: Iterable[int] | None = None,
        seconds: float = 300.0,
    ) -> list[RankResult]:
        """Return how each rank ended.

        Args:
            function: Of the top level of a test file, called on every rank.
            arguments: Of the function, the same on every rank.
            size: Of the group.
            ranks: Those that are started; all of them if not given.
            seconds: After which they are killed.
        """
        chosen = tuple(range(size) if ranks is None else ranks)
        file = function.__code__.co_filename
        job = (file, function.__name__, arguments, size, chosen, seconds)
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        pickle.dump(job, self.server.stdin)
        self.server.stdin.flush()
        return [RankResult(*found) for found in pickle.load(self.server.stdout)]

    def values(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
        """Return what the function gave on each rank, which must have ended well."""
        found = self(function, *arguments, **options)
        assert [rank.status for rank in found] == [0] * len(found), found
        return [rank.value for rank in found]


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    """Return `(function, *arguments, size=2) -> how each rank ended`."""
    if not hasattr(os, "fork"):
        pytest.skip("processes are forked here, which needs POSIX")
    started = Ranks()
    yield started
    started.server.communicate(timeout=60)
