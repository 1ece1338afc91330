"""The Market-1501 layout: folders, file names, and who is trained on, asked for and searched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
FOLDERS = (TRAIN, QUERY, GALLERY)


@dataclass(frozen=True)
class Cast:
    """Who is seen how often: identities 1 to `identities`, of whom the first are for training."""

    identities: int
    train_identities: int
    cameras: int
    shots: int

    @property
    def n_images(self) -> int:
        """Number of pictures in all folders."""
        return self.identities * self.cameras * self.shots

    def shots_of(self, identity: int) -> Iterator[tuple[int, int, str]]:
        """(camera, shot, folder) of each picture of an identity, by camera, then shot.

        The first shot of a test identity in each camera is a query, the others are gallery.
        """
        for camera in range(1, self.cameras + 1):
            for shot in range(self.shots):
                if identity <= self.train_identities:
                    yield camera, shot, TRAIN
                else:
                    yield camera, shot, GALLERY if shot else QUERY


def file_name(identity: int, camera: int, place: int, shot: int) -> str:
    """Name of a picture; identity and camera count from 1, place and shot from 0."""
    return f"{identity:04d}_c{camera}s{place + 1}_{shot:06d}_00.jpg"
