"""One writer at a time, across threads and processes."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resight.errors import BusyError, GalleryError
from resight.files import LOCK

PATIENCE = 5.0
_PAUSE = 0.02


class Writer:
    """The right to change a folder: held by one thread of one process, as often as it likes.

    Threads of this process wait for one another; another process is waited for `PATIENCE` seconds.
    A process that is killed lets go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = threading.RLock()
        self._depth = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold it; raises BusyError when another process does, GalleryError for a folder that
        cannot be written.
        """
        with self._mine:
            if self._depth:
                yield
                return
            with self._opened() as file:
                self._lock(file)
                self._depth = 1
                try:
                    yield
                finally:
                    self._depth = 0

    def _opened(self) -> IO[str]:
        try:
            return open(self._folder / LOCK, "w")
        except OSError as error:
            raise GalleryError(f"cannot write to {self._folder}: {error.strerror}") from error

    def _lock(self, file: IO[str]) -> None:
        patient_until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() > patient_until:
                    raise BusyError(
                        f"another process is writing to {self._folder}: try again when it is done"
                    ) from error
            except OSError as error:  # such as a file system without locks
                raise GalleryError(f"cannot lock {self._folder}: {error.strerror}") from error
            time.sleep(_PAUSE)
