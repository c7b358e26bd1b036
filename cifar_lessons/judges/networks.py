"""Judges of chapters 2 and 3: what a network reaches, and what it needs for that."""

from cifar_lessons.verdicts import (
    Claim,
    Evidence,
    Finding,
    Verdict,
    at_least,
    compare,
    equals,
    percent,
    points,
    sides,
)


def accuracy(claim: Claim, evidence: Evidence) -> Finding:
    """Judge "reaches V" by the first recipe of the claim; the others are shown."""
    estimate = evidence.mean(claim.recipes[0])
    verdict, reason = at_least(claim, estimate)
    details = [f"{r}: {percent(evidence.mean(r))}" for r in claim.also if r in evidence]
    return Finding(verdict, reason, percent(estimate), estimate, tuple(details))


def c06(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether an accuracy needs that many times the weights."""
    assert claim.value is not None
    low, high = claim.numbers["ratio"]
    base, *arms = claim.recipes
    also = [r for r in claim.also if r in evidence]
    means = {r: evidence.mean(r) for r in (*arms, *also)}
    ratio = {r: evidence.parameters[r] / evidence.parameters[base] for r in means}
    begins = claim.value - claim.precision
    reach = dict(zip(arms, sides([means[r] for r in arms], begins / 100), strict=True))
    enough = [r for r in arms if reach[r] == "above"]
    other = [r for r in enough if not low <= ratio[r] <= high]
    verdict: Verdict
    if other:
        verdict = "corrected"
        reason = f"{claim.value:g} % is reached without {low:g} to {high:g} times the weights: " + (
            ", ".join(f"{r} has {ratio[r]:.2f} times" for r in other)
        )
    elif enough:
        verdict = "reproduced"
        reason = f"what clearly reaches {claim.value:g} % has {low:g} to {high:g} times the weights"
        unclear = [f"{r} ({ratio[r]:.2f} times)" for r in arms if reach[r] == "unclear"]
        if unclear:
            reason += f"; whether {' and '.join(unclear)} get there, these seeds can't tell"
    elif set(reach.values()) == {"below"}:
        verdict, reason = "corrected", f"none of them reaches {begins:g} %"
    else:
        verdict, reason = "open", f"no interval is clear of {begins:g} %"
    return Finding(
        verdict,
        reason,
        "; ".join(f"{100 * means[r].mean:.1f} % at {ratio[r]:.2f}x" for r in arms),
        details=tuple(f"{r}, {ratio[r]:.2f} times the weights: {percent(means[r])}" for r in means),
    )


def c08(claim: Claim, evidence: Evidence) -> Finding:
    """Judge a difference of two accuracies, and show the ablations."""
    simple, deep = claim.recipes
    estimate = evidence.difference(simple, deep)
    verdict, reason = equals(claim, estimate)
    assert claim.value is not None
    own = claim.numbers["resnet18"] - claim.numbers["simple_cnn"]
    if abs(own - claim.value) > 2 * claim.precision:
        verdict = "corrected"
        reason = (
            f"the article's own figures give {claim.numbers['resnet18']:g} − "
            f"{claim.numbers['simple_cnn']:g} = {own:g}, not {claim.value:g}; measured: {reason}"
        )
    details = []
    fair, narrow, *ablations = claim.also
    if fair in evidence:
        details.append(f"{deep} against {fair}: {points(evidence.difference(fair, deep))}")
    ablations = [r for r in ablations if r in evidence]
    if narrow in evidence and ablations:
        details += compare(evidence, narrow, ablations)[1]
    return Finding(verdict, reason, points(estimate), estimate, tuple(details))


def c09(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether the printed block is enough for ResNet-50."""
    blocks = evidence.studies["parameter_counts"]["blocks"]
    needs = [b for b in blocks["resnet50"] if b not in claim.numbers["blocks"]]
    deep = claim.recipes[-1]
    means = [evidence.mean(r) for r in claim.recipes]
    trains = sides(means, claim.numbers["trains"] / 100)
    details = [f"{r}: {percent(e)}" for r, e in zip(claim.recipes, means, strict=True)]
    details += [f"{r} is made of {', '.join(b)}" for r, b in blocks.items()]
    estimate = means[-1]
    if trains[-1] != "above":
        reason = f"{deep} is not clearly above {claim.numbers['trains']:g} %"
        return Finding("open", reason, percent(estimate), estimate, tuple(details))
    if needs:
        reason = (
            f"ResNet-50 needs a block that is not printed: {', '.join(needs)}; with it, it trains"
        )
        return Finding("corrected", reason, percent(estimate), estimate, tuple(details))
    return Finding(
        "reproduced", "the printed block is enough", percent(estimate), estimate, tuple(details)
    )
