"""Which method trains when nobody names one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from resight.losses import CameraEntropy
from resight.memory import ClusterMemory
from resight.methods import default_for, method_of, recipe_for
from resight.records import Crops


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        (None, "cluster-contrast"),
        (np.zeros(4, np.int64), "cluster-contrast"),
        (np.array([0, 0, 0, 1]), "camera-contrast"),
    ],
)
def test_cameras_decide(cameras: npt.NDArray[np.int64] | None, expected: str) -> None:
    crops = Crops(Path(), tuple("abcd"), np.full(4, "train"), cameras=cameras)
    assert default_for(crops) == expected
    assert default_for(crops, published="market1501") == "cluster-contrast"


def test_camera_contrast_is_cluster_contrast_with_the_camera_parts_of_3c() -> None:
    base, ours, theirs = map(recipe_for, ("cluster-contrast", "camera-contrast", "3c"))
    assert ours.weights == theirs.weights == CameraEntropy()
    assert ours.memory == theirs.memory == ClusterMemory(update="chd", momentum=0.8)
    assert replace(ours, name=base.name, weights=base.weights, memory=base.memory) == base


def test_what_is_sourced_without_published_settings() -> None:
    own, base = method_of("camera-contrast"), method_of("cluster-contrast")
    assert not own.published
    assert own.sourced == base.sourced == recipe_for("cluster-contrast", published="market1501")
