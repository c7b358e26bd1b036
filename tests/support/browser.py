"""The browser that tests of pages and of widgets use."""

import pytest

from cifar_lessons.deploy import chromium

CHROMIUM = chromium.find()
FLAGS = list(chromium.FLAGS)
NO_BROWSER = "no Chromium; on Debian, `apt-get install chromium`"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)
