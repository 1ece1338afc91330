"""Calls from several threads that are made together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Item, Result]):
    key: Hashable
    item: Item
    done: Future[Result]


class Together(Generic[Item, Result]):
    """Work that is cheaper for several items at once than for each of them.

    While the work on some items runs, others gather; those of equal key are worked on together, in
    the order in which they came, at most `most` of them. Nobody waits for company: an item that
    comes alone is worked on at once. When work fails, its items are tried one by one, so that
    nobody fails for another's item.

    work: a key and its items to a result for each. lanes: how many of such calls run at a time,
    each in a thread of its own. told: hears how many items were worked on together. shared: errors
    that are everybody's, such as a server that does not answer: nothing is tried again then.
    """

    def __init__(
        self,
        work: Callable[[Hashable, list[Item]], Sequence[Result]],
        *,
        most: int,
        lanes: int = 1,
        name: str = "together",
        told: Callable[[int], None] = lambda n: None,
        shared: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._most = most
        self._told = told
        self._shared = shared
        self._waiting: list[_Waiting[Item, Result]] = []
        self._lock = threading.Lock()
        self._lanes = ThreadPoolExecutor(lanes, thread_name_prefix=name)

    def __call__(self, key: Hashable, item: Item) -> Result:
        """The result for an item; raises what the work on it raised."""
        done: Future[Result] = Future()
        with self._lock:
            self._waiting.append(_Waiting(key, item, done))
        self._lanes.submit(self._next)
        return done.result()

    def close(self) -> None:
        """Take nothing more; what waits is still worked on, which is not waited for."""
        self._lanes.shutdown(wait=False)

    def _next(self) -> None:
        """Work on the first items of equal key; every item asks for a turn, some find it done."""
        with self._lock:
            if not self._waiting:
                return
            key = self._waiting[0].key
            equal = [one for one in self._waiting if one.key == key][: self._most]
            taken = set(map(id, equal))
            self._waiting = [one for one in self._waiting if id(one) not in taken]
        self._told(len(equal))
        self._finish(key, equal)

    def _finish(self, key: Hashable, chosen: list[_Waiting[Item, Result]]) -> None:
        try:
            results = self._work(key, [one.item for one in chosen])
            answered = list(zip(chosen, results, strict=True))
        except BaseException as error:
            if len(chosen) == 1 or isinstance(error, self._shared):
                for one in chosen:
                    one.done.set_exception(error)
            else:
                for one in chosen:
                    self._finish(key, [one])
            return
        for one, result in answered:
            one.done.set_result(result)
