"""Inference: pictures in, embeddings out, from a run or from an export of it."""

from resight.inference.embedder import Embedder, load
from resight.inference.pictures import Picture, to_pixels

__all__ = ["Embedder", "Picture", "load", "to_pixels"]
