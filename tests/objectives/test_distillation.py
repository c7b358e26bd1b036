"""Mirrors cifar_lessons/objectives/distillation.py."""

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import Distillation
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.distillation import (
    DistillationObjective,
    decoupled_loss,
    distillation_loss,
)


def loss_by_hand(student: Tensor, teacher: Tensor, labels: Tensor, t: float, w: float) -> float:
    """The formula with one Python float at a time: slow, and plainly right."""

    def softmax(row: list[float], t: float) -> list[float]:
        exps = [math.exp(x / t) for x in row]
        return [e / sum(exps) for e in exps]

    total = 0.0
    for s, q, y in zip(student.tolist(), teacher.tolist(), labels.tolist(), strict=True):
        soft_q, soft_s = softmax(q, t), softmax(s, t)
        kl = sum(a * math.log(a / b) for a, b in zip(soft_q, soft_s, strict=True))
        total += (1 - w) * -math.log(softmax(s, 1.0)[y]) + w * t**2 * kl
    return total / len(labels)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 8, 10, generator=rng)
    return logits[0], logits[1], torch.randint(10, (8,), generator=rng)


@pytest.mark.parametrize("t", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("w", [0.0, 0.3, 1.0])
def test_matches_the_formula_by_hand(batch, t, w):
    loss = distillation_loss(*batch, temperature=t, teacher_weight=w)
    assert loss.item() == pytest.approx(loss_by_hand(*batch, t=t, w=w), rel=1e-5)


def test_zero_when_the_student_is_the_teacher(batch):
    student, _, labels = batch
    loss = distillation_loss(student, student, labels, temperature=4.0, teacher_weight=1.0)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_no_gradient_reaches_the_teacher(batch):
    student, teacher, labels = (x.clone() for x in batch)
    student.requires_grad_()
    teacher.requires_grad_()
    distillation_loss(student, teacher, labels, temperature=2.0, teacher_weight=0.5).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_gradient_size_hardly_moves_with_temperature(batch):
    def grad_norm(t: float) -> float:
        student = (0.1 * batch[0]).requires_grad_()
        loss = distillation_loss(
            student, 0.1 * batch[1], batch[2], temperature=t, teacher_weight=1.0
        )
        return torch.autograd.grad(loss, student)[0].norm().item()

    assert grad_norm(20.0) == pytest.approx(grad_norm(5.0), rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher_logits": torch.zeros(8, 100)}, "one num_classes"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        ({"teacher_weight": 1.5}, r"must lie in \[0, 1\], got 1.5"),
    ],
)
def test_errors_name_the_value_and_the_mend(batch, change, message):
    args = dict(zip(("student_logits", "teacher_logits", "labels"), batch, strict=True))
    with pytest.raises(ValueError, match=message):
        distillation_loss(**{**args, "temperature": 4.0, "teacher_weight": 0.9, **change})


def test_half_precision_logits_give_a_float32_loss(batch):
    student, teacher, labels = batch
    half = distillation_loss(
        student.bfloat16(), teacher.bfloat16(), labels, temperature=4.0, teacher_weight=0.9
    )
    full = distillation_loss(student, teacher, labels, temperature=4.0, teacher_weight=0.9)
    assert half.dtype is torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)


# --- decoupled ------------------------------------------------------------------------------


def decoupled_by_hand(s: Tensor, q: Tensor, labels: Tensor, t: float, a: float, b: float) -> float:
    """Equation 7 of the source with one Python float at a time."""

    def softmax(row: list[float]) -> list[float]:
        exps = [math.exp(x / t) for x in row]
        return [e / sum(exps) for e in exps]

    def kl(p: list[float], r: list[float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(p, r, strict=True))

    total = 0.0
    for s_row, q_row, y in zip(s.tolist(), q.tolist(), labels.tolist(), strict=True):
        ps, pq = softmax(s_row), softmax(q_row)
        others = [[p[k] / (1 - p[y]) for k in range(len(p)) if k != y] for p in (pq, ps)]
        total += a * kl([pq[y], 1 - pq[y]], [ps[y], 1 - ps[y]]) + b * kl(*others)
    return t**2 * total / len(labels)


@pytest.mark.parametrize("t", [1.0, 4.0])
@pytest.mark.parametrize(("a", "b"), [(1.0, 8.0), (0.0, 1.0), (2.0, 0.0)])
def test_the_decoupled_loss_matches_the_formula_by_hand(batch, t, a, b):
    loss = decoupled_loss(*batch, temperature=t, target_weight=a, others_weight=b)
    assert loss.item() == pytest.approx(decoupled_by_hand(*batch, t=t, a=a, b=b), rel=1e-4)


def test_an_image_alone_gets_the_plain_divergence_with_the_teachers_doubt_as_weight(batch):
    """Equation 6 of the source: KL = TCKD + (1 - p(target)) NCKD."""
    student, teacher, labels = (x[:1] for x in batch)
    doubt = 1 - torch.softmax(teacher / 4.0, dim=1)[0, labels[0]].item()
    plain = distillation_loss(student, teacher, labels, temperature=4.0, teacher_weight=1.0)
    split = decoupled_loss(
        student, teacher, labels, temperature=4.0, target_weight=1.0, others_weight=doubt
    )
    assert split.item() == pytest.approx(plain.item(), rel=1e-5)


def test_a_teacher_that_is_sure_beyond_float32_gives_a_finite_loss_and_gradient():
    student = torch.zeros(2, 10, requires_grad=True)
    teacher = torch.full((2, 10), -200.0)
    teacher[:, 3] = 200.0
    loss = decoupled_loss(
        student,
        teacher,
        torch.tensor([3, 3]),
        temperature=1.0,
        target_weight=1.0,
        others_weight=8.0,
    )
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_errors_of_the_decoupled_loss_name_the_value(batch):
    with pytest.raises(ValueError, match=r"others_weight must be >= 0, got -1"):
        decoupled_loss(*batch, temperature=4.0, target_weight=1.0, others_weight=-1)
    with pytest.raises(ValueError, match="one num_classes"):
        decoupled_loss(
            batch[0], batch[1][:, :5], batch[2], temperature=4, target_weight=1, others_weight=1
        )


# --- the objective --------------------------------------------------------------------------


def on_batch(batch, **changes: object) -> StepOutput:
    """The objective on logits that stand for images: the network hands them on."""
    student, teacher, labels = batch
    config = Distillation(**changes)  # type: ignore[arg-type]
    views = Batch(student, labels, torch.arange(len(labels)), teacher)
    return DistillationObjective(config)(nn.Identity(), views)


def test_the_mean_over_elements_divides_the_teachers_term_by_the_classes(batch):
    student, teacher, labels = batch
    out = on_batch(batch, temperature=3.0, teacher_weight=0.7, mean_over="elements")
    # PyTorch's own words for the slip; it warns about them, which is the lesson of C14.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soft = nn.KLDivLoss()(
            torch.log_softmax(student / 3.0, dim=1), torch.softmax(teacher / 3.0, dim=1)
        )
    hard = nn.functional.cross_entropy(student, labels)
    assert out.loss.item() == pytest.approx((0.7 * 9 * soft + 0.3 * hard).item(), rel=1e-5)


def test_kd_and_dkd_are_the_functions_above(batch):
    student, _, labels = batch
    kd = on_batch(batch, temperature=3.0, teacher_weight=0.7)
    assert torch.equal(kd.loss, distillation_loss(*batch, temperature=3.0, teacher_weight=0.7))
    dkd = on_batch(batch, loss="dkd", temperature=3.0, target_weight=2.0, others_weight=4.0)
    extra = decoupled_loss(*batch, temperature=3.0, target_weight=2.0, others_weight=4.0)
    assert torch.equal(dkd.loss, nn.functional.cross_entropy(student, labels) + extra)


def test_metrics_say_how_often_the_student_is_right_and_agrees(batch):
    student, teacher, labels = batch
    out = on_batch(batch)
    assert out.metrics["accuracy"] == (student.argmax(1) == labels).float().mean()
    assert out.metrics["agreement"] == (student.argmax(1) == teacher.argmax(1)).float().mean()


def test_a_batch_without_a_teacher_is_an_error(batch):
    with pytest.raises(ValueError, match="carries no teacher's logits"):
        on_batch((batch[0], None, batch[2]))
