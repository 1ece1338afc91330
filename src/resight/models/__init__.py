"""Encoders: images in, L2-normalised embeddings out."""

from resight.models.encoder import Encoder, EncoderSpec, build_encoder
from resight.models.saved import load, save

__all__ = ["Encoder", "EncoderSpec", "build_encoder", "load", "save"]
