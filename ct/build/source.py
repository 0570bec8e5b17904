"""What a build works on: a scratch copy of the sources, and what git says of them."""

import re
import shutil
import subprocess
from pathlib import Path

from ct.errors import UsageError
from ct.project import git


def copy(root: Path, destination: Path, commit: str = "") -> None:
    """Copies sources into a scratch workspace.

    Args:
        root: A folder; of a git repository, what is ignored is left out.
        destination: Folder to make.
        commit: Commit to take instead of the files as they lie there; the copy is then a clone.

    Raises:
        UsageError: There is no such commit.
    """
    if commit:
        _git(root, "clone", "--quiet", "--no-checkout", str(root), str(destination))
        _git(destination, "checkout", "--quiet", "--detach", commit)
        return
    destination.mkdir(parents=True)
    for name in _files(root):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)


def built_in(root: Path, commit: str, build_id: str, project: str) -> dict[str, str]:
    """Returns the values of Cloud Build's own substitutions, as a trigger on this repository would give them."""
    revision = git(root, "rev-parse", f"{commit or 'HEAD'}^{{commit}}")
    if commit and not revision:
        raise UsageError(f"there is no commit {commit} in {root}")
    branch = git(root, "rev-parse", "--abbrev-ref", "HEAD")
    branch = "" if branch == "HEAD" else branch
    tag = git(root, "tag", "--points-at", revision).partition("\n")[0] if revision else ""
    remote = re.sub(r"\.git$", "", git(root, "config", "--get", "remote.origin.url"))
    name = remote.rpartition("/")[2] or root.resolve().name
    return {
        "PROJECT_ID": project,
        "PROJECT_NUMBER": "0",
        "LOCATION": "local",
        "BUILD_ID": build_id,
        "TRIGGER_NAME": "",
        "TRIGGER_BUILD_CONFIG_PATH": "",
        "COMMIT_SHA": revision,
        "REVISION_ID": revision,
        "SHORT_SHA": revision[:7],
        "BRANCH_NAME": branch,
        "TAG_NAME": tag,
        "REF_NAME": tag or branch,
        "REPO_NAME": name,
        "REPO_FULL_NAME": name,
        "SERVICE_ACCOUNT": "",
        "SERVICE_ACCOUNT_EMAIL": "",
    }


def _files(root: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        found = (path.relative_to(root) for path in root.rglob("*") if path.is_file() or path.is_symlink())
        return [str(path) for path in found if not {".git", ".ct"}.intersection(path.parts)]
    # A file may be deleted and still be in the index.
    names = listed.stdout.decode(errors="surrogateescape").split("\0")
    return [name for name in names if (name and (root / name).is_file()) or (root / name).is_symlink()]


def _git(root: Path, *arguments: str) -> None:
    result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"git {arguments[0]} failed in {root}: {result.stderr.strip()}")
