"""The files of a run when the disk takes no more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.errors import ResightError
from resight.models import EncoderSpec, build_encoder, save
from resight.records import Crops
from resight.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from resight.training.run_folder import RunFolder

SPEC = EncoderSpec("test_resnet", weights="none", last_stride=2)


@contextmanager
def _small_files() -> Iterator[None]:
    """No file may grow beyond 20 kB: writing fails as it does on a full disk.

    Not a fixture: between its parts pytest itself writes, perhaps to a longer file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["checkpoint", "model", "labels"])
def test_a_disk_that_takes_no_more(kind: str, tmp_path: Path) -> None:
    encoder = build_encoder(SPEC)
    crops = Crops(tmp_path, tuple(f"{i:0200x}" for i in range(999)), np.array(["train"] * 999))
    labels = np.random.default_rng(0).integers(0, 2**62, 999)
    scores = np.zeros(999, np.float32)
    write = {
        "checkpoint": lambda: save_checkpoint(
            tmp_path / "c.pt",
            Progress(1, ()),
            encoder=encoder,
            optimizer=torch.optim.Adam(encoder.parameters()),
        ),
        "model": lambda: save(encoder, tmp_path, size=(64, 32)),
        "labels": lambda: RunFolder(tmp_path).write_labels(0, crops, labels, scores),
    }
    with (
        _small_files(),
        pytest.raises(ResightError, match=r"cannot write .*: .*File too large"),
    ):
        write[kind]()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_the_checkpoint_is_what_was_saved(tmp_path: Path) -> None:
    encoders = [build_encoder(SPEC, seed=seed) for seed in (0, 1)]
    optimizers = [torch.optim.Adam(e.parameters()) for e in encoders]
    encoders[0](torch.rand(2, 3, 64, 32))["global"].sum().backward()
    optimizers[0].step()
    progress = Progress(3, ({"epoch": 1, "loss": 0.1},))
    save_checkpoint(tmp_path / "c.pt", progress, encoder=encoders[0], optimizer=optimizers[0])
    found = load_checkpoint(tmp_path / "c.pt", encoder=encoders[1], optimizer=optimizers[1])
    assert found is not None
    assert (found.epochs_done, found.log) == (3, progress.log)
    for one, other in zip(*(e.state_dict().values() for e in encoders), strict=True):
        assert torch.equal(one, other)
    first, second = (o.state_dict()["state"] for o in optimizers)
    for key, moments in first.items():
        assert all(torch.equal(moments[name], second[key][name]) for name in moments)


def test_no_checkpoint_is_no_progress(tmp_path: Path) -> None:
    encoder = build_encoder(SPEC)
    optimizer = torch.optim.Adam(encoder.parameters())
    assert load_checkpoint(tmp_path / "c.pt", encoder=encoder, optimizer=optimizer) is None
