"""What the demo costs in a browser, and whether it gives Python's answers: fp32 against int8.

Both files run in one tab of a headless Chromium on one thread, in turns, so that whatever slows the
machine slows both. What they answer is held against Python's ONNX Runtime on the same bytes.
"""

import base64
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.data.cifar import load_or_synthetic
from cifar_lessons.data.picture import read_picture
from cifar_lessons.deploy import chromium, demo, shipped
from cifar_lessons.deploy.any_size import Answer, any_size, runner
from cifar_lessons.deploy.demo_samples import png
from cifar_lessons.deploy.model_file import ModelFile
from cifar_lessons.deploy.pixels import as_pixels
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import detect
from cifar_lessons.speed.conditions import Conditions

Picture = npt.NDArray[np.uint8]  # (H, W, 3)
Result = dict[str, Any]

SAME_BYTES = 200  # test images that both engines get, pixel for pixel
ANY_SIZE = 40  # of them, enlarged to other sizes
CALIBRATION = 1_000  # training images
BLOCK = 20  # pictures that are timed together
SIZES = {"32 x 32": (32, 32), "640 x 480": (480, 640)}  # width x height -> (H, W)
FEWEST_ROUNDS, STARTS = 5, 3

# In the page: `ask` keeps one function a precision, so that a tab loads each file once.
LOAD = """async ([site, name, keep]) => {
  const began = performance.now();
  const { load } = await import(`${site}/classifier.mjs`);
  const classify = await load({ ort: `${site}/ort/`, model: `${site}/${name}.onnx` });
  if (keep) (window.networks ??= {})[name] = classify;
  return performance.now() - began;
}"""
ASK = """async ([name, pictures]) => {
  const found = [];
  for (const [height, width, text] of pictures) {
    const rgb = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const { probabilities, seen } = await window.networks[name]({ width, height, rgb });
    found.push([[...probabilities], [...seen]]);
  }
  return found;
}"""
TIME = """async ([name, [height, width, text], count]) => {
  const rgb = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  await window.networks[name]({ width, height, rgb });
  const began = performance.now();
  for (let k = 0; k < count; k++) await window.networks[name]({ width, height, rgb });
  return (performance.now() - began) / count;
}"""


def bench_browser(
    *,
    seconds: float = 60.0,
    data: Path | None = None,
    command: str = "",
    networks: tuple[ModelFile, ModelFile] | None = None,
    images: tuple[int, int] = (SAME_BYTES, ANY_SIZE),
) -> Result:
    """Measure bytes, time and parity of the demo's network in a headless Chromium.

    Args:
        seconds: Of timing; five rounds are run in any case. Export and parity take a minute more.
        data: Folder of the data; else the synthetic twin stands in, and nothing can be recorded.
        command: What the user typed, kept in the provenance.
        networks: fp32 and int8, in place of the shipped network.
        images: How many are compared as they are, and how many at other sizes.

    Returns:
        `values` and `provenance`, ready for JSON and for `recording.record_study("browser", …)`.

    Raises:
        UserError: No network is recorded, no Chromium is here, or a value is out of range.
    """
    if not seconds > 0:
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 60")
    runtime_folder = demo.find_runtime()
    conditions = Conditions()
    loaded = load_or_synthetic("cifar10", root=data)
    if networks is None:
        print("exporting the network, and calibrating its int8 file", flush=True)
        plain = shipped.exported(shipped.required())
        networks = plain, quantize(plain, as_pixels(loaded.train.images[:CALIBRATION]))
    files = {m.about.precision: any_size(m) for m in networks}
    test = as_pixels(loaded.test.images[: images[0]])
    larger = [enlarged(image, index) for index, image in enumerate(test[: images[1]])]
    here = detect(device="cpu", precision="fp32")
    conditions.start(here, command=command, data_digest=loaded.digest)
    with tempfile.TemporaryDirectory() as name, chromium.launched() as browser:
        folder = Path(name)
        demo.write_folder(networks[0], folder, runtime=runtime_folder)
        for precision, content in files.items():
            (folder / f"{precision}.onnx").write_bytes(content)
        with chromium.served(folder) as site:
            values = _measure(browser, site, files, list(test), larger, seconds)
        values |= {"browser": f"Chromium {browser.version}"}
    facts, spent = conditions.finish()
    # The browser's own processes cannot be told from others.
    facts["cores_busy_elsewhere"] = None
    facts["threads"] = 1
    values |= {
        "network": networks[0].about.name,
        "weights": networks[0].about.weights,
        "onnxruntime_web": demo.RUNTIME_VERSION,
        "runtime_bytes": sum((runtime_folder / n).stat().st_size for n in demo.RUNTIME),
        "resizing": resizing(runner(files["fp32"]), larger),
        "synthetic": loaded.synthetic,
        "seconds": round(spent, 1),
    }
    return {"values": values, "provenance": facts}


def _measure(
    browser: Any,
    site: str,
    files: dict[str, bytes],
    test: Sequence[Picture],
    larger: Sequence[Picture],
    seconds: float,
) -> dict[str, Any]:
    """Return what one browser gives: by precision, and by precision and size of the picture."""
    trouble: list[str] = []
    print("starting it in empty browsers", flush=True)
    starts: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(STARTS):
        for name, found in starts.items():
            context = browser.new_context()  # with an empty cache
            found.append(round(_tab(context, site, trouble).evaluate(LOAD, [site, name, False]), 1))
            context.close()
    context = browser.new_context()
    tab = _tab(context, site, trouble)
    for name in files:
        tab.evaluate(LOAD, [site, name, True])
    entries: dict[str, Any] = {}
    for name, content in files.items():
        print(f"comparing the answers of {name} with Python's", flush=True)
        ask = runner(content)
        entries[name] = {
            "bytes": len(content),
            "start_ms": starts[name],
            "same_bytes": _parity(tab, name, ask, test),
            "any_size": _parity(tab, name, ask, larger),
        }
    print("timing, in turns", flush=True)
    times = _times(tab, list(files), test[0], seconds)
    context.close()
    if trouble:
        raise AssertionError(f"the page is not well: {trouble[:3]}")
    return {"precisions": entries, "ms": times}


def _tab(context: Any, site: str, trouble: list[str]) -> Any:
    """Return a tab that shows the demo."""
    chromium.cut_off(context, trouble)
    tab = context.new_page()
    chromium.watch(tab, trouble)
    tab.goto(f"{site}/index.html")
    return tab


def _times(
    tab: Any, names: Sequence[str], picture: Picture, seconds: float
) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds a picture, one number a round, by precision and size."""
    shown = {label: _sent(_resized(picture, *size)) for label, size in SIZES.items()}
    times: dict[str, dict[str, list[float]]] = {n: {label: [] for label in shown} for n in names}
    start, turn = time.perf_counter(), 0
    while turn < FEWEST_ROUNDS or time.perf_counter() - start < seconds:
        for name in list(names)[:: 1 if turn % 2 else -1]:
            for label, sent in shown.items():
                spent = tab.evaluate(TIME, [name, sent, BLOCK])
                times[name][label].append(round(spent, 3))
        turn += 1
    return times


def _parity(
    tab: Any, name: str, ask: Callable[[Picture], Answer], pictures: Sequence[Picture]
) -> dict[str, Any]:
    """Return how the browser's answers compare with Python's on the same bytes."""
    same, largest, pixels = 0, 0.0, 0
    for start in range(0, len(pictures), BLOCK):
        part = pictures[start : start + BLOCK]
        found = tab.evaluate(ASK, [name, [_sent(p) for p in part]])
        for picture, (probabilities, seen) in zip(part, found, strict=True):
            here = ask(picture)
            there = np.array(probabilities)
            same += int(there.argmax() == here.probabilities.argmax())
            largest = max(largest, float(np.abs(there - here.probabilities).max()))
            pixels += int((np.array(seen) != here.seen.ravel()).sum())
    return {"pictures": len(pictures), "same": same, "largest": largest, "other_pixels": pixels}


def resizing(ask: Callable[[Picture], Answer], pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return how the graph's own shrinking compares with Pillow's, as `cifar-lessons predict` does.

    Args:
        ask: From `any_size.runner`.
        pictures: Of any sizes.

    Returns:
        `pictures`, `same` answers, `largest` difference of a probability, `other` (the share of
        pixel values that differ) and `most` (by how many of 255).
    """
    same, largest, differences = 0, 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        for picture in pictures:
            path.write_bytes(png(picture))
            pillow = read_picture(path)[0].permute(1, 2, 0).numpy()
            ours, theirs = ask(picture), ask(np.ascontiguousarray(pillow))
            same += int(ours.probabilities.argmax() == theirs.probabilities.argmax())
            gap = np.abs(ours.probabilities - theirs.probabilities).max()
            largest = max(largest, float(gap))
            differences.append(np.abs(ours.seen.astype(int) - pillow.astype(int)).ravel())
    all_of_them = np.concatenate(differences)
    return {
        "pictures": len(pictures),
        "same": same,
        "largest": largest,
        "other": float((all_of_them > 0).mean()),
        "most": int(all_of_them.max()),
    }


def enlarged(image: Picture, seed: int) -> Picture:
    """Return an image at another size, 20 to 700 pixels a side: a stand-in for a photograph."""
    height, width = np.random.default_rng([7, seed]).integers(20, 701, 2).tolist()
    return _resized(image, height, width)


def _resized(image: Picture, height: int, width: int) -> Picture:
    from PIL import Image

    made = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(made)


def _sent(picture: Picture) -> list[Any]:
    """Return a picture as the page takes it: height, width, bytes as text."""
    return [*picture.shape[:2], base64.b64encode(picture.tobytes()).decode()]
