"""`resight report`."""

from __future__ import annotations

from pathlib import Path

from resight.reporting import write_report
from resight.training.run_folder import RunFolder


def report(run_folder: str | Path) -> Path:
    """Write `report.html` of a run anew; returns its path. Raises RunError for no run folder."""
    return write_report(RunFolder.open(run_folder).path)
