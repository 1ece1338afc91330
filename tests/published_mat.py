"""cuhk-03.mat in miniature, laid out as MATLAB 7.3 writes it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

KINDS = ("labeled", "detected")
PEOPLE = (3, 2, 2, 1, 2)  # of each pair
COLUMNS = 10
SPLITS = 20
USER_BLOCK = 512


def pictures(kind: str) -> dict[str, Pixels]:
    """The images (H, W, 3) by name; of the columns of each person some are empty."""
    rng = np.random.default_rng(KINDS.index(kind))
    images = {}
    for pair, people in enumerate(PEOPLE, start=1):
        for person in range(1, people + 1):
            for column in range(1, COLUMNS + 1):
                height, width = rng.integers(1, 40, 2)
                if column in (1, 6) or rng.random() < 0.4:
                    name = f"{pair}_{person:03d}_{1 + (column > 5)}_{column:02d}.png"
                    images[name] = rng.integers(0, 256, (height, width, 3), np.uint8)
    return images


def people_tested(split: int) -> list[tuple[int, int]]:
    """Pair and person of whom a split, from 0, tests: two of the ten people."""
    everybody = [(pair, n) for pair, most in enumerate(PEOPLE, 1) for n in range(1, most + 1)]
    return [everybody[split % 10], everybody[(split + 3) % 10]]


def write_published(file: Path) -> None:
    """Write the file: arrays by columns, cells of references into the group #refs#."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w", userblock_size=USER_BLOCK) as hdf:
        for kind in KINDS:
            cells = [_cell(hdf, kind, pair) for pair in range(1, len(PEOPLE) + 1)]
            _put(hdf, kind, [cells])
        sets = [_add(hdf, np.array(people_tested(i), np.float64).T) for i in range(SPLITS)]
        _put(hdf, "testsets", [sets])
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with file.open("r+b") as opened:
        opened.write(header)


def _cell(hdf: h5py.File, kind: str, pair: int) -> h5py.Reference:
    images = pictures(kind)
    rows = []
    for column in range(1, COLUMNS + 1):
        names = [
            f"{pair}_{n:03d}_{1 + (column > 5)}_{column:02d}.png"
            for n in range(1, PEOPLE[pair - 1] + 1)
        ]
        rows.append([_image(hdf, images.get(name)) for name in names])
    return _put(hdf, f"#refs#/{kind}{pair}", rows).ref


def _image(hdf: h5py.File, pixels: Pixels | None) -> h5py.Reference:
    if pixels is not None:
        return _add(hdf, pixels.T, compression="gzip")
    empty = _add(hdf, np.zeros(2, np.uint64))
    hdf[empty].attrs["MATLAB_empty"] = np.uint8(1)
    return empty


def _add(hdf: h5py.File, values: npt.NDArray[Any], **options: Any) -> h5py.Reference:
    group = hdf.require_group("#refs#")
    return group.create_dataset(f"a{len(group)}", data=values, **options).ref


def _put(hdf: h5py.File, name: str, references: list[list[h5py.Reference]]) -> h5py.Dataset:
    shape = len(references), len(references[0])
    data = hdf.create_dataset(name, shape, h5py.ref_dtype)
    for row, values in enumerate(references):
        for column, value in enumerate(values):
            data[row, column] = value
    return data
