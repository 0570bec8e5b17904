"""`ct init`."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create; an empty one is used as it is.")],
    name: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of the repository, its images and builds.", show_default="that of DIR"),
    ] = "",
    bare: Annotated[bool, typer.Option("--bare", help="Leave out the flights example.")] = False,
    library: Annotated[
        Path | None,
        typer.Option(metavar="WHEEL", help="Wheel of kfp-ct to pin.", show_default="what this ct was installed from"),
    ] = None,
) -> None:
    """Create a repository of your own.

    It holds pipelines, a component, tests, images and CI/CD, all yours to edit, and pins this library by version and
    hash; docs/own-repository.md describes it.
    """
    from kfp_ct.new import repository

    print(repository.make(repository.Request(folder, name, library, example=not bare)))
