"""`resight train DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from resight.cli import options


def train(
    data: options.Data,
    out: Annotated[
        Path | None, typer.Option(help="New run folder [default: a free name under runs/].")
    ] = None,
    method: Annotated[
        str, typer.Option(help="A method that `resight methods` lists.")
    ] = "cluster-contrast",
    published: Annotated[
        str | None,
        typer.Option("--for", help="Take the settings published for this data set."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe file (YAML) instead of a method.")
    ] = None,
    set_: options.Settings = None,
    backbone: Annotated[
        str | None, typer.Option(help="Short for --set encoder.backbone=NAME.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="imagenet, none, or a state dict: the encoder's start.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Short for --set optim.epochs=N.")] = None,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Compile the encoder.")] = False,
    strict: options.Strict = False,
    evaluate_every: Annotated[
        int, typer.Option(help="Epochs between evaluations on labelled query and gallery crops.")
    ] = 5,
) -> None:
    """Train an encoder on unlabelled crops, evaluate it and write a report."""
    from resight.api import train as run
    from resight.errors import ConfigError
    from resight.recipe import parse_settings

    given = parse_settings(set_ or [])
    short: dict[str, Any] = {
        "encoder.backbone": backbone,
        "encoder.weights": weights,
        "optim.epochs": epochs,
    }
    for key, value in short.items():
        if value is not None and given.setdefault(key, value) != value:
            raise ConfigError(f"--set {key}={given[key]} contradicts the option with {value!r}")
    folder = run(
        data,
        out=out,
        method=method,
        published=published,
        recipe=recipe,
        settings=given,
        layout=layout,
        camera_pattern=camera_pattern,
        seed=seed,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        compile=compile,
        strict=strict,
        evaluate_every=evaluate_every,
    )
    typer.echo(f"{folder}/report.html")
