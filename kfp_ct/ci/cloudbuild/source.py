"""What a build works on: a scratch copy of the sources, and what git says of them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import git

IGNORE = ".gcloudignore"
_INCLUDE = "#!include:"


def copy(root: Path, destination: Path, commit: str = "") -> None:
    """Copies sources into a scratch workspace.

    Args:
        root: A folder. Its .gcloudignore says what is left out, as for `gcloud builds submit`; without one, of a git
            repository what git ignores is left out.
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


def add(inputs: Mapping[str, Path], workspace: Path) -> None:
    """Copies files into a scratch workspace that are in no commit, such as certificates of this network.

    Args:
        inputs: Path in the workspace to the file.
        workspace: The scratch workspace.

    Raises:
        UsageError: A file is not there, or would lie outside.
    """
    for name, file in inputs.items():
        target = workspace / name
        if not file.is_file() or not target.resolve().is_relative_to(workspace.resolve()):
            raise UsageError(f"--input {name}={file}\nexpected: a path in the workspace, and a file that is there")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


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
    if (root / IGNORE).is_file():
        return list(_uploaded(root))
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


def _uploaded(root: Path) -> Iterator[str]:
    """Yields what gcloud would upload: everything but what .gcloudignore names, which has .gitignore's syntax.

    https://cloud.google.com/sdk/gcloud/reference/topic/gcloudignore. As in gcloud, files of that kind in folders
    below have no say, and nothing below an ignored folder can be called back.
    """
    from pathspec import GitIgnoreSpec

    ignored = GitIgnoreSpec.from_lines(_patterns(root)).match_file
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not ignored(f"{here / name}/")]
        for name in sorted([*files, *links]):
            if not ignored(str(here / name)):
                yield str(here / name)


def _patterns(root: Path) -> Iterator[str]:
    for line in (root / IGNORE).read_text().splitlines():
        if not line.startswith(_INCLUDE):
            yield line
            continue
        included = root / line.removeprefix(_INCLUDE).strip()
        if not included.is_file():
            raise UsageError(f"{root / IGNORE} includes {included.name}, which is not there")
        # One that is included includes no others.
        yield from included.read_text().splitlines()


def _git(root: Path, *arguments: str) -> None:
    result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"git {arguments[0]} failed in {root}: {result.stderr.strip()}")
