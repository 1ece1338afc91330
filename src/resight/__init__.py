"""resight: unsupervised re-identification, from unlabelled crops to a searchable encoder.

Every command of the command line is a function here, with the same name and arguments. Names are
loaded on first use, so that `import resight` stays light.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Threads that wait must not spin: with another busy process on the machine, spinning OpenMP
# threads make two threads slower than one. Read by the libraries when they load.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from resight.api import (
        ablate,
        calibrate,
        check_data,
        cluster,
        compare,
        demo,
        evaluate,
        export,
        index,
        list_methods,
        report,
        resume,
        search,
        serve,
        train,
        unpack_data,
    )
    from resight.data import ImageStore, read_crops
    from resight.errors import ResightError
    from resight.gallery import Gallery
    from resight.inference import load
    from resight.recipe import Recipe

_HOMES = {
    "ablate": "resight.api",
    "calibrate": "resight.api",
    "check_data": "resight.api",
    "cluster": "resight.api",
    "compare": "resight.api",
    "demo": "resight.api",
    "evaluate": "resight.api",
    "export": "resight.api",
    "index": "resight.api",
    "list_methods": "resight.api",
    "report": "resight.api",
    "resume": "resight.api",
    "search": "resight.api",
    "serve": "resight.api",
    "train": "resight.api",
    "unpack_data": "resight.api",
    "ImageStore": "resight.data",
    "read_crops": "resight.data",
    "ResightError": "resight.errors",
    "Gallery": "resight.gallery",
    "load": "resight.inference",
    "Recipe": "resight.recipe",
}

__all__ = [
    "Gallery",
    "ImageStore",
    "Recipe",
    "ResightError",
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
    "load",
    "read_crops",
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
    raise AttributeError(f"module 'resight' has no attribute {name!r}")
