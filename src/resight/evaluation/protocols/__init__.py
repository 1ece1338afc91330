"""Protocols: which crops are searched for among which. One file each, listed here by name."""

from collections.abc import Mapping

from resight.evaluation.protocols.all_others import all_others
from resight.evaluation.protocols.camera_pairs import camera_pairs
from resight.evaluation.protocols.cross_camera import cross_camera
from resight.evaluation.protocols.cuhk03 import cuhk03
from resight.evaluation.protocols.cuhk03_classic import cuhk03_classic
from resight.evaluation.protocols.label_free import label_free
from resight.evaluation.protocols.market1501 import market1501
from resight.evaluation.protocols.multi_query import multi_query
from resight.evaluation.protocols.open_set import open_set
from resight.evaluation.protocols.time_excluded import time_excluded
from resight.evaluation.protocols.veri776 import veri776
from resight.evaluation.protocols.veri776_track import veri776_track
from resight.evaluation.record import Listed

PROTOCOLS: Mapping[str, Listed] = {
    "market1501": Listed(
        market1501,
        "query against gallery; the query's identity in its own camera is removed",
    ),
    "veri776": Listed(veri776, "image to image on VeRi-776, by the rule of market1501"),
    "veri776-track": Listed(
        veri776_track, "image to track: a track is as near as the nearest of its images"
    ),
    "cuhk03": Listed(cuhk03, "new protocol of CUHK03 (767/700), by the rule of market1501"),
    "cuhk03-classic": Listed(
        cuhk03_classic,
        "one random image of each identity from other cameras, mean over trials",
        ("trials", "seed"),
    ),
    "multi-query": Listed(
        multi_query, "the query images of an identity in a camera averaged into one query"
    ),
    "cross-camera": Listed(
        cross_camera, "each crop that another camera could confirm, against all others"
    ),
    "camera-pairs": Listed(camera_pairs, "mean over ordered pairs of cameras, with their matrix"),
    "all": Listed(all_others, "each crop against all others; cameras are ignored"),
    "time-excluded": Listed(
        time_excluded,
        "each crop against all others but its own track and its camera's within so many seconds",
        ("within",),
    ),
    "open-set": Listed(
        open_set,
        "queries that the gallery may lack: detection and identification at false alarm rates",
        ("far", "unknown", "seed"),
    ),
    "label-free": Listed(
        label_free, "clusters and how they hold together, without identities", ranks=False
    ),
}

__all__ = ["PROTOCOLS"]
