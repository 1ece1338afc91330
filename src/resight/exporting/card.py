"""The model card of an export: README.md in the form of Hugging Face's model cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from resight.clustering import TrueLabels
from resight.exporting.usage import takes, usage
from resight.inference.described import Description
from resight.models.backbones import BACKBONES, IMAGENET, NO_WEIGHTS
from resight.recipe import Recipe

LABEL_FREE = "label-free"
UNKNOWN = "unknown"

INTENDED = """\
The encoder turns a picture of one individual into a vector; pictures of the same individual get
similar ones. It is made for searching one's own recordings, for tracking, and for research, with
individuals like those it was trained on, in views like those of its cameras."""

LIMITS = """\
- What it holds for one individual is a guess that people must check. A similarity is no proof of
  identity, and nothing that harms anyone may rest on it alone.
- It tells clothes, coats and paint more than faces or marks: after a change of clothes people are
  not found again, and those dressed alike are mixed up.
- Error rates differ between groups of people, cameras, seasons and hours, and the figures above
  average over them. Measure on data of your own before use, group by group.
- **Re-identifying people touches their privacy.** In many places it is biometric processing that
  needs a legal basis, an assessment of its impact, information of those concerned, and limits on
  what is kept and who may search; in some it is prohibited. It must not be used to watch people who
  do not know of it, to single out groups, or to deny anyone anything without human judgement."""


@dataclass(frozen=True)
class Facts:
    """What a card tells of the run that an encoder comes from.

    name: of the run. data: the name of its data, without a folder. finished: when its last epoch
    ended; epochs: how many there were. digest: sha256 of recipe.yaml. crops, cameras: how many
    trained it, None where that is not known. decided: how many pairs of crops people had decided
    about. evaluation: evaluation.json, empty where there is none. similarity, far, threshold_of,
    threshold_notes: the calibrated threshold, the wanted rate of false accepts, what told who is
    who, and what to know of it.
    """

    name: str
    data: str
    recipe: Recipe
    digest: str
    finished: datetime
    epochs: int
    crops: int | None = None
    cameras: int | None = None
    decided: int = 0
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    similarity: float | None = None
    far: float | None = None
    threshold_of: str = ""
    threshold_notes: tuple[str, ...] = ()


def model_card(facts: Facts, described: Description, *, file: str, difference: float) -> str:
    """The card as Markdown behind a YAML header.

    file: of the exported network. difference: its largest one from the encoder in PyTorch.
    """
    paragraphs = [
        f"# {facts.name}",
        f"An encoder for re-identification, trained {_taught(facts)} by resight: a picture in, "
        f"{described.dim} numbers out, whose cosine tells how alike two individuals look.",
        "## How to load it",
        *usage(described, file),
        "## Input and output",
        *takes(described, difference),
        "## Training data",
        _data(facts),
        "## Method and settings",
        _table(("setting", "value"), _settings(facts)),
        "## Evaluation",
        *_figures(facts),
        *_threshold(facts),
        "## Intended use",
        INTENDED,
        "## Limits and risks",
        LIMITS,
        "## Provenance",
        _table(("what", "value"), _provenance(facts, described)),
    ]
    return f"---\n{_header(facts, described)}---\n\n" + "\n\n".join(paragraphs) + "\n"


def weights_origin(recipe: Recipe) -> str:
    """Where the encoder's weights were before training."""
    spec = recipe.encoder
    if spec.weights == NO_WEIGHTS:
        return "random"
    if spec.weights != IMAGENET:
        return f"a state dict, {Path(spec.weights).name}"
    known = BACKBONES.get(spec.backbone)
    return f"ImageNet, those of timm's {spec.backbone if known is None else known.timm_name}"


def _header(facts: Facts, described: Description) -> str:
    header = {
        "library_name": "resight",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["re-identification", described.to, described.preset],
        "model-index": [{"name": facts.name, "results": _results(facts)}],
    }
    if not _results(facts):
        del header["model-index"]
    text: str = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return text


def _results(facts: Facts) -> list[dict[str, Any]]:
    """Figures of retrieval as Hugging Face's model index has them."""
    told = facts.evaluation
    if not told or told["protocol"] == LABEL_FREE:
        return []
    metrics = [
        {"type": name, "value": round(value, 2)}
        for name, value in told["figures"].items()
        if value is not None
    ]
    return [
        {
            "task": {"type": "image-feature-extraction", "name": "re-identification"},
            "dataset": {"type": facts.data, "name": facts.data},
            "metrics": metrics,
        }
    ]


def _data(facts: Facts) -> str:
    crops = UNKNOWN if facts.crops is None else f"{facts.crops:,}"
    cameras = UNKNOWN if facts.cameras is None else f"{facts.cameras:,}"
    share = facts.recipe.sample_fraction
    drawn = "" if share == 1 else f" Each epoch took {share:.0%} of them, drawn anew."
    return (
        f"Crops of `{facts.data}`, used {_taught(facts)}. Crops in the last epoch: {crops}. "
        f"Cameras: {cameras}.{drawn}"
    )


def _taught(facts: Facts) -> str:
    if isinstance(facts.recipe.clusterer, TrueLabels):
        return "with the identities of its crops"
    if facts.decided:
        return f"without labels but for {facts.decided:,} pairs that people decided about"
    return "without labels"


def _settings(facts: Facts) -> Iterator[tuple[str, str]]:
    recipe = facts.recipe
    spec, optim, batches = recipe.encoder, recipe.optim, recipe.batches
    yield "method", recipe.name
    yield "backbone", spec.backbone
    yield "start", weights_origin(recipe)
    yield "pooling", spec.pooling
    yield "last stride", str(spec.last_stride)
    yield "embedding", "after the BN neck" if spec.embedding == "bn" else "before the BN neck"
    if spec.parts:
        yield "parts", f"{spec.parts} in training; the embedding is the whole image's"
    yield (
        "mirror",
        "embeddings of the image and its mirror image are added" if spec.mirror else "no",
    )
    yield "image", f"{recipe.size[0]} x {recipe.size[1]} (height x width)"
    yield "clusters", type(recipe.clusterer).__name__
    yield "losses", ", ".join(type(term).__name__ for term in recipe.losses)
    yield "batch", f"{batches.identities} clusters x {batches.instances} crops"
    whole = recipe.total_epochs
    yield (
        "epochs",
        f"{whole}"
        if facts.epochs == whole
        else f"{facts.epochs} of {whole}, training has not ended",
    )
    yield "learning rate", f"{optim.lr:g}, weight decay {optim.weight_decay:g}"


def _figures(facts: Facts) -> Iterator[str]:
    told = facts.evaluation
    if not told:
        yield "Not evaluated: `resight evaluate` on labelled crops tells how good it is."
        return
    if facts.epochs != facts.recipe.total_epochs:
        yield "Training has not ended: these figures may be of an earlier epoch."
    by = f", {told['scores']}" if "scores" in told else ""
    queries = f", {told['queries']:,} queries" if "queries" in told else ""
    yield f"Protocol `{told['protocol']}`{by}{queries}."
    intervals = told.get("intervals", {})
    unit = "" if told["protocol"] == LABEL_FREE else " (%)"
    heads = ["figure", f"value{unit}"]
    if intervals:
        heads.append(f"{told['level']:.0%} interval over identities")
    rows = []
    for name, value in told["figures"].items():
        span = intervals.get(name)
        cells = [name, UNKNOWN if value is None else f"{value:.3g}" if not unit else f"{value:.1f}"]
        if intervals:
            cells.append("" if span is None else f"{span[0]:.1f} to {span[1]:.1f}")
        rows.append(tuple(cells))
    yield _table(tuple(heads), iter(rows))
    if notes := told.get("notes"):
        yield "\n".join(f"- {note}" for note in notes)


def _threshold(facts: Facts) -> Iterator[str]:
    if facts.similarity is None or facts.far is None:
        yield (
            "No threshold was calibrated for these weights: `resight calibrate` finds the "
            "similarity from which two pictures may be held for one individual."
        )
        return
    yield (
        f"Two pictures are held for one individual from a similarity of {facts.similarity:.4f} on, "
        f"calibrated on {facts.threshold_of} for {facts.far:.3%} of false accepts "
        "(`threshold.json`)."
    )
    if facts.threshold_notes:
        yield "\n".join(f"- {note}" for note in facts.threshold_notes)


def _provenance(facts: Facts, described: Description) -> Iterator[tuple[str, str]]:
    yield "made by", described.producer
    yield "last epoch ended", f"{facts.finished:%Y-%m-%d}"
    yield "weights before training", weights_origin(facts.recipe)
    yield "sha256 of the weights", f"`{described.digest}`"
    yield "sha256 of the recipe", f"`{facts.digest}`"


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )
