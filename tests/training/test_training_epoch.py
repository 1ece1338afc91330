"""What a whole epoch hands to its batches: crops, labels, anchors, weights, and how many."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from little import BATCHES, IDENTITIES, ROWS, Spy, crops_of, learner_of, recipe_of
from torch.nn.functional import normalize

from resight.losses import CameraEntropy, InstanceLoss
from resight.memory import ClusterMemory
from resight.recipe import OptimPlan, Teacher
from resight.records import GLOBAL, PseudoLabels, Step
from resight.schedules import Steps
from resight.training.epoch import run_epoch


class AsManyAsDimensions:
    """As many clusters as vectors have dimensions, in turn: each view has its own number."""

    def __call__(self, graph: Any, features: Any, rng: Any) -> PseudoLabels:
        return PseudoLabels(np.arange(len(graph)) % features.vectors.shape[1])


@dataclass(frozen=True)
class HalfSure:
    """Of each four crops in turn, all or none are sure."""

    def score(self, graph: Any, features: Any, labels: Any) -> Any:
        return (np.arange(len(labels)) // 4 % 2).astype(np.float32)

    def threshold(self, epoch: int, epochs: int) -> float:
        return 0.5


def test_a_sampled_epoch_trains_on_the_crops_that_it_clustered() -> None:
    spy, identities = Spy(), crops_of().identities
    result = run_epoch(learner_of(recipe_of(spy, sample_fraction=0.5)), 0)
    taken = ROWS[result.taken]
    assert len(taken) == len(ROWS) // 2
    assert not np.array_equal(taken, ROWS[: len(taken)])
    numbers = np.unique(identities[taken])
    for step, targets in spy.seen:
        shown = step.batch.images[:, 0, 0, 0].long().numpy()
        assert np.array_equal(shown, taken[step.batch.indices])
        assert np.array_equal(numbers[targets], identities[shown])
        assert np.array_equal(step.batch.cameras, crops_of().cameras[shown])
    assert len(spy.seen) == BATCHES


@pytest.mark.parametrize(("warm_up", "batches"), [(2.0, 6), (0.5, 2)])
def test_the_warm_up_has_its_own_number_of_batches(warm_up: float, batches: int) -> None:
    spy = Spy()
    learner = learner_of(recipe_of(spy, teacher=Teacher(warm_up=warm_up)), teacher=True)
    run_epoch(learner, 0)
    assert len(spy.seen) == batches
    run_epoch(learner, 1)
    assert len(spy.seen) == batches + BATCHES


def test_batches_are_trained_at_the_learning_rate_of_their_epoch() -> None:
    seen: list[float] = []

    class Rate(Spy):
        def __call__(self, step: Step, targets: torch.Tensor) -> torch.Tensor:
            seen.append(learner.optimizer.param_groups[0]["lr"])
            return super().__call__(step, targets)

    optim = OptimPlan(epochs=4, iterations=1, lr=0.5, schedule=Steps(every=1))
    learner = learner_of(recipe_of(Rate(), optim=optim, teacher=Teacher(warm_up=1)), teacher=True)
    for number in range(4):
        run_epoch(learner, number)
    assert seen == pytest.approx([0.5, 0.5, 0.05, 0.005])


@pytest.mark.parametrize(
    ("labels", "number", "clustered", "remembered"),
    [
        ("warm-up", 0, "teacher", "teacher"),
        ("warm-up", 1, "student", "student"),
        ("always", 0, "teacher", "teacher"),
        ("always", 1, "teacher", "student"),
    ],
)
def test_whose_features_are_clustered_and_whose_the_memory_starts_from(
    labels: Any, number: int, clustered: str, remembered: str
) -> None:
    """Alg. 2 of LP, and the teacher's labels alone of its Table X."""
    seen: list[Any] = []

    class Keeps(AsManyAsDimensions):
        def __call__(self, graph: Any, features: Any, rng: Any) -> PseudoLabels:
            seen.append(features.vectors)
            return super().__call__(graph, features, rng)

    spy = Spy()
    recipe = recipe_of(spy, clusterer=Keeps(), teacher=Teacher(labels=labels))
    learner = learner_of(recipe, teacher=True)
    teacher: Any = learner.teacher
    with torch.no_grad():
        for layer in teacher.layers.values():
            layer.weight.add_(torch.linspace(-1, 1, 96).view(4, 24))
    images = torch.from_numpy(ROWS).view(-1, 1, 1, 1).repeat(1, 3, 4, 2).float()
    networks = {"student": learner.encoder, "teacher": teacher}
    with torch.no_grad():
        told = {name: net.eval().embed(images)[GLOBAL] for name, net in networks.items()}
    assert not torch.allclose(told["student"], told["teacher"], atol=0.1)
    run_epoch(learner, number)
    torch.testing.assert_close(torch.from_numpy(seen[0]), told[clustered])
    start, _ = spy.seen[0]
    assert start.clustered is not None
    torch.testing.assert_close(start.clustered.features[GLOBAL], told[remembered])


def test_each_view_is_trained_with_labels_of_its_own() -> None:
    whole, part = Spy(), Spy("part1")
    recipe = recipe_of(whole, part, individual_labels=True, clusterer=AsManyAsDimensions())
    result = run_epoch(learner_of(recipe, parts=True), 0)
    assert result.labelling.pseudo.n_clusters == 4
    assert result.labelling.views["part1"].pseudo.n_clusters == 5
    for spy, n_clusters in ((whole, 4), (part, 5)):
        step, targets = spy.seen[0]
        assert torch.equal(targets, step.batch.indices % n_clusters)
        assert step.prototypes[spy.view].shape[0] == n_clusters


def test_views_share_the_labels_of_all_of_them_together() -> None:
    part = Spy("part1")
    recipe = recipe_of(Spy(), part, clusterer=AsManyAsDimensions())
    run_epoch(learner_of(recipe, parts=True), 0)
    for step, targets in part.seen:
        assert torch.equal(targets, step.batch.indices % 4)


def test_anchors_alone_make_the_first_vectors() -> None:
    """Eq. 7 of CGC; with momentum 1 the first vectors stay."""
    spy, memory = Spy(), ClusterMemory(momentum=1.0)
    clusterer, confidence = AsManyAsDimensions(), HalfSure()
    recipe = recipe_of(spy, clusterer=clusterer, confidence=confidence, memory=memory)
    run_epoch(learner_of(recipe), 0)
    step, _ = spy.seen[0]
    n, q = torch.arange(len(ROWS)), step.clustered.features[GLOBAL]
    for cluster, vector in enumerate(step.prototypes[GLOBAL]):
        sure = q[(n % 4 == cluster) & (n // 4 % 2 == 1)]
        assert len(sure) == 3
        torch.testing.assert_close(vector, normalize(sure.sum(dim=0), dim=0))


def test_camera_entropy_weighs_the_loss_of_each_sample() -> None:
    """Eq. 13-16 of 3C, where identities have two crops: of two cameras, 1 bit, or of one, none."""
    spy = Spy()
    result = run_epoch(learner_of(recipe_of(spy, weights=CameraEntropy(base=2))), 0)
    expected, unweighted = [], []
    for step, _ in spy.seen:
        (a, b), losses = step.batch.cameras.view(2, 2), step.batch.indices.double().view(2, 2)
        bits = [float(a[0] != a[1]), float(b[0] != b[1])]
        shares = [math.exp(bit) / sum(map(math.exp, bits)) for bit in bits]
        expected += [2 * share * loss for share, loss in zip(shares, losses, strict=True)]
        unweighted += losses
    assert result.loss == pytest.approx(float(torch.stack(expected).mean()))
    assert result.loss != pytest.approx(float(torch.stack(unweighted).mean()))


def test_batches_spread_an_identity_over_its_cameras() -> None:
    """Half of the identities were seen by two cameras, the others by one."""
    spy = Spy()
    run_epoch(learner_of(recipe_of(spy, optim=OptimPlan(epochs=1, iterations=12))), 0)
    batches = [step.batch for step, _ in spy.seen]
    labels = torch.cat([batch.labels.view(2, 2)[:, 0] for batch in batches])
    cameras = torch.cat([batch.cameras.view(2, 2) for batch in batches])
    assert torch.equal(cameras[:, 0] != cameras[:, 1], labels >= IDENTITIES // 2)


def test_making_positives_leaves_running_statistics_to_the_batches() -> None:
    spy = Spy()
    loss = InstanceLoss(positives="generated", steps=2)
    learner = learner_of(recipe_of(spy, loss))
    neck: Any = learner.encoder.necks[GLOBAL]
    run_epoch(learner, 0)
    assert int(neck.num_batches_tracked) == BATCHES


def test_losses_that_make_images_are_told_the_range_of_pixels() -> None:
    spy = Spy()
    learner = learner_of(recipe_of(spy))
    run_epoch(learner, 0)
    network = spy.seen[0][0].network
    assert network is not None
    for told, bound in zip((network.low, network.high), learner.encoder.pixel_range, strict=True):
        assert torch.equal(told, bound)
