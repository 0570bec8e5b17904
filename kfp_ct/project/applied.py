"""Definitions of a project that `ct apply` brought to this machine's state: they lead over the files of the checkout.

So what a service obeys is what was planned and applied, not what somebody is editing in the folder it runs in.
"""

from pathlib import Path

from kfp_ct.data import layouts
from kfp_ct.project.workspace import Workspace


def checkout_file(workspace: Workspace, project: str, name: str) -> Path:
    """Returns a definition's file in the checkout, such as pipelines/flights/triggers.yaml."""
    return workspace.root / "pipelines" / project / name


def file(workspace: Workspace, project: str, name: str) -> Path:
    """Returns the file that counts: the applied one, else that of the checkout."""
    found = _applied(workspace, project, name)
    return found if found.is_file() else checkout_file(workspace, project, name)


def read(workspace: Workspace, project: str, name: str) -> str | None:
    """Returns the text that was applied; None if nothing was."""
    found = _applied(workspace, project, name)
    return found.read_text() if found.is_file() else None


def write(workspace: Workspace, project: str, name: str, text: str | None) -> None:
    """Keeps a text as what was applied; None removes it, and the checkout's file counts again."""
    found = _applied(workspace, project, name)
    if text is None:
        found.unlink(missing_ok=True)
    else:
        layouts.write_text(found, text)


def difference(workspace: Workspace, project: str, name: str) -> str:
    """Says that the checkout's file is not what counts here; empty where both agree or nothing was applied."""
    kept, own = read(workspace, project, name), checkout_file(workspace, project, name)
    if kept is None or (own.is_file() and own.read_text() == kept):
        return ""
    return f"{name} of {project} counts as `ct apply` brought it here; pipelines/{project}/{name} differs: see ct plan"


def _applied(workspace: Workspace, project: str, name: str) -> Path:
    return workspace.home / "applied" / project / name
