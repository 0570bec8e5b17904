"""`ct --version`."""

import importlib.metadata
import platform

import typer


def show(wanted: bool) -> None:
    """Prints the versions and ends the command, if that is wanted."""
    if wanted:
        typer.echo("\n".join(lines()))
        raise typer.Exit


def lines() -> list[str]:
    """Returns what runs where: ct, its Python, kfp, and the set of packages in the component environment."""
    from kfp_ct.project import environments

    lock, python = environments.component_set()
    component_set = lock.removesuffix(".txt").removeprefix("components-")
    return [
        f"ct {_version('kfp-ct')}",
        f"Python {platform.python_version()}",
        f"kfp {_version('kfp')}",
        f"component set {component_set} (Python {python}): {environments.component_python()}",
    ]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed here)"
