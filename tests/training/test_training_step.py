"""The order within one step: forward, backward, optimiser, and only then the memory."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from resight.device import Device
from resight.memory import ClusterMemory
from resight.recipe import Recipe
from resight.records import GLOBAL, Batch, Clustered, Instances, Network
from resight.training.batches import Work, train_step
from resight.training.plan import plan_epoch
from resight.training.randomness import streams


class Recorder:
    """A memory that tells when it is read and written."""

    def __init__(self, inner: Any, parameter: Tensor) -> None:
        self.inner, self.parameter = inner, parameter
        self.first = parameter.detach().clone()
        self.events: list[str] = []
        self.written: list[Tensor] = []

    def read(self) -> Mapping[str, Tensor]:
        self.events.append("read")
        assert torch.equal(self.parameter, self.first)
        return self.inner.read()

    def instances(self) -> Instances | None:
        return None

    def write(self, embeddings: Mapping[str, Tensor], batch: Batch) -> None:
        self.events.append("write")
        assert not torch.equal(self.parameter, self.first), "written before the optimiser's step"
        self.written += embeddings.values()
        self.inner.write(embeddings, batch)


@pytest.fixture
def network() -> torch.nn.Module:
    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(12, 4)

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {GLOBAL: torch.nn.functional.normalize(self.layer(images.flatten(1)))}

    torch.manual_seed(0)
    return Tiny()


def test_the_memory_is_written_after_the_step_with_detached_embeddings(
    network: torch.nn.Module,
) -> None:
    recipe = Recipe()
    weight = next(network.parameters())
    learner = SimpleNamespace(
        recipe=recipe,
        device=Device.choose("cpu", "float32"),
        forward=network,
        teacher=None,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
    )
    labels = torch.tensor([0, 1, 0])
    images = torch.rand(3, 3, 2, 2)
    before = network(images)[GLOBAL].detach()
    start = torch.nn.functional.normalize(torch.rand(2, 4))
    both = {GLOBAL: torch.tensor([0, 1])}
    clustered = Clustered({GLOBAL: start}, both, both)
    inner = ClusterMemory().start(clustered, generator=torch.Generator())
    memory = Recorder(inner, weight)
    lowest, highest = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    work = Work(
        learner,  # type: ignore[arg-type]
        plan_epoch(recipe, 0, ()),
        clustered,
        memory,
        Network(network, lowest, highest),
        streams(0, 0),
    )
    loss = train_step(work, Batch(torch.arange(3), images, labels))
    assert memory.events == ["read", "write"]
    assert not memory.written[0].requires_grad
    assert torch.equal(memory.written[0], before)  # the embeddings of before the step
    expected = torch.nn.functional.cross_entropy(before @ start.T / 0.05, labels)
    torch.testing.assert_close(loss, expected)
    assert not loss.requires_grad


def test_streams_depend_on_seed_and_epoch_alone() -> None:
    def numbers(seed: int, epoch: int) -> tuple[float, ...]:
        s = streams(seed, epoch)
        drawn = [g.random() for g in (s.sample, s.cluster, s.batches)]
        return (
            *drawn,
            *(float(torch.rand((), generator=g)) for g in (s.augment, s.memory, s.losses)),
        )

    assert numbers(1, 2) == numbers(1, 2)
    assert len({numbers(0, 0), numbers(0, 1), numbers(1, 0), numbers(1, 1)}) == 4
    assert len(set(numbers(0, 0))) == 6
