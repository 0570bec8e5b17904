"""`ct from-tfx`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.cli import options, output

if TYPE_CHECKING:
    from kfp_ct.new.from_tfx.convert import Converted

WIDTH = 160  # of a file or a pipe


def from_tfx(
    pipeline: Annotated[Path, typer.Argument(metavar="PIPELINE.py", help="File that makes and runs a TFX pipeline.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the project.", show_default="the pipeline's")
    ] = "",
    function: Annotated[
        str,
        typer.Option(metavar="NAME", help="Function of the file to call.", show_default="the file is run as a script"),
    ] = "",
    argument: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Argument of that function; may be repeated.",
            show_default="what the file has as _NAME or NAME",
        ),
    ] = None,
    python: Annotated[
        str,
        typer.Option(metavar="PATH", help="Python that has tfx.", show_default="the component environment's"),
    ] = "",
    image: Annotated[
        str,
        typer.Option(metavar="IMAGE", help="Image whose python has tfx, such as components.", show_default="none"),
    ] = "",
    inspected: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What inspection.py printed elsewhere; PIPELINE.py is not run.",
            show_default="the file is inspected",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Create a project from a TFX pipeline.

    The file is executed with runners that run nothing. A table says what is the same here, what differs and what has
    no equal; where that is essential, nothing is written and the exit code is 2.
    """
    from kfp_ct.base.errors import UsageError, listed
    from kfp_ct.new.from_tfx import convert, tfx_python
    from kfp_ct.new.from_tfx.inspected import read
    from kfp_ct.project.environments import task_python
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace()
    if inspected is not None:
        if not inspected.is_file():
            raise UsageError(f"there is no file {inspected}\nexpected: what inspection.py printed")
        text = inspected.read_text()
    else:
        where = python or str(task_python(workspace.root))
        text = tfx_python.inspect(tfx_python.Asked(pipeline, function, argument or [], where, image))
    made = convert.convert(workspace, read(text), name)
    output.print_json(made) if as_json else _print(made)
    if made.blocking:
        reasons = listed(f"{row.node} {row.what}: {row.here}" for row in made.blocking)
        raise UsageError(f"no project was written: what is essential has no equal here\n{reasons}")


def _print(made: "Converted") -> None:
    from rich.table import Table

    from kfp_ct.cli.console import open_console

    table = Table("TFX", "option", "", "here", box=None, pad_edge=False)
    for row in made.rows:
        table.add_row(row.node, row.what, row.state, row.here)
    console = open_console(width=WIDTH)
    console.print(table, markup=False)
    if made.folder is not None:
        console.print(f"wrote pipelines/{made.name}: read settings/base.yaml, then `ct run {made.name}`", markup=False)
