"""Files that are whole or not there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resight.errors import ResightError, RunError

LOCK = ".lock"


def write_atomically(path: Path, write: Callable[[Path], Any], *, durable: bool = True) -> None:
    """Let `write` fill a temporary neighbour of `path`, then put it in place in one step.

    A reader sees the old file or the new one, never a part, also after a crash or, if `durable`, a
    power cut; otherwise nobody waits for the disk, and the caller has to look again after one.
    Raises ResightError when the folder cannot be written or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        if durable:
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise ResightError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, use: str = "trained") -> Iterator[None]:
    """Hold the folder, made if need be, for this process alone; released even by kill -9.

    use: what is being done to it, for others to read.

    Raises RunError when another process holds it or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "w")  # noqa: SIM115
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder} is being {use} by another process") from error
        yield


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises RunError when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error


def as_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as strict JSON with a line's end; numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
