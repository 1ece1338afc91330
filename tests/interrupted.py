"""Runs that are stopped, and how they compare with those that were not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file


class Stop(BaseException):
    """Ends a run from inside, as a signal does."""


def stop_after(calls: int, original: Callable[..., Any]) -> Callable[..., Any]:
    count = iter(range(calls))

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(count, None) is None:
            raise Stop
        return original(*args, **kwargs)

    return stopping


def assert_equal_runs(run: Path, whole: Path) -> None:
    ours, theirs = (load_file(r / "model.safetensors") for r in (run, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert log_of(run) == log_of(whole)
    assert (run / "report.html").exists()
    assert not list(run.rglob("*.tmp"))


def log_of(run: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]
