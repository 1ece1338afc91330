"""Pseudo-labels of an epoch, and the rule for when clustering goes wrong.

The rule: when the recipe's clusterer finds no cluster, one, a giant one, or almost only outliers,
the doctor proposes another eps from the distribution of the distances, DBSCAN runs with it for
this epoch alone, and the log says so. Training stops with advice only when that fails as well.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from resight.clustering import DBSCAN
from resight.clustering.doctor import diagnose, propose_eps
from resight.errors import NothingToLearnError
from resight.recipe import Recipe
from resight.records import Features, Graph, PseudoLabels

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Labelling:
    """Pseudo-labels, the graph that they come from, and what had to be done to get them."""

    pseudo: PseudoLabels
    graph: Graph
    rescue: str | None = None


def label(recipe: Recipe, features: Features, rng: np.random.Generator) -> Labelling:
    """Build the graph of `features` and cluster it.

    Raises NothingToLearnError when neither the recipe's clusterer nor any proposed eps finds
    clusters that training could use.
    """
    graph = recipe.graph(features)
    pseudo = recipe.clusterer(graph, features, rng).without_small(recipe.min_cluster_size)
    problem = diagnose(pseudo)
    if problem is None:
        return Labelling(pseudo, graph)
    proposal = propose_eps(graph)
    if proposal is None:
        raise _hopeless(str(problem), "no eps separates the crops into clusters")
    rescued = DBSCAN(proposal.eps)(graph, features, rng).without_small(recipe.min_cluster_size)
    still = diagnose(rescued)
    if still is not None:
        raise _hopeless(str(problem), f"with eps {proposal.eps:g} instead: {still}")
    rescue = f"{problem}; used eps {proposal.eps:g} for this epoch: {proposal.explain()}"
    log.warning("%s", rescue)
    return Labelling(rescued, graph, rescue)


def _hopeless(problem: str, tried: str) -> NothingToLearnError:
    return NothingToLearnError(
        f"clustering failed: {problem}; {tried}. Nothing can be learned from these crops as they "
        "are: look at them with `resight data check`, give more crops per individual, a backbone "
        "with pretrained weights, or a smaller k1 (--set graph.k1=…)"
    )
