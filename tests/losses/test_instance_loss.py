"""The instance loss as a term, against loops over the queries of a batch."""

from __future__ import annotations

from dataclasses import replace

import conv
import pytest
import torch
from conv import LABELS

from resight.losses import InstanceLoss, instance_distance, instance_kl, positives_in_batch

MEASURES = ["relative_entropy", "distance"]
SOURCES = ["batch", "generated", "mined"]


def alike(measure, q, positives, step):
    if measure == "distance":
        return instance_distance(q, positives)
    return instance_kl(q, positives, step.prototypes["part1"], temperature=0.05)


def explicit(measure, source, step, encoder, labels):
    """(B,) with gradients to the encoder, from the definitions."""
    q = step.embeddings["part1"]
    drawn = positives_in_batch(labels, generator=torch.Generator().manual_seed(0))
    inside = (labels != -1).double()
    if source == "batch":
        positives = torch.stack([q[j] for j in drawn])
    elif source == "mined":
        vectors, of = step.instances.vectors["part1"], step.instances.labels["part1"]
        positives = q.detach().clone()
        for i in torch.nonzero(labels != -1).flatten().tolist():
            own = vectors[of == labels[i]]
            positives[i] = own[int((own @ q[i].detach()).argmin())]
    else:
        images = conv.moved_one_by_one(
            step.batch.images[drawn],
            lambda x: inside * alike(measure, q.detach(), encoder(x), step),
            3,
            1.0,
            -2,
            2,
        )
        positives = encoder(images)
    return inside * alike(measure, q, positives, step)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("source", SOURCES)
def test_values_and_gradients_equal_the_definition(measure, source):
    encoder = conv.Encoder()
    step = conv.step(encoder)
    term = InstanceLoss(measure, source, view="part1")
    got = term(step, LABELS)
    want = explicit(measure, source, step, encoder, LABELS)
    assert got.shape == (7,)
    torch.testing.assert_close(got, want, atol=1e-8, rtol=0)
    weights = list(encoder.parameters())
    slopes = [torch.autograd.grad(loss.mean(), weights, retain_graph=True) for loss in (got, want)]
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-6)
    assert max(float(a.abs().max()) for a in slopes[0]) > 0


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("source", SOURCES)
def test_an_outlier_counts_zero(measure, source):
    encoder = conv.Encoder()
    step = conv.step(encoder)
    loss = InstanceLoss(measure, source, view="part1")(step, LABELS)
    assert loss[3] == 0
    q = step.embeddings["part1"]
    (slope,) = torch.autograd.grad(loss.sum(), q)
    assert (slope[3] == 0).all()
    assert (slope[[0, 1, 2, 4]].abs().amax(1) > 0).all()
    step = conv.step(encoder, labels=torch.full((4,), -1))
    loss = InstanceLoss(measure, source, view="part1")(step, LABELS)
    assert torch.equal(loss, torch.zeros(4).double())
    (slope,) = torch.autograd.grad(loss.sum(), step.embeddings["part1"])
    assert (slope == 0).all()


def test_someone_alone_is_its_own_positive():
    step = conv.step(conv.Encoder())
    for measure in MEASURES:
        loss = InstanceLoss(measure, view="part1")(step, LABELS)
        assert loss[5].abs() < 1e-12
        assert (loss[[0, 1, 2, 4, 6]] > 1e-6).all()


def test_generated_ones_are_harder_than_those_of_the_batch():
    step = conv.step(conv.Encoder())
    easy, hard = (
        InstanceLoss(positives=source, view="part1")(
            replace(step, generator=torch.Generator().manual_seed(3)), LABELS
        ).sum()
        for source in ("batch", "generated")
    )
    assert hard > easy


def test_no_gradient_flows_into_the_instances():
    step = conv.step(conv.Encoder())
    vectors = step.instances.vectors["part1"].requires_grad_()
    InstanceLoss(positives="mined", view="part1")(step, LABELS).sum().backward()
    assert vectors.grad is None


@pytest.mark.parametrize(
    ("source", "lacking", "told"),
    [
        ("batch", "generator", "no generator, which positives are drawn with"),
        ("generated", "generator", "no generator, which positives are drawn with"),
        ("generated", "network", "no network, which generates positives"),
        ("mined", "instances", "no instances, which positives are mined from"),
    ],
)
def test_what_a_step_lacks_is_told(source, lacking, told):
    step = replace(conv.step(conv.Encoder()), **{lacking: None})
    with pytest.raises(ValueError, match=told):
        InstanceLoss(positives=source, view="part1")(step, LABELS)


def test_only_mining_needs_instances():
    assert [InstanceLoss(positives=source).needs_instances for source in SOURCES] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("name", ["measure", "positives"])
def test_an_unknown_choice_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}='other' should be of \('"):
        InstanceLoss(**{name: "other"})


def test_a_wrong_temperature_is_refused():
    with pytest.raises(ValueError, match="temperature=0 should be above 0"):
        InstanceLoss(temperature=0)
