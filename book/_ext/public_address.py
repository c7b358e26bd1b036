"""Buttons that lead to the book's repository and to Colab, if its public address is known.

The one place for the address is `repository: url` in `_config.yml`. Where it is empty no page gets
a button that leads nowhere. Colab and the form for issues are known for GitHub's addresses alone.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

COLAB = "https://colab.research.google.com"
ADDRESS = re.compile(r"https://[^\s/]+/[^\s/]+/[^\s/]+")
GITHUB = "https://github.com/"


def tidy(address: str | None) -> str:
    """Return the address without what a paste may add; empty if there is none."""
    found = (address or "").strip().rstrip("/").removesuffix(".git")
    if found and not ADDRESS.fullmatch(found):
        raise ConfigError(
            f"repository: url in _config.yml must be https://HOST/NAME/REPOSITORY or empty, "
            f"got {address!r}"
        )
    return found


def place_buttons(app: Sphinx, config: Config) -> None:
    """Turn the buttons on, all of them or none."""
    options: dict[str, Any] = config.html_theme_options
    address = tidy(options.get("repository_url"))
    on_github = address.startswith(GITHUB)
    options["repository_url"] = address
    options["use_repository_button"] = bool(address)
    options["use_issues_button"] = on_github
    options["launch_buttons"] = {"colab_url": COLAB} if on_github else {}


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", place_buttons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
