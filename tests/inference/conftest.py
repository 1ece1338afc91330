from pathlib import Path

import pytest
import torch

from resight.models import Encoder, EncoderSpec, build_encoder, save

SIZE = (64, 32)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """A small network, its BN neck with statistics that matter."""
    encoder = build_encoder(EncoderSpec("test_resnet", weights="none", last_stride=2, parts=2))
    generator = torch.Generator().manual_seed(1)
    encoder.neck.running_mean.copy_(torch.rand(encoder.dim, generator=generator))
    encoder.neck.running_var.copy_(torch.rand(encoder.dim, generator=generator) + 0.5)
    return encoder.eval()


@pytest.fixture(scope="session")
def model(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the encoder, as training writes it."""
    folder = tmp_path_factory.mktemp("model") / "run"
    save(encoder, folder, size=SIZE)
    return folder
