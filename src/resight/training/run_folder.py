"""The folder of a run: the only place where training writes, and what `resume` continues from.

recipe.yaml  the resolved recipe        run.json        data, seed, device, version
log.jsonl    one line per epoch         labels/         pseudo-labels per epoch (Parquet)
checkpoint.pt  training state           model.*         the encoder
feedback.jsonl  decisions on pairs, when the run was given any
evaluation.json, report.html            written at the end
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import resight
from resight.data import feedback
from resight.data.feedback import Decision
from resight.errors import RunError
from resight.files import as_json, locked, write_atomically
from resight.parts import from_plain
from resight.recipe import Recipe
from resight.records import Crops, FloatArray, IntArray

FORMAT = 1


@dataclass(frozen=True)
class RunSettings:
    """All that a run was asked for besides its recipe; enough to continue it.

    data: what `read_crops` was given, absolute. root: the folder that paths of crops start from.
    evaluate_every: epochs between evaluations, 0 for none before the end. memory: bytes that
    clustering may use besides the features. feedback: where the decisions were read that the run
    has a copy of. The rest is named as the options of `resight train`.
    """

    data: str
    root: str
    layout: str = "auto"
    camera_pattern: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    strict: bool = False
    evaluate_every: int = 5
    memory: int | None = None
    feedback: str | None = None


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    @classmethod
    def create(
        cls,
        path: Path,
        recipe: Recipe,
        settings: RunSettings,
        decisions: Sequence[Decision] | None = None,
    ) -> RunFolder:
        """A new run at `path`, which may exist only as an empty folder.

        decisions: a copy is kept, for settings that say where they come from.
        Raises RunError when it holds something already, ResightError when it cannot be written.
        """
        cls.check_free(path)
        folder = cls(path)
        recipe.save(path / "recipe.yaml")
        if decisions is not None:
            feedback.write(path / feedback.NAME, decisions)
        about = {"format": FORMAT, "resight": resight.__version__, **asdict(settings)}
        folder.write_json("run.json", about)
        return folder

    @staticmethod
    def check_free(path: Path) -> None:
        """Raise RunError unless `path` can become a new run: absent, or an empty folder.

        What a start that was cut short left behind does not count.
        """
        if not path.exists():
            return
        if not path.is_dir():
            raise RunError(f"{path} is a file: choose a folder with --out")
        if (path / "run.json").exists():
            raise RunError(
                f"{path} exists already: continue it with `resight resume {path}`, "
                "or choose another folder with --out"
            )
        there = {file.name for file in path.iterdir() if not file.name.startswith(".")}
        left_behind = {"recipe.yaml", feedback.NAME} if "recipe.yaml" in there else set()
        if there - left_behind:
            raise RunError(f"{path} holds other files: choose an empty or new folder with --out")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run. Raises RunError when `path` is none."""
        folder = cls(Path(path))
        if not (folder.path / "run.json").is_file():
            raise RunError(
                f"{path} is not a run folder (it has no run.json): "
                "give a folder that `resight train` or `resight demo` wrote"
            )
        return folder

    def decisions(self) -> tuple[Decision, ...] | None:
        """What the run keeps of people's decisions on pairs, None when it was given none.

        Raises DataError when they are damaged or gone.
        """
        if self.settings().feedback is None:
            return None
        return feedback.read(self.path / feedback.NAME)

    @property
    def checkpoint(self) -> Path:
        """Where the training state lies."""
        return self.path / "checkpoint.pt"

    def recipe(self) -> Recipe:
        """The recipe that the run was started with."""
        return Recipe.read(self.path / "recipe.yaml")

    def settings(self) -> RunSettings:
        """What the run was asked for. Raises RunError when the file is damaged or newer."""
        file = self.path / "run.json"
        try:
            plain = dict(json.loads(file.read_text()))
        except OSError as error:
            raise RunError(f"cannot read {file}: {error.strerror}") from error
        except (TypeError, ValueError) as error:
            raise RunError(
                f"{file} is damaged, it should hold settings as JSON: {error}"
            ) from error
        if plain.pop("format", None) not in range(1, FORMAT + 1):
            raise RunError(f"{file} is not of this resight's format {FORMAT}: update resight")
        plain.pop("resight", None)
        problems: list[str] = []
        settings = from_plain(RunSettings, plain, where="", problems=problems)
        if problems:
            raise RunError(f"{file} is damaged: {'; '.join(problems)}")
        asked: RunSettings = settings
        return asked

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run, so that no other process trains into it; released even by kill -9.

        Whoever holds it clears away what a killed process was writing.
        """
        with locked(self.path):
            for draft in self.path.rglob(".*.tmp"):
                if not draft.is_dir():  # drafts of exports are folders, and may be in the making
                    draft.unlink(missing_ok=True)
            yield

    @property
    def is_finished(self) -> bool:
        """Whether every epoch of its recipe is trained; it may still lack its evaluation."""
        log = self.path / "log.jsonl"
        done = len(log.read_text().splitlines()) if log.exists() else 0
        return done >= self.recipe().total_epochs

    def write_log(self, records: tuple[dict[str, Any], ...]) -> None:
        """Replace the log: one JSON line per epoch, exactly those of the checkpoint."""
        text = "".join(map(as_json, records))
        write_atomically(self.path / "log.jsonl", lambda draft: draft.write_text(text))

    def write_labels(
        self, epoch: int, crops: Crops, labels: IntArray, silhouettes: FloatArray
    ) -> None:
        """Pseudo-labels of an epoch (counted from 0): path, label, silhouette, camera per crop."""
        columns: dict[str, Any] = {
            "path": list(crops.paths),
            "label": labels,
            "silhouette": silhouettes,
        }
        if crops.cameras is not None:
            columns["camera"] = [crops.camera_names[c] for c in crops.cameras]
        if crops.boxes is not None:
            columns["box"] = list(crops.boxes)
        table = pa.table(columns)
        write_atomically(self._labels(epoch), lambda draft: pq.write_table(table, draft))

    def read_labels(self, epoch: int) -> IntArray:
        """(N,) the labels that `write_labels` wrote. Raises RunError when they cannot be read."""
        labels: IntArray = self._read_labels(epoch)["label"].to_numpy()
        return labels

    def check_crops(self, epoch: int, crops: Crops) -> None:
        """Raise RunError unless `epoch` was trained on these crops."""
        before, now = set(self._read_labels(epoch)["path"].to_pylist()), set(crops.paths)
        if before != now:
            raise RunError(
                f"the crops changed since epoch {epoch + 1} of {self.path}: "
                f"{len(before - now)} are gone or cannot be read, {len(now - before)} are new; "
                "bring the old ones back, or start a new run"
            )

    def _read_labels(self, epoch: int) -> pa.Table:
        file = self._labels(epoch)
        try:
            return pq.read_table(file, columns=["path", "label"])
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{file} cannot be read ({error}): start a new run") from error

    def _labels(self, epoch: int) -> Path:
        return self.path / "labels" / f"epoch_{epoch + 1:03d}.parquet"

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write one of the run's JSON files."""
        text = as_json(value, indent=2)
        write_atomically(self.path / name, lambda draft: draft.write_text(text))


def new_run_path(parent: Path, name: str) -> Path:
    """The first free of parent/name, parent/name-2, …"""
    for number in range(1, 10**6):
        path = parent / (name if number == 1 else f"{name}-{number}")
        if not path.exists():
            return path
    raise RunError(f"{parent} holds too many runs called {name!r}: choose a folder with --out")
