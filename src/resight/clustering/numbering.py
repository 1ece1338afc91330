"""One order for cluster numbers, whatever made the clusters."""

from __future__ import annotations

import numpy as np

from resight.records import OUTLIER, IntArray


def by_first_member(labels: IntArray) -> IntArray:
    """The same clusters, numbered 0 … C-1 in the order of their first members.

    labels: (N,) integers; negative ones are outliers and become -1. Returns (N,) int64.
    """
    numbered = np.full(len(labels), OUTLIER, np.int64)
    inside = labels >= 0
    _, first, inverse = np.unique(labels[inside], return_index=True, return_inverse=True)
    numbered[inside] = np.argsort(np.argsort(first))[inverse]
    return numbered
