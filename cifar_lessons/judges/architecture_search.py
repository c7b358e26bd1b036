"""The judge of chapter 14: is a mix of two convolutions best, and did a search find one?"""

from cifar_lessons.enas.arms import SEARCHES
from cifar_lessons.enas.results import Search, alone, load, ranking
from cifar_lessons.enas.space import made_of
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, compare, percent, points


def c17(claim: Claim, evidence: Evidence) -> Finding:
    """Judge "a mix of 3x3 and separable convolutions is best" at equal multiplications."""
    mix, *rivals = claim.recipes
    sides, lines = compare(evidence, mix, rivals)
    # A search that finds another mix of these two operations agrees with the article.
    against = [r for r in rivals if not _is_mix(claim, evidence, r)]
    better = [r for r, s in zip(rivals, sides, strict=True) if s == "above" and r in against]
    pure = claim.numbers["pure"]
    behind = [r for r, side in zip(rivals, sides, strict=True) if side == "below"]
    verdict: Verdict = "open"
    if better:
        verdict = "corrected"
        reason = f"clearly better than the mix at equal cost: {', '.join(better)}"
    elif set(pure) <= set(behind):
        verdict, reason = "reproduced", "the mix is clearly better than either convolution alone"
    else:
        reason = (
            "no rival that counts against the mix is clearly better, and it is not clearly better "
            "than both pure ones"
        )
    order = sorted(claim.recipes, key=lambda r: -evidence.mean(r).mean)
    ours = "; ".join(f"{r} {100 * evidence.mean(r).mean:.1f} %" for r in order)
    details = [f"{r}: {percent(evidence.mean(r))}" for r in order] + lines
    details += _random(claim, evidence)
    return Finding(verdict, reason, ours, evidence.difference(rivals[0], mix), tuple(details))


def _is_mix(claim: Claim, evidence: Evidence, rival: str) -> bool:
    """Return whether a search found a network of plain and separable 3x3 convolutions alone."""
    if rival not in (claim.numbers["found"], claim.numbers["found_by_chance"]):
        return False
    search = load(SEARCHES[rival], root=evidence.root)
    return search is not None and set(search.best.operations) == {"c3", "s3"}


def _random(claim: Claim, evidence: Evidence) -> list[str]:
    """Return where the found network stands among random ones, and what the search was worth."""
    lines = []
    found, by_chance = claim.numbers["found"], claim.numbers["found_by_chance"]
    if {found, by_chance} <= set(claim.recipes):
        gain = evidence.difference(by_chance, found)
        lines.append(f"{found} against {by_chance}: {points(gain)}")
    others = [r for r in claim.also if r in evidence]
    if others:
        means = [evidence.mean(r).mean for r in others]
        ahead = sum(m > evidence.mean(found).mean for m in means)
        lines.append(
            f"{len(others)} random architectures at equal cost: {100 * min(means):.1f} to "
            f"{100 * max(means):.1f} %, mean {100 * sum(means) / len(means):.1f} %; {ahead} of "
            "them above what the search found"
        )
    search = load(root=evidence.root)
    if search is not None:
        lines += _search(search, evidence)
    return lines


def _search(search: Search, evidence: Evidence) -> list[str]:
    lines = [f"the search found {search.best}: {made_of([search.best])}"]
    for title, same in (("at equal cost", False), ("at the search's width", True)):
        order = ranking(search, alone(same_width=same, root=evidence.root))
        if order is not None:
            low, high = order.interval
            told = f"tau {order.tau:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
            lines.append(
                f"shared weights against training alone, {len(order.names)} networks {title}: "
                f"{told}"
            )
    return lines
