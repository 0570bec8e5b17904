"""`ct new` and `ct new-component`."""

from typing import Annotated

import typer

from kfp_ct.cli import options, output


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the project: a folder under pipelines/.")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="CSV file to learn from, s3:// and gs:// too.", show_default="an invented sample"
        ),
    ] = None,
    label: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Column to predict; required with --data.", show_default="the sample's"),
    ] = "",
    task: Annotated[
        str,
        typer.Option(help="Kind of task: binary, multiclass or regression.", show_default="inferred from the label"),
    ] = "",
    time: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column that orders the rows in time: the latest are held out.",
            show_default="a random part is held out",
        ),
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Create a project from a CSV file.

    It writes the query, schema, features, model, gates, settings and tests; `ct run NAME` runs it at once.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.new import project as maker
    from kfp_ct.new import words
    from kfp_ct.project.workspace import find_workspace

    made = maker.make(find_workspace(), maker.Request(name, data, label, time, task))
    if as_json:
        output.print_json(made)
    else:
        open_console().print(words.made(made, name), soft_wrap=True, markup=False)


def new_component(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A verb: the component's folder under components/.")],
) -> None:
    """Create a component: interface, work, test, entries.

    The test fails until the work is written; its row is added to README.md.
    """
    from kfp_ct.new import component
    from kfp_ct.project.workspace import find_workspace

    print(component.make(find_workspace(), name))
