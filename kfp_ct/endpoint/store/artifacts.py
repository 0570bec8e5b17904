"""What tasks wrote, as far as it lies below the local state; nothing else of the machine is ever shown."""

import io
import tarfile
from pathlib import Path

from kfp_ct.endpoint.store import folders
from kfp_ct.endpoint.store.faults import invalid, not_found
from kfp_ct.project.workspace import Workspace

_LARGEST = 64 << 20


def location(workspace: Workspace, run_id: str, task_name: str, name: str) -> Path:
    """Returns where an artifact of a task lies.

    Raises:
        Fault: The task has none of that name, or it does not lie on this machine.
    """
    account = folders.account(folders.of(workspace, run_id))
    task = account.task(task_name) if account else None
    artifact = task.artifacts.get(name) if task else None
    if not artifact:
        raise not_found("artifact", f"{task_name}/{name}")
    return inside(workspace, Path(str(artifact.get("uri", ""))))


def inside(workspace: Workspace, path: Path) -> Path:
    """Returns a path without links if it is there and lies below the local state.

    Raises:
        Fault: It does not.
    """
    real = path.resolve()
    if not path.is_absolute() or not real.is_relative_to(workspace.home.resolve()) or not real.exists():
        raise not_found("file", path.name)
    return real


def content(workspace: Workspace, run_id: str, task_name: str, name: str) -> bytes:
    """Returns an artifact: a file as it is, a folder as a .tar.gz.

    Raises:
        Fault: It is not there, or is too large to be handed over in one piece.
    """
    path = location(workspace, run_id, task_name, name)
    files = [path] if path.is_file() else [each for each in sorted(path.rglob("*")) if each.is_file()]
    if sum(each.stat().st_size for each in files) > _LARGEST:
        raise invalid(f"the artifact has more than {_LARGEST >> 20} MiB; it lies at {path}")
    if path.is_file():
        return path.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for each in files:
            archive.add(each, arcname=each.relative_to(path).as_posix(), recursive=False)
    return buffer.getvalue()
