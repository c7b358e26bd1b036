"""Docstrings for people, as reStructuredText for Sphinx.

The docstrings mark code with one backtick, as Markdown does and as it reads best in an editor;
reStructuredText wants two. This runs before Napoleon, which would otherwise read the colon of
`a: b` as the end of a type.
"""

import re
from typing import Any

from sphinx.application import Sphinx

# `code` in single backticks: not within ``literal``, not after a role such as :func:, and no link_.
# A letter that follows, as in `OSError`s, is the last group.
SINGLE = re.compile(r"(?<![`:\w\\])`(?![`\s])([^`]+?)(?<!\s)`(?![`_])(?=(\w?))")
# A default that is a call with arguments, up to three levels deep.
NESTED = re.compile(r"= (\w+)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))+\)")


def double_backticks(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Rewrite a docstring's lines in place."""
    text = SINGLE.sub(lambda m: f"``{m[1]}``" + ("\\ " if m[2] else ""), "\n".join(lines))
    lines[:] = text.split("\n")


def plain_defaults(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Shorten defaults: `Config(a=1)` to `Config(...)`, and `<factory>`, no Python, to `...`."""
    if signature:
        signature = NESTED.sub(r"= \1(...)", re.sub(r"= <[^>]*>", "= ...", signature))
    return signature, returns


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", double_backticks, priority=400)  # Napoleon: 500
    app.connect("autodoc-process-signature", plain_defaults)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
