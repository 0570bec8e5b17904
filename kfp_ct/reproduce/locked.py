"""The packages of a commit: what a version was made with, as its lock files have it."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from kfp_ct.base.errors import RunFailedError
from kfp_ct.project import environments


@dataclasses.dataclass(frozen=True)
class Interpreters:
    """The Pythons of the two environments: of `ct`, and of components."""

    author: Path
    components: Path


def of_now(root: Path) -> Interpreters:
    """Returns this Python, and that of the repository's component environment."""
    return Interpreters(Path(sys.executable), environments.component_python(root))


def of_commit(tree: Path, root: Path, say: Callable[[str], None]) -> Interpreters:
    """Returns those of a commit: environments of its own, made here, where it locks other packages than are here.

    Args:
        tree: The commit's sources.
        root: The repository.
        say: Receives what happens.

    Raises:
        RunFailedError: The commit's packages could not be installed.
    """
    if environments.same_locks(root, tree):
        return of_now(root)
    say("the commit locks other packages than are here: they are installed beside it")
    try:
        environments.prepare_environments(tree, dev=False)
    except (environments.SetupError, OSError) as error:  # such as a lock that the commit does not have
        raise RunFailedError(
            f"the packages of the commit could not be installed\n{error}\n"
            "or name --current-environment: it runs with the packages that are here, and says which are others"
        ) from error
    folders = (tree / name / "bin" / "python" for name in (environments.AUTHOR, environments.COMPONENTS))
    return Interpreters(*folders)
