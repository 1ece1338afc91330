import numpy as np
import pytest
from numpy.typing import NDArray

from resight.data.demo.raster import interpolate, rasterise

Array = NDArray[np.float64]


def slow_raster(
    screen: Array, faces: NDArray[np.int64], keep: Array, two_sided: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.int64], Array]:
    """Owner (size, size), -1 where empty, and depth: every pixel against every triangle."""
    owner = np.full((size, size), -1)
    nearest = np.full((size, size), np.inf)
    for f, face in enumerate(faces):
        corners = screen[face]
        to_weights = np.concatenate([corners[:, :2].T, np.ones((1, 3))])
        turn = np.linalg.det(to_weights)
        if turn > -1e-6 and not (two_sided[f] and turn > 1e-6):
            continue
        for row in range(size):
            for column in range(size):
                weights = np.linalg.solve(to_weights, [column, row, 1])
                depth = weights @ corners[:, 2]
                inside = (weights >= 0).all() and weights @ keep[face] >= 0
                if inside and depth < nearest[row, column]:
                    owner[row, column], nearest[row, column] = f, depth
    return owner, nearest


@pytest.mark.parametrize("seed", range(3))
def test_rasteriser_agrees_with_slow_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, size = 24, 20
    screen = rng.uniform(-4, size + 4, (n, 3)).astype(np.float32)
    faces = rng.permuted(np.tile(np.arange(n), (14, 1)), axis=1)[:, :3]
    keep = rng.uniform(-0.4, 1, n).astype(np.float32)
    two_sided = rng.random(len(faces)) < 0.5
    owner, nearest = slow_raster(screen.astype(float), faces, keep.astype(float), two_sided, size)

    found = rasterise(screen, faces, keep, two_sided, size, size)

    assert (found.pixel == np.flatnonzero(owner >= 0)).all()
    assert (found.face == owner.ravel()[found.pixel]).all()
    np.testing.assert_allclose(found.depth, nearest.ravel()[found.pixel], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.weight.sum(1), 1, rtol=1e-6)
    place = interpolate(screen, faces, found)
    np.testing.assert_allclose(place[:, 0], found.pixel % size, atol=1e-4)
    np.testing.assert_allclose(place[:, 1], found.pixel // size, atol=1e-4)


def test_back_faces_are_not_seen() -> None:
    screen = np.array([[1, 1, 1], [1, 8, 1], [8, 1, 1]], np.float32)
    keep, one_sided = np.ones(3, np.float32), np.zeros(1, bool)
    front, back = np.array([[0, 1, 2]]), np.array([[0, 2, 1]])
    assert len(rasterise(screen, front, keep, one_sided, 10, 10).pixel) > 0
    assert len(rasterise(screen, back, keep, one_sided, 10, 10).pixel) == 0
    assert len(rasterise(screen, back, keep, ~one_sided, 10, 10).pixel) > 0


def test_nothing_in_view() -> None:
    screen = np.array([[30, 1, 1], [30, 8, 1], [38, 1, 1]], np.float32)
    faces = np.array([[0, 1, 2]])
    found = rasterise(screen, faces, np.ones(3, np.float32), np.ones(1, bool), 10, 10)
    assert found.pixel.shape == (0,)
    assert interpolate(screen, faces, found).shape == (0, 3)
