"""`resight demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resight.cli import options


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the run.")] = Path("demo"),
    world: Annotated[str, typer.Option(help="How hard: easy, standard or hard.")] = "standard",
    identities: Annotated[int, typer.Option(help="People in the town.")] = 180,
    train_identities: Annotated[
        int, typer.Option(help="How many of them are trained on; the others are searched for.")
    ] = 120,
    cameras: Annotated[int, typer.Option(help="Cameras, 1 to 12.")] = 6,
    shots: Annotated[int, typer.Option(help="Pictures of each person in each camera.")] = 4,
    bound: Annotated[
        bool, typer.Option("--bound", help="Also train with the true labels, for comparison.")
    ] = False,
    set_: options.Settings = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
) -> None:
    """Render a synthetic town, learn its people without labels, show what was learned."""
    from resight.api import demo as run
    from resight.recipe import parse_settings

    folder = run(
        out,
        world=world,
        identities=identities,
        train_identities=train_identities,
        cameras=cameras,
        shots=shots,
        bound=bound,
        settings=parse_settings(set_ or []),
        seed=seed,
        device=device,
    )
    typer.echo(f"{folder}/report.html")
