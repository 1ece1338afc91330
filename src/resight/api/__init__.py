"""The commands as Python functions; the command line adds options and printing, nothing else."""

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
from resight.methods import list_methods

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
]
