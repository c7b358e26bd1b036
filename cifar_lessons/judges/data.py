"""Judges of chapter 1: what is in the data, its constants, and flips."""

from cifar_lessons.verdicts import Claim, Evidence, Finding, Side, Verdict, compare, points


def c01(claim: Claim, evidence: Evidence) -> Finding:
    """Judge the counts of CIFAR-10 and CIFAR-100."""
    facts = evidence.studies["data_facts"]
    wrong = [
        f"{name} is {facts[name]}, not {told}"
        for name, told in claim.numbers["cifar10"].items()
        if facts[name] != told
    ]
    same = facts["duplicates"]
    details = [
        f"images of each class: {facts['train_per_class']} to train with, "
        f"{facts['test_per_class']} to test with",
        f"exact copies: {same['within_train']} within train, {same['within_test']} within test, "
        f"{same['test_in_train']} test images are in train",
        f"{same['test_near_train']} test images nearly equal a train image at the same place; "
        "copies that are shifted or scaled escape this search",
    ]
    hundred = evidence.studies.get("data_facts_cifar100")
    if hundred and hundred["classes"] != claim.numbers["cifar100_classes"]:
        wrong.append(f"CIFAR-100 has {hundred['classes']} classes")
    rest = "" if hundred else "; CIFAR-100 is not counted yet"
    return Finding(
        "corrected" if wrong else "reproduced",
        ("; ".join(wrong) or "every count equals the article's") + rest,
        f"{facts['train_images']:,} + {facts['test_images']:,} images, {facts['classes']} classes",
        details=tuple(details),
    )


def c02(claim: Claim, evidence: Evidence) -> Finding:
    """Judge the constants of normalisation, and show what they do to training."""
    facts = evidence.studies["data_facts"]
    wrong = []
    for name in ("mean", "std"):
        half = claim.numbers[f"{name}_precision"]
        for channel, told, ours in zip(
            ("red", "green", "blue"), claim.numbers[name], facts[name], strict=True
        ):
            if abs(told - ours) > half:
                wrong.append(f"{name} of {channel} is {ours:.5f}, printed {told}")
    constants = "; ".join(f"{n} {', '.join(f'{v:.4f}' for v in facts[n])}" for n in ("mean", "std"))
    base, *others = claim.recipes
    found, lines = compare(evidence, base, others)
    came = "as predicted, no effect can be seen" if set(found) == {"unclear"} else "an effect shows"
    return Finding(
        "corrected" if wrong else "reproduced",
        f"{'; '.join(wrong) or 'all six constants round to those printed'}. In training: {came}",
        constants,
        details=(*lines, f"mean of per-image stds: {[round(v, 4) for v in facts['image_std']]}"),
    )


def c03(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether flips raise the test accuracy."""
    base, flip = claim.recipes
    more = [r for r in claim.also if r in evidence]
    found, lines = compare(evidence, base, [flip, *more])
    estimate = evidence.difference(base, flip)
    words: dict[Side, tuple[Verdict, str]] = {
        "above": ("reproduced", "flips raise the test accuracy"),
        "below": ("corrected", "flips lower the test accuracy"),
        "unclear": ("open", "the interval holds 0, so these runs can't tell"),
    }
    verdict, reason = words[found[0]]
    return Finding(verdict, reason, points(estimate), estimate, tuple(lines))
