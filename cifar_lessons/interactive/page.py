"""HTML with a script of its own: it works on a static page, in JupyterLab and in Colab alike.

`ipywidgets.interact` needs a kernel, which a static page has not. So the data and the script go
into the output itself, and nothing is loaded from anywhere. Scripts are files beside this module
that hold one function of (root, data): the element to fill, and what Python hands over.
"""

import itertools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

_numbers = itertools.count(1)


@dataclass(frozen=True, repr=False)
class Page:
    """A piece of HTML that a notebook shows, and its summary where there is no browser."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        """Return the summary: a notebook keeps this beside the HTML."""
        return self.text


def fresh_id(stem: str) -> str:
    """Return an id that no other output of this process has."""
    return f"{stem}-{next(_numbers)}"


def script(name: str, root: str, data: Any) -> str:
    """Return a script element that calls the function of `<name>.js`.

    Args:
        name: Of the file, without its ending.
        root: Id of the element that it works on.
        data: Anything that JSON can say. No text in it can end the script.
    """
    # Markup inside a string would be read by the HTML parser before JavaScript sees the string.
    handed = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    call = f"document.getElementById({json.dumps(root)}), {handed}"
    return f"<script>\n({read(f'{name}.js')})({call});\n</script>"


def style(name: str) -> str:
    """Return a style element with the rules of `<name>.css`."""
    return f"<style>\n{read(f'{name}.css')}\n</style>"


def read(name: str) -> str:
    """Return a file beside this module, without the blank ends."""
    return resources.files(__package__).joinpath(name).read_text("utf-8").strip()
