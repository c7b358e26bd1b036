"""A table whose rows can be filtered, by the values of some columns and by words.

Without JavaScript it is the table as it stands: the controls appear when the script has run.
"""

import html
from collections import Counter
from collections.abc import Sequence

from cifar_lessons.interactive.page import Page, fresh_id, script, style
from cifar_lessons.tables import Table


def filtered(table: Table, by: Sequence[str], *, noun: str = "rows") -> Page:
    """Return a table with a list to choose from for each of some columns, and a search field.

    Args:
        table: Whose rows are filtered.
        by: Names of columns; each list offers the column's values, with how often they occur.
        noun: What the rows are, in the plural: "3 of 21 claims are shown".

    Raises:
        ValueError: A name that is no column.
    """
    for name in by:
        if name not in table.columns:
            raise ValueError(f"no column {name!r} to filter by; there are {list(table.columns)}")
    root, columns = fresh_id("filtered"), [list(table.columns).index(name) for name in by]
    lists = ""
    for name, column in zip(by, columns, strict=True):
        counts = Counter(str(row[column]).strip() for row in table.rows)
        options = "".join(
            f'<option value="{html.escape(value)}">{html.escape(value)} ({times})</option>'
            for value, times in sorted(counts.items())
        )
        lists += (
            f"<label>{html.escape(name)}<select>"
            f'<option value="">all ({len(table.rows)})</option>{options}</select></label>\n'
        )
    controls = (
        f'<div class="cl-filters" hidden>\n{lists}'
        '<label>Words<input type="search" placeholder="such as ResNet"></label>\n'
        '<button type="button">Show all</button>\n<p role="status"></p>\n</div>\n'
    )
    body = (
        f'<div class="cl-filtered" id="{root}">\n{style("filters")}\n{controls}'
        f"{table._repr_html_()}\n"
        f"{script('filters', root, {'columns': columns, 'noun': noun})}\n</div>"
    )
    return Page(body, str(table))
