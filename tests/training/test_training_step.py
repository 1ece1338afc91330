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
from resight.records import GLOBAL, Batch
from resight.training.epoch import _step
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
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
    )
    labels = torch.tensor([0, 1, 0])
    images = torch.rand(3, 3, 2, 2)
    before = network(images)[GLOBAL].detach()
    start = torch.nn.functional.normalize(torch.rand(2, 4))
    inner = ClusterMemory().start({GLOBAL: start}, torch.tensor([0, 1]), generator=None)
    memory = Recorder(inner, weight)
    loss = _step(learner, Batch(torch.arange(3), images, labels), memory)  # type: ignore[arg-type]
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
        return (*drawn, *(float(torch.rand((), generator=g)) for g in (s.augment, s.memory)))

    assert numbers(1, 2) == numbers(1, 2)
    assert len({numbers(0, 0), numbers(0, 1), numbers(1, 0), numbers(1, 1)}) == 4
    assert len(set(numbers(0, 0))) == 5
