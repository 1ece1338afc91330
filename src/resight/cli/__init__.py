"""The command line: one small file per command, no mathematics.

Commands import the engine when they run, so that `resight --help` answers at once.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

from resight.cli import (
    ablate,
    calibrate,
    cluster,
    compare,
    data,
    demo,
    evaluate,
    export,
    gallery,
    index,
    methods,
    report,
    resume,
    search,
    serve,
    train,
)
from resight.errors import ResightError

app = typer.Typer(
    name="resight",
    help="Unsupervised re-identification: train, evaluate and search without a single label.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
COMMANDS = (
    demo.demo,
    train.train,
    resume.resume,
    evaluate.evaluate,
    report.report,
    cluster.cluster,
    ablate.ablate,
    compare.compare,
    calibrate.calibrate,
    export.export,
    index.index,
    search.search,
    serve.serve,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(methods.app, name="methods")
app.add_typer(data.app, name="data")
app.add_typer(gallery.app, name="gallery")

USER_ERROR = 2
STOPPING = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
KEPT = {
    "train": ": finished epochs are kept, `resight resume RUN` continues",
    "resume": ": finished epochs are kept, `resight resume RUN` continues",
    "ablate": ": finished epochs are kept, the same command continues",
    "index": ": what is committed is kept, the same command continues",
    "data": ": what is finished is kept, the same command continues",
    "demo": ": what is finished is kept, the same command continues",
}


class _Stopped(BaseException):
    """A signal asks the process to end; unlike KeyboardInterrupt, no library swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


def main() -> None:
    """Run the command; mistakes that the user can mend end in one sentence and exit code 2."""
    _write_anything()
    _log_to_terminal()
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        app(standalone_mode=True)
    except ResightError as error:
        _say(f"resight: {error}")
        sys.exit(USER_ERROR)
    except _Stopped as stopped:
        _leave(stopped)
    except SystemError as error:  # compiled code was told to stop while it returned
        if not isinstance(error.__cause__, _Stopped):
            raise
        _leave(error.__cause__)


def _leave(stopped: _Stopped) -> NoReturn:
    """End at once: what libraries do when a process ends can take longer than a user waits."""
    _say(STOPPING[stopped.number] + KEPT.get(sys.argv[1] if len(sys.argv) > 1 else "", ""))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + stopped.number)


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped(number)


def _write_anything() -> None:
    """Let no character end a command: what a terminal has no code for becomes a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)


def _log_to_terminal() -> None:
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, show_level=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("resight")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
