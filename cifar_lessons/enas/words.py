"""What a search says of itself while it runs."""

import math
from collections.abc import Sequence

Row = dict[str, float]


def line(row: Row, epochs: int) -> str:
    """Return an epoch as one line of text."""
    parts = [
        f"epoch {row['epoch']:.0f}/{epochs}",
        f"train loss {row['train_loss']:.4f}",
        f"sampled networks {100 * row.get('reward', math.nan):.1f} % of validation",
        f"entropy {row.get('entropy', math.nan):.3f}",
        f"skips {row.get('skip_share', math.nan):.2f}",
    ]
    return "  ".join([*parts, f"{row['seconds']:.0f} s"])


def movement(trace: Sequence[Row]) -> str:
    """Return how far the controller has moved, in one line; empty before its second update."""
    if len(trace) < 2:
        return ""
    k = max(1, min(10, len(trace) // 2))

    def mean(name: str, rows: Sequence[Row]) -> float:
        return sum(row[name] for row in rows) / len(rows)

    first, last = trace[:k], trace[-k:]
    told = [
        f"{word} {scale * mean(name, first):.{digits}f} -> {scale * mean(name, last):.{digits}f}"
        for name, word, scale, digits in (
            ("reward", "reward (%)", 100, 1),
            ("entropy", "entropy (nats)", 1, 3),
            ("skip_share", "share of skips", 1, 3),
        )
    ]
    return f"{len(trace)} updates, first {k} -> last {k}: {', '.join(told)}"
