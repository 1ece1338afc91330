"""The folder of an ablation: what it is of, who works in it, and the figures of its rows.

ablation.json         what was asked for       ROW/seed-N       a run; rows may share it
table.md, table.json  written after each row   ROW/seed-N.json  a row's figures, of which model
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import resight
from resight.api.ablation_table import SeedFigures
from resight.errors import RunError
from resight.files import as_json, locked, write_atomically

FORMAT = 1
SEED = "seed-"


@dataclass(frozen=True)
class Request:
    """What decides the figures of an ablation; all else may differ when it is continued.

    Rows, seeds, device and memory, then; `compile` is of the runs that are yet to start.
    """

    data: str
    method: str
    table: str
    published: str | None
    settings: Mapping[str, Any]
    layout: str
    camera_pattern: str | None
    precision: str
    strict: bool


@dataclass(frozen=True)
class AblationFolder:
    """Paths and files of one ablation."""

    path: Path

    @property
    def is_claimed(self) -> bool:
        """Whether it holds an ablation already."""
        return self._about.exists()

    @property
    def _about(self) -> Path:
        return self.path / "ablation.json"

    def check(self, request: Request) -> None:
        """Raise RunError unless the folder is free, or of an ablation that was asked for alike."""
        if not self.is_claimed:
            if self.path.is_file():
                raise RunError(f"{self.path} is a file: choose a folder with --out")
            if self.path.is_dir() and any(f.name[0] != "." for f in self.path.iterdir()):
                raise RunError(
                    f"{self.path} holds other files: choose an empty or new folder with --out"
                )
            return
        there = _read(self._about)
        if there.get("format") not in range(1, FORMAT + 1):
            raise RunError(f"{self._about} is not of this resight's format {FORMAT}: update it")
        if differing := _differing(there, _as_read(asdict(request))):
            raise RunError(
                f"{self.path} holds another ablation, which differs in {', '.join(differing)}: "
                "choose another folder with --out"
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder, made if need be, for this process alone; released even by kill -9.

        Whoever holds it clears away what a killed process was writing; runs have locks of their
        own. Raises RunError when another process holds it or it cannot be written.
        """
        with locked(self.path):
            for draft in (*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")):
                draft.unlink(missing_ok=True)
            yield

    def claim(self, request: Request) -> None:
        """Check the folder, and write the request into a free one; for who holds the lock."""
        self.check(request)
        if not self.is_claimed:
            about = {"format": FORMAT, "resight": resight.__version__, **_as_read(asdict(request))}
            _write(self._about, about)

    def run(self, place: str, seed: int) -> Path:
        """Where the run of a row, or of a row's teacher, lies."""
        return self.path / place / f"{SEED}{seed}"

    def seeds(self, slug: str) -> list[int]:
        """The seeds of which a row has kept figures, ascending, whatever these are of."""
        names = (file.stem.removeprefix(SEED) for file in self.path.glob(f"{slug}/{SEED}*.json"))
        return sorted(int(name) for name in names if name.isdecimal())

    def keep(self, slug: str, seed: int, figures: SeedFigures, *, of: Mapping[str, Any]) -> None:
        """Keep figures for a row; of: the model and the options of its evaluation."""
        _write(self._figures(slug, seed), {"of": of, "figures": figures})

    def kept(self, slug: str, seed: int, *, of: Mapping[str, Any]) -> SeedFigures | None:
        """The figures that were kept, None unless they are `of` just this.

        Raises RunError when the file cannot be read.
        """
        file = self._figures(slug, seed)
        if not file.exists():
            return None
        found = _read(file)
        figures = found.get("figures")
        is_of = found.get("of") == _as_read(of)
        return figures if is_of and isinstance(figures, dict) else None

    def _figures(self, slug: str, seed: int) -> Path:
        return self.path / slug / f"{SEED}{seed}.json"


def _as_read(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as JSON gives it back."""
    plain: dict[str, Any] = json.loads(as_json(dict(value)))
    return plain


def _differing(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two requests differ in, settings one by one."""
    ours, theirs = _flat(asked), _flat({key: there.get(key) for key in asked})
    absent = object()
    keys = dict.fromkeys([*ours, *theirs])
    return [key for key in keys if ours.get(key, absent) != theirs.get(key, absent)]


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    settings = {f"--set {key}": value for key, value in (request["settings"] or {}).items()}
    return {key: value for key, value in request.items() if key != "settings"} | settings


def _write(file: Path, value: Mapping[str, Any]) -> None:
    text = as_json(dict(value), indent=2)
    write_atomically(file, lambda draft: draft.write_text(text))


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged, it should hold JSON: {error}") from error
