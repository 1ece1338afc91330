"""LP's two paths, batch by batch, against a computation by hand (Algorithms 1 and 2)."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resight.device import Device
from resight.losses import ClusterNCE, Distillation
from resight.memory import ClusterMemory
from resight.recipe import OptimPlan, Recipe, Teacher
from resight.records import Batch, Clustered, Network
from resight.training.batches import Work, train_step
from resight.training.plan import plan_epoch
from resight.training.randomness import streams

VIEWS = ("global", "part1", "part2")
SHARES = {"global": 0.8, "part1": 0.2, "part2": 0.2}
RATE, TEMPERATURE, MOMENTUM = 0.5, 0.05, 0.1
N, C, D, B = 12, 3, 5, 6


class Net(nn.Module):
    """A view each from all pixels, the upper and the lower half, through a BatchNorm neck."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.ParameterDict(
            {
                view: nn.Parameter(torch.randn(D, size, generator=generator, dtype=torch.float64))
                for view, size in zip(VIEWS, (24, 12, 12), strict=True)
            }
        )
        self.necks = nn.ModuleDict({view: nn.BatchNorm1d(D).double() for view in VIEWS})

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        upper, lower = images.tensor_split(2, dim=2)
        maps = dict(zip(VIEWS, (images, upper, lower), strict=True))
        return {
            view: F.normalize(self.necks[view](maps[view].flatten(1) @ self.layers[view].T))
            for view in VIEWS
        }

    forward = embed


def by_hand(net: Net, images: Tensor) -> dict[str, Tensor]:
    """Embeddings in training: BatchNorm with the batch's mean and (biased) variance."""
    upper, lower = images[:, :, :2], images[:, :, 2:]
    embeddings = {}
    for view, maps in zip(VIEWS, (images, upper, lower), strict=True):
        u = maps.flatten(1) @ net.layers[view].T
        u = (u - u.mean(0)) / (u.var(0, unbiased=False) + 1e-5).sqrt()
        u = u * net.necks[view].weight + net.necks[view].bias
        embeddings[view] = u / u.norm(dim=1, keepdim=True)
    return embeddings


def two_batches_by_hand(
    net: Net,
    teacher: Net | None,
    memory: dict[str, Tensor],
    batches: list[Batch],
    *,
    distils: bool,
    writes: bool,
) -> list[float]:
    """Trains `net` in place by Eq. 8 or 10 and plain gradient descent; returns the losses."""
    losses = []
    for batch in batches:
        q = by_hand(net, batch.images)
        total = torch.zeros((), dtype=torch.float64)
        for view in VIEWS:
            for i, label in enumerate(batch.labels.tolist()):
                scores = torch.stack([q[view][i] @ c for c in memory[view]]) / TEMPERATURE
                loss = scores.exp().sum().log() - scores[label]  # Eq. 7
                if distils and teacher is not None:
                    with torch.no_grad():
                        told = by_hand(teacher, batch.images)[view][i]
                    loss = loss + (q[view][i] - told).pow(2).sum()  # Eq. 9, mu = 1
                total = total + SHARES[view] * loss / B
        gradients = torch.autograd.grad(total, list(net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter -= RATE * gradient
            if writes:
                for view in VIEWS:
                    for i, label in enumerate(batch.labels.tolist()):  # Eq. 11, in batch order
                        c = MOMENTUM * memory[view][label] + (1 - MOMENTUM) * q[view][i]
                        memory[view][label] = c / c.norm()
        losses.append(float(total.detach()))
    return losses


def learner_of(net: Net, teacher: Net | None, recipe: Recipe) -> Any:
    return SimpleNamespace(
        recipe=recipe,
        encoder=net,
        forward=net,
        teacher=teacher,
        device=Device.choose("cpu", "float32"),
        optimizer=torch.optim.SGD(net.parameters(), lr=RATE),
    )


def recipe_of(teacher: Teacher | None) -> Recipe:
    classes = tuple(ClusterNCE(TEMPERATURE, view, share) for view, share in SHARES.items())
    distillation = tuple(Distillation(view, share) for view, share in SHARES.items())
    return Recipe(
        losses=classes if teacher is None else classes + distillation,
        teacher=teacher,
        optim=OptimPlan(lr=RATE),
        memory=ClusterMemory(momentum=MOMENTUM),
    )


def drawn() -> tuple[Clustered, list[Batch]]:
    generator = torch.Generator().manual_seed(5)
    features = {
        view: F.normalize(torch.randn(N, D, generator=generator, dtype=torch.float64))
        for view in VIEWS
    }
    labels = torch.arange(N) % C
    shared = dict.fromkeys(VIEWS, labels)
    batches = [
        Batch(
            rows,
            torch.randn(B, 3, 4, 2, generator=generator, dtype=torch.float64),
            labels[rows],
        )
        for rows in torch.randperm(N, generator=generator).split(B)
    ]
    return Clustered(features, shared, shared), batches


@pytest.mark.parametrize(
    "path",
    ["teacher", "warm-up", "warm-up, following teacher", "student", "student, following teacher"],
)
def test_two_batches_are_those_by_hand(path: str) -> None:
    gamma = 0.9 if "following" in path else 1.0
    teacher = None if path == "teacher" else Net(1)
    recipe = recipe_of(None if teacher is None else Teacher(momentum=gamma))
    plan = plan_epoch(recipe, 1 if "student" in path else 0, ())
    net, clustered_and_batches = Net(0), drawn()
    clustered, batches = clustered_and_batches
    state = recipe.memory.start(clustered, generator=torch.Generator())
    learner = learner_of(net, teacher, recipe)
    network = Network(net, torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1))
    work = Work(learner, plan, clustered, state, network, streams(0, 0))

    hand, hand_teacher = Net(0), Net(1)
    memory = {
        view: F.normalize(torch.stack([f[torch.arange(N) % C == k].mean(0) for k in range(C)]))
        for view, f in clustered.features.items()
    }
    expected = []
    for batch in batches:
        expected += two_batches_by_hand(
            hand,
            hand_teacher,
            memory,
            [batch],
            distils="student" in path,
            writes="warm-up" not in path,
        )
        if "warm-up" in path:
            continue
        for own, students in zip(hand_teacher.parameters(), hand.parameters(), strict=True):
            own.data = gamma * own.data + (1 - gamma) * students.data  # Eq. 12
    net.train()
    found = [float(train_step(work, batch)) for batch in batches]

    assert found == pytest.approx(expected, rel=1e-6)
    for one, other in zip(net.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    for view in VIEWS:
        torch.testing.assert_close(state.read()[view], memory[view], rtol=1e-6, atol=1e-8)
    if teacher is not None:
        for one, other in zip(teacher.parameters(), hand_teacher.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
        moved = not torch.equal(teacher.necks["global"].running_mean, torch.zeros(D).double())
        assert moved == (path == "student, following teacher")
