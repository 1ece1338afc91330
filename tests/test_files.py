import errno
import json
import os
from pathlib import Path

import pytest

from resight.errors import ResightError
from resight.files import as_json, write_atomically


def test_the_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "a.txt", lambda draft: draft.write_text("a"))
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyError("mistake")]
)
def test_an_error_keeps_the_old_file(tmp_path: Path, error: Exception) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")

    def write(draft: Path) -> None:
        draft.write_text("ne")
        raise error

    told = "No space left on device" if isinstance(error, OSError) else "mistake"
    with pytest.raises((ResightError, KeyError), match=told):
        write_atomically(file, write)
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("durable", [True, False])
def test_only_durable_files_wait_for_the_disk(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write_atomically(tmp_path / "a.txt", lambda draft: draft.write_text("a"), durable=durable)
    assert (tmp_path / "a.txt").read_text() == "a"
    assert bool(waited) == durable


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResightError, match="cannot write"):
        write_atomically(tmp_path / "file" / "in" / "a.txt", lambda draft: draft.write_text("a"))


def test_json_is_strict() -> None:
    value = {"a": [1, float("nan"), (2.5, float("inf"))], "b": {"c": -float("inf"), "d": "NaN"}}
    assert json.loads(as_json(value), parse_constant=pytest.fail) == {
        "a": [1, None, [2.5, None]],
        "b": {"c": None, "d": "NaN"},
    }
    assert as_json(value).endswith("\n")
