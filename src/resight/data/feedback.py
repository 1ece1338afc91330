"""What people decided about pairs of crops: the same individual, or different ones.

Decisions are lines of JSON in one file that only grows, so that a crash loses none that was kept:

    {"a": ["/data/town", "0001_c1.png"], "b": ["/data/town", "0007_c2.png"],
     "same": true, "time": 1763727000.5, "by": "anna"}

A crop is its source and its path there. `same` is true, false, or null to take back what was said
of the pair before; a pair has no order, and its last line counts. `time` and `by` may be left out.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from resight.errors import DataError, ResightError
from resight.files import as_json, write_atomically
from resight.records import IntArray

log = logging.getLogger(__name__)

NAME = "feedback.jsonl"
GALLERY = "gallery.json"

_EXAMPLE = '["/data/town", "0001_c1.png"]'
_FOREVER = 1e15


@dataclass(frozen=True, order=True)
class Crop:
    """A crop by name.

    source: where it comes from, such as the root of its data; "" when that does not matter.
    path: its name there, POSIX separators.
    """

    source: str
    path: str

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("a crop has no path")


@dataclass(frozen=True)
class Decision:
    """What somebody said of two crops.

    same: whether they show one individual; None takes back what was said of them before.
    time: seconds since 1970-01-01 UTC, for people; which decision counts is told by their order.
    by: who said it, "" for nobody in particular.
    """

    a: Crop
    b: Crop
    same: bool | None
    time: float = 0.0
    by: str = ""

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise ValueError(f"{self.a.path!r} is paired with itself")

    @property
    def pair(self) -> tuple[Crop, Crop]:
        """The two crops in the order of their names."""
        return (self.a, self.b) if self.a < self.b else (self.b, self.a)


class Pairs(NamedTuple):
    """Decisions as numbers: must (M, 2) and cannot (C, 2) int64 name rows of `crops`."""

    crops: tuple[Crop, ...]
    must: IntArray
    cannot: IntArray

    @property
    def names(self) -> list[str]:
        """What to call each crop: its path, with its source where there are several."""
        several = len({crop.source for crop in self.crops}) > 1
        return [f"{crop.source}: {crop.path}" if several else crop.path for crop in self.crops]


def latest(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The last word on each pair, in the order in which it was said; none where it was taken back.

    decisions: oldest first.
    """
    last: dict[tuple[Crop, Crop], Decision] = {}
    for decision in decisions:
        last.pop(decision.pair, None)
        last[decision.pair] = decision
    return tuple(decision for decision in last.values() if decision.same is not None)


def pairs(decisions: Iterable[Decision]) -> Pairs:
    """What counts of the decisions, oldest first, with the crops numbered by source and path."""
    last = latest(decisions)
    crops = tuple(sorted({crop for decision in last for crop in decision.pair}))
    number = {crop: row for row, crop in enumerate(crops)}

    def numbered(same: bool) -> IntArray:
        chosen = [tuple(map(number.__getitem__, d.pair)) for d in last if d.same is same]
        return np.array(chosen, dtype=np.int64).reshape(-1, 2)

    return Pairs(crops, numbered(True), numbered(False))


def read(path: str | Path) -> tuple[Decision, ...]:
    """The last word on each pair, oldest first, from a gallery's folder or a file of decisions.

    A last line that was torn by a crash is left out with a warning. Raises DataError naming file
    and line of one that is damaged, and when there is nothing to read; a gallery about which
    nothing was decided yet gives ().
    """
    file = _file(Path(path))
    if file is None:
        return ()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    *lines, tail = content.split(b"\n")
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found += [_decision(line)] if line.strip() else []
        except ValueError as error:
            raise DataError(f"{file}, line {number}, is no decision: {error}") from error
    if tail.strip():
        try:
            found.append(_decision(tail))
        except ValueError:
            log.warning("%s: the last line was not written to its end, it is left out", file)
    return latest(found)


def append(file: Path, decisions: Sequence[Decision]) -> None:
    """Add decisions to a file, made if need be; they are on the disk when this returns.

    They are written all at once: after a failure the file is as it was before. A last line that
    an earlier crash tore is removed. Several processes may append to one file.

    Raises ResightError when the file cannot be written.
    """
    if not decisions:
        return
    lines = b"".join(map(_line, decisions))
    with _held(file), _telling(file), open(file, "a+b", buffering=0) as raw:
        is_new = raw.seek(0, os.SEEK_END) == 0
        lines = _mend(raw, file) + lines
        before = raw.seek(0, os.SEEK_END)
        try:
            if raw.write(lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(raw.fileno())
        except OSError:
            raw.truncate(before)
            raise
        if is_new:
            _sync_folder(file.parent)


def write(file: Path, decisions: Iterable[Decision]) -> None:
    """Replace a file that nobody appends to by what counts of these decisions, in one step.

    Raises ResightError when it cannot be written.
    """
    lines = b"".join(map(_line, latest(decisions)))
    write_atomically(file, lambda draft: draft.write_bytes(lines))
    with _telling(file):
        _sync_folder(file.parent)  # else a power cut could bring the old file back


def erase(file: Path, crops: Iterable[Crop]) -> int:
    """Remove every line that names one of these crops, and return how many decisions that were.

    What was taken back goes as well: nothing in the file tells of these crops afterwards.
    Raises DataError when the file is damaged, ResightError when it cannot be written.
    """
    gone = frozenset(crops)
    with _held(file):
        if not file.exists():
            return 0
        known = read(file)
        kept = [decision for decision in known if gone.isdisjoint(decision.pair)]
        write(file, kept)
    return len(known) - len(kept)


def _file(path: Path) -> Path | None:
    """Where the decisions lie; None in a gallery that has none yet."""
    if not path.is_dir():
        return path
    file = path / NAME
    if file.exists():
        return file
    if (path / GALLERY).exists():
        return None
    raise DataError(f"{path} holds no {NAME}: give a gallery, or a file of decisions")


def _line(decision: Decision) -> bytes:
    a, b = ([crop.source, crop.path] for crop in decision.pair)
    kept = {"a": a, "b": b, "same": decision.same, "time": decision.time, "by": decision.by}
    return as_json(kept).encode()


def _decision(line: bytes) -> Decision:
    """The decision in a line. Raises ValueError saying what is wrong with it."""
    try:
        told = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not valid JSON ({str(error).partition(':')[0]})") from error
    if not isinstance(told, dict):
        raise ValueError('expected {"a": …, "b": …, "same": …}')
    same, time, by = told.get("same", ...), told.get("time", 0.0), told.get("by", "")
    if same is not None and not isinstance(same, bool):
        raise ValueError("same should be true, false or null")
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    if not is_number or not -_FOREVER < time < _FOREVER:
        raise ValueError("time should be a number of seconds")
    if not isinstance(by, str):
        raise ValueError("by should be a text")
    return Decision(_crop(told, "a"), _crop(told, "b"), same, float(time), by)


def _crop(told: dict[str, Any], key: str) -> Crop:
    names = told.get(key)
    if isinstance(names, list) and len(names) == 2 and all(isinstance(n, str) for n in names):
        return Crop(*names)
    raise ValueError(f"{key} should be a source and a path, as in {_EXAMPLE}")


def _mend(raw: BinaryIO, file: Path) -> bytes:
    """Remove a torn last line; what must come before the next line where a whole one has no end."""
    if not raw.seek(0, os.SEEK_END):
        return b""
    raw.seek(-1, os.SEEK_END)
    if raw.read(1) == b"\n":
        return b""
    raw.seek(0)
    content = raw.read()
    start = content.rfind(b"\n") + 1
    try:
        _decision(content[start:])
    except ValueError:
        log.warning("%s: the last line was not written to its end, it is removed", file)
        raw.truncate(start)
        return b""
    return b"\n"


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """Keep other writers of this file waiting; released even by kill -9."""
    with _telling(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = open(file.with_name(f".{file.name}.lock"), "w")  # noqa: SIM115
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _telling(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResightError(f"cannot write {file}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """Make sure that a new file's name is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
