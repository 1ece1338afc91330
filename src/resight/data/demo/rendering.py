"""Rendering a whole world to a folder, all or nothing."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resight.data.demo.cameras import MAX_CAMERAS
from resight.data.demo.layout import FOLDERS, Cast
from resight.data.demo.pool import IMAGES_PER_WORKER, render, usable_cores
from resight.data.demo.shots import SMALLEST_SIDE
from resight.data.demo.worker import Job
from resight.data.demo.world import World
from resight.errors import DataError
from resight.progress import bar, step

logger = logging.getLogger(__name__)

RENDERER_VERSION = 1
DESCRIPTION = "world.json"

Progress = Callable[[int, int], None]


def render_world(
    out: Path | str,
    *,
    world: World | str = "standard",
    identities: int = 120,
    train_identities: int | None = None,
    cameras: int = 6,
    shots: int = 4,
    size: tuple[int, int] = (128, 64),
    seed: int = 0,
    workers: int | None = None,
    progress: bool | Progress = True,
) -> Path:
    """Render a world to the folder `out` in the Market-1501 layout, and return that folder.

    world: a `World`, or "easy", "standard" or "hard". The first `train_identities` (by default
    60%, rounded) go to `bounding_box_train`; of the others, the first of the `shots` in each
    camera goes to `query` and the rest to `bounding_box_test`. cameras: 1 to 12. size: height
    and width in pixels, 16 or more. workers: processes, by default one per core.
    progress: True for a bar on a terminal, False for silence, or a function called with the
    number of pictures done and their total.

    The folder appears when it is complete, never before. A folder that already holds exactly
    this world is returned as it is; the numbers are in its `world.json`.

    Raises DataError for an unknown world, a number outside its range, a folder that holds
    something else, or one that cannot be written.
    """
    out = Path(out)
    chosen = World.named(world) if isinstance(world, str) else world
    trained = round(0.6 * identities) if train_identities is None else train_identities
    cast = Cast(identities, trained, cameras, shots)
    _check(cast, size, seed, workers)
    description = _describe(chosen, cast, size, seed)
    if _already_there(out, description):
        logger.info("%s already holds this world", out)
        return out
    with _whole_folder(out) as folder:
        for name in FOLDERS:
            (folder / name).mkdir()
        job = Job(str(folder), chosen, cast, size, seed, range(1, identities + 1))
        _render(job, workers, progress)
        text = json.dumps(description, indent=2) + "\n"
        (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    return out


def _check(cast: Cast, size: tuple[int, int], seed: int, workers: int | None) -> None:
    least = {"identities": 1, "train_identities": 0, "cameras": 1, "shots": 1}
    for name, low in least.items():
        if getattr(cast, name) < low:
            raise DataError(f"the demo needs {name} >= {low}, got {getattr(cast, name)}")
    if cast.cameras > MAX_CAMERAS:
        raise DataError(f"the demo has at most {MAX_CAMERAS} cameras, got {cast.cameras}")
    if cast.train_identities > cast.identities:
        raise DataError(
            f"train_identities={cast.train_identities} should be <= identities={cast.identities}"
        )
    if cast.train_identities < cast.identities and cast.shots < 2:
        raise DataError(
            f"test identities need shots >= 2 (a query and a gallery picture), got {cast.shots}"
        )
    if min(size) < SMALLEST_SIDE:
        raise DataError(f"the demo needs height and width >= {SMALLEST_SIDE}, got {size}")
    if seed < 0:
        raise DataError(f"the demo needs seed >= 0, got {seed}")
    if workers is not None and workers < 1:
        raise DataError(f"the demo needs workers >= 1, got {workers}")


def _describe(world: World, cast: Cast, size: tuple[int, int], seed: int) -> dict[str, Any]:
    return {
        "renderer": RENDERER_VERSION,
        "world": asdict(world),
        **asdict(cast),
        "size": list(size),
        "seed": seed,
    }


def _already_there(out: Path, description: dict[str, Any]) -> bool:
    """Whether `out` holds this world whole; raises DataError if it holds anything else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise DataError(f"{out} is a file; give a new folder for the demo")
    if not any(out.iterdir()):
        return False
    try:
        found = json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{out} is not empty and holds no demo world; give a new folder") from None
    if found != description:
        raise DataError(
            f"{out} holds another demo world ({_difference(found, description)}); "
            "give a new folder or remove this one"
        )
    expected = description["identities"] * description["cameras"] * description["shots"]
    count = sum(1 for name in FOLDERS for _ in (out / name).glob("*.jpg"))
    if count != expected:
        raise DataError(f"{out} should hold {expected} pictures, found {count}; remove it")
    return True


def _difference(found: Any, wanted: dict[str, Any]) -> str:
    """The first setting in which two descriptions differ."""
    if not isinstance(found, dict):
        return f"its {DESCRIPTION} cannot be read"
    for name, value in wanted.items():
        other = found.get(name)
        if other != value and isinstance(value, dict) and isinstance(other, dict):
            return _difference(other, value)
        if other != value:
            return f"{name} is {other}, not {value}"
    return "other settings"


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A temporary neighbour of `out` that takes its name in one step, or is removed."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield draft
        draft.chmod(0o755)
        if out.exists():
            out.rmdir()
        os.replace(draft, out)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _render(job: Job, workers: int | None, progress: bool | Progress) -> None:
    total = job.cast.n_images
    worth_it = max(1, total // IMAGES_PER_WORKER)
    workers = min(workers or usable_cores(), worth_it, job.cast.identities)
    logger.info("rendering %d pictures with %d processes", total, workers)
    start = time.monotonic()
    with closing(render(job, workers)) as counts:
        if callable(progress):
            done = 0
            for count in counts:
                done += count
                progress(done, total)
        elif progress:
            with bar("rendering", total) as shown:
                for count in counts:
                    step(shown, count)
        else:
            for _ in counts:
                pass
    seconds = time.monotonic() - start
    logger.info("rendered %d pictures in %.1f s (%.0f/s)", total, seconds, total / seconds)
