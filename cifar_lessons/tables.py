"""A table that reads well as HTML in the book, as Markdown, and as plain text in a terminal."""

import html
from collections.abc import Sequence
from dataclasses import dataclass


def number_of(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 seed` or `3 seeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Cell:
    """A cell that is more than plain words: a command to type, a link, or a place to link to."""

    text: str
    code: bool = False
    href: str = ""
    anchor: str = ""  # unique on its page

    def __str__(self) -> str:
        """Return the words alone."""
        return self.text

    def html(self) -> str:
        """Return the cell for a page."""
        text = html.escape(self.text)
        # A long command may break into lines; otherwise it would push the table off the page.
        text = f'<code style="white-space:normal">{text}</code>' if self.code else text
        text = f'<a href="{html.escape(self.href)}">{text}</a>' if self.href else text
        return f'<span id="{html.escape(self.anchor)}">{text}</span>' if self.anchor else text

    def markdown(self) -> str:
        """Return the cell for Markdown; a bar would end it."""
        text = self.text.replace("|", "\\|").replace("\n", " ")
        text = f"`{text}`" if self.code else text
        return f"[{text}]({self.href})" if self.href else text


@dataclass(frozen=True)
class Table:
    """Rows of cells under column names; the first column names the row.

    Without rows only the caption is shown: headings over nothing look like a mistake.

    Attributes:
        columns: Names, one for each cell of a row.
        rows: Cells from left to right.
        caption: What the table shows, for readers and for screen readers.

    Raises:
        ValueError: A row with more or fewer cells than there are columns, or a column without a
            name, which a screen reader could not tell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    caption: str

    def __post_init__(self) -> None:
        """Check that every column has a name and every row all its cells."""
        if not all(self.columns):
            raise ValueError(f"every column needs a name, got {list(self.columns)}; name them all")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} has {len(row)} cells for {len(self.columns)} columns; "
                    f"give one for each of {list(self.columns)}"
                )

    def _repr_html_(self) -> str:
        """Return HTML with scopes; wide tables scroll alone, and by keyboard too."""
        if not self.rows:
            return f"<p><em>{html.escape(self.caption)}</em></p>"
        head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in self.columns)
        body = ""
        for first, *rest in self.rows:
            cells = "".join(f"<td>{_cell(c).html()}</td>" for c in rest)
            body += f'<tr><th scope="row">{_cell(first).html()}</th>{cells}</tr>\n'
        caption = html.escape(self.caption)
        label = caption.partition(". ")[0]
        return (
            f'<div style="overflow-x:auto" tabindex="0" role="group" aria-label="{label}">\n'
            f'<table class="table">\n<caption>{caption}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>"
        )

    def _repr_markdown_(self) -> str:
        """Return a Markdown table, for places that show no HTML."""
        if not self.rows:
            return f"*{self.caption}*"
        lines = ["| " + " | ".join(self.columns) + " |", "|" + " --- |" * len(self.columns)]
        lines += ["| " + " | ".join(_cell(c).markdown() for c in row) + " |" for row in self.rows]
        return "\n".join([*lines, "", self.caption])

    def __str__(self) -> str:
        """Return aligned columns."""
        if not self.rows:
            return self.caption
        lines = [list(self.columns), *([str(c) for c in row] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def _cell(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


class Markdown(str):
    """Text that a notebook shows as Markdown, and a terminal as it stands."""

    def _repr_markdown_(self) -> str:
        # Where the Markdown is empty, pages show the text instead, which is two quotation marks.
        return str(self) or "<!-- nothing to say -->"
