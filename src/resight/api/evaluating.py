"""`resight evaluate`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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
    chosen,
    cosine,
    fused,
    fusion_weights,
)
from resight.evaluation import evaluate as evaluate_features
from resight.evaluation.expansion import Expanded
from resight.evaluation.needs import held_out
from resight.evaluation.notes import counted_notes
from resight.evaluation.options import APRule
from resight.evaluation.reranking import Reranked
from resight.evaluation.similarity import Scores
from resight.models import Encoder, EncoderSpec, build_encoder, load
from resight.records import GLOBAL, Crops, Features, IntArray
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder

log = logging.getLogger(__name__)

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
    rerank_top: int | None = None,
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
    count by default; see `resight.evaluation.fused`. rerank: k-reciprocal re-ranking, of the first
    `rerank_top` answers alone where that is given. expand: how many first answers each query is
    expanded by.

    The result is returned and written to the run folder: protocol, figures in percent, their
    intervals (95%, bootstrap over identities), notes, ranked lists, and with baselines a
    comparison. The file is evaluation.json, of other data evaluation-NAME.json; fused, re-ranked
    and expanded results have files of their own, such as evaluation-reranked.json, and say what
    they are. A file of the same name that ends in .parquet has a row per counted query, where
    figures are means over queries.

    Raises ConfigError when fuse does not fit the model, for an option that the protocol does not
    use, for rerank together with expand, and for either where nothing is ranked.
    """
    folder = RunFolder.open(run_folder)
    rates = DEFAULTS.far if far is None else tuple(far)
    options = Options(ap=ap, within=within, far=rates, trials=trials, unknown=unknown, seed=seed)
    ranker = Ranker.choose(rerank=rerank, top=rerank_top, expand=expand)
    encoder, size = load(folder.path)
    about_views = () if fuse is None else (_of_fusion(encoder, fuse),)
    crops = _crops(folder, data, layout, camera_pattern)
    store, place = ImageStore.open(crops, size=size), Device.choose(device, precision)
    judge = Judge(store, place, protocol=protocol, options=options, fuse=fuse, ranker=ranker)
    features = judge.embed(encoder)
    evaluation = _with_notes(judge.figures(features), *about_views)
    comparison = _comparison(folder, judge, evaluation) if baselines else []
    _tell(ranker.named(evaluation.protocol), evaluation)
    name = _file_name(data, fused_views=fuse is not None, ranker=ranker)
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
    def choose(cls, *, rerank: bool, top: int | None, expand: int | None) -> Ranker:
        """Cosine similarity, re-ranking or query expansion.

        top: of re-ranking. Raises ConfigError for both at once, and for numbers that do not fit.
        """
        if rerank and expand is not None:
            raise ConfigError("rerank and expand are alternatives: leave one of them out")
        if top is not None and top < 1:
            raise ConfigError(f"rerank_top is {top}; give 1 or more first answers")
        if top is not None and not rerank:
            raise ConfigError(f"rerank_top is {top}, which needs rerank; give both or neither")
        if rerank:
            used = Reranked(top=top)
            about = f"re-ranked, k1 {used.k1}, k2 {used.k2}, lambda {used.weight:g}"
            if top is None:
                return cls(used, about, "reranked", {"rerank": True})
            asked = {"rerank": True, "rerank_top": top}
            return cls(used, f"{about}, first {top} answers", "reranked", asked)
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
    digests: of their files' bytes. options: of the protocol. fuse: the weight of each part in the
    embeddings of networks, None for the global view alone. ranker: what galleries are ranked by,
    cosine similarity where none is given.

    Raises ConfigError for a protocol that does not exist or does not use what was asked for.
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
        self._listed = chosen(self._protocol, self.options)
        if self.ranker.name and not self._listed.ranks:
            raise ConfigError(
                f"protocol {self._protocol!r} ranks nothing, so there is nothing to re-rank or "
                "expand; leave that out, or give crops with identities"
            )
        self._rows = _judged(store.crops, self._protocol)
        self.crops = store.crops.select(self._rows)
        self.digests = store.digests[self._rows]

    @property
    def used_options(self) -> dict[str, Any]:
        """Those that the protocol looks at besides `ap`."""
        return {name: getattr(self.options, name) for name in self._listed.options}

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
        unused = len(self._store) - len(self._rows)
        dropped = counted_notes((unused, "crops of split train not used"))
        copies = _copies(self.crops, self.digests) if self._listed.ranks else ()
        return _with_notes(evaluation, *filter(None, [self.ranker.name]), *dropped, *copies)

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


def summary(figures: Mapping[str, float], protocol: str = "") -> str:
    """The figures in one line; protocol: whose they are, where they may be no percentages."""
    return "  ".join(f"{name} {shown(value, protocol)}" for name, value in figures.items())


def shown(value: float, protocol: str = "") -> str:
    """A percentage to one decimal; figures of protocols that rank nothing to three.

    >>> shown(12.345), shown(0.2345, "label-free"), shown(12, "label-free")
    ('12.3', '0.234', '12')
    """
    if protocol in PROTOCOLS and not PROTOCOLS[protocol].ranks:
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:.1f}"


def _crops(
    folder: RunFolder, data: str | Path | None, layout: str, camera_pattern: str | None
) -> Crops:
    """Those of `data`, or the run's own, read as the run was asked to."""
    if data is not None:
        return read_crops(data, layout=layout, camera_pattern=camera_pattern)
    asked = folder.settings()
    return read_crops(asked.data, layout=asked.layout, camera_pattern=asked.camera_pattern)


def _comparison(folder: RunFolder, judge: Judge, evaluation: Evaluation) -> list[dict[str, Any]]:
    """The baselines, and the run itself."""
    rows = judge.baselines(folder.recipe().encoder, seed=folder.settings().seed)
    return [*rows, compared(judge.named("trained without labels"), evaluation)]


def _file_name(data: str | Path | None, *, fused_views: bool, ranker: Ranker) -> str:
    """evaluation, whose crops it is of unless they are the run's own, and how they were ranked."""
    whose = "" if data is None else Path(os.path.abspath(data)).stem or "root"
    views = "fused" if fused_views else ""
    return "-".join(filter(None, ["evaluation", whose, views, ranker.suffix]))


def _tell(name: str, evaluation: Evaluation) -> None:
    log.info("%s: %s", name, summary(evaluation.figures, evaluation.protocol))
    for note in evaluation.notes:
        log.info("  %s", note)


def _judged(crops: Crops, protocol: str) -> IntArray:
    return np.arange(len(crops)) if protocol == "label-free" else held_out(crops)


def _copies(crops: Crops, digests: npt.NDArray[np.str_]) -> tuple[str, ...]:
    """How many searches are for a file that is among the answers under another name."""
    queries, gallery = (digests[crops.splits == split] for split in ("query", "gallery"))
    if len(queries) and len(gallery):
        found, whose = np.isin(queries, gallery).sum(), "queries are in the gallery"
    else:
        _, group, counts = np.unique(digests, return_inverse=True, return_counts=True)
        found, whose = (counts[group] > 1).sum(), "crops are among the others"
    return counted_notes((found, f"{whose} too, byte for byte: `resight data check` names them"))


def _with_notes(evaluation: Evaluation, *notes: str) -> Evaluation:
    return replace(evaluation, notes=(*notes, *evaluation.notes))


def _of_fusion(encoder: Encoder, fuse: float) -> str:
    """What is fused; raises ConfigError when the encoder's views cannot be, with this weight."""
    weights = fusion_weights(encoder.spec.views, fuse)
    shares = ", ".join(f"{view} {weight:g}" for view, weight in weights.items())
    return f"distances are fused, the weights of the views are {shares}"
