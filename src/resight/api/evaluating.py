"""`resight evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resight.data import ImageStore, read_crops
from resight.data.colour import colour_histogram
from resight.device import Device, Precision
from resight.evaluation import (
    Evaluation,
    RankedList,
    automatic_protocol,
    fused,
    fusion_weights,
    ranked_lists,
)
from resight.evaluation import evaluate as evaluate_features
from resight.evaluation.ranking import APRule
from resight.models import Encoder, EncoderSpec, build_encoder, load
from resight.records import GLOBAL, Crops, Features, IntArray
from resight.training.extract import extract
from resight.training.feed import Feed
from resight.training.run_folder import RunFolder

log = logging.getLogger(__name__)


def evaluate(
    run_folder: str | Path,
    data: str | Path | None = None,
    *,
    protocol: str = "auto",
    ap: APRule = "step",
    baselines: bool = False,
    fuse: float | None = None,
    layout: str = "auto",
    camera_pattern: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> dict[str, Any]:
    """Figures of a run's encoder on labelled crops; without labels, label-free ones.

    data: other crops than the run's own. protocol, ap: as in `resight.evaluation.evaluate`.
    baselines: also colour histograms and the network before training. fuse: of a model with n
    parts, the weight (0 … 1 / n) of each part's distances beside the whole image's, which alone
    count by default; see `resight.evaluation.fused`. The result is written to the run folder as
    evaluation.json (evaluation-NAME.json for other data) and returned: protocol, figures in
    percent, notes, ranked lists, with fuse its value, and with baselines a comparison.

    Raises ConfigError when fuse does not fit the model.
    """
    folder = RunFolder.open(run_folder)
    asked = folder.settings()
    encoder, size = load(folder.path)
    weights = None if fuse is None else fusion_weights(encoder.spec.views, fuse)
    if data is None:
        crops = read_crops(asked.data, layout=asked.layout, camera_pattern=asked.camera_pattern)
    else:
        crops = read_crops(data, layout=layout, camera_pattern=camera_pattern)
    store = ImageStore.open(crops, size=size)
    place = Device.choose(device, precision)
    judge = Judge(store, place, protocol=protocol, ap=ap, fuse=fuse)
    features = judge.embed(encoder)
    evaluation = judge.figures(features)
    if weights is not None:
        evaluation = _with_note(evaluation, weights)
    comparison = []
    if baselines:
        comparison = judge.baselines(folder.recipe().encoder, seed=asked.seed)
        name = judge.named("trained without labels")
        comparison.append({"name": name, "figures": dict(evaluation.figures)})
    log.info("%s: %s", evaluation.protocol, summary(evaluation.figures))
    for note in evaluation.notes:
        log.info("  %s", note)
    name = "evaluation" if data is None else f"evaluation-{Path(data).stem}"
    return write_evaluation(folder, judge, features, evaluation, comparison, name=name)


def write_evaluation(
    folder: RunFolder,
    judge: Judge,
    features: Features,
    evaluation: Evaluation,
    comparison: list[dict[str, Any]],
    *,
    name: str = "evaluation",
) -> dict[str, Any]:
    """Write and return what a report shows: figures, notes, comparison, ranked lists."""
    result: dict[str, Any] = {"root": str(judge.crops.root.absolute()), **evaluation.as_dict()}
    if judge.fuse is not None:
        result["fuse"] = judge.fuse
    if comparison:
        result["comparison"] = comparison
    result["ranked_lists"] = judge.ranked_lists(features, evaluation)
    folder.write_json(f"{name}.json", result)
    return result


class Judge:
    """One protocol over one store: everything that is compared is compared here.

    crops: the judged ones, queries and gallery where the data has them, otherwise all.
    fuse: the weight of each part in the embeddings of networks, None for the global view alone.
    """

    def __init__(
        self,
        store: ImageStore,
        device: Device,
        *,
        protocol: str = "auto",
        ap: APRule = "step",
        fuse: float | None = None,
    ) -> None:
        self._device = device
        self._feed = Feed(store, device)
        self._store = store
        self._protocol = automatic_protocol(store.crops) if protocol == "auto" else protocol
        self._ap = ap
        self.fuse = fuse
        self._rows = _judged(store.crops, self._protocol)
        self.crops = store.crops.select(self._rows)

    def embed(self, encoder: Encoder) -> Features:
        """Features of the judged crops, its views fused where that is asked for."""
        network = encoder.to(self._device.place)
        features = extract(network, self._feed, self._store.crops, self._device, rows=self._rows)
        return features if self.fuse is None else fused(features, self.fuse)

    def named(self, network: str) -> str:
        """What a network's figures are called in a comparison."""
        return network if self.fuse is None else f"{network}, fused {self.fuse:g}"

    def figures(self, features: Features) -> Evaluation:
        """Evaluate features of the judged crops."""
        return evaluate_features(features, self.crops, protocol=self._protocol, ap=self._ap)

    def baselines(self, spec: EncoderSpec, *, seed: int) -> list[dict[str, Any]]:
        """Colour histograms, and the network before training."""
        images = self._store.images[self._rows]
        colours = Features({GLOBAL: colour_histogram(images)}, self.crops)
        untrained = self.embed(build_encoder(spec, seed=seed))
        start = "untrained" if spec.weights == "none" else f"{spec.weights} features, untrained"
        return [
            {"name": "colour histograms", "figures": dict(self.figures(colours).figures)},
            {"name": self.named(start), "figures": dict(self.figures(untrained).figures)},
        ]

    def ranked_lists(self, features: Features, evaluation: Evaluation) -> list[dict[str, Any]]:
        """Best, typical and worst queries with their first answers, for pictures."""
        if automatic_protocol(self.crops) == "label-free":
            return []
        if evaluation.ranking is None:
            evaluation = evaluate_features(features, self.crops, ap=self._ap)
        return [
            _with_captions(ranked, self.crops)
            for ranked in ranked_lists(features, self.crops, evaluation)
        ]


def summary(figures: Mapping[str, float]) -> str:
    """The figures in one line."""
    return "  ".join(f"{name} {value:.1f}" for name, value in figures.items())


def _judged(crops: Crops, protocol: str) -> IntArray:
    if protocol == "label-free":
        return np.arange(len(crops))
    held_out = np.flatnonzero(crops.splits != "train")
    return held_out if len(held_out) else np.arange(len(crops))


def _with_note(evaluation: Evaluation, weights: Mapping[str, float]) -> Evaluation:
    """The same figures, and that they are of fused distances."""
    shares = ", ".join(f"{view} {weight:g}" for view, weight in weights.items())
    note = f"distances are fused, the weights of the views are {shares}"
    return replace(evaluation, notes=(note, *evaluation.notes))


def _with_captions(ranked: RankedList, crops: Crops) -> dict[str, Any]:
    def crop(row: int) -> dict[str, str | None]:
        camera = None if crops.cameras is None else crops.camera_names[crops.cameras[row]]
        identity = None
        if crops.identities is not None and crops.identities[row] > 0:
            identity = crops.identity_names[crops.identities[row] - 1]
        return {"path": crops.paths[row], "camera": camera, "identity": identity}

    return {
        "kind": ranked.kind,
        "query": crop(ranked.row),
        "ap": ranked.ap,
        "matches": [
            {**crop(hit.row), "similarity": hit.similarity, "right": hit.right}
            for hit in ranked.hits
        ],
    }
