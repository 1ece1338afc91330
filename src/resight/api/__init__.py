"""The commands as Python functions; the command line adds options and printing, nothing else.

Names are loaded on first use, so that a command loads only what it needs.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resight.api.ablating import ablate
    from resight.api.calibrating import calibrate
    from resight.api.checking import check_data
    from resight.api.clustering import cluster
    from resight.api.comparing import compare
    from resight.api.demonstrating import demo
    from resight.api.evaluating import evaluate
    from resight.api.exporting import export
    from resight.api.indexing import index
    from resight.api.reporting import report
    from resight.api.searching import search
    from resight.api.serving import serve
    from resight.api.training import resume, train
    from resight.api.unpacking import unpack_data
    from resight.methods import list_methods

_HOMES = {
    "ablate": "resight.api.ablating",
    "calibrate": "resight.api.calibrating",
    "check_data": "resight.api.checking",
    "cluster": "resight.api.clustering",
    "compare": "resight.api.comparing",
    "demo": "resight.api.demonstrating",
    "evaluate": "resight.api.evaluating",
    "export": "resight.api.exporting",
    "index": "resight.api.indexing",
    "list_methods": "resight.methods",
    "report": "resight.api.reporting",
    "resume": "resight.api.training",
    "search": "resight.api.searching",
    "serve": "resight.api.serving",
    "train": "resight.api.training",
    "unpack_data": "resight.api.unpacking",
}

__all__ = [
    "ablate",
    "calibrate",
    "check_data",
    "cluster",
    "compare",
    "demo",
    "evaluate",
    "export",
    "index",
    "list_methods",
    "report",
    "resume",
    "search",
    "serve",
    "train",
    "unpack_data",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'resight.api' has no attribute {name!r}")
