"""Which files make up the embedded store: told by one small file that is replaced in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from resight.errors import ResightError, StoreError
from resight.files import write_atomically

NAME = "manifest.json"
LOCK = ".lock"


@dataclass(frozen=True)
class Part:
    """One segment. number: in the names of its files. rows: in these files, deleted ones included.

    last: its largest id. gone, codes: numbers of the files of its deleted places and of its codes,
    None where it has none.
    """

    number: int
    rows: int
    last: int
    gone: int | None = None
    codes: int | None = None


@dataclass(frozen=True)
class Coding:
    """The approximate index, made when there were `rows`. number: of its file.

    candidates: how many rows each query is scored with exactly. recall, queries: see IndexState.
    number is None when no coding was good enough; there are no codes then.
    """

    rows: int
    number: int | None = None
    candidates: int = 0
    recall: float | None = None
    queries: int = 0


@dataclass(frozen=True)
class Manifest:
    """All there is: parts in the order of their ids; next_id and next_file were never used."""

    dim: int
    format: Literal[1] = 1
    next_id: int = 0
    next_file: int = 0
    parts: tuple[Part, ...] = ()
    coding: Coding | None = None

    @property
    def coding_number(self) -> int | None:
        """Of the file of the coding, None without an approximate index."""
        return None if self.coding is None else self.coding.number

    def files(self) -> set[str]:
        """The names of all files that belong to it, its own and the lock's among them."""
        names = {NAME, LOCK}
        for part in self.parts:
            names |= {vectors_name(part.number), rows_name(part.number)}
            names |= set() if part.gone is None else {gone_name(part.gone)}
            names |= set() if part.codes is None else {codes_name(part.codes)}
        number = self.coding_number
        return names if number is None else names | {coding_name(number)}


_ADAPTER = TypeAdapter(Manifest)


def vectors_name(number: int) -> str:
    """(rows, D) float16, little endian, row after row."""
    return f"vectors-{number}.f16"


def rows_name(number: int) -> str:
    """What is known of the rows, as Parquet, in the same order."""
    return f"rows-{number}.parquet"


def gone_name(number: int) -> str:
    """(G,) int32 places of deleted rows, ascending."""
    return f"gone-{number}.npy"


def codes_name(number: int) -> str:
    """(rows, E) int8 of the coding, row after row."""
    return f"codes-{number}.i8"


def coding_name(number: int) -> str:
    """How embeddings become codes."""
    return f"coding-{number}.npz"


def text_of(folder: Path) -> bytes:
    """The manifest as it stands, no two of a store are alike. Raises StoreError for none."""
    try:
        return (folder / NAME).read_bytes()
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder} holds no store, {NAME} is missing: restore it from a backup, or index into "
            "a new gallery"
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {folder / NAME}: {error.strerror}") from error


def parse(text: bytes, folder: Path) -> Manifest:
    """What the text of a folder's manifest says. Raises StoreError when it says nothing."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise StoreError(
            f"{folder / NAME} is damaged or of another version ({where}: {first['msg']}): "
            "restore its folder from a backup, or index into a new gallery"
        ) from error


def commit(folder: Path, manifest: Manifest) -> None:
    """Make this the content of the store, durably; the files it names are complete by now.

    Raises StoreError or OSError when it cannot be written, the store being as it was, and
    StoreError when it is written and may not outlast a power cut.
    """
    text = _ADAPTER.dump_json(manifest)
    sync_folder(folder)
    try:
        write_atomically(folder / NAME, lambda draft: draft.write_bytes(text))
    except ResightError as error:
        raise StoreError(f"the change was not stored: {error}") from error
    try:
        sync_folder(folder)
    except OSError as error:
        raise StoreError(
            f"{folder} was changed, but the system cannot say that this outlasts a power cut "
            f"({error.strerror or error}): check the disk"
        ) from error


def sync_folder(folder: Path) -> None:
    """Wait until names of files that were made or replaced are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle(folder: Path, manifest: Manifest) -> None:
    """Remove what a killed writer left, once it is sure that this manifest is on the disk.

    Raises StoreError when that cannot be told.
    """
    try:
        sync_folder(folder)
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror or error}; nothing was changed"
        ) from error
    sweep(folder, manifest)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove files of a store's kind that the manifest does not name."""
    kept = manifest.files()
    names = (vectors_name, rows_name, gone_name, codes_name, coding_name)
    kinds = [name(0).replace("0", "*", 1) for name in names]
    for kind in (*kinds, f".{NAME}.*.tmp"):
        remove(folder, {path.name for path in folder.glob(kind)} - kept)


def remove(folder: Path, names: set[str]) -> None:
    """Remove these files; those that cannot be removed now are swept up later."""
    for name in names:
        with suppress(OSError):
            (folder / name).unlink()


@contextmanager
def changing(folder: Path, before: bytes) -> Iterator[None]:
    """Write files and commit; when nothing was committed, what was written is removed again.

    before: the manifest's text as it stands. When another one is there already, its files and those
    of `before` are let be: after a power cut either may count.
    Raises StoreError for what the system refuses, such as a full disk.
    """
    try:
        yield
    except BaseException as error:
        if text_of(folder) == before:
            sweep(folder, parse(before, folder))
        if isinstance(error, OSError):
            raise StoreError(
                f"cannot write to {folder}: {error.strerror or error}; nothing was changed"
            ) from error
        raise
