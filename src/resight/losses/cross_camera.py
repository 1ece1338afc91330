"""Cross-camera proxies: one vector per cluster and camera (ICE, as ACFL-C uses it; PPLR)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from resight.losses.similarity import check_temperature, similarities
from resight.records import GLOBAL, Clustered, Crops, Step


def camera_proxies(
    features: Tensor, labels: Tensor, cameras: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised mean feature of each cluster's members of each camera.

    features: (N, D). labels: (N,) int64, -1 for outliers, who take no part. cameras: (N,) int64.
    Returns the proxies (M, D) by cluster, then camera; their clusters (M,); their cameras (M,).
    """
    inside = labels >= 0
    pairs, place = torch.unique(
        torch.stack([labels[inside], cameras[inside]]), dim=1, return_inverse=True
    )
    sums = features.new_zeros(pairs.shape[1], features.shape[1])
    return F.normalize(sums.index_add_(0, place, features[inside])), pairs[0], pairs[1]


def cross_camera(
    q: Tensor,
    labels: Tensor,
    cameras: Tensor,
    proxies: Tensor,
    proxy_labels: Tensor,
    proxy_cameras: Tensor,
    *,
    temperature: float,
    negatives: int,
    other_only: bool = False,
) -> Tensor:
    """Each query against the proxies of its cluster and the most similar ones of others.

    -mean over positives p of log softmax(q . p / tau), the softmax over all positives and the
    `negatives` proxies of other clusters most similar to q (all, where there are fewer).

    q: (B, D). labels, cameras: (B,) int64. proxies, proxy_labels, proxy_cameras: (M, D), (M,) and
    (M,) as of `camera_proxies`. temperature: tau > 0 (published .07). negatives: >= 1 (50).

    The positives are all proxies of the query's cluster, its own camera's included, and the loss
    is the mean within each camera of the batch, summed over the cameras (ICE's released code). So
    that the mean of what is returned (B,) is that loss, each sample's value is multiplied by
    B / (number of batch entries of its camera). With `other_only` (PPLR's form) the positives are
    the proxies of other cameras, the own camera's proxy of the own cluster takes no part, and
    nothing is multiplied: the loss is the mean over the batch. A query without any positive, as
    one with label -1, counts 0. Raises ValueError for values out of range.
    """
    check_temperature(temperature)
    _check_negatives(negatives)
    own = labels[:, None] == proxy_labels  # (B, M)
    positive = own & (cameras[:, None] != proxy_cameras) if other_only else own
    losses = _against(similarities(q, proxies) / temperature, own, positive, negatives)
    return losses if other_only else losses * _camera_shares(cameras)


def _check_negatives(negatives: int) -> None:
    if negatives < 1:
        raise ValueError(f"negatives={negatives} should be >= 1")


def _against(scores: Tensor, own: Tensor, positive: Tensor, negatives: int) -> Tensor:
    """(B,) mean over the positives of -log softmax over them and the largest not-own scores."""
    others = scores.masked_fill(own, -torch.inf)
    hardest = others.topk(min(negatives, scores.shape[1]), dim=1).values
    compared = torch.cat([scores.masked_fill(~positive, -torch.inf), hardest], dim=1)
    count = positive.sum(dim=1)
    mean = (scores * positive).sum(dim=1) / count.clamp_min(1)
    return (torch.logsumexp(compared, dim=1) - mean).masked_fill(count == 0, 0)


def _camera_shares(cameras: Tensor) -> Tensor:
    """(B,) B / (number of entries of the same camera)."""
    _, place, counts = torch.unique(cameras, return_inverse=True, return_counts=True)
    return torch.reciprocal(counts)[place] * len(cameras)


@dataclass(frozen=True)
class CrossCamera:
    """The term of a recipe for crops with cameras; the proxies stand still during an epoch.

    temperature: tau > 0. negatives: how many proxies of other clusters, >= 1. other_only: PPLR's
    form. view: what it looks at. weight: its share in the sum.
    """

    temperature: float = 0.07
    negatives: int = 50
    other_only: bool = False
    view: str = GLOBAL
    weight: float = 0.5

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        _check_negatives(self.negatives)

    def unmet(self, crops: Crops) -> list[str]:
        """What the crops lack."""
        return ["CrossCamera needs crops with cameras"] if crops.cameras is None else []

    def __call__(self, step: Step, targets: Tensor) -> Tensor:
        """(B,) the loss of each sample, before `weight`; what is own is the pseudo-label."""
        del targets
        if step.clustered is None or step.batch.cameras is None:
            raise ValueError("the step carries no cameras, which CrossCamera makes proxies of")
        return cross_camera(
            step.embeddings[self.view],
            step.batch.labels_of(self.view),
            step.batch.cameras,
            *step.clustered.once(_proxies_of_epoch, self.view),
            temperature=self.temperature,
            negatives=self.negatives,
            other_only=self.other_only,
        )


def _proxies_of_epoch(clustered: Clustered, view: str) -> tuple[Tensor, Tensor, Tensor]:
    if clustered.cameras is None:
        raise ValueError("the clustered crops carry no cameras, which CrossCamera makes proxies of")
    return camera_proxies(clustered.features[view], clustered.labels[view], clustered.cameras)
