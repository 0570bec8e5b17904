"""The sources of a commit in a place of their own, with the data beside them that settings name by relative paths."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import nested
from kfp_ct.base.errors import UsageError
from kfp_ct.base.interrupts import terminable
from kfp_ct.project import workspace as project

# A reproduction tells nobody how it ended.
_NOTICES = "notices.yaml"


@contextlib.contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """Lends a folder with the sources of a commit: a worktree of the repository, which goes again, on SIGTERM, too.

    Raises:
        UsageError: git does not make it; says why.
    """
    with terminable(), tempfile.TemporaryDirectory(prefix="ct-reproduce-") as temporary:
        tree = Path(temporary) / root.name
        command = ["git", "-C", str(root), "worktree", "add", "--detach", "--quiet", str(tree), commit]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UsageError(f"{commit} cannot be checked out: {done.stderr.strip()}\nfix: see git worktree list")
        try:
            yield tree
        finally:
            project.git(root, "worktree", "remove", "--force", str(tree))


def prepare(tree: Path, root: Path, name: str, arguments: Mapping[str, Any]) -> None:
    """Puts links to what arguments name by a relative path and git does not hold; takes the notices away."""
    for text in {text for _, text in nested.texts(dict(arguments))}:
        there = root / text
        if text and not Path(text).is_absolute() and "://" not in text and not (tree / text).exists():
            with contextlib.suppress(OSError):  # such as a text that is no path
                if there.exists():
                    (tree / text).parent.mkdir(parents=True, exist_ok=True)
                    (tree / text).symlink_to(there)
    notices = tree / "pipelines" / name / _NOTICES
    if notices.is_file():
        project.git(tree, "update-index", "--skip-worktree", str(notices))
        notices.unlink()


def settings_name(tree: Path, name: str, wanted: str) -> str:
    """Returns the settings that a run can go by, for what it is not given: its own, else the project's first.

    Raises:
        UsageError: The commit has no such project.
    """
    known = sorted(path.stem for path in (tree / "pipelines" / name / "settings").glob("*.yaml"))
    if not known:
        raise UsageError(
            f"the commit has no project {name!r} with settings\nexpected: the project whose run made the version\n"
            "fix: runs of packages (`ct run FILE`) have no settings; run the package again, and ct compare"
        )
    return next((each for each in (wanted, "local") if each in known), known[0])
