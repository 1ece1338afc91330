"""Pseudo-labels of an epoch, and the rule for when clustering goes wrong.

The rule: when the recipe's clusterer finds no cluster, one, a giant one, or almost only outliers,
the doctor proposes another eps from the distribution of the distances, DBSCAN runs with it for
this epoch alone, and the log says so. Training stops with advice only when that fails as well.

What people decided about pairs is enforced once, on what the clusterer found and before anything
is derived from it. Two settings of the recipe give way to it: a cluster with a must pair is kept
though it is smaller than `min_cluster_size`, and of a cluster that is larger than
`max_cluster_size` all crops of must pairs stay besides the random ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from resight.clustering import DBSCAN, AutoDBSCAN, Silhouette
from resight.clustering.confidence import anchors
from resight.clustering.constraints import Links, constrain, violated
from resight.clustering.density import core_distances
from resight.clustering.doctor import diagnose, propose_eps
from resight.clustering.numbering import by_first_member
from resight.clustering.quality import silhouettes
from resight.errors import NothingToLearnError
from resight.recipe import Recipe
from resight.records import (
    GLOBAL,
    OUTLIER,
    BoolArray,
    Features,
    FloatArray,
    Graph,
    IntArray,
    PseudoLabels,
)
from resight.slots import Clusterer
from resight.training.plan import EpochPlan

log = logging.getLogger(__name__)

FARTHEST = 0.9


@dataclass(frozen=True, eq=False)
class Labelling:
    """Pseudo-labels of N crops, and what the log should keep of the way to them.

    anchors: (N,) the labels of the members that make their cluster's vector, -1 for all others.
    silhouettes: (N,) float32, NaN for outliers and where they were not computed. settings: the k1,
    k2 and eps that the data proposed, if the recipe left that to it. rescue: why and how other
    settings than the recipe's were used in this epoch. views: the labellings of the other views,
    where each has its own. feedback: how many pairs people had decided about, and how many of them
    the clusters violated before they were enforced.
    """

    pseudo: PseudoLabels
    anchors: IntArray
    silhouettes: FloatArray
    settings: dict[str, float] | None = None
    rescue: str | None = None
    views: Mapping[str, Labelling] = field(default_factory=dict)
    feedback: dict[str, int] | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    pseudo: PseudoLabels
    graph: Graph
    settings: dict[str, float] | None = None
    rescue: str | None = None


def label(
    recipe: Recipe,
    features: Features,
    rng: np.random.Generator,
    *,
    plan: EpochPlan,
    memory: int | None = None,
    links: Links | None = None,
) -> Labelling:
    """Build the graph of `features`, cluster it, and tell how sure each pseudo-label is.

    memory: bytes that may be used besides the features, None for no limit. links: pairs of rows
    that every view's clusters obey.

    Raises NothingToLearnError when neither the recipe's clusterer nor any proposed eps finds
    clusters that training could use, Contradiction when the links cannot all hold.
    """
    if not recipe.individual_labels:
        found = _label(recipe, features, rng, plan, memory, links)
    else:
        views = {
            view: _label_view(recipe, features.only(view), rng, plan, memory, links, view)
            for view in features.views
        }
        rescues = "; ".join(label.rescue for label in views.values() if label.rescue)
        found = replace(views.pop(GLOBAL), rescue=rescues or None, views=views)
    if found.rescue:
        log.warning("clustering found %s", found.rescue)
    return found


def _label_view(
    recipe: Recipe,
    features: Features,
    rng: np.random.Generator,
    plan: EpochPlan,
    memory: int | None,
    links: Links | None,
    view: str,
) -> Labelling:
    """The labels of one view by itself; what goes wrong says which."""
    try:
        found = _label(recipe, features, rng, plan, memory, links)
    except NothingToLearnError as error:
        raise NothingToLearnError(f"view {view!r}: {error}") from error
    return replace(found, rescue=f"in view {view!r} {found.rescue}") if found.rescue else found


def _label(
    recipe: Recipe,
    features: Features,
    rng: np.random.Generator,
    plan: EpochPlan,
    memory: int | None,
    links: Links | None,
) -> Labelling:
    clusterer = recipe.clusterer_at(plan.epoch)
    if isinstance(clusterer, AutoDBSCAN):
        found = _proposed(recipe, clusterer, features, memory)
    else:
        found = _clustered(recipe, _with_known(clusterer, plan), features, rng, plan, memory)
    pseudo, feedback = found.pseudo, None
    if links is not None:
        pseudo, feedback = _obeying(recipe, pseudo, features, links)
    if recipe.max_cluster_size is not None:
        capped = pseudo.at_most(recipe.max_cluster_size, rng)
        kept = _bound(links, len(features))
        pseudo = replace(capped, labels=np.where(kept, pseudo.labels, capped.labels))
    labels, confidence = pseudo.labels, recipe.confidence
    score = confidence.score(found.graph, features, labels)
    is_silhouette = isinstance(confidence, Silhouette) and confidence.distance == "jaccard"
    return Labelling(
        replace(pseudo, confidence=score),
        anchors(labels, score, confidence.threshold(plan.epoch, recipe.optim.epochs)),
        score if is_silhouette else silhouettes(found.graph, labels),
        found.settings,
        found.rescue,
        feedback=feedback,
    )


def _obeying(
    recipe: Recipe, found: PseudoLabels, features: Features, links: Links
) -> tuple[PseudoLabels, dict[str, int]]:
    """The clusters changed so that they obey the links, and how many of these they violated."""
    wrong = sum(int(np.count_nonzero(mask)) for mask in violated(found.labels, *links))
    counts = {"pairs": len(links.must) + len(links.cannot), "violated": wrong}
    if not wrong:
        return found, counts
    labels = constrain(found.labels, recipe.graph.vectors(features), *links)
    small = np.append(np.bincount(labels[labels >= 0]) < recipe.min_cluster_size, False)
    small[labels[_bound(links, len(labels))]] = False
    pseudo = replace(found, labels=by_first_member(np.where(small[labels], OUTLIER, labels)))
    if pseudo.n_clusters < 2:
        raise NothingToLearnError(
            f"the feedback's {counts['pairs']} decided pairs leave {pseudo.n_clusters} cluster of "
            f"{found.n_clusters}, and training needs 2: check the decisions, above all those that "
            "call crops the same"
        )
    return pseudo, counts


def _bound(links: Links | None, n: int) -> BoolArray:
    """(N,) which crops must share a cluster with another."""
    bound = np.zeros(n, np.bool_)
    if links is not None:
        bound[links.must] = True
    return bound


def _with_known(clusterer: Clusterer, plan: EpochPlan) -> Clusterer:
    """The clusterer, with the number of clusters that an earlier one found if it asks for that."""
    if plan.n_clusters is None or getattr(clusterer, "n_clusters", None) != "auto":
        return clusterer
    known: Clusterer = replace(clusterer, n_clusters=plan.n_clusters)  # type: ignore[type-var]
    return known


def _clustered(
    recipe: Recipe,
    clusterer: Clusterer,
    features: Features,
    rng: np.random.Generator,
    plan: EpochPlan,
    memory: int | None,
) -> _Found:
    vectors = recipe.graph.vectors(features)
    if plan.k1_k2 is None or isinstance(clusterer, DBSCAN):  # its eps is for the recipe's k1
        graph = recipe.graph(features, memory=memory)
    else:
        graph = recipe.graph.variants(features, vectors, memory=memory)(*plan.k1_k2)
    compared = replace(features, views={**features.views, GLOBAL: vectors})
    pseudo = clusterer(graph, compared, rng).without_small(recipe.min_cluster_size)
    problem = diagnose(pseudo)
    if problem is None:
        return _Found(pseudo, graph)
    cameras = None if features.crops is None else features.crops.cameras
    proposal = propose_eps(graph, features=vectors, cameras=cameras)
    if proposal is None:
        tried = "no other eps separates the crops into clusters either"
        raise _hopeless(str(problem), f"{tried} ({_distances(graph)})")
    rescued = DBSCAN(proposal.eps)(graph, compared, rng).without_small(recipe.min_cluster_size)
    still = diagnose(rescued)
    if still is not None:
        raise _hopeless(str(problem), f"with eps {proposal.eps:g} instead: {still}")
    rescue = f"{problem}; used eps {proposal.eps:g} for this epoch: {proposal.explain()}"
    return _Found(rescued, graph, rescue=rescue)


def _proposed(
    recipe: Recipe, clusterer: AutoDBSCAN, features: Features, memory: int | None
) -> _Found:
    vectors = recipe.graph.vectors(features)
    chosen = clusterer.choose(
        vectors,
        recipe.graph.variants(features, vectors, memory=memory),
        cameras=None if features.crops is None else features.crops.cameras,
    )
    if chosen is None:
        told = _distances(recipe.graph(features, memory=memory))
        raise _hopeless("no k1 and eps separates the crops into clusters", told)
    graph, labels, proposal = chosen
    pseudo = labels.without_small(recipe.min_cluster_size)
    problem = diagnose(pseudo)
    if problem is not None:
        raise _hopeless(str(problem), proposal.explain())
    settings = {"k1": proposal.k1, "k2": proposal.k2, "eps": proposal.eps}
    return _Found(pseudo, graph, settings=settings)


def _distances(graph: Graph) -> str:
    """How far the nearest other crop is, in words."""
    near = graph.near(FARTHEST)
    low, middle, high = np.quantile(core_distances(near, 2), (0.1, 0.5, 0.9))
    pairs = (near.nnz - len(graph)) / max(1, len(graph) * (len(graph) - 1))
    return (
        f"of {len(graph)} crops, a tenth has its nearest other within {low:.2f}, half within "
        f"{middle:.2f}, nine tenths within {high:.2f}; {pairs:.0%} of all pairs are within "
        f"{FARTHEST}"
    )


def _hopeless(problem: str, tried: str) -> NothingToLearnError:
    return NothingToLearnError(
        f"clustering failed: {problem}; {tried}. Nothing can be learned from these crops as they "
        "are: look at them with `resight data check`, and give more crops per individual or a "
        "backbone with pretrained weights"
    )
