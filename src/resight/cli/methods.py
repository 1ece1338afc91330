"""`resight methods` and `resight methods show NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="List the methods and their settings.", invoke_without_command=True)


@app.callback()
def methods(context: typer.Context) -> None:
    """List the methods."""
    if context.invoked_subcommand is not None:
        return
    from resight.api import list_methods

    for method in list_methods():
        typer.echo(f"{method.name}  {method.summary}")
        typer.echo(f"    published settings: {', '.join(method.published)}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A method that `resight methods` lists.")],
    published: Annotated[
        str | None, typer.Option("--for", help="With the settings published for this data set.")
    ] = None,
) -> None:
    """Print a method's settings as a recipe file that `resight train --recipe` reads."""
    from resight.methods import recipe_for

    typer.echo(recipe_for(name, published=published).to_yaml(), nl=False)
