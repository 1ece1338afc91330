"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(help="A folder of images, a benchmark's folder, or a CSV/Parquet table."),
]
Run = Annotated[Path, typer.Argument(help="A folder that `resight train` or `demo` wrote.")]
Layout = Annotated[
    str,
    typer.Option(
        help="How to read the data: auto, images, identities, cameras, table, or a data set such "
        "as market1501, msmt17, veri776, mot (docs/datasets.md)."
    ),
]
CameraPattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression searched in each file's path, with the named group "
        "[bold]camera[/bold] (and, if you like, identity and time): '_c(?P<camera>[0-9]+)'.",
    ),
]
Seed = Annotated[int, typer.Option(help="All randomness comes from this number.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bf16.")]
Strict = Annotated[bool, typer.Option("--strict", help="Unreadable images are an error.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting, e.g. memory.momentum=0.2; repeatable."),
]
Memory = Annotated[
    str | None,
    typer.Option(help="What clustering may use besides the features, like 8G: blocks keep to it."),
]
Feedback = Annotated[
    Path | None,
    typer.Option(
        help="What people decided about pairs of crops, which clusters then obey: a gallery, or a "
        ".jsonl file (docs/feedback.md)."
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="New run folder (default: a free name under runs/).")
]
Method = Annotated[str, typer.Option(help="A method that `resight methods` lists.")]
Published = Annotated[
    str | None, typer.Option("--for", help="Take the settings published for this data set.")
]
Recipe = Annotated[Path | None, typer.Option(help="A recipe file (YAML) instead of a method.")]
Backbone = Annotated[str | None, typer.Option(help="Short for --set encoder.backbone=NAME.")]
Weights = Annotated[
    str | None, typer.Option(help="imagenet, none, or a state dict: the encoder's start.")
]
Epochs = Annotated[int | None, typer.Option(help="Short for --set optim.epochs=N.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the encoder.")]
EvaluateEvery = Annotated[
    int, typer.Option(help="Epochs between evaluations on labelled query and gallery crops.")
]
