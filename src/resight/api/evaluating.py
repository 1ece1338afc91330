"""`resight evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from resight.api.evaluation_files import compared, write_evaluation
from resight.data import ImageStore, read_crops
from resight.data.colour import colour_histogram
from resight.device import Device, Precision
from resight.errors import ConfigError
from resight.evaluation import (
    PROTOCOLS,
    Evaluation,
    Listed,
    Options,
    automatic_protocol,
    cosine,
    fused,
    fusion_weights,
)
from resight.evaluation import evaluate as evaluate_features
from resight.evaluation.expansion import Expanded
from resight.evaluation.needs import held_out
from resight.evaluation.options import APRule
from resight.evaluation.reranking import Reranked
from resight.evaluation.similarity import Scores
from resight.models import Encoder, EncoderSpec, build_encoder, load
from resight.records import GLOBAL, Crops, Features, IntArray
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder

log = logging.getLogger(__name__)

LEVEL = 0.95
DEFAULTS = Options()


def protocols() -> Mapping[str, Listed]:
    """What `protocol` can be besides "auto", with a line about each."""
    return PROTOCOLS


def evaluate(
    run_folder: str | Path,
    data: str | Path | None = None,
    *,
    protocol: str = "auto",
    ap: APRule = "step",
    within: float = DEFAULTS.within,
    far: Sequence[float] | None = None,
    trials: int = DEFAULTS.trials,
    unknown: float = DEFAULTS.unknown,
    seed: int = DEFAULTS.seed,
    baselines: bool = False,
    fuse: float | None = None,
    rerank: bool = False,
    expand: int | None = None,
    layout: str = "auto",
    camera_pattern: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> dict[str, Any]:
    """Figures of a run's encoder on labelled crops; without labels, label-free ones.

    data: other crops than the run's own. protocol: as in `resight.evaluation.evaluate`. ap, within,
    far, trials, unknown, seed: as in `resight.evaluation.Options`; far None for its default.
    baselines: also colour histograms and the network before training. fuse: of a model with n
    parts, the weight (0 … 1 / n) of each part's distances beside the whole image's, which alone
    count by default; see `resight.evaluation.fused`. rerank: k-reciprocal re-ranking. expand: how
    many first answers each query is expanded by.

    The result is returned and written to the run folder: protocol, figures in percent, their
    intervals (95%, bootstrap over identities), notes, ranked lists, with fuse its value, and with
    baselines a comparison. The file is evaluation.json, of other data evaluation-NAME.json;
    fused, re-ranked and expanded results have files of their own, such as evaluation-fused.json and
    evaluation-reranked.json, and say what they are. A file of the same name that
    ends in .parquet has a row per counted query, where figures are means over queries.

    Raises ConfigError when fuse does not fit the model, for an option that the protocol does not
    use, for rerank together with expand, and for either where nothing is ranked.
    """
    folder = RunFolder.open(run_folder)
    asked = folder.settings()
    rates = DEFAULTS.far if far is None else tuple(far)
    options = Options(ap=ap, within=within, far=rates, trials=trials, unknown=unknown, seed=seed)
    ranked_by = Ranker.choose(rerank=rerank, expand=expand)
    encoder, size = load(folder.path)
    weights = None if fuse is None else fusion_weights(encoder.spec.views, fuse)
    if data is None:
        layout, camera_pattern = asked.layout, asked.camera_pattern
    crops = read_crops(data or asked.data, layout=layout, camera_pattern=camera_pattern)
    store = ImageStore.open(crops, size=size)
    place = Device.choose(device, precision)
    judge = Judge(store, place, protocol=protocol, options=options, fuse=fuse, ranker=ranked_by)
    features = judge.embed(encoder)
    evaluation = judge.figures(features)
    if weights is not None:
        evaluation = _with_note(evaluation, _of_fusion(weights))
    comparison = []
    if baselines:
        comparison = judge.baselines(folder.recipe().encoder, seed=asked.seed)
        name = judge.named("trained without labels")
        comparison.append(compared(name, evaluation))
    _tell(ranked_by.named(evaluation.protocol), evaluation)
    of_data, by_views = Path(data).stem if data else "", "" if fuse is None else "fused"
    name = "-".join(filter(None, ["evaluation", of_data, by_views, ranked_by.suffix]))
    return write_evaluation(folder, judge, features, evaluation, comparison, name=name)


@dataclass(frozen=True)
class Ranker:
    """What galleries are ranked by, and what results then have to be called.

    name: empty for plain cosine similarity. suffix: of the files that results are written to.
    asked: the options that chose it.
    """

    scores: Scores
    name: str = ""
    suffix: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def choose(cls, *, rerank: bool, expand: int | None) -> Ranker:
        """Cosine similarity, re-ranking or query expansion; raises ConfigError for both at once."""
        if rerank and expand is not None:
            raise ConfigError("rerank and expand are alternatives: leave one of them out")
        if rerank:
            used = Reranked()
            about = f"re-ranked, k1 {used.k1}, k2 {used.k2}, lambda {used.weight:g}"
            return cls(used, about, "reranked", {"rerank": True})
        if expand is not None:
            if expand < 1:
                raise ConfigError(f"expand is {expand}; give 1 or more first answers")
            about = f"queries expanded by {expand} answers"
            return cls(Expanded(expand), about, "expanded", {"expand": expand})
        return cls(cosine)

    def named(self, what: str) -> str:
        """`what`, and how it was ranked unless by plain cosine similarity."""
        return ", ".join(filter(None, [what, self.name]))


class Judge:
    """One protocol over one store: everything that is compared is compared here.

    crops: the judged ones, queries and gallery where the data has them, otherwise all.
    options: of the protocol. fuse: the weight of each part in the embeddings of networks, None for
    the global view alone.
    ranker: what galleries are ranked by, cosine similarity where none is given.
    """

    def __init__(
        self,
        store: ImageStore,
        device: Device,
        *,
        protocol: str = "auto",
        options: Options | None = None,
        fuse: float | None = None,
        ranker: Ranker | None = None,
    ) -> None:
        self._device = device
        self._feed = Feed(store, device)
        self._store = store
        self._protocol = automatic_protocol(store.crops) if protocol == "auto" else protocol
        self.options = options or Options()
        self.fuse = fuse
        self.ranker = ranker or Ranker(cosine)
        if self.ranker.name and self._protocol == "label-free":
            raise ConfigError(
                "protocol 'label-free' ranks nothing, so there is nothing to re-rank or expand; "
                "leave that out, or give crops with identities"
            )
        self._rows = _judged(store.crops, self._protocol)
        self.crops = store.crops.select(self._rows)

    def embed(self, encoder: Encoder) -> Features:
        """Features of the judged crops, its views fused where that is asked for."""
        network = encoder.to(self._device.place)
        features = extract(network, self._feed, self._store.crops, self._device, rows=self._rows)
        return features if self.fuse is None else fused(features, self.fuse)

    def named(self, network: str) -> str:
        """What a network's figures are called in a comparison."""
        return self.ranker.named(
            network if self.fuse is None else f"{network}, fused {self.fuse:g}"
        )

    def figures(self, features: Features) -> Evaluation:
        """Evaluate features of the judged crops."""
        evaluation = evaluate_features(
            features,
            self.crops,
            protocol=self._protocol,
            options=self.options,
            scores=self.ranker.scores,
        )
        return _with_note(evaluation, self.ranker.name) if self.ranker.name else evaluation

    def baselines(self, spec: EncoderSpec, *, seed: int) -> list[dict[str, Any]]:
        """Colour histograms, and the network before training."""
        images = self._store.images[self._rows]
        colours = Features({GLOBAL: colour_histogram(images)}, self.crops)
        untrained = self.embed(build_encoder(spec, seed=seed))
        start = "untrained" if spec.weights == "none" else f"{spec.weights} features, untrained"
        return [
            compared(self.ranker.named("colour histograms"), self.figures(colours)),
            compared(self.named(start), self.figures(untrained)),
        ]


def summary(figures: Mapping[str, float]) -> str:
    """The figures in one line."""
    return "  ".join(f"{name} {value:.1f}" for name, value in figures.items())


def _tell(name: str, evaluation: Evaluation) -> None:
    log.info("%s: %s", name, summary(evaluation.figures))
    for note in evaluation.notes:
        log.info("  %s", note)


def _judged(crops: Crops, protocol: str) -> IntArray:
    return np.arange(len(crops)) if protocol == "label-free" else held_out(crops)


def _with_note(evaluation: Evaluation, note: str) -> Evaluation:
    return replace(evaluation, notes=(note, *evaluation.notes))


def _of_fusion(weights: Mapping[str, float]) -> str:
    shares = ", ".join(f"{view} {weight:g}" for view, weight in weights.items())
    return f"distances are fused, the weights of the views are {shares}"
