from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resight.exporting import Export, onnx_file, write_export
from resight.models import EncoderSpec, build_encoder, save

SIZE = (64, 32)
SPECS = {
    "small": EncoderSpec(
        "test_resnet", weights="none", last_stride=2, mirror=True, embedding="pooled"
    ),
    "vit": EncoderSpec("test_vit", weights="none", last_stride=2, parts=2),
    "lite0": EncoderSpec("efficientnet_lite0", weights="none"),
    "resnet50_ibn": EncoderSpec("resnet50_ibn_a", weights="none", parts=2),
}
BY_TRACE = {("small", "boxmot"), ("small", "ultralytics"), ("resnet50_ibn", "boxmot")}
Exported = Callable[..., Export]


@pytest.fixture(scope="session")
def models_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """models_of(name): a folder with that encoder, as training writes it."""
    folder = tmp_path_factory.mktemp("models")

    def write(name: str) -> Path:
        if not (folder / name).exists():
            encoder = build_encoder(SPECS[name])
            with torch.no_grad():
                encoder.neck.running_mean.uniform_(-0.1, 0.1)
                encoder.neck.running_var.uniform_(0.5, 2)
            save(encoder, folder / name, size=SIZE)
        return folder / name

    return write


@pytest.fixture(scope="session")
def exported(
    models_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """exported(name, to, preset): made once; ONNX files of `BY_TRACE` by the older, faster way."""
    folder, made = tmp_path_factory.mktemp("exports"), dict[Any, Export]()

    def export(name: str, to: str = "onnx", preset: str = "plain") -> Export:
        key = (name, to, preset)
        if key not in made:
            out = folder / "-".join(key)
            with pytest.MonkeyPatch.context() as patch:
                if (name, preset) in BY_TRACE:
                    patch.setattr(onnx_file, "FIRST_EXPORTED", (99, 0))
                made[key] = write_export(
                    models_of(name),
                    out,
                    card=lambda described, file, gap: f"{file} {gap:g} {described.dim}",
                    to=to,  # type: ignore[arg-type]
                    preset=preset,
                )
        return made[key]

    return export
