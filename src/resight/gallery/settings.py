"""What a gallery was made with: gallery.json."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from resight.errors import ConfigError, GalleryError, MissingError, RunError
from resight.evaluation.threshold import FILE as THRESHOLD
from resight.evaluation.threshold import Threshold
from resight.files import as_json, write_atomically
from resight.parts import from_plain

Policy: TypeAlias = Literal["keep", "blur", "none"]

FILE = "gallery.json"
FORMAT = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Settings:
    """dim: D of the embeddings. digest: hexadecimal SHA-256 of the encoder's weights.

    store: where the rows are, "files" or a server's URL. thumbnails: whether pictures are kept as
    they are, blurred, or not at all. retention_days: days after which a row is dropped, None for
    never. log_searches: whether searches.jsonl is kept. created: ISO 8601, UTC.

    Raises ConfigError for a policy that does not exist and for a retention that is not positive.
    """

    dim: int
    digest: str
    created: str
    store: str = "files"
    thumbnails: Policy = "keep"
    retention_days: float | None = None
    log_searches: bool = False

    def __post_init__(self) -> None:
        if self.thumbnails not in get_args(Policy):
            known = ", ".join(get_args(Policy))
            raise ConfigError(f"thumbnails is {self.thumbnails!r}, expected one of {known}")
        days = self.retention_days
        if days is not None and not 0 < days < math.inf:
            raise ConfigError(f"the retention is {days:g} days, expected more than 0")

    def write(self, folder: Path) -> None:
        """Write gallery.json, whole or not at all."""
        text = as_json({"format": FORMAT, **asdict(self)}, indent=2)
        write_atomically(folder / FILE, lambda draft: draft.write_text(text))

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """The settings of a gallery; raises MissingError when `folder` is none, GalleryError when
        they cannot be read.
        """
        file = folder / FILE
        try:
            plain = dict(json.loads(file.read_text()))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(
                f"{folder} is not a gallery (it has no {FILE}): make one with "
                f"`resight index RUN DATA --gallery {folder}`"
            ) from error
        except OSError as error:
            raise GalleryError(f"cannot read {file}: {error.strerror}") from error
        except (TypeError, ValueError) as error:
            raise GalleryError(f"{file} is damaged, it should hold JSON: {error}") from error
        if plain.pop("format", None) not in range(1, FORMAT + 1):
            raise GalleryError(f"{file} is not of this resight's format {FORMAT}: update resight")
        problems: list[str] = []
        settings = from_plain(cls, plain, where="", problems=problems)
        if problems:
            raise GalleryError(f"{file} is damaged: {'; '.join(problems)}")
        found: Settings = settings
        return found


def now_utc() -> str:
    """The moment as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def copy_model(model: Path, folder: Path) -> None:
    """Copy the encoder of a run or an export into a gallery."""
    for name in (WEIGHTS, DESCRIPTION):
        _copy(model / name, folder / name)


def copy_threshold(model: Path, folder: Path) -> None:
    """Copy the calibrated threshold of a run into a gallery, where the run has one.

    One that was calibrated with other weights than the run has now is left out, which is logged.
    """
    if (model / THRESHOLD).is_file() and Threshold.read(model).is_of(model):
        _copy(model / THRESHOLD, folder / THRESHOLD)


def read_threshold(folder: Path) -> Threshold | None:
    """The calibrated threshold of a gallery, None without one; GalleryError for a damaged one."""
    if not (folder / THRESHOLD).is_file():
        return None
    try:
        return Threshold.read(folder)
    except RunError as error:
        raise GalleryError(
            f"{error}; or delete it from the gallery, and index again to take over that of the run"
        ) from error


def dim_of(model: Path) -> int:
    """D, of the encoder in a folder; raises GalleryError when it holds none, or a damaged one."""
    missing = [name for name in (WEIGHTS, DESCRIPTION) if not (model / name).is_file()]
    if missing:
        raise GalleryError(
            f"{model} holds no trained model (no {missing[0]}): give the folder that "
            "`resight train` wrote, after at least one finished epoch"
        )
    file = model / DESCRIPTION
    try:
        dim = int(json.loads(file.read_text())["dim"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise GalleryError(f"{file} is damaged, it should tell the dimension: {error}") from error
    return dim


def _copy(file: Path, to: Path) -> None:
    write_atomically(to, lambda draft: shutil.copyfile(file, draft))
