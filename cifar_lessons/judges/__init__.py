"""A judge for each claim that can be judged, by its id: a module for each group of chapters."""

from collections.abc import Callable

from cifar_lessons.judges import (
    architecture_search,
    data,
    deployment,
    distillation,
    evaluation,
    folds,
    networks,
    precision,
    pretraining,
    schedules,
    tta,
    tuning,
)
from cifar_lessons.verdicts import Claim, Evidence, Finding

JUDGES: dict[str, Callable[[Claim, Evidence], Finding]] = {
    "C01": data.c01,
    "C02": data.c02,
    "C03": data.c03,
    "C04": folds.c04,
    "C05": networks.accuracy,
    "C06": networks.c06,
    "C07": networks.accuracy,
    "C08": networks.c08,
    "C09": networks.c09,
    "C10": schedules.c10,
    "C11": precision.c11,
    "C12": evaluation.c12,
    "C13": deployment.c13,
    "C14": distillation.c14,
    "C15": distillation.c15,
    "C16": pretraining.c16,
    "C17": architecture_search.c17,
    "C18": tta.c18,
    "C19": precision.c19,
    "C20": deployment.c20,
    "C21": tuning.c21,
}
