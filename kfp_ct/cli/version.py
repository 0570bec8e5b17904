"""`ct --version`."""

import typer


def show(wanted: bool) -> None:
    """Prints the versions and ends the command, if that is wanted."""
    if wanted:
        typer.echo("\n".join(lines()))
        raise typer.Exit


def lines() -> list[str]:
    """Returns what runs where: ct, its Python, kfp, and the set of packages in the component environment."""
    import platform

    return [
        f"ct {_version('kfp-ct')}",
        f"Python {platform.python_version()}",
        f"kfp {_version('kfp')}",
        f"components {_component_environment()}",
    ]


def _component_environment() -> str:
    """Returns the set of packages that fits this machine, and the Python of the environment that should have it."""
    from kfp_ct.base.errors import UsageError
    from kfp_ct.project import environments

    lock, _ = environments.component_set()
    component_set = lock.removesuffix(".txt").removeprefix("components-")
    try:
        python = environments.component_python()
    except UsageError:
        return f"{component_set} (no repository here)"
    return f"{component_set} ({python}{'' if python.exists() else ', which is missing: run `make setup`'})"


def _version(distribution: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed here)"
