"""`resight data check`."""

from resight.data.check import check_data

__all__ = ["check_data"]
