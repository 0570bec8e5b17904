"""`ct setup`."""

from typing import Annotated

import typer

from kfp_ct.cli.exit_codes import exit_codes


@exit_codes({1: "A step of the set-up failed; the next try resumes."})
def setup(dev: Annotated[bool, typer.Option(help="Also install what checks and tests need.")] = False) -> None:
    """Prepare both environments and the example data.

    It installs what the lock files name, and does nothing when both environments are current.
    """
    from kfp_ct.project import environments

    raise typer.Exit(environments.main(["--dev"] if dev else []))
