"""Ranking figures written from their definitions: one query, one answer at a time, in float64."""

from __future__ import annotations

import numpy as np

NAN = float("nan")


def answers(truth, query, scores):
    """(score, is right) of every answer that counts, best first; wrong answers win ties."""
    kept = []
    for g, identity in enumerate(truth.gallery_ids):
        mine = identity == truth.query_ids[query]
        cameras = truth.gallery_cameras
        same_camera = cameras is not None and cameras[g] == truth.query_cameras[query]
        own = truth.query_rows is not None and truth.query_rows[query] == g
        if identity != -1 and not (mine and same_camera) and not own:
            kept.append((float(scores[query, g]), bool(mine)))
    return sorted(kept, key=lambda answer: (-answer[0], answer[1]))


def step_ap(ranked):
    """sum over distinct scores of (recall gained) x precision."""
    n_right = sum(right for _, right in ranked)
    ap, recall = 0.0, 0.0
    for threshold in sorted({score for score, _ in ranked}, reverse=True):
        kept = [right for score, right in ranked if score >= threshold]
        ap += (sum(kept) / n_right - recall) * sum(kept) / len(kept)
        recall = sum(kept) / n_right
    return ap


def market_ap(ranked):
    """The trapezoid loop of the Market-1501 evaluation."""
    n_right = sum(right for _, right in ranked)
    ap, hits, old_recall, old_precision = 0.0, 0, 0.0, 1.0
    for position, (_, right) in enumerate(ranked, start=1):
        hits += right
        recall, precision = hits / n_right, hits / position
        ap += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return ap


def figures(truth, scores):
    """(Q, 4): step AP, market AP, inverse negative penalty, first rank; NaN where not counted."""
    table = np.full((len(truth.query_ids), 4), NAN)
    for query, identity in enumerate(truth.query_ids):
        if identity > 0:
            table[query] = figures_of(answers(truth, query, scores))
    return table


def figures_of(ranked):
    """The same four of one query's answers; NaN without a right one."""
    places = [place for place, (_, right) in enumerate(ranked, start=1) if right]
    if not places:
        return (NAN,) * 4
    return step_ap(ranked), market_ap(ranked), len(places) / places[-1], places[0]
