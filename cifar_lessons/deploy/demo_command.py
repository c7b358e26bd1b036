"""`cifar-lessons demo`: an exported model as a folder that any web server can serve."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

SHOWN_SIDE = 512  # pixels of the shorter side; larger samples are shrunk: the page holds them all


def demo(
    model: Annotated[Positional[Path], arg(metavar="MODEL.onnx")],
    /,
    *,
    out: Path = Path("demo"),
    samples: UseAppendAction[tuple[Path, ...]] = (),
) -> None:
    """Write a page on which a model answers in the browser, as a folder to be served.

    A picture is dropped, chosen, pasted or taken with the camera, and never leaves the browser.
    Nothing is loaded from elsewhere. A camera needs https or localhost.

    Example: cifar-lessons demo resnet18_w16.onnx --out site

    Example: cifar-lessons demo mine.onnx --samples rose.jpg --samples tulip.jpg

    Args:
        model: A file of `cifar-lessons export`.
        out: The folder.
        samples: A PNG or JPEG that visitors can try at once; may be given several times.
    """
    from cifar_lessons.deploy import demo as page
    from cifar_lessons.deploy.command import require_packages
    from cifar_lessons.deploy.model_file import read_model
    from cifar_lessons.errors import UserError

    require_packages()
    read = read_model(model)
    if model.resolve() == (out / page.MODEL).resolve():
        raise UserError(
            f"the page's own {page.MODEL} would take the place of {model}; choose another folder "
            "with --out"
        )
    runtime = page.find_runtime()
    offered = [page.Samples("Samples", [_sample(path) for path in samples])] if samples else []
    page.write_folder(read, out, runtime=runtime, samples=offered)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    print(f"wrote {out}: {read.about.name}, {len(read.about.classes)} classes, {size:.0f} MB")
    print(f"serve it: python -m http.server --directory {out}   then open http://localhost:8000")


def _sample(path: Path) -> tuple[str, bytes]:
    """Return the name and the pixels of a picture of the user's, checked and not too large."""
    import numpy as np

    from cifar_lessons.data.picture import open_picture
    from cifar_lessons.deploy.demo_samples import png

    picture = open_picture(path)  # raises for what is no picture
    factor = SHOWN_SIDE / min(picture.size)
    if factor < 1:
        picture = picture.resize((round(picture.width * factor), round(picture.height * factor)))
    return f"sample {path.stem}", png(np.asarray(picture))
