"""A graph as a TorchScript file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from resight.errors import ResightError
from resight.exporting.graph import Graph
from resight.exporting.resample import resample
from resight.inference.described import KEY


def scripted_resize() -> Any:
    """`resample` for a trace: sizes and device stay what each call's images have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(resample)


def write_script(graph: Graph, file: Path, *, description: str) -> None:
    """Write `graph`, traced, with its description inside.

    Raises ResightError when the encoder cannot be traced.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                graph, (graph.example(),), check_trace=False
            )
        except (RuntimeError, TypeError, ValueError) as error:
            reason = f"{error}".strip().partition("\n")[0]
            raise ResightError(
                f"this encoder cannot be exported to TorchScript: {reason}"
            ) from error
        torch.jit.save(traced, file, _extra_files={f"{KEY}.json": description})
