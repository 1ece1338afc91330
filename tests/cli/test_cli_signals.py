"""Real processes, really killed: at most the running epoch is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from drawn import TINY, options
from safetensors.torch import load_file

from resight import cli

SETTINGS = TINY | {"optim.epochs": 4, "optim.iterations": 12}
DEADLINE = 120


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command line in a fresh process, as a user starts it."""
    command = [sys.executable, "-c", "from resight.cli import main; main()"]
    with log.open("wb") as file:
        return subprocess.Popen(
            [*command, *arguments],
            stderr=file,
            stdout=file,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def train(crops: Path, run: Path, log: Path) -> subprocess.Popen[bytes]:
    return start(log, "train", str(crops), "--out", str(run), *options(SETTINGS))


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE
    while not file.exists():
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < until, f"{file} never came"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train(crops, out, out.with_name("log")).wait(DEADLINE) == 0
    return out


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGTERM, 143, "terminated: finished epochs are kept, `resight resume"),
        (signal.SIGINT, 130, "interrupted: finished epochs are kept, `resight resume"),
    ],
)
def test_killed_and_resumed(
    number: int, code: int, told: str, crops: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = train(crops, run, tmp_path / "log")
    wait_for(run / "model.json", process)
    process.send_signal(number)
    assert process.wait(DEADLINE) == code
    output = (tmp_path / "log").read_text()
    assert told in output
    assert "Traceback" not in output
    assert 1 <= len((run / "log.jsonl").read_text().splitlines()) < 4
    assert start(tmp_path / "resumed", "resume", str(run)).wait(DEADLINE) == 0
    ours, theirs = (load_file(r / "model.safetensors") for r in (run, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    epochs = [json.loads(line)["epoch"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3, 4]


@pytest.mark.parametrize("wrapped", [False, True])
def test_told_to_stop_in_compiled_code(
    wrapped: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(standalone_mode: bool) -> None:
        stopped = cli._Stopped(signal.SIGTERM)
        if wrapped:
            raise SystemError("returned a result with an exception set") from stopped
        raise stopped

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(cli, "_log_to_terminal", lambda: None)
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(sys, "argv", ["resight", "demo"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 143
    assert capsys.readouterr().err.strip().startswith("terminated: what is finished is kept")
