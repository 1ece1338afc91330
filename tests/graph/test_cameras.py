import numpy as np
import pytest
from dense import clouds

from resight.graph import centre_cameras


def test_each_camera_loses_its_mean():
    rng = np.random.default_rng(0)
    features, cameras = clouds(rng, 60, identities=20), rng.integers(3, 6, 60)
    centred = centre_cameras(features, cameras)
    for i in range(60):
        moved = features[i] - features[cameras == cameras[i]].mean(axis=0)
        np.testing.assert_allclose(centred[i], moved / np.linalg.norm(moved), atol=1e-5)
    assert centred.dtype == np.float32


def test_without_cameras_nothing_changes():
    features = clouds(np.random.default_rng(1), 5, identities=2)
    np.testing.assert_array_equal(centre_cameras(features, None), features)


def test_what_has_nothing_left_stays():
    features = clouds(np.random.default_rng(2), 9, identities=9)
    features[5:] = features[5]
    cameras = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2])
    centred = centre_cameras(features, cameras)
    np.testing.assert_array_equal(centred[4:], features[4:])
    assert np.abs(centred[:4] - features[:4]).max() > 0.01


def test_wrong_cameras_are_refused():
    with pytest.raises(ValueError, match=r"expected \(4,\)"):
        centre_cameras(np.eye(4, dtype=np.float32), np.zeros(3, np.int64))
