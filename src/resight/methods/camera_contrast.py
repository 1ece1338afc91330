"""Camera contrast: Cluster Contrast with the camera parts of 3C. resight's own choice of parts."""

from __future__ import annotations

from dataclasses import replace

from resight.methods.cluster_contrast import cluster_contrast
from resight.methods.three_c import three_c
from resight.recipe import Recipe


def camera_contrast() -> Recipe:
    """Cluster Contrast; identities that many cameras saw count and move more. Needs cameras.

    Settings fitted to the data are those of `cluster_contrast`.
    """
    parts = three_c()
    return replace(
        cluster_contrast(), name="camera-contrast", memory=parts.memory, weights=parts.weights
    )
