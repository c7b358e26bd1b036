"""Knowledge distillation: a small student learns from a large teacher's doubts.

Sources: `distillation_loss`, Hinton, Vinyals & Dean (2015), arXiv:1503.02531, section 2, with the
KL divergence where they use cross-entropy: the same gradient, but it reads 0 when the student
matches. `decoupled_loss`, Zhao et al. (2022), arXiv:2203.08679, equation 7.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.config import Distillation
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.base import StepOutput


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    teacher_weight: float,
) -> Tensor:
    """Return ``(1 - w) * CE(student, labels) + w * T**2 * KL(teacher_T || student_T)``.

    Args:
        student_logits: Unnormalised scores, shape (B, K).
        teacher_logits: Same shape, same images in the same order; no gradient flows into it.
        labels: Class indices in [0, K), shape (B,), int64.
        temperature: T > 0, no unit; both softmaxes divide by it. Higher is softer.
        teacher_weight: w in [0, 1]. 0 ignores the teacher, 1 ignores the labels.

    Returns:
        Mean loss over the batch, in nats: a float32 scalar.

    Raises:
        ValueError: The logits differ in shape, or T or w lies outside its range.
    """
    _require_pair(student_logits, teacher_logits, temperature)
    if not 0 <= teacher_weight <= 1:
        raise ValueError(f"teacher_weight must lie in [0, 1], got {teacher_weight}; try 0.9")

    # float32: bfloat16's 8 significant bits blur the small probabilities that hold the hints.
    student = F.log_softmax(student_logits.float() / temperature, dim=1)  # (B, K)
    teacher = F.log_softmax(teacher_logits.detach().float() / temperature, dim=1)  # (B, K)
    soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    hard = F.cross_entropy(student_logits.float(), labels)
    # Soft gradients shrink as 1/T**2 (source, section 2); T**2 keeps the blend steady in T.
    return (1 - teacher_weight) * hard + teacher_weight * temperature**2 * soft


def decoupled_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    target_weight: float,
    others_weight: float,
) -> Tensor:
    """Return ``T**2 * (a * KL(is it the target?) + b * KL(which of the others?))``.

    The plain KL divergence is this with a = 1 and, for each image, b = 1 - the teacher's
    probability of the target: a sure teacher then says almost nothing about the other classes.
    Here b is free (source, equation 7).

    Args:
        student_logits: Unnormalised scores, shape (B, K), K >= 3.
        teacher_logits: Same shape, same images in the same order; no gradient flows into it.
        labels: Class indices in [0, K), shape (B,), int64: the targets.
        temperature: T > 0, no unit.
        target_weight: a >= 0.
        others_weight: b >= 0; the source takes 0.5 to 8.

    Returns:
        Mean over the batch, in nats: a float32 scalar. The labels' own loss is not in it.

    Raises:
        ValueError: The logits differ in shape, or T, a or b lies outside its range.
    """
    _require_pair(student_logits, teacher_logits, temperature)
    for name, weight in (("target_weight", target_weight), ("others_weight", others_weight)):
        if weight < 0:
            raise ValueError(f"{name} must be >= 0, got {weight}; the source takes 1 and 8")

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (B, 2) of target or not, and (B, K) among the others."""
        log_p = F.log_softmax(logits.float() / temperature, dim=1)  # (B, K)
        is_target = F.one_hot(labels, log_p.shape[1]).bool()
        others = log_p.masked_fill(is_target, -torch.inf)
        rest = others.logsumexp(dim=1, keepdim=True)  # log of 1 - p(target), without the 1 -
        binary = torch.cat([log_p.gather(1, labels[:, None]), rest], dim=1)
        # 0 in place of the target's -inf: it adds nothing to a divergence, and no NaN.
        return binary, (log_p - rest).masked_fill(is_target, 0.0)

    binary_s, others_s = parts(student_logits)
    binary_t, others_t = parts(teacher_logits.detach())
    target = F.kl_div(binary_s, binary_t, reduction="batchmean", log_target=True)
    others = F.kl_div(others_s, others_t, reduction="batchmean", log_target=True)
    return temperature**2 * (target_weight * target + others_weight * others)


def _require_pair(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> None:
    """Raise `ValueError` for logits of different shapes, or a temperature that is none."""
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student_logits {tuple(student_logits.shape)} and teacher_logits "
            f"{tuple(teacher_logits.shape)} differ: build both models with one num_classes"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}; 4.0 is a usual start")


@dataclass(frozen=True)
class DistillationObjective:
    """The loss of a student on a batch that carries its teacher's logits.

    `kd` is `distillation_loss`. `dkd` adds `decoupled_loss` to the labels' cross-entropy, as its
    source does. With `mean_over="elements"` the teacher's term of `kd` is divided by K as well,
    which is what PyTorch's default reduction does; see `config.Distillation`.
    """

    config: Distillation

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the loss, the accuracy, and how often the student says what the teacher says.

        Raises:
            ValueError: The batch carries no teacher's logits.
        """
        if batch.teacher is None:
            raise ValueError(
                "the batch carries no teacher's logits; give TrainLoader a teacher, as "
                "experiment.train does"
            )
        logits = model(batch.images).float()  # (B, K)
        loss = self._loss(logits, batch.teacher, batch.labels)
        said = logits.detach().argmax(1)
        metrics = {
            "accuracy": (said == batch.labels).float().mean(),
            "agreement": (said == batch.teacher.argmax(1)).float().mean(),
        }
        return StepOutput(loss, metrics)

    def _loss(self, logits: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Return the configured blend."""
        c = self.config
        if c.loss == "dkd":
            return F.cross_entropy(logits, labels) + decoupled_loss(
                logits,
                teacher,
                labels,
                temperature=c.temperature,
                target_weight=c.target_weight,
                others_weight=c.others_weight,
            )
        w = c.teacher_weight
        if c.mean_over == "elements":
            soft = distillation_loss(
                logits, teacher, labels, temperature=c.temperature, teacher_weight=1.0
            )
            return (1 - w) * F.cross_entropy(logits, labels) + w * soft / logits.shape[1]
        return distillation_loss(
            logits, teacher, labels, temperature=c.temperature, teacher_weight=w
        )
