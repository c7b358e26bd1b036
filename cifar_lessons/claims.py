"""The ledger: what the article claims, what the recorded runs say, and a verdict by rule.

`book/claims.toml` holds the claims, `verdicts.py` the rules, `judges/` what is asked of each claim
by them, `runs.py` the measurements. Here they meet. Without its runs a claim stays open, and the
row says which recipes are missing.
"""

import shutil
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cifar_lessons import recipes, runs
from cifar_lessons.errors import UserError, suggest
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.fields import from_dict
from cifar_lessons.judges import JUDGES
from cifar_lessons.pretraining import results as probes
from cifar_lessons.tables import Cell, Markdown, Table
from cifar_lessons.tta import results as tta
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, percent

BOOK = Path(__file__).resolve().parent.parent / "book"
LEDGER = "claims.html"
# Studies of recorded networks, without those whose weights have changed since.
FRESH = {tta.STUDY: tta.fresh_only, probes.STUDY: probes.fresh_only}
VERDICTS: tuple[Verdict, ...] = ("reproduced", "corrected", "not measurable here", "open")


@dataclass(frozen=True)
class Row:
    """A claim with what was found."""

    claim: Claim
    finding: Finding
    missing: tuple[str, ...] = ()  # what has to be recorded before there is a verdict
    stale: tuple[str, ...] = ()  # what was recorded with other settings
    outcome: tuple[str, ...] = ()  # what became of the prediction

    @property
    def command(self) -> str:
        """Return what to type to measure it again."""
        parts = [runs.study_command(name) for name in self.claim.studies]
        names = self.claim.recipes
        needed = {r.name: r for name in names if (r := recipes.needs(recipes.get(name)))}
        for first in (r for name, r in needed.items() if name not in names):
            parts.append(runs.train_command(first, 0))
            if first.objective.kind == "search":  # what it found is read from its record
                parts.append(runs.record_command(first, 0))
        train = f"cifar-lessons train {'$r' if len(names) > 1 else ''.join(names)} --seed "
        if self.claim.min_seeds == 1:
            train += "0"
        else:
            seeds = " ".join(str(s) for s in range(self.claim.min_seeds))
            train = f"for s in {seeds}; do {train}$s; done"
        if len(names) > 1:
            train = f"for r in {' '.join(names)}; do {train}; done"
        if names:
            parts.append(train)
        return "; ".join(parts)


def load_claims(path: Path | None = None) -> list[Claim]:
    """Return the claims in the order of the article.

    Raises:
        UserError: No such file, or an entry that is wrong; the message names it.
    """
    path = path or BOOK / "claims.toml"
    try:
        entries: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["claim"]
    except FileNotFoundError:
        raise UserError(f"no claims in {path}: run it from a checkout of the repository") from None
    except (ValueError, KeyError) as error:  # no UTF-8, no TOML, or without claims
        raise UserError(f"{path} is no list of [[claim]] entries: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise UserError(f"{path} is no list of [[claim]] entries: write [[claim]] above each")
    claims = [_whole(from_dict(Claim, e, where=f"{e.get('id', 'claim')}.")) for e in entries]
    for name, times in Counter(c.id for c in claims).items():
        if times > 1:
            raise UserError(f"{path} has {times} entries {name!r}; keep one of them")
    return claims


def _whole(claim: Claim) -> Claim:
    """Return the claim with a `*` in `also` spelled out: every other recipe that compares."""
    if claim.also != ("*",):
        return claim
    others = [name for name in recipes.comparable() if name not in claim.recipes]
    return replace(claim, also=tuple(others))


def rows(
    only: Iterable[str] = (), *, root: Path | None = None, path: Path | None = None
) -> list[Row]:
    """Return the ledger: a row for each claim, with its verdict.

    Args:
        only: Ids such as `C05`; all of them without.
        root: Folder of the recorded runs; see `runs.runs_root`.
        path: Of the claims, `book/claims.toml` without.

    Raises:
        UserError: An unknown id, or a recorded run that can't be read.
    """
    claims = {c.id: c for c in load_claims(path)}
    wanted = list(only) or list(claims)
    for name in wanted:
        if name not in claims:
            raise UserError(f"no claim {name!r}: {suggest(name, claims)}")
    store = _Store(root)
    return [_row(claims[name], store) for name in wanted]


class _Store:
    """Reads each recipe and each study once."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._predictions: dict[str, dict[int, Predictions]] = {}
        self._history: dict[str, dict[int, list[dict[str, float]]]] = {}
        self._parameters: dict[str, int] = {}
        self._stale: dict[str, list[int]] = {}
        self._precisions: dict[str, set[str]] = {}

    def recipe(self, name: str) -> tuple[dict[int, Predictions], list[int]]:
        """Return the test predictions of the fresh seeds, and the stale seeds."""
        if name not in self._predictions:
            status = runs.status(recipes.get(name), root=self.root)
            # A claim rests on seeds; folds of one are no seeds, and are judged by their study.
            fresh = {seed: run for seed, _, run in status if run is not None and run.fold is None}
            self._predictions[name] = {seed: run.logits("test") for seed, run in fresh.items()}
            self._history[name] = {seed: run.history for seed, run in fresh.items()}
            for run in fresh.values():
                self._parameters[name] = run.parameters
            self._precisions[name] = {run.provenance["precision"] for run in fresh.values()}
            self._stale[name] = [seed for seed, state, _ in status if state == "stale"]
        return self._predictions[name], self._stale[name]

    def mixture(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return a line if recipes that leave the precision to the machine came out differently."""
        free = [name for name in names if recipes.get(name).precision == "auto"]
        found = {name: self._precisions[name] for name in free if self._precisions.get(name)}
        if len(set().union(*found.values())) < 2:
            return ()
        told = ", ".join(f"{name} in {' and '.join(sorted(p))}" for name, p in found.items())
        return (f"made on machines of different kinds, so not in one precision: {told}",)

    def study(self, name: str) -> dict[str, Any] | None:
        """Return the values of a study, of networks as they are now; None without a record."""
        found = runs.find_study(name, root=self.root)
        if found is None:
            return None
        values: dict[str, Any] = found["values"]
        return FRESH[name](values, self.root) if name in FRESH else values

    def evidence(self, claim: Claim) -> Evidence:
        """Return what there is for a claim."""
        names = (*claim.recipes, *claim.also)
        found = {name: self.recipe(name)[0] for name in names}
        facts = {name: self.study(name) for name in (*claim.studies, *claim.also_studies)}
        return Evidence(
            {name: seeds for name, seeds in found.items() if 0 in seeds},  # so that pairs exist
            {name: self._parameters[name] for name in names if name in self._parameters},
            {name: values for name, values in facts.items() if values is not None},
            {name: self._history[name] for name, seeds in found.items() if 0 in seeds},
            self.root,
        )


def _row(claim: Claim, store: _Store) -> Row:
    missing, stale = [], []
    for name in claim.recipes:
        fresh, old = store.recipe(name)
        stale += [f"{name} seed {seed}" for seed in old]
        planned = set(range(claim.min_seeds))
        if not planned <= fresh.keys():
            missing.append(f"{name} ({len(planned & fresh.keys())} of {claim.min_seeds} seeds)")
    missing += [f"study {name}" for name in claim.studies if store.study(name) is None]
    if claim.elsewhere:
        finding = Finding("not measurable here", claim.elsewhere, "")
    elif claim.id not in JUDGES:
        finding = Finding("open", "not measured yet", "")
    elif missing:
        reason = f"not recorded yet: {', '.join(missing)}"
        if stale:
            reason += f"; recorded with other settings: {', '.join(stale)}"
        finding = Finding("open", reason, "")
    else:
        finding = JUDGES[claim.id](claim, store.evidence(claim))
        details = finding.details + store.mixture(claim.recipes)
        finding = replace(finding, details=details)
    outcome = []
    for name, (low, high) in claim.predicted.items():
        evidence = store.evidence(claim)
        if name in evidence:
            mean = evidence.mean(name)
            word = "inside" if low <= round(100 * mean.mean, 1) <= high else "outside"
            outcome.append(f"{name}: {percent(mean)}, {word} the predicted {low:g}–{high:g} %")
    return Row(claim, finding, tuple(missing), tuple(stale), tuple(outcome))


def stale_claims(rows: Sequence[Row]) -> list[str]:
    """Return a line for each claim with stale runs, or marked measured and without its runs."""
    lines = []
    for row in rows:
        if row.stale:
            lines.append(
                f"{row.claim.id}: recorded with other settings: {', '.join(row.stale)}; "
                f"run `{row.command}` and record it"
            )
        elif row.claim.measured and row.missing:
            lines.append(
                f"{row.claim.id} is marked measured, but not recorded: {', '.join(row.missing)}; "
                f"run `{row.command}` and record it"
            )
    return lines


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many claims have each verdict, in the order of `VERDICTS`."""
    count = Counter(row.finding.verdict for row in rows)
    return {verdict: count[verdict] for verdict in VERDICTS}


def summary(rows: Sequence[Row]) -> str:
    """Return how the claims fared, in one line."""
    parts = [f"{number} {verdict}" for verdict, number in counts(rows).items()]
    if len(rows) == 1:
        return f"1 claim: {rows[0].finding.verdict}."
    return f"{len(rows)} claims: {', '.join(parts)}."


def format_rows(rows: Sequence[Row], *, width: int | None = None) -> str:
    """Return the ledger as plain text.

    Args:
        rows: From `rows`.
        width: Columns of the terminal; found out without.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    blocks = []
    for row in rows:
        lines = [f"{row.claim.id}  {row.finding.verdict.upper()}  {row.claim.title}"]
        told = f"article {row.claim.article}"
        lines.append(f"{told}; measured {row.finding.ours}" if row.finding.ours else told)
        lines.append(row.finding.reason)
        indent = " " * 5
        wrap = textwrap.TextWrapper(
            width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
        block = [lines[0], *(wrap.fill(line) for line in lines[1:])]
        if row.command:
            block.append(f"{indent}$ {row.command}")  # unbroken: it is there to be copied
        blocks.append("\n".join(block))
    return "\n".join([*blocks, "", summary(rows)])


# --- For the book ----------------------------------------------------------------------------


def table(*only: str, root: Path | None = None) -> Table:
    """Return the ledger, or the rows of some claims, as a table for a page.

    Args:
        only: Ids such as `C05`, each with a link to its row on the page of the ledger; all of them
            without, each with links to its place in its chapter and to what `notes` says of it on
            the same page.
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    found = rows(only, root=root)
    columns = ["Claim", "The article", "Measured", "Verdict", "Why", "Command"]
    cells: list[list[Cell | str]] = [
        [
            Cell(_called(row.claim), href=f"{LEDGER}#{_row_anchor(row.claim)}"),
            row.claim.article,
            row.finding.ours or "–",
            row.finding.verdict,
            row.finding.reason,
            Cell(row.command, code=True) if row.command else "–",
        ]
        for row in found
    ]
    if not only:
        columns.append("Chapter")
        for row, line in zip(found, cells, strict=True):
            own, note = _row_anchor(row.claim), f"#{_anchor(row.claim)}"
            line[0] = Cell(_called(row.claim), href=note, anchor=own)
            line.append(_chapter(row.claim))
    return Table(columns, cells, f"The article's claims. {summary(found)}")


def _called(claim: Claim) -> str:
    return f"{claim.id} {claim.title}"


def _anchor(claim: Claim) -> str:
    """Return the place of a claim's notes, on the ledger's page and in its chapter alike."""
    return f"claim-{claim.id.lower()}"


def _row_anchor(claim: Claim) -> str:
    """Return the place of a claim's row in the whole ledger."""
    return f"row-{claim.id.lower()}"


def _chapter(claim: Claim) -> Cell | str:
    """Return a link to the claim in its chapter, where that exists, and its number otherwise."""
    pages = sorted(BOOK.glob(f"{claim.chapter}_*.ipynb"))
    if not pages:
        return claim.chapter
    return Cell(claim.chapter, href=f"{pages[0].stem}.html#{_anchor(claim)}")


def notes(*only: str, root: Path | None = None) -> Markdown:
    """Return what stands behind the rows: statement, rule, prediction and every comparison."""
    lines = []
    for row in rows(only, root=root):
        claim = row.claim
        place = f'<span id="{_anchor(claim)}"></span>'
        lines += [f"{place}**{claim.id} {claim.title}.** {claim.says}", ""]
        kind = "our reading" if claim.kind == "undefined" else claim.kind.replace("_", " ")
        lines.append(f"- *Rule ({kind}):* {claim.rule}")
        if claim.known:
            lines.append(f"- *Known before:* {claim.known}")
        if claim.prediction:
            lines.append(f"- *Predicted before:* {claim.prediction}")
        lines += [f"- *Came out:* {text}" for text in row.outcome]
        lines += [_detail(text) for text in row.finding.details]
        lines.append("")
    return Markdown("\n".join(lines))


def _detail(text: str) -> str:
    """Return a detail with the word that says whose it is: ours, or somebody else's."""
    if text.startswith("cited: "):
        return f"- *Cited, not measured here:* {text.removeprefix('cited: ')}"
    return f"- *Measured:* {text}"
