"""Distillation against LP, Eq. 9."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.losses import distillation


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
