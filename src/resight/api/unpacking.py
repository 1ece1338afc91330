"""`resight data unpack`."""

from resight.data.unpack import unpack_data

__all__ = ["unpack_data"]
