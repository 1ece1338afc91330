"""`resight methods`, `resight methods show NAME` and `resight methods tables NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="List the methods and their settings.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="A method that `resight methods` lists.")]


@app.callback()
def methods(context: typer.Context) -> None:
    """List the methods."""
    if context.invoked_subcommand is not None:
        return
    from resight.api import list_methods

    for method in list_methods():
        typer.echo(f"{method.name}  {method.summary}")
        typer.echo(f"    published settings: {', '.join(method.published) or 'none'}")


@app.command()
def show(
    name: Name,
    published: Annotated[
        str | None, typer.Option("--for", help="With the settings published for this data set.")
    ] = None,
) -> None:
    """Print a method's settings as a recipe file that `resight train --recipe` reads.

    Beside each value that is its paper's stands where the paper has it.
    """
    from resight.methods import method_of, recipe_for
    from resight.methods.annotated import annotated

    recipe = recipe_for(name, published=published)
    method = method_of(name)
    reference = recipe if published else method.sourced
    kind = f"published for {published}" if published else "fitted to the data"
    typer.echo(f"# {method.summary}\n# Settings {kind}.")
    typer.echo(annotated(recipe, method.sources, reference=reference), nl=False)


@app.command()
def tables(
    name: Annotated[
        str | None, typer.Argument(help="A method that `resight methods` lists; all by default.")
    ] = None,
) -> None:
    """List the tables of a method's paper that `resight ablate` trains anew."""
    from resight.methods import list_methods, method_of

    for method in [method_of(name)] if name else list_methods():
        if not method.tables:
            typer.echo(f"{method.name} has no tables of its own.")
        elif not name:
            typer.echo(method.name)
        for number, table in method.tables.items():
            typer.echo(f"{number:>5}  {table.title} ({len(table.rows)} rows)")
