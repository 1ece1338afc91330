"""Ranks of the right answers, by counting instead of sorting: compiled loops over score rows."""

from __future__ import annotations

import numba
import numpy as np

STEP, MARKET, PENALTY, FIRST = range(4)
CELLS = 256
SMALLEST_SPAN = np.float32(1e-30)
EXCLUDED = np.float32(-np.inf)


@numba.njit(cache=True, nogil=True)
def _without(row, orders, runs):  # type: ignore[no-untyped-def]
    """The scores of a row, -inf where it excludes an answer: orders[e][runs[e, 0] : runs[e, 1]]."""
    if len(orders) == 0:
        return row
    kept = row.copy()
    for e in range(len(orders)):
        for place in range(runs[e, 0], runs[e, 1]):
            kept[orders[e, place]] = EXCLUDED
    return kept


@numba.njit(cache=True, nogil=True)
def _right_scores(row, members, query_camera, gallery_cameras, own):  # type: ignore[no-untyped-def]
    """Ascending scores of the right answers among `members`, all of the query's identity.

    Also returns the removed members' scores: same camera as the query, the query's own crop, or
    excluded.
    """
    right = np.empty(len(members), dtype=row.dtype)
    removed = np.empty(len(members), dtype=row.dtype)
    n_right, n_removed = 0, 0
    for j in members:
        if j == own or gallery_cameras[j] == query_camera or row[j] == EXCLUDED:
            removed[n_removed] = row[j]
            n_removed += 1
        else:
            right[n_right] = row[j]
            n_right += 1
    return np.sort(right[:n_right]), removed[:n_removed]


@numba.njit(cache=True, nogil=True)
def _cell(score, lowest, scale):  # type: ignore[no-untyped-def]
    """The cell of a score >= `lowest`; never lower for a higher score, whatever the rounding."""
    return int(min(np.float32(CELLS - 1), np.float32(score - lowest) * np.float32(scale)))


@numba.njit(cache=True, nogil=True)
def _grid(right):  # type: ignore[no-untyped-def]
    """Even cells over the span of the ascending `right` scores: (scale, starts).

    starts: (CELLS + 1,) how many right scores lie in lower cells.
    """
    span = right[-1] - right[0]
    scale = np.float32(CELLS - 1) / span if span > SMALLEST_SPAN else np.float32(0)
    starts = np.zeros(CELLS + 1, dtype=np.int64)
    for score in right:
        starts[_cell(score, right[0], scale) + 1] += 1
    return scale, np.cumsum(starts)


@numba.njit(cache=True, nogil=True)
def _position(right, scale, starts, score):  # type: ignore[no-untyped-def]
    """How many of the ascending `right` scores are <= `score`; at least the lowest must be.

    A binary search within the score's cell, which seldom holds more than one right score.
    """
    cell = _cell(score, right[0], scale)
    low, high = starts[cell], starts[cell + 1]
    while low < high:
        middle = (low + high) // 2
        if right[middle] <= score:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def _wrong_ahead(row, right, removed, junk):  # type: ignore[no-untyped-def]
    """(P,) how many wrong answers score at least as high as each right one.

    Everything is counted first; right, removed and junk items are then taken out again, so that
    the loop over the gallery looks at nothing but scores.
    """
    scale, starts = _grid(right)
    lowest = right[0]
    above = np.zeros(len(right) + 1, dtype=np.int64)
    for score in row:
        if score >= lowest:
            above[_position(right, scale, starts, score)] += 1
    for score in right:
        above[_position(right, scale, starts, score)] -= 1
    for score in removed:
        if score >= lowest:
            above[_position(right, scale, starts, score)] -= 1
    for j in junk:
        if row[j] >= lowest:
            above[_position(right, scale, starts, row[j])] -= 1
    wrong = np.empty(len(right), dtype=np.int64)
    total = 0
    for i in range(len(right) - 1, -1, -1):
        total += above[i + 1]
        wrong[i] = total
    return wrong


@numba.njit(cache=True, nogil=True)
def _summarise(right, wrong, out):  # type: ignore[no-untyped-def]
    """Fill `out` with step AP, trapezoid AP, inverse negative penalty and rank of the first."""
    n = len(right)
    step, market = 0.0, 0.0
    level = n
    for i in range(n):
        if i == 0 or right[i] != right[i - 1]:
            level = n - i  # right answers with this score or a higher one
        step += level / (level + wrong[i])
        hits = n - i
        rank = hits + wrong[i]
        before = (hits - 1) / (rank - 1) if rank > 1 else 1.0
        market += (before + hits / rank) / 2
    out[STEP] = step / n
    out[MARKET] = market / n
    out[PENALTY] = n / (n + wrong[0])
    out[FIRST] = 1 + wrong[n - 1]


@numba.njit(cache=True, nogil=True)
def summarise_rows(  # type: ignore[no-untyped-def]
    scores, of_query, runs, order, gallery_cameras, junk, orders
):
    """(B, 4) float64: STEP, MARKET, PENALTY and FIRST of each row of `scores` (B, G) float32.

    Scores are finite; the other arguments are those of `Lookup`.
    Rows without any right answer are NaN.
    """
    table = np.full((len(scores), 4), np.nan)
    for i in range(len(scores)):
        members, camera, own = (
            order[of_query[0, i] : of_query[1, i]],
            of_query[2, i],
            of_query[3, i],
        )
        row = _without(scores[i], orders, runs[:, :, i])
        right, removed = _right_scores(row, members, camera, gallery_cameras, own)
        if len(right) > 0:
            wrong = _wrong_ahead(row, right, removed, junk)
            _summarise(right, wrong, table[i])
    return table


@numba.njit(cache=True, nogil=True)
def best_rows(  # type: ignore[no-untyped-def]
    scores, of_query, runs, order, gallery_cameras, junk, orders
):
    """(B, 2) float64: the best right and the best wrong answer's score, -inf where there is none.

    Arguments as in `summarise_rows`.
    """
    table = np.full((len(scores), 2), -np.inf)
    for i in range(len(scores)):
        members, camera, own = (
            order[of_query[0, i] : of_query[1, i]],
            of_query[2, i],
            of_query[3, i],
        )
        row = _without(scores[i], orders, runs[:, :, i]).copy()
        right, _ = _right_scores(row, members, camera, gallery_cameras, own)
        if len(right) > 0:
            table[i, 0] = right[-1]
        row[members] = EXCLUDED
        row[junk] = EXCLUDED
        if own >= 0:
            row[own] = EXCLUDED
        for score in row:
            table[i, 1] = max(table[i, 1], score)
    return table
