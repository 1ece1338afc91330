"""Distillation against LP, Eq. 9."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.losses import Distillation, distillation
from resight.records import Batch, Step


@pytest.mark.parametrize("b", [0, 1, 6])
def test_equals_the_equation(b):
    rng = np.random.default_rng(b)
    student, teacher = 3 * rng.normal(size=(b, 5)), rng.normal(size=(b, 5))
    want = [
        np.sum((u / np.linalg.norm(u) - t / np.linalg.norm(t)) ** 2)
        for u, t in zip(student, teacher, strict=True)
    ]
    got = distillation(torch.from_numpy(student), torch.from_numpy(teacher))
    assert got.shape == (b,)
    np.testing.assert_allclose(got, want, atol=1e-12)
    got = distillation(torch.from_numpy(student).float(), torch.from_numpy(teacher).float())
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_gradient_flows_into_the_student_alone():
    rng = np.random.default_rng(3)
    student = torch.from_numpy(rng.normal(size=(3, 4))).requires_grad_()
    teacher = torch.from_numpy(rng.normal(size=(3, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: distillation(u, teacher.detach()), student)
    distillation(student, teacher).sum().backward()
    assert teacher.grad is None


def test_length_does_not_matter_and_opposites_are_four_apart():
    u = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    np.testing.assert_allclose(distillation(u, 7 * u), 0, atol=1e-12)
    np.testing.assert_allclose(distillation(u, -u), 4, rtol=1e-6)


def test_the_term_reads_its_view_and_counts_outliers_too():
    rng = np.random.default_rng(6)
    student, teacher = (
        {view: torch.from_numpy(rng.normal(size=(3, 4))) for view in ("global", "part1")}
        for _ in range(2)
    )
    labels = torch.tensor([0, -1, 1])
    batch = Batch(torch.arange(3), torch.zeros(3, 3, 8, 8), labels)
    step = Step(batch, student, teacher=teacher)
    for view in student:
        got = Distillation(view=view)(step, labels)
        torch.testing.assert_close(got, distillation(student[view], teacher[view]))
        assert (got > 0).all()


def test_a_missing_teacher_is_told():
    labels = torch.tensor([0])
    step = Step(Batch(torch.arange(1), torch.zeros(1, 3, 8, 8), labels), {"global": torch.eye(1)})
    with pytest.raises(ValueError, match="no teacher's embeddings, which Distillation needs"):
        Distillation()(step, labels)
