import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from service_cases import eventually

from resight.gallery import Filter, describe
from resight.gallery.records import NO_ROW, Hits
from resight.records import FloatArray
from resight.service.batching import Together
from resight.service.joint import MOST_LEFT_OUT, JointEncoder, JointStore


def in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What calls that are made at the same time return, or raise."""
    results: list[Any] = [None] * len(calls)

    def call(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


class Slow:
    """Doubles numbers; the first call waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.keys: list[Hashable] = []
        self.go = threading.Event()

    def __call__(self, key: Hashable, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.keys.append(key)
        if len(self.batches) == 1:
            assert self.go.wait(30)
        if -1 in items:
            raise ValueError("no -1")
        return [2 * item for item in items]


def gathered(keys: Sequence[Hashable], items: Sequence[int], **more: Any) -> tuple[Slow, list[Any]]:
    """Results of items that gather while the first is worked on."""
    slow = Slow()
    together: Together[int, int] = Together(slow, **{"most": 64, **more})
    results: list[Any] = []

    def first() -> Any:
        return together("first", 1000)

    def later(place: int) -> Callable[[], Any]:
        def call() -> Any:
            assert eventually(lambda: len(together._waiting) == place and bool(slow.batches))
            return together(keys[place], items[place])

        return call

    def let_go() -> None:
        assert eventually(lambda: len(together._waiting) == len(items))
        slow.go.set()

    results = in_threads([first, *map(later, range(len(items))), let_go])
    together.close()
    assert results[0] == 2000
    return slow, results[1:-1]


def test_what_gathers_while_work_runs_is_worked_on_together() -> None:
    slow, results = gathered(["a"] * 5, range(5))
    assert slow.batches == [[1000], [0, 1, 2, 3, 4]]
    assert results == [0, 2, 4, 6, 8]


def test_only_equal_keys_meet_and_nobody_is_overtaken() -> None:
    slow, results = gathered(list("abacb"), range(5))
    assert slow.batches == [[1000], [0, 2], [1, 4], [3]]
    assert slow.keys == ["first", "a", "b", "c"]
    assert results == [0, 2, 4, 6, 8]


def test_batches_are_bounded() -> None:
    slow, results = gathered(["a"] * 5, range(5), most=2)
    assert slow.batches == [[1000], [0, 1], [2, 3], [4]]
    assert results == [0, 2, 4, 6, 8]


def test_nobody_fails_for_another() -> None:
    sizes: list[int] = []
    _, results = gathered(["a"] * 3, [5, -1, 7], told=sizes.append)
    assert (results[0], results[2]) == (10, 14)
    assert isinstance(results[1], ValueError)
    assert sizes == [1, 3]


def test_what_is_wrong_for_all_is_not_tried_for_each() -> None:
    slow, results = gathered(["a"] * 3, [5, -1, 7], shared=(ValueError,))
    assert slow.batches == [[1000], [5, -1, 7]]
    assert all(isinstance(one, ValueError) for one in results)


def test_an_answer_for_too_few_is_an_error_and_no_wait_for_ever() -> None:
    together: Together[int, int] = Together(lambda key, items: [], most=4)
    with pytest.raises(ValueError, match="zip"):
        together(None, 1)
    together.close()


def test_what_comes_alone_does_not_wait() -> None:
    together: Together[int, int] = Together(lambda key, items: items, most=64)
    started = time.monotonic()
    assert [together(None, item) for item in range(100)] == list(range(100))
    assert time.monotonic() - started < 5
    together.close()


def test_threads_end_when_it_is_closed() -> None:
    before = threading.active_count()
    together: Together[int, int] = Together(lambda key, items: items, most=4, lanes=3)
    together(None, 1)
    together.close()
    assert eventually(lambda: threading.active_count() == before)


class Counting(MemoryStore):
    """Counts its searches; the first one waits for those that come with it."""

    def __init__(self, dim: int, wait: Callable[[], bool] = lambda: True) -> None:
        super().__init__(dim)
        self.calls: list[tuple[int, int, Filter]] = []
        self.wait = wait

    def search(self, queries: FloatArray, k: int, where: Filter = Filter(), *,  # noqa: B008
               exact: bool = False) -> Hits:  # fmt: skip
        self.calls.append((len(queries), k, where))
        assert len(self.calls) > 1 or eventually(self.wait)
        return super().search(queries, k, where, exact=exact)


def signs(n: int, dim: int, seed: int = 0) -> FloatArray:
    """(n, dim) rows of length 1 whose cosines are computed without rounding; dim: 4, 16, 64."""
    bits = np.random.default_rng(seed).integers(0, 2, (n, dim))
    return ((2 * bits - 1) / np.sqrt(dim)).astype(np.float32)


def filled(store: MemoryStore, n: int = 40) -> MemoryStore:
    cameras = [f"c{row % 3}" for row in range(n)]
    vectors = signs(n, store.dim)
    vectors[n // 2 :] = vectors[: n - n // 2]  # ties
    store.add(describe("town", [f"{row}.png" for row in range(n)], cameras=cameras), vectors)
    return store


Asked = tuple[int, int, frozenset[int], frozenset[str] | None, bool]
ASKED = st.tuples(
    st.integers(0, 39),
    st.integers(1, 60),
    st.frozensets(st.integers(0, 45), max_size=40),
    st.sampled_from([None, frozenset({"c1"}), frozenset({"c0", "c2"}), frozenset({"none"})]),
    st.booleans(),
)


@given(st.lists(ASKED, min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_joint_searches_answer_as_the_store_does(asked: list[Asked]) -> None:
    store = filled(MemoryStore(16))
    joint = JointStore(store, lanes=2, told=lambda n: None)
    queries = signs(40, 16, seed=1)

    def ask(target: Any, one: Asked) -> Callable[[], Hits]:
        row, k, without, cameras, exact = one
        where = Filter(cameras=cameras, without=without)
        return lambda: target.search(queries[row : row + 1], k, where, exact=exact)

    found = in_threads([ask(joint, one) for one in asked])
    joint.stop()
    for one, hits in zip(asked, found, strict=True):
        expected = ask(store, one)()
        assert hits.ids.tolist() == expected.ids.tolist()
        np.testing.assert_allclose(hits.similarities, expected.similarities, atol=1e-6)
        assert hits.exact is True


def test_queries_that_leave_out_their_own_crops_are_one_search() -> None:
    store = Counting(16)
    filled(store)
    joint = JointStore(store, lanes=1, told=lambda n: None)
    store.wait = lambda: len(joint._together._waiting) == 4
    queries = store.vectors(np.arange(5))

    def ask(row: int) -> Callable[[], Hits]:
        def call() -> Hits:
            assert row == 0 or eventually(lambda: bool(store.calls))
            return joint.search(queries[row : row + 1], 3, Filter(without=frozenset({row})))

        return call

    found = in_threads([ask(row) for row in range(5)])
    joint.stop()
    assert store.calls == [(1, 4, Filter()), (4, 4, Filter())]
    for row, hits in enumerate(found):
        assert hits.ids[0, 0] == row + 20
        assert row not in hits.ids


def test_long_lists_of_what_is_left_out_are_the_stores_work() -> None:
    store = Counting(16)
    filled(store)
    joint = JointStore(store, lanes=1, told=lambda n: None)
    where = Filter(without=frozenset(range(MOST_LEFT_OUT + 1)))
    joint.search(signs(1, 16), 3, where)
    joint.search(signs(2, 16), 3)
    joint.stop()
    assert store.calls == [(1, 3, where), (2, 3, Filter())]


def test_the_rest_is_the_store() -> None:
    store = filled(MemoryStore(16))
    joint = JointStore(store, lanes=1, told=lambda n: None)
    assert joint.count() == 40
    assert joint.dim == 16
    joint.close()
    assert store.closed
    joint.stop()


def test_fewer_rows_than_asked_for_are_padded() -> None:
    store = filled(MemoryStore(16), 3)
    joint = JointStore(store, lanes=1, told=lambda n: None)
    hits = joint.search(signs(1, 16), 5, Filter(without=frozenset({1})))
    joint.stop()
    assert hits.ids.shape == hits.similarities.shape == (1, 5)
    assert sorted(hits.ids[0].tolist()) == [NO_ROW, NO_ROW, NO_ROW, 0, 2]
    assert np.isneginf(hits.similarities[0, 2:]).all()


class Embedder:
    """Sums pixels; counts its passes."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.go = threading.Event()

    def embed_pixels(self, pixels: Any) -> FloatArray:
        self.passes.append(len(pixels))
        if len(self.passes) == 1:
            assert self.go.wait(30)
        sums: FloatArray = pixels.reshape(len(pixels), -1).sum(axis=1, keepdims=True)
        return sums.astype(np.float32)


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 1, 3], [8]])
def test_pictures_of_several_requests_are_one_pass(counts: list[int]) -> None:
    embedder = Embedder()
    encoder = JointEncoder(lambda: embedder, told=lambda n: None)  # type: ignore[arg-type, return-value]
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (n, 4, 2, 3), dtype=np.uint8) for n in (1, *counts)]

    def let_go() -> None:
        assert eventually(lambda: len(encoder._together._waiting) == len(counts))
        embedder.go.set()

    def first() -> FloatArray:
        return encoder(pixels[0])

    def later(part: Any) -> Callable[[], FloatArray]:
        def call() -> FloatArray:
            assert eventually(lambda: bool(embedder.passes))
            return encoder(part)

        return call

    results = in_threads([first, *map(later, pixels[1:]), let_go])
    encoder.close()
    assert embedder.passes == [1, sum(counts)]
    for part, vectors in zip(pixels, results, strict=False):
        assert vectors[:, 0].tolist() == part.reshape(len(part), -1).sum(axis=1).tolist()
