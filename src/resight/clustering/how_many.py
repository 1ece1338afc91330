"""How many clusters to ask for, where a clusterer wants to be told."""

from __future__ import annotations

from typing import Literal, TypeAlias

from resight.clustering.doctor import propose_eps
from resight.errors import DataError, NothingToLearnError
from resight.records import Crops, Features, Graph

NClusters: TypeAlias = int | Literal["auto"]


def resolve(n_clusters: NClusters, graph: Graph, features: Features) -> int:
    """n_clusters as it is; for "auto", how many clusters DBSCAN finds at the eps proposed.

    The eps is that of `propose_eps`, with min_samples = 4, for this graph, the features' global
    view and the crops' cameras, where they are known. Raises NothingToLearnError when it proposes
    none.
    """
    if n_clusters != "auto":
        return n_clusters
    cameras = None if features.crops is None else features.crops.cameras
    proposal = propose_eps(graph, features=features.vectors, cameras=cameras)
    if proposal is None:
        raise NothingToLearnError(
            f"no eps separates these {len(graph)} crops into clusters, so that nothing tells how "
            "many there are: set n_clusters to the number of individuals that you expect"
        )
    return next(row.clusters for row in proposal.sweep if row.eps == proposal.eps)


def too_many(n_clusters: NClusters, crops: Crops) -> list[str]:
    """What `unmet` says of crops: one line when they are fewer than the clusters asked for."""
    if n_clusters == "auto" or n_clusters <= len(crops):
        return []
    return [_too_many(n_clusters, len(crops))]


def check_enough(n_clusters: int, n: int) -> None:
    """Raise DataError when more clusters are asked for than there are crops."""
    if n_clusters > n:
        raise DataError(_too_many(n_clusters, n))


def _too_many(n_clusters: int, n: int) -> str:
    return (
        f"there cannot be {n_clusters} clusters in {n} crops: "
        "set n_clusters to the number of individuals that you expect"
    )
