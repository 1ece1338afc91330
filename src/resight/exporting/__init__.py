"""Exports: a run's encoder as ONNX, TorchScript or safetensors, checked and described."""

from resight.exporting.card import Facts, model_card
from resight.exporting.presets import PRESETS
from resight.exporting.write import Export, write_export

__all__ = ["PRESETS", "Export", "Facts", "model_card", "write_export"]
