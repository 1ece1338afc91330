"""cuhk-03.mat as the authors of CUHK03 publish it: a MATLAB 7.3 file, which is HDF5.

MATLAB stores arrays by columns and HDF5 by rows, so that every array is transposed here: a cell of
M × 10 is (10, M), an image of H × W × 3 is (3, W, H). Cells hold references to what is in them. An
empty array is stored as its two or three sizes.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resight.errors import ConfigError, DataError

try:
    import h5py
except ImportError as missing:
    raise ConfigError(
        "cuhk-03.mat is an HDF5 file, which needs h5py: pip install 'resight[cuhk03]'"
    ) from missing

PAIRS = 5
COLUMNS = 10
SPLITS = 20

_OF_FIRST_CAMERA = 5
_MOST_CELLS = 100_000
_MOST_NUMBERS = 1 << 24
_MOST_SIZES = 3


class Person(NamedTuple):
    """A pair of cameras and a person's number in it, both from 1."""

    pair: int
    number: int


class Mat:
    """An open cuhk-03.mat, of which one image is in memory at a time.

    All methods raise DataError for files that are damaged or hold something else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._hdf = h5py.File(file, "r", locking=False)
        except Exception as error:  # h5py raises nearly anything on hostile bytes
            raise DataError(
                f"cannot read {file}, which should be a MATLAB 7.3 (HDF5) file, download it "
                f"again: {error}"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._hdf.close()

    def people(self, boxes: str) -> dict[Person, NDArray[Any]]:
        """Everybody, in order, with references (COLUMNS,) to what may be their images.

        boxes: "labeled" or "detected", as in the file.
        """
        with self._reading(boxes):
            pairs = self._references(self._hdf[boxes], (1, PAIRS))[0]
            cells = [self._references(self._hdf[pair], (COLUMNS, None)) for pair in pairs]
        return {
            Person(pair, number): references
            for pair, cell in enumerate(cells, start=1)
            for number, references in enumerate(cell.T, start=1)
        }

    def images(
        self, person: Person, references: NDArray[Any]
    ) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The name and the pixels (H, W, 3) of each image of a person; empty arrays are left out.

        references: (COLUMNS,) from `people`. Names are like 1_002_2_06.png: pair, person, camera
        and column.
        """
        for column, reference in enumerate(references, start=1):
            camera = 1 if column <= _OF_FIRST_CAMERA else 2
            name = f"{person.pair}_{person.number:03d}_{camera}_{column:02d}.png"
            with self._reading(f"image {name}"):
                pixels = self._pixels(self._hdf[reference])
            if pixels is not None:
                yield name, pixels

    def test_sets(self, people: Container[Person]) -> list[frozenset[Person]]:
        """Whom each of the SPLITS classic splits tests; all of them are among `people`."""
        with self._reading("testsets"):
            sets = self._references(self._hdf["testsets"], (1, SPLITS))[0]
            return [self._test_set(self._hdf[one], people) for one in sets]

    def _test_set(self, data: Any, people: Container[Person]) -> frozenset[Person]:
        _check(data, (2, None), _MOST_CELLS)
        rows = [Person(*row) for row in data[()].T.tolist()]
        for row in rows:
            if row not in people:
                raise ValueError(f"there is no person {row.number:g} of the pair {row.pair:g}")
        return frozenset(rows)

    def _references(self, data: Any, shape: tuple[int, int | None]) -> NDArray[Any]:
        _check(data, shape, _MOST_CELLS)
        if h5py.check_ref_dtype(data.dtype) is not h5py.Reference:
            raise ValueError(f"expected references, found {data.dtype}")
        references: NDArray[Any] = data[()]
        return references

    def _pixels(self, data: Any) -> NDArray[np.uint8] | None:
        """(H, W, 3), or None for an empty array."""
        if isinstance(data, h5py.Dataset) and _is_empty(data):
            return None
        _check(data, (3, None, None), _MOST_NUMBERS)
        if data.dtype != np.uint8:
            raise ValueError(f"expected uint8, found {data.dtype}")
        return np.ascontiguousarray(data[()].T)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # h5py raises nearly anything on hostile bytes
            told = error.args[0] if error.args else type(error).__name__
            raise DataError(
                f"{self._file} is damaged, or is not CUHK03 as its authors publish it: {what}: "
                f"{told}"
            ) from error


def _is_empty(data: Any) -> bool:
    shape = data.shape or ()
    size = math.prod(shape)
    return size == 0 or (len(shape) < 3 and size <= _MOST_SIZES)


def _check(data: Any, shape: tuple[int | None, ...], most: int) -> None:
    """Raise ValueError unless this is an array of this shape that takes no more values to read."""
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"expected an array, found a {type(data).__name__}")
    found = data.shape or ()
    if len(found) != len(shape) or any(
        size != expected and expected is not None
        for size, expected in zip(found, shape, strict=True)
    ):
        told = " × ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"expected {told} values, found {' × '.join(map(str, found)) or 'one'}")
    values = max(math.prod(found), math.prod(data.chunks or ()))
    if values > most:
        raise ValueError(f"expected at most {most:,} values, found {values:,}")
