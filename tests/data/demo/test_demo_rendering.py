import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resight.data.demo import pool, render_world, rendering
from resight.data.demo.worker import Job
from resight.errors import DataError

SMALL: dict[str, Any] = {
    "identities": 5,
    "cameras": 2,
    "shots": 3,
    "size": (32, 16),
    "progress": False,
}
MARKET = re.compile(r"([-\d]+)_c(\d+)")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_world(tmp_path_factory.mktemp("worlds") / "small", **SMALL, workers=1)


def pictures(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.jpg")}


def test_layout_and_split(small: Path) -> None:
    assert {p.name for p in small.iterdir()} == {*rendering.FOLDERS, "world.json"}
    seen: dict[str, Counter[tuple[int, int]]] = {}
    for name in pictures(small):
        folder, file = name.split("/")
        parsed = MARKET.match(file)
        assert parsed
        seen.setdefault(folder, Counter())[int(parsed[1]), int(parsed[2])] += 1
    train, query, gallery = (seen[name] for name in rendering.FOLDERS)
    assert train == {(i, c): 3 for i in (1, 2, 3) for c in (1, 2)}
    assert query == {(i, c): 1 for i in (4, 5) for c in (1, 2)}
    assert gallery == {(i, c): 2 for i in (4, 5) for c in (1, 2)}


def test_names_and_files(small: Path) -> None:
    for path in small.rglob("*.jpg"):
        assert re.fullmatch(r"\d{4}_c\ds[1-5]_\d{6}_00\.jpg", path.name)
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (16, 32))


def test_two_digit_cameras_parse(tmp_path: Path) -> None:
    settings = SMALL | {"identities": 1, "train_identities": 1, "cameras": 12, "shots": 1}
    out = render_world(tmp_path / "wide", **settings)
    found = {MARKET.match(Path(name).name) for name in pictures(out)}
    assert {int(match[2]) for match in found if match} == set(range(1, 13))


def test_people_do_not_depend_on_the_crowd_or_the_workers(small: Path, tmp_path: Path) -> None:
    crowd = SMALL | {"identities": 12, "train_identities": 3}
    wanted = pictures(small)
    # Two processes: few pictures are otherwise not worth it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "IMAGES_PER_WORKER", 1)
        found = pictures(render_world(tmp_path / "crowd", **crowd, workers=2))
    assert len(found) == 12 * 2 * 3
    assert {name: found[name] for name in wanted} == wanted


def test_finished_world_is_reused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(rendering, "render", fail)
    assert render_world(small, **SMALL) == small


def test_other_contents_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"another demo world.*seed is 0, not 1"):
        render_world(small, **SMALL, seed=1)
    with pytest.raises(DataError, match=r"another demo world.*camera is 0.55, not 0.85"):
        render_world(small, **SMALL, world="hard")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DataError, match="not empty and holds no demo world"):
        render_world(tmp_path, **SMALL)
    with pytest.raises(DataError, match="is a file"):
        render_world(tmp_path / "photo.jpg", **SMALL)


def test_changed_world_is_refused(tmp_path: Path) -> None:
    settings = SMALL | {"identities": 1, "train_identities": 1}
    out = render_world(tmp_path / "world", **settings)
    next(out.rglob("*.jpg")).unlink()
    with pytest.raises(DataError, match="should hold 6 pictures, found 5"):
        render_world(out, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": "tough"}, "unknown demo world 'tough'"),
        ({"identities": 0}, "identities >= 1, got 0"),
        ({"train_identities": 6}, "train_identities=6 should be <= identities=5"),
        ({"cameras": 13}, "at most 12 cameras, got 13"),
        ({"shots": 1}, "shots >= 2"),
        ({"size": (8, 64)}, "height and width >= 16"),
        ({"seed": -1}, "seed >= 0, got -1"),
        ({"workers": 0}, "workers >= 1, got 0"),
    ],
)
def test_impossible_requests_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        render_world(tmp_path / "world", **(SMALL | change))
    assert not list(tmp_path.iterdir())


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = SMALL | {"progress": lambda done, total: seen.append((done, total))}
    render_world(tmp_path / "world", **report)
    assert seen == [(6 * k, 30) for k in range(1, 6)]


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_world(tmp_path / "world", **(SMALL | {"progress": interrupt}))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stops_the_workers_at_once(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from resight.data.demo import render_world;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # background jobs lack it
        "render_world(sys.argv[1], identities=5000, workers=2, progress=print)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "world")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert parent.stdout is not None
        assert parent.stdout.read(1)  # the first identity is done
        parent.send_signal(signal.SIGINT)
        start = time.monotonic()
        assert parent.wait(timeout=20) != 0
        assert time.monotonic() - start < 10
    finally:
        parent.kill()
    assert not list(tmp_path.iterdir())


def test_failing_worker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(self: Job) -> str:
        return original(self).replace(str(tmp_path), str(tmp_path / "missing"))

    original = Job.to_json
    monkeypatch.setattr(Job, "to_json", elsewhere)
    monkeypatch.setattr(rendering, "IMAGES_PER_WORKER", 1)
    with pytest.raises(DataError, match=r"ended with code 1: FileNotFoundError"):
        render_world(tmp_path / "world", **SMALL, workers=2)
    assert not list(tmp_path.iterdir())


def test_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        render_world(tmp_path / "file" / "world", **SMALL)


def test_description_names_every_setting(small: Path) -> None:
    found = json.loads((small / "world.json").read_text())
    assert found["renderer"] == rendering.RENDERER_VERSION
    assert found["world"]["camera"] == 0.55
    assert (found["identities"], found["train_identities"]) == (5, 3)


def test_jobs_survive_their_journey() -> None:
    job = Job("out", rendering.World(), rendering.Cast(4, 2, 3, 2), (64, 32), 5, [1, 3])
    assert Job.from_json(job.to_json()) == job


def test_closing_stops_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    def popen(*args: Any, **settings: Any) -> subprocess.Popen[str]:
        started.append(real(*args, **settings))
        return started[-1]

    real = subprocess.Popen
    monkeypatch.setattr(pool.subprocess, "Popen", popen)
    for name in rendering.FOLDERS:
        (tmp_path / name).mkdir()
    cast = rendering.Cast(4000, 4000, 1, 1)
    size = (32, 16)
    job = Job(str(tmp_path), rendering.World(), cast, size, 0, range(1, 4001))
    counts: Iterator[int] = pool.render(job, 2)
    assert next(counts) == 1
    counts.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(process.returncode for process in started)


def test_small_worlds_differ_between_seeds(small: Path, tmp_path: Path) -> None:
    settings = SMALL | {"identities": 1, "train_identities": 1}
    other = render_world(tmp_path / "other", **settings, seed=5)

    def first(folder: Path) -> Any:
        path = min((folder / rendering.FOLDERS[0]).iterdir())
        return np.asarray(Image.open(path)).astype(int)

    assert np.abs(first(small) - first(other)).mean() > 3
