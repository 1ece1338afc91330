"""What protocols need to know of the crops, or one sentence about what is missing."""

from __future__ import annotations

import numpy as np

from resight.errors import DataError
from resight.records import BoolArray, Crops, IntArray


def labels_of(crops: Crops) -> IntArray:
    """(N,) identities; raises DataError for crops without any."""
    if crops.identities is None:
        raise DataError(
            f"the {len(crops)} crops have no identities; use protocol 'label-free', "
            "or give identities with the data"
        )
    return crops.identities


def cameras_of(crops: Crops) -> IntArray:
    """(N,) cameras; raises DataError for crops without any."""
    if crops.cameras is None:
        raise DataError(
            f"the {len(crops)} crops have no cameras; use protocol 'all', "
            "or give cameras with the data"
        )
    return crops.cameras


def tracks_of(crops: Crops) -> IntArray:
    """(N,) tracks; raises DataError for crops without any."""
    if crops.tracks is None:
        raise DataError(
            f"the {len(crops)} crops have no tracks; use protocol 'market1501', "
            "or give tracks with the data"
        )
    return crops.tracks


def query_and_gallery(crops: Crops, protocol: str) -> tuple[IntArray, IntArray]:
    """Rows of split "query" and of split "gallery"; raises DataError when either is empty."""
    queries = np.flatnonzero(crops.splits == "query")
    gallery = np.flatnonzero(crops.splits == "gallery")
    if not (len(queries) and len(gallery)):
        raise DataError(
            f"protocol {protocol!r} found {len(queries)} query and {len(gallery)} gallery crops; "
            "both are needed (protocols 'cross-camera' and 'all' need no splits)"
        )
    return queries, gallery


def held_out(crops: Crops) -> IntArray:
    """Rows that are not of split "train"; all rows where there is no other split."""
    rows = np.flatnonzero(crops.splits != "train")
    return rows if len(rows) else np.arange(len(crops))


def crosses_cameras(identities: IntArray, cameras: IntArray) -> BoolArray:
    """(N,) which crops show a labelled individual that at least two cameras have seen."""
    seen = np.unique(np.stack([identities, cameras]), axis=1)  # (2, pairs)
    ids, counts = np.unique(seen[0], return_counts=True)
    return (identities > 0) & np.isin(identities, ids[counts > 1])
