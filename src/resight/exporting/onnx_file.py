"""A graph as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from resight.errors import ConfigError, ResightError
from resight.exporting.graph import Graph
from resight.inference.described import KEY

OPSET = 18
FIRST_EXPORTED = (2, 9)
OUTPUT = "embeddings"
_TALKATIVE = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def write_onnx(graph: Graph, file: Path, *, description: str, opset: int | None = None) -> None:
    """Write `graph` with its description inside, the batch (and free sizes) dynamic, as one file.

    opset: of ONNX, 18 or higher. Raises ConfigError for a lower one or missing packages,
    ResightError when PyTorch cannot express the encoder in it.
    """
    opset = OPSET if opset is None else opset
    if opset < OPSET:
        raise ConfigError(f"opset is {opset}, expected {OPSET} or higher")
    onnx = _onnx()
    write = _by_export if _version() >= FIRST_EXPORTED else _by_trace
    try:
        with _quiet():
            write(graph, file, opset)
    except OSError:
        raise
    except Exception as error:  # the exporters' errors share no base class
        raise ResightError(
            f"PyTorch {torch.__version__} cannot write this encoder as ONNX opset {opset} "
            f"({_first_reason(error)}): try another version of it, or TorchScript"
        ) from error
    model = onnx.load(file)
    [written] = [used.version for used in model.opset_import if not used.domain]
    if written != opset:
        raise ConfigError(
            f"PyTorch {torch.__version__} writes this encoder as ONNX opset {written}, not as "
            f"{opset}: leave opset out"
        )
    _name_dimensions(model, graph)
    model.metadata_props.add(key=KEY, value=description)
    onnx.save(model, file)


def _by_export(graph: Graph, file: Path, opset: int) -> None:
    dims = {at: torch.export.Dim(name, min=1) for at, name in graph.free.items()}
    example = (graph.example(),)
    torch.onnx.export(
        torch.export.export(graph, example, dynamic_shapes=(dims,), strict=False),
        example,
        file,
        input_names=[graph.takes.name],
        output_names=[OUTPUT],
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _by_trace(graph: Graph, file: Path, opset: int) -> None:
    """For versions of PyTorch whose torch.export falls short of some encoders."""
    torch.onnx.export(
        graph,
        (graph.example(),),
        str(file),
        input_names=[graph.takes.name],
        output_names=[OUTPUT],
        opset_version=opset,
        dynamo=False,
        dynamic_axes={graph.takes.name: graph.free, OUTPUT: {0: graph.free[0]}},
    )


def _version() -> tuple[int, ...]:
    """PyTorch's, as (major, minor)."""
    return tuple(int(number) for number in torch.__version__.split(".")[:2])


def _first_reason(error: BaseException) -> str:
    """What went wrong at first, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{error}".strip().partition("\n")[0][:200]


def _name_dimensions(model: Any, graph: Graph) -> None:
    """Call the free dimensions what they are; versions of PyTorch differ in what they call them."""
    shape = model.graph.input[0].type.tensor_type.shape.dim
    given = {shape[at].dim_param: name for at, name in graph.free.items()}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in given:
                dim.dim_param = given[dim.dim_param]


def _onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"an export to ONNX needs {error.name}: pip install 'resight[export]'"
        ) from error
    return onnx


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own workings."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
