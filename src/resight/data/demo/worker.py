"""The process that renders: reads a job from standard input, prints a count per identity.

It is started as `python -m resight.data.demo.worker` and not through `multiprocessing`, which
would import the caller's main module, and what that imports, in each worker.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from resight.data.demo.layout import Cast, file_name
from resight.data.demo.shots import place_of, render_image
from resight.data.demo.world import World

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Job:
    """Some identities of a world, and the folder to write them to."""

    folder: str
    world: World
    cast: Cast
    size: tuple[int, int]
    seed: int
    identities: Sequence[int]

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps({**asdict(self), "identities": list(self.identities)})

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(line)
        fields["world"] = World(**fields["world"])
        fields["cast"] = Cast(**fields["cast"])
        fields["size"] = tuple(fields["size"])
        return cls(**fields)


def render_identities(job: Job) -> Iterator[int]:
    """Write the pictures of a job; yields the number written after each identity."""
    for identity in job.identities:
        count = 0
        for camera, shot, folder in job.cast.shots_of(identity):
            picture = render_image(job.world, job.seed, identity, camera, shot, job.size)
            place = place_of(job.world, job.seed, identity, camera, shot)
            path = Path(job.folder, folder, file_name(identity, camera, place, shot))
            Image.fromarray(picture).save(path, "JPEG", quality=JPEG_QUALITY)
            count += 1
        yield count


def main() -> None:
    """Render the job given on standard input. An interrupt is left to the parent to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for count in render_identities(Job.from_json(sys.stdin.readline())):
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
