"""What the shell offers on Tab: names in the repository, read from folders alone, so that it answers at once."""

from pathlib import Path

import typer

from kfp_ct.base.errors import CtError
from kfp_ct.project import workspace


def projects() -> list[str]:
    """Names of the projects under pipelines/."""
    found = _workspace()
    return found.projects() if found else []


def settings(ctx: typer.Context) -> list[str]:
    """Names of the settings files of the project that the command line names; of all projects if it names none."""
    found = _workspace()
    if found is None:
        return []
    names = [ctx.params["name"]] if ctx.params.get("name") else found.projects()
    folders = [found.root / "pipelines" / name / "settings" for name in names]
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def targets() -> list[str]:
    """Names of the targets of `ct deploy`."""
    return ["local", "kfp", "vertex", "none"]


def runs(ctx: typer.Context) -> list[str]:
    """Ids of the runs on this machine, newest first."""
    found = _workspace(ctx.params.get("home"))
    if found is None or not found.runs.is_dir():
        return []
    return sorted((folder.name for folder in found.runs.iterdir() if folder.is_dir()), reverse=True)


def _workspace(home: str | Path | None = None) -> workspace.Workspace | None:
    try:
        return workspace.find_workspace(Path(home) if home else None)
    except CtError:
        return None
