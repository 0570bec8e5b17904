"""Where things are: the repository, its projects under pipelines/, and the local state."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from kfp_ct.base.errors import UsageError

HOME_VARIABLE = "CT_HOME"
# Folders of installed packages.
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@dataclasses.dataclass(frozen=True)
class Workspace:
    """A repository and its local state."""

    root: Path  # the folder that holds pipelines/ and, of its own, components/
    home: Path  # all local state: runs, artifacts, cache, registry, served models

    @property
    def runs(self) -> Path:
        """Run records and reports, a folder a run."""
        return self.home / "runs"

    @property
    def artifacts(self) -> Path:
        """What tasks wrote, a folder a run."""
        return self.home / "artifacts"

    @property
    def cache(self) -> Path:
        """kfp.local's cache entries, which point into `artifacts`."""
        return self.home / "cache"

    @property
    def serving(self) -> Path:
        """Deployed models in TF Serving's layout."""
        return self.home / "serving"

    @property
    def builds(self) -> Path:
        """Records and logs of builds, a folder a build."""
        return self.home / "builds"

    def projects(self) -> list[str]:
        """Names of the projects under pipelines/ that have settings."""
        return sorted(path.parent.name for path in (self.root / "pipelines").glob("*/settings"))

    def settings_folder(self, project: str) -> Path:
        """Returns a project's settings folder.

        Raises:
            UsageError: There is no such project.
        """
        require_plain(project, "a project is", "flights for pipelines/flights")
        folder = self.root / "pipelines" / project / "settings"
        if not folder.is_dir():
            raise UsageError(
                f"there is no project {project!r} in {self.root / 'pipelines'}\n"
                f"expected: one of {', '.join(self.projects()) or '(none yet)'}"
            )
        return folder


def require_plain(name: str, what: str, such_as: str) -> None:
    """Refuses a path in place of a name: what goes by the name, such as a policy, would not know it.

    Raises:
        UsageError: It is no name of one folder or file.
    """
    if not name or name.startswith(".") or set(name) & set("/\\"):
        raise UsageError(f"{what} named by a name, not by {name!r}\nexpected: one such as {such_as}")


def find_workspace(home: Path | None = None) -> Workspace:
    """Finds the repository from the working directory upwards.

    That is the nearest folder whose pipelines/ holds a project; where none does, the nearest whose pipelines/ holds a
    pipeline, as a repository does that has no project yet. Where packages are installed is never one.

    Args:
        home: Local state; by default `$CT_HOME`, else `.ct` in the repository.

    Raises:
        UsageError: The working directory is in no repository, or the local state is a file.
    """
    here = Path.cwd()
    candidates = [path for path in (here, *here.parents) if not _INSTALLED.intersection(path.parts)]
    root = next((path for test in (_has_project, _has_pipeline) for path in candidates if test(path)), None)
    if root is None:
        raise UsageError(
            f"{here} is in no repository that ct works on\n"
            "expected: a folder with pipelines/, or one below it\n"
            "fix: cd into your repository, or make one: ct init DIR"
        )
    home = home or Path(os.environ.get(HOME_VARIABLE) or root / ".ct")
    if home.exists() and not home.is_dir():
        raise UsageError(
            f"{home} is a file\nexpected: the folder of the local state, or none yet\n"
            f"fix: give --home (or {HOME_VARIABLE}) a folder"
        )
    return Workspace(root, home.absolute())


def _has_project(root: Path) -> bool:
    return any(path.is_dir() for path in (root / "pipelines").glob("*/settings"))


def _has_pipeline(root: Path) -> bool:
    modules = (root / "pipelines").glob("*.py")
    return any("@dsl.pipeline" in path.read_text(errors="replace") for path in modules if path.is_file())


def make_importable(workspace: Workspace) -> None:
    """Lets `pipelines.…` of the workspace be imported here: it is a repository, not an installed package."""
    if str(workspace.root) not in sys.path:
        sys.path.insert(0, str(workspace.root))


def commit(root: Path) -> str:
    """Returns the commit, marked -dirty if files differ from it; empty outside git."""
    head = git(root, "rev-parse", "HEAD")
    if not head:
        return ""
    return f"{head}-dirty" if git(root, "status", "--porcelain", "--untracked-files=no") else head


def git(root: Path, *arguments: str) -> str:
    """Returns what git answers about a repository; empty where it has no answer."""
    result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""
