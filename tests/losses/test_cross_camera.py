"""Cross-camera proxies against loops: per camera, per query, per positive."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resight.losses import CrossCamera, camera_proxies, cross_camera
from resight.records import Batch, Clustered, Crops, Step


def unit(rng, *shape):
    return F.normalize(torch.from_numpy(rng.normal(size=shape)), dim=-1)


def proxies_one_by_one(features, labels, cameras):
    found = {}
    for k in sorted(set(labels.tolist()) - {-1}):
        for c in sorted(set(cameras[labels == k].tolist())):
            mean = features[(labels == k) & (cameras == c)].mean(0)
            found[k, c] = mean / mean.norm()
    return found


def one_query(query, label, camera, proxies, temperature, negatives, other_only):
    own = {key: float(query @ p) for key, p in proxies.items() if key[0] == label}
    rest = sorted((float(query @ p) for key, p in proxies.items() if key[0] != label), reverse=True)
    positives = [s for key, s in own.items() if not (other_only and key[1] == camera)]
    if not positives:
        return 0.0
    total = sum(math.exp(s / temperature) for s in positives + rest[:negatives])
    return -sum(math.log(math.exp(s / temperature) / total) for s in positives) / len(positives)


def batch_loss(losses, cameras, other_only):
    """ICE: the mean within each camera of the batch, summed. PPLR: the mean."""
    if other_only:
        return float(np.mean(losses))
    return sum(float(np.mean(losses[cameras == c])) for c in set(cameras.tolist()))


@given(
    seed=st.integers(0, 10**6),
    n_clusters=st.integers(1, 6),
    n_cameras=st.integers(1, 4),
    b=st.integers(1, 12),
    negatives=st.sampled_from([1, 3, 50]),
    other_only=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_equals_the_loops(seed, n_clusters, n_cameras, b, negatives, other_only):
    rng = np.random.default_rng(seed)
    n = 4 * n_clusters
    features = unit(rng, n, 5)
    labels = torch.from_numpy(rng.permutation(np.append(np.arange(n_clusters), -1).repeat(4)[:n]))
    cameras = torch.from_numpy(rng.integers(0, n_cameras, n) * 2)
    want = proxies_one_by_one(features, labels, cameras)
    proxies, proxy_labels, proxy_cameras = camera_proxies(features, labels, cameras)
    assert list(zip(proxy_labels.tolist(), proxy_cameras.tolist(), strict=True)) == list(want)
    torch.testing.assert_close(proxies, torch.stack(list(want.values())))

    rows = torch.from_numpy(rng.choice(np.flatnonzero(labels >= 0), b))
    q, labels, cameras = unit(rng, b, 5).requires_grad_(), labels[rows], cameras[rows]
    got = cross_camera(
        q,
        labels,
        cameras,
        proxies,
        proxy_labels,
        proxy_cameras,
        temperature=0.07,
        negatives=negatives,
        other_only=other_only,
    )
    each = np.array(
        [
            one_query(query, label, camera, want, 0.07, negatives, other_only)
            for query, label, camera in zip(
                q.detach(), labels.tolist(), cameras.tolist(), strict=True
            )
        ]
    )
    assert got.shape == (b,)
    np.testing.assert_allclose(
        got.mean().item(), batch_loss(each, cameras.numpy(), other_only), atol=1e-9
    )
    if other_only:
        np.testing.assert_allclose(got.detach(), each, atol=1e-9)
    got.sum().backward()
    assert torch.isfinite(q.grad).all()


def example(other_only):
    rng = np.random.default_rng(4)
    labels, cameras = torch.arange(4).repeat_interleave(3), torch.arange(12) % 3
    proxies = camera_proxies(unit(rng, 12, 5), labels, cameras)
    own, seen = torch.tensor([0, 0, 2, 3]), torch.tensor([0, 1, 1, 1])

    def loss(q):
        return cross_camera(
            q, own, seen, *proxies, temperature=0.3, negatives=4, other_only=other_only
        )

    return unit(rng, 4, 5).requires_grad_(), loss


@pytest.mark.parametrize("other_only", [False, True])
def test_gradients(other_only):
    q, loss = example(other_only)
    assert torch.autograd.gradcheck(loss, q)


def test_without_proxies_of_other_cameras_the_loss_and_its_gradient_are_zero():
    q = torch.eye(3).requires_grad_()
    zeros = torch.zeros(3, dtype=torch.long)
    loss = cross_camera(
        q,
        zeros,
        zeros,
        *camera_proxies(torch.eye(3), zeros, zeros),
        temperature=0.07,
        negatives=50,
        other_only=True,
    )
    loss.sum().backward()
    assert torch.equal(loss, torch.zeros(3))
    assert torch.equal(q.grad, torch.zeros(3, 3))


def test_negatives_that_tie_do_not_matter():
    proxies = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    q, first = torch.tensor([[0.6, 0.8]]), torch.zeros(1, dtype=torch.long)
    loss = cross_camera(
        q,
        first,
        first,
        proxies,
        torch.arange(4),
        torch.zeros(4, dtype=torch.long),
        temperature=1.0,
        negatives=2,
    )
    want = -math.log(math.exp(0.6) / (math.exp(0.6) + 2 * math.exp(0.8)))
    torch.testing.assert_close(loss, torch.tensor([want]))


def test_only_outliers_have_no_proxies():
    nobody = torch.full((3,), -1)
    proxies, labels, cameras = camera_proxies(torch.eye(3), nobody, torch.zeros(3).long())
    assert proxies.shape == (0, 3)
    assert labels.shape == cameras.shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temperature": 0}, "temperature=0 should be above 0"),
        ({"negatives": 0}, "negatives=0 should be >= 1"),
    ],
)
def test_values_out_of_range_are_refused(wrong, told):
    one = torch.zeros(1, dtype=torch.long)
    options = {"temperature": 0.07, "negatives": 50, **wrong}
    with pytest.raises(ValueError, match=told):
        CrossCamera(**wrong)
    with pytest.raises(ValueError, match=told):
        cross_camera(torch.eye(1), one, one, torch.eye(1), one, one, **options)


def step_of(rng):
    """Two views, the second with labels of its own."""
    labels = {"global": torch.arange(12) % 3, "part1": torch.arange(12) % 4 - 1}
    features = {view: unit(rng, 12, 5) for view in labels}
    clustered = Clustered(features, labels, labels, torch.arange(12) // 2 % 3)
    rows = torch.tensor([0, 7, 2, 4, 8])
    batch = Batch(
        rows,
        torch.zeros(5, 3, 8, 8),
        labels["global"][rows],
        clustered.cameras[rows],
        {"part1": labels["part1"][rows]},
    )
    return Step(batch, {view: unit(rng, 5, 5) for view in labels}, clustered=clustered)


@pytest.mark.parametrize("view", ["global", "part1"])
@pytest.mark.parametrize("other_only", [False, True])
def test_the_term_compares_with_the_proxies_of_its_view(view, other_only):
    step = step_of(np.random.default_rng(6))
    labels, clustered = step.batch.labels_of(view), step.clustered
    got = CrossCamera(negatives=3, other_only=other_only, view=view)(step, labels)
    want = cross_camera(
        step.embeddings[view],
        labels,
        step.batch.cameras,
        *camera_proxies(clustered.features[view], clustered.labels[view], clustered.cameras),
        temperature=0.07,
        negatives=3,
        other_only=other_only,
    )
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("other_only", [False, True])
def test_an_outlier_counts_zero(other_only):
    step = step_of(np.random.default_rng(7))
    q = step.embeddings["part1"].requires_grad_()
    loss = CrossCamera(view="part1", other_only=other_only)(step, step.batch.labels)
    outlier = step.batch.labels_of("part1") == -1
    assert outlier.any()
    assert (loss[outlier] == 0).all()
    assert (loss[~outlier] > 0).all()
    loss.sum().backward()
    assert (q.grad[outlier] == 0).all()


def test_only_outliers_count_zero():
    q, nobody = torch.eye(3).requires_grad_(), torch.full((3,), -1)
    proxies = camera_proxies(torch.eye(3), nobody, torch.zeros(3).long())
    loss = cross_camera(q, nobody, torch.zeros(3).long(), *proxies, temperature=0.07, negatives=50)
    loss.sum().backward()
    assert torch.equal(loss, torch.zeros(3))
    assert torch.equal(q.grad, torch.zeros(3, 3))


def test_the_proxies_are_made_once_an_epoch():
    step = step_of(np.random.default_rng(8))
    first = CrossCamera()(step, step.batch.labels)
    step.clustered.features["global"].zero_()
    assert torch.equal(CrossCamera()(step, step.batch.labels), first)
    other = CrossCamera(other_only=True)(step, step.batch.labels)
    step.clustered.features["global"].fill_(1)
    assert torch.equal(CrossCamera(other_only=True)(step, step.batch.labels), other)
    anew = replace(step, clustered=replace(step.clustered, _made={}))
    assert not torch.equal(CrossCamera()(anew, step.batch.labels), first)


def test_missing_cameras_are_told():
    crops = Crops(Path(), ("a.png",), np.array(["train"]))
    assert CrossCamera().unmet(crops) == ["CrossCamera needs crops with cameras"]
    assert CrossCamera().unmet(replace(crops, cameras=np.array([0]))) == []
    step = step_of(np.random.default_rng(9))
    for lacking in (
        replace(step, clustered=None),
        replace(step, clustered=replace(step.clustered, cameras=None)),
        replace(step, batch=replace(step.batch, cameras=None)),
    ):
        with pytest.raises(ValueError, match="no cameras, which CrossCamera makes proxies of"):
            CrossCamera()(lacking, step.batch.labels)
