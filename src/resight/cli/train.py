"""`resight train DATA`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from resight.cli import options

Method = Annotated[
    str | None,
    typer.Option(
        help="A method that `resight methods` lists; by default camera-contrast where several "
        "cameras are known, else cluster-contrast."
    ),
]


def train(
    data: options.Data,
    out: options.Out = None,
    method: Method = None,
    published: options.Published = None,
    recipe: options.Recipe = None,
    set_: options.Settings = None,
    backbone: options.Backbone = None,
    weights: options.Weights = None,
    epochs: options.Epochs = None,
    layout: options.Layout = "auto",
    camera_pattern: options.CameraPattern = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    compile: options.Compile = False,
    strict: options.Strict = False,
    evaluate_every: options.EvaluateEvery = 5,
    memory: options.Memory = None,
    feedback: options.Feedback = None,
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
        memory=memory,
        feedback=feedback,
    )
    typer.echo(f"{folder}/report.html")
