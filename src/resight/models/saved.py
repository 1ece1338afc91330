"""Encoders on disk: safetensors for the weights, JSON for what they are. Never pickle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from resight.errors import RunError
from resight.files import write_atomically
from resight.models.encoder import Encoder, EncoderSpec, build_encoder

FORMAT = 1


def save(encoder: Encoder, folder: Path, *, size: tuple[int, int]) -> None:
    """Write `model.safetensors` and `model.json` into `folder`; `size` is (height, width)."""
    state = {key: value.detach().contiguous() for key, value in encoder.state_dict().items()}
    write_atomically(folder / "model.safetensors", lambda path: path.write_bytes(to_bytes(state)))
    described = {
        "format": FORMAT,
        "encoder": dataclasses.asdict(encoder.spec),
        "size": list(size),
        "dim": encoder.dim,
    }
    text = json.dumps(described, indent=2) + "\n"
    write_atomically(folder / "model.json", lambda path: path.write_text(text))


def load(path: str | Path) -> tuple[Encoder, tuple[int, int]]:
    """The encoder of a run folder, in evaluation mode, and its input size (height, width).

    Raises RunError when the files are missing, damaged or of a newer format.
    """
    folder = Path(path)
    described = _describe(folder)
    spec = EncoderSpec(**{**described["encoder"], "weights": "none"})
    encoder = build_encoder(spec)
    try:
        encoder.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunError(f"{folder / 'model.safetensors'} cannot be loaded: {error}") from error
    height, width = described["size"]
    return encoder.eval(), (height, width)


def _describe(folder: Path) -> dict[str, Any]:
    file = folder / "model.json"
    try:
        described: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise RunError(
            f"{folder} holds no trained model (no model.json): give the folder that "
            "`resight train` wrote, after at least one finished epoch"
        ) from error
    except ValueError as error:
        raise RunError(f"{file} is not valid JSON: {error}") from error
    if described.get("format", 0) > FORMAT:
        raise RunError(
            f"{file} has format {described['format']}, this resight reads up to {FORMAT}: "
            "update resight"
        )
    return described
