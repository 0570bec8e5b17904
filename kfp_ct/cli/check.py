"""`ct check`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes({3: "The KFP backend would refuse the package."})
def check(
    file: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A compiled package, such as package.yaml.")],
    digests: Annotated[bool, typer.Option(help="Also refuse images that are not named by digest.")] = False,
    as_json: options.Json = False,
) -> None:
    """Check a compiled package by the KFP backend's rules."""
    from kfp_ct.package import check as checker
    from kfp_ct.package import package

    if not file.is_file():
        raise UsageError(f"there is no file {file}\nfix: make it with `ct compile`")
    loaded = package.load_package(file)
    executors = checker.check(loaded, digests)
    if as_json:
        output.print_json({"package": file, "executors": executors, "images": package.images(loaded)})
    else:
        print(f"{file}: {executors} executors checked, nothing wrong")
