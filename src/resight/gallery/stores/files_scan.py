"""Products of queries with stored rows where they lie, and the best rows of them.

Similarities come from one kernel, so that two embeddings always have the same one, in whatever
order and company they are compared. Matrix products and codes only find candidates for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from resight.gallery.records import NO_ROW
from resight.records import BoolArray, FloatArray, IntArray

HalfArray = npt.NDArray[np.float16]
Bits = npt.NDArray[np.uint16]
Codes = npt.NDArray[np.int8]
Best = tuple[FloatArray, IntArray]

FEW = 64
WORTH_A_THREAD = 2**23
LEAST_ROWS = 1024
MOST_PRODUCTS = 2**17
BLOCK = 4096
SPARE = 32
ROUNDING = 2.0**-21
# The bits of a float16 moved to where float32 has them are 2**-112 of its value.
SCALE = np.float32(2.0**112)
LEAST = np.float16(2.0**-14)


class Runs(NamedTuple):
    """Rows that count: those from each of `starts` to its stop, runs that do not overlap.

    table: (R, D) float16 embeddings, or (R, E) int8 codes. ids: (R,) int64 names of the rows.
    starts, stops: (N,) int64 places among the R.
    """

    table: HalfArray | Codes
    ids: IntArray
    starts: IntArray
    stops: IntArray

    @property
    def rows(self) -> int:
        """How many rows count."""
        return int((self.stops - self.starts).sum())


class Job(NamedTuple):
    """Some of the queries, by their places, and the rows that they are compared with."""

    queries: IntArray
    rows: Sequence[Runs]


def to_half(vectors: FloatArray) -> HalfArray:
    """float16, little endian; what is smaller than its normal numbers becomes 0."""
    half = vectors.astype("<f2")
    half[np.abs(half) < LEAST] = 0
    return half


def runs_of(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """Where runs of True begin and where they stop."""
    edges = np.diff(mask.view(np.int8), prepend=np.int8(0), append=np.int8(0))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def search(rows: Sequence[Runs], queries: FloatArray, k: int) -> Best:
    """(Q, k) similarities and ids of the best rows, missing none; -infinity and -1 beyond them."""
    if len(queries) <= FEW:
        return compare([Job(np.arange(len(queries)), rows)], queries, k)
    values, ids, unsure = _by_products(rows, queries, k)
    again = np.flatnonzero(unsure)
    if len(again):
        job = Job(np.arange(len(again)), rows)
        values[again], ids[again] = compare([job], queries[again], k)
    return values, ids


def compare(jobs: Sequence[Job], queries: FloatArray, k: int) -> Best:
    """(Q, k) similarities and ids of the best of those rows that each query is compared with.

    queries: (Q, D), or (Q, E) weights of codes.
    """
    if not len(queries):
        return _nothing(0, k)
    threads = numba.get_num_threads()
    tasks = [task for job in jobs for task in _shares(job, threads)]
    if len(tasks) < 2:
        found = [_best_of(task, queries, k) for task in tasks]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda task: _best_of(task, queries, k), tasks))
    return _merged([task.queries for task in tasks], found, len(queries), k)


def at_ids(rows: Sequence[Runs], ids: IntArray) -> list[Job]:
    """For each query its (Q, M) rows of these ids, -1 for none; ids ascend over all tables."""
    firsts = np.array([runs.ids[0] for runs in rows], np.int64)
    jobs = []
    for query, line in enumerate(ids):
        mine = np.sort(line[line != NO_ROW])
        bounds = np.append(np.searchsorted(mine, firsts), len(mine))
        there = []
        for runs, (first, last) in zip(rows, itertools.pairwise(bounds), strict=True):
            if last > first:
                places = np.searchsorted(runs.ids, mine[first:last])
                there.append(runs._replace(starts=places, stops=places + 1))
        jobs.append(Job(np.array([query]), there))
    return jobs


def cut(runs: Runs, size: int) -> Iterator[Runs]:
    """The same rows in parts of at most `size`."""
    lengths = runs.stops - runs.starts
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    if 0 < total <= size:
        yield runs
        return
    for first in range(0, total, size):
        last = min(first + size, total)
        low, high = np.searchsorted(ends, first, "right"), np.searchsorted(ends, last, "left") + 1
        starts, stops = runs.starts[low:high].copy(), runs.stops[low:high].copy()
        starts[0] += first - (ends[low] - lengths[low])
        stops[-1] -= ends[high - 1] - last
        yield runs._replace(starts=starts, stops=stops)


def _shares(job: Job, n: int) -> list[Job]:
    """The same work in up to n jobs of about as many rows, `WORTH_A_THREAD` bytes at least."""
    if not job.rows:
        return []
    table = job.rows[0].table
    least = -(-WORTH_A_THREAD // (table.itemsize * table.shape[1]))
    size = max(least, -(-sum(runs.rows for runs in job.rows) // n))
    shares: list[list[Runs]] = []
    filled = 0
    for part in itertools.chain.from_iterable(cut(runs, size) for runs in job.rows):
        if not shares or filled + part.rows // 2 > size:
            shares.append([])
            filled = 0
        shares[-1].append(part)
        filled += part.rows
    return [Job(job.queries, share) for share in shares]


def _nothing(queries: int, k: int) -> Best:
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), NO_ROW, np.int64)


def _best_of(task: Job, queries: FloatArray, k: int) -> Best:
    """The best of one task's rows for each of its queries, in no order."""
    asked = np.ascontiguousarray(queries[task.queries])
    values, ids = _nothing(len(asked), min(k, sum(runs.rows for runs in task.rows)))
    size = max(LEAST_ROWS, MOST_PRODUCTS // len(asked))
    similar = np.empty((len(asked), size), np.float32)
    for runs in task.rows:
        table, multiply = _kernel(runs.table)
        scaled = asked * SCALE if table.dtype == np.uint16 else asked
        for part in cut(runs, size):
            multiply(table, part.starts, part.stops, scaled, similar)
            _offer(similar, runs.ids, part.starts, part.stops, values, ids, 0, len(asked))
    return values, ids


def _kernel(table: HalfArray | Codes) -> tuple[Any, Any]:
    """The rows as a kernel takes them, and the kernel."""
    if table.dtype == np.int8:
        return table, _code_products
    return table.view(np.uint16), _half_products


def _merged(asked: list[IntArray], found: list[Best], queries: int, k: int) -> Best:
    """The k best of all that was found, best first, equal ones by ascending id."""
    values, ids = _nothing(queries, k)
    if not found:
        return values, ids
    query = np.concatenate(
        [np.repeat(who, best[0].shape[1]) for who, best in zip(asked, found, strict=True)]
    )
    value, which = (np.concatenate([best[i].ravel() for best in found]) for i in range(2))
    order = np.lexsort((which, -value, query))
    query, value, which = query[order], value[order], which[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    first = rank < k
    values[query[first], rank[first]] = value[first]
    ids[query[first], rank[first]] = which[first]
    return values, ids


def _by_products(
    rows: Sequence[Runs], queries: FloatArray, k: int
) -> tuple[FloatArray, IntArray, BoolArray]:
    """The best of all rows, and which queries may miss some.

    A row that is no candidate has a product of at most the worst candidate's, and its similarity
    differs from that by rounding alone.
    """
    products, candidates = _candidates(rows, queries, k + SPARE)
    values, ids = compare(at_ids(rows, candidates), queries, k)
    worst = products[:, 0]  # -infinity where all rows are candidates
    rounding = np.sqrt(queries.shape[1]) * ROUNDING * np.linalg.norm(queries, axis=1)
    return values, ids, (values[:, -1] <= worst + rounding) & (worst > -np.inf)


def _candidates(rows: Sequence[Runs], queries: FloatArray, k: int) -> Best:
    """Heaps of the k rows of largest product."""
    values, ids = _nothing(len(queries), k)
    wide = np.empty((BLOCK, queries.shape[1]), np.float32)
    threads = numba.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for runs in rows:
            for part in cut(runs, BLOCK):
                _widen_all(pool, part, wide, -(-part.rows // threads))
                similar = (wide[: part.rows] @ queries.T).T
                spans = np.linspace(0, len(queries), threads + 1).astype(int)
                _wait(
                    pool.submit(
                        _offer, similar, runs.ids, part.starts, part.stops, values, ids, *span
                    )
                    for span in itertools.pairwise(spans)
                )
    return values, ids


def _widen_all(pool: ThreadPoolExecutor, runs: Runs, wide: FloatArray, size: int) -> None:
    """Write the rows as float32, in threads `size` rows each."""
    bits = runs.table.view(np.uint16)
    _wait(
        pool.submit(_widen, bits, part.starts, part.stops, wide[number * size :])
        for number, part in enumerate(cut(runs, size))
    )


def _wait(work: Iterable[Future[None]]) -> None:
    for part in list(work):
        part.result()


@numba.njit(cache=True, nogil=True, fastmath=True)
def _half_products(
    bits: Bits, starts: IntArray, stops: IntArray, scaled: FloatArray, similar: FloatArray
) -> None:
    """(Q, rows) products of float16 rows with queries times SCALE."""
    n, wide = 0, np.empty(bits.shape[1], np.float32)
    for run in range(len(starts)):
        for row in range(starts[run], stops[run]):
            for d in range(bits.shape[1]):
                half = np.uint32(bits[row, d])
                moved = np.uint32((half & 0x7FFF) << 13 | (half & 0x8000) << 16)
                wide[d] = moved.view(np.float32)
            for query in range(len(scaled)):
                total = np.float32(0)
                for d in range(bits.shape[1]):
                    total += wide[d] * scaled[query, d]
                similar[query, n] = total
            n += 1


@numba.njit(cache=True, nogil=True, fastmath=True)
def _code_products(
    codes: Codes, starts: IntArray, stops: IntArray, weights: FloatArray, similar: FloatArray
) -> None:
    """(Q, rows) products of codes with the weights of queries."""
    n, wide = 0, np.empty(codes.shape[1], np.float32)
    for run in range(len(starts)):
        for row in range(starts[run], stops[run]):
            for d in range(codes.shape[1]):
                wide[d] = np.float32(codes[row, d])
            for query in range(len(weights)):
                total = np.float32(0)
                for d in range(codes.shape[1]):
                    total += wide[d] * weights[query, d]
                similar[query, n] = total
            n += 1


@numba.njit(cache=True, nogil=True)
def _widen(bits: Bits, starts: IntArray, stops: IntArray, wide: FloatArray) -> None:
    """float16 rows, one after the other, as float32."""
    n = 0
    for run in range(len(starts)):
        for row in range(starts[run], stops[run]):
            for d in range(bits.shape[1]):
                half = np.uint32(bits[row, d])
                moved = np.uint32((half & 0x7FFF) << 13 | (half & 0x8000) << 16)
                wide[n, d] = moved.view(np.float32) * SCALE
            n += 1


@numba.njit(cache=True, nogil=True)
def _offer(
    similar: FloatArray,
    ids: IntArray,
    starts: IntArray,
    stops: IntArray,
    values: FloatArray,
    best: IntArray,
    first: int,
    last: int,
) -> None:
    """Let the rows of all runs compete for the heaps of the queries from first to last."""
    for query in range(first, last):
        n, worst = 0, values[query, 0]
        for run in range(len(starts)):
            for row in range(starts[run], stops[run]):
                value = similar[query, n]
                n += 1
                if value > worst or (value == worst and ids[row] < best[query, 0]):
                    _replace_worst(values[query], best[query], value, ids[row])
                    worst = values[query, 0]


@numba.njit(cache=True, nogil=True)
def _replace_worst(values: FloatArray, ids: IntArray, value: np.float32, row: int) -> None:
    """Put a row in the place of a heap's root: the smallest value, of equal ones the last id."""
    size = len(values)
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        other = child + 1
        if other < size and (
            values[other] < values[child]
            or (values[other] == values[child] and ids[other] > ids[child])
        ):
            child = other
        if value < values[child] or (value == values[child] and row > ids[child]):
            break
        values[place], ids[place] = values[child], ids[child]
        place = child
    values[place], ids[place] = value, row
