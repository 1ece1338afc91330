"""An encoder's export: a folder with the network, what it takes, its card and its threshold."""

from __future__ import annotations

import glob
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import get_args

import resight
from resight import models
from resight.device import Device
from resight.errors import ConfigError, ResightError, RunError
from resight.exporting.graph import Graph
from resight.exporting.onnx_file import OUTPUT, write_onnx
from resight.exporting.presets import BOXMOT_SIZE, PRESETS, Preset
from resight.exporting.script_file import scripted_resize, write_script
from resight.exporting.verify import check, check_sizes
from resight.files import LOCK, as_json, digest_of, locked
from resight.inference.described import Description, Format
from resight.inference.embedder import WEIGHTS, Embedder
from resight.inference.networks import SCRIPT, open_export
from resight.models import Encoder

log = logging.getLogger(__name__)

METADATA = "metadata.json"
CARD = "README.md"
MODEL = "model.json"
DRAFT, OLD = ".tmp", ".old"
SUFFIXES = {"onnx": ".onnx", "torchscript": SCRIPT}
Card = Callable[[Description, str, float], str]


@dataclass(frozen=True)
class Export:
    """What an export left.

    folder: all of it. file: the network. difference: the largest one of any component between its
    embeddings and PyTorch's, in float32. description: what it takes and gives.
    """

    folder: Path
    file: Path
    difference: float
    description: Description


def write_export(
    source: Path,
    out: Path,
    *,
    card: Card,
    to: Format = "onnx",
    preset: str = "plain",
    opset: int | None = None,
    beside: tuple[Path, ...] = (),
) -> Export:
    """Export the encoder in the folder `source` to the folder `out`, and compare the two.

    card: makes the card of a description, the file's name and the difference. opset: of ONNX.
    beside: files to copy. An earlier export in `out` is replaced when all went well; otherwise
    nothing is left behind. What a killed export left is cleared away by the next one to `out`.

    Raises ConfigError for what does not exist or fit together, RunError when `source` holds no
    encoder, ResightError when the export differs by more than 1e-3 or `out` cannot be written.
    """
    chosen = _chosen(to, preset, opset)
    encoder, size, digest = _loaded(source)
    _tell_size(preset, size)
    name = WEIGHTS if to == "safetensors" else chosen.stem + SUFFIXES[to]
    described = Description(
        preset=preset,
        to=to,
        input=chosen.takes(size),
        output=OUTPUT,
        size=size,
        dim=encoder.dim,
        digest=digest,
        producer=f"resight {resight.__version__}",
    )
    with _replacing(out.resolve()) as draft:
        if to == "safetensors":
            found = _copy_weights(source, draft, encoder, described)
        else:
            graph = Graph(encoder, chosen, size)
            found = _write_network(draft / name, graph, described, opset)
        copied = [file.name for file in beside]
        told = described.as_json(file=name, beside=copied, largest_difference=found)
        (draft / METADATA).write_text(told)
        (draft / CARD).write_text(card(described, name, found), encoding="utf-8")
        if preset == "boxmot":
            (draft / _sidecar(name)).write_text(_for_boxmot(chosen, size))
        for file in beside:
            shutil.copyfile(file, draft / file.name)
    return Export(out, out / name, found, described)


def _chosen(to: str, preset: str, opset: int | None) -> Preset:
    if to not in get_args(Format):
        raise ConfigError(f"cannot export to {to!r}: use one of {', '.join(get_args(Format))}")
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown: use one of {', '.join(PRESETS)}")
    if to == "safetensors" and preset != "plain":
        raise ConfigError(
            f"safetensors hold weights alone, which preset {preset!r} cannot use: export to onnx "
            "or torchscript"
        )
    if opset is not None and to != "onnx":
        raise ConfigError(f"opset is of ONNX, and {to} has none: leave it out")
    return PRESETS[preset]


def _loaded(source: Path) -> tuple[Encoder, tuple[int, int], str]:
    """The encoder, its size and the digest of its weights, all of one state of the run."""
    digest = digest_of(source / WEIGHTS) if (source / WEIGHTS).exists() else None
    encoder, size = models.load(source)
    if digest is None or digest != digest_of(source / WEIGHTS):
        raise _changed(source)
    return encoder, size, digest


def _changed(source: Path) -> RunError:
    return RunError(f"the weights in {source} changed while they were exported: export them again")


def _tell_size(preset: str, size: tuple[int, int]) -> None:
    if preset == "boxmot" and size != BOXMOT_SIZE:
        log.warning(
            "the encoder takes %d x %d images, not BoxMOT's usual %d x %d: use a BoxMOT that reads "
            "the size from the network (25 does)",
            *size,
            *BOXMOT_SIZE,
        )


def _write_network(file: Path, graph: Graph, described: Description, opset: int | None) -> float:
    """Write the file, run it, and tell the difference."""
    text = described.as_json()
    if described.to == "onnx":
        write_onnx(graph, file, description=text, opset=opset)
    else:
        scripted = Graph(graph.encoder, graph.preset, graph.size, resize=scripted_resize())
        write_script(scripted, file, description=text)
    network = open_export(file, Device.choose("cpu", "float32"))
    return max(check(network, graph.encoder, graph.size), check_sizes(network, graph))


def _copy_weights(source: Path, draft: Path, encoder: Encoder, described: Description) -> float:
    """The weights as they are, and their description without the file that training began with."""
    shutil.copyfile(source / WEIGHTS, draft / WEIGHTS)
    told = json.loads((source / MODEL).read_text())
    told["encoder"]["weights"] = "none"
    (draft / MODEL).write_text(as_json(told, indent=2))
    opened = Embedder.open(draft, device="cpu", precision="float32")
    if opened.digest != described.digest:
        raise _changed(source)
    return check(opened.network, encoder, described.size)


def _for_boxmot(preset: Preset, size: tuple[int, int]) -> str:
    """What BoxMOT keeps beside its own exports: how to make crops, and of which size."""
    kind = preset.stem.rpartition("_")[0]
    told = {
        "schema_version": 1,
        "model_name": kind,
        "preprocess": "resize",
        "img_size": list(size),
        "model_kwargs_schema_version": 1,
        "model_kwargs": {"img_size": list(size)},
    }
    return as_json(told, indent=2)


def _check_free(out: Path) -> None:
    """Raise ConfigError unless `out` is absent, empty, or an earlier export and nothing else."""
    if out == Path.cwd():
        raise ConfigError(f"{out} is the folder that you are in: name a new one with --out")
    if not out.exists():
        return
    strange = _strange(out) if out.is_dir() else out.name
    if strange is not None:
        raise ConfigError(
            f"{out} holds other files ({strange}): choose an empty or new folder with --out"
        )


def _strange(folder: Path) -> str | None:
    """What is in a folder and was not written by an export, None where all of it was."""
    names = sorted(file.name for file in folder.iterdir())
    if METADATA not in names:
        return next(iter(names), None)
    try:
        told = (folder / METADATA).read_text(encoding="utf-8")
        Description.read(told, where=METADATA)
    except (OSError, ValueError, RunError):
        return METADATA
    plain = json.loads(told)
    file, copied = str(plain.get("file")), map(str, plain.get("beside", ()))
    written = {METADATA, CARD, MODEL, LOCK, file, _sidecar(file), *copied}
    return next((name for name in names if name not in written), None)


def _sidecar(file: str) -> str:
    """The file in which BoxMOT keeps what it knows of a network."""
    return f"{file}.metadata.json"


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A draft that takes the folder's place when all went well, and vanishes otherwise."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}{DRAFT}")
    absent = list(takewhile(lambda parent: not parent.exists(), folder.parents))
    try:
        _check_free(folder)
        _sweep(folder)
        draft.mkdir(parents=True)
        with locked(draft):
            yield draft
            _sync(draft)
            _check_free(folder)
            _swap(draft, folder)
    except OSError as error:
        raise ResightError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # they hold the export
            for parent in absent:
                parent.rmdir()


def _sweep(folder: Path) -> None:
    """Remove the drafts that killed processes left beside a folder, and bring back what they moved.

    A process that lives holds its draft.
    """
    left = folder.parent.glob(f".{glob.escape(folder.name)}.*")
    for draft in {path.with_suffix(DRAFT) for path in left if path.suffix in (DRAFT, OLD)}:
        with suppress(RunError), locked(draft):
            old = draft.with_suffix(OLD)
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(draft, ignore_errors=True)


def _sync(draft: Path) -> None:
    """Have its files on the disk."""
    for file in draft.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _swap(draft: Path, folder: Path) -> None:
    """Put `draft` in the folder's place; what was there stays when that fails."""
    old = draft.with_suffix(OLD)
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(draft, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    (folder / LOCK).unlink()  # not before: whoever can lock a draft clears it away
    shutil.rmtree(old, ignore_errors=True)
