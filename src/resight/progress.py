"""Progress for people: a bar on a terminal, silence elsewhere (the log has the milestones)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


@contextmanager
def bar(description: str, total: int) -> Iterator[Progress]:
    """A rich progress with one task on standard error; `.advance(task_ids[0], n)` moves it."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        progress.add_task(description, total=total)
        yield progress


def step(progress: Progress, n: int = 1) -> None:
    """Move the only task of `progress` by n."""
    progress.advance(progress.task_ids[0], n)
