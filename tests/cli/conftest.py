import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from resight.cli import main


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def resight(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """resight("train", folder, …) runs the command line in this process."""
    logger = logging.getLogger("resight")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before, level = [*logger.handlers], logger.level

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["resight", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        logger.handlers[:] = before
        code = ended.value.code
        return Result(code if isinstance(code, int) else 0, *capsys.readouterr())

    yield run
    logger.handlers[:] = before
    logger.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)
