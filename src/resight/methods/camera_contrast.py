"""Camera contrast: Cluster Contrast with the camera parts of 3C. resight's own choice of parts."""

from __future__ import annotations

from dataclasses import replace

from resight.losses import CameraEntropy
from resight.memory import ClusterMemory
from resight.methods.cluster_contrast import cluster_contrast
from resight.recipe import Recipe


def camera_contrast() -> Recipe:
    """Cluster Contrast; identities that many cameras saw count and move more. Needs cameras.

    Settings fitted to the data are those of `cluster_contrast`.
    """
    return replace(
        cluster_contrast(),
        name="camera-contrast",
        memory=ClusterMemory(update="chd", momentum=0.8),  # Eq. 17-21 of 3C
        weights=CameraEntropy(),  # Eq. 13-16 of 3C
    )
