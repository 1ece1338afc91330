"""Reports of runs, made from run folders alone."""

from resight.reporting.page import write_report
from resight.reporting.sheet import ranked_sheet

__all__ = ["ranked_sheet", "write_report"]
