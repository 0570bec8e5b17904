"""What the component environment holds: its lock, its Python, and where what is installed is not what is locked."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", re.MULTILINE)


def describe(python: Path, lock: Path) -> dict[str, str]:
    """Returns what counts of the environment that tasks run in, by name.

    Args:
        python: Its interpreter.
        lock: Its lock file.

    Returns:
        A hash of what is locked, the minor version of Python, every package that is installed in another version than
        the locked one; without a lock file every package.
    """
    requirements = _requirements(lock)
    pins: dict[str, set[str]] = {}
    for name, version in _PIN.findall("\n".join(requirements)):
        pins.setdefault(_normal(name), set()).add(version)
    described = {"Python": python_version(python)}
    if requirements:
        described[lock.name] = _digest(requirements)
    for name, version in sorted(_installed(python)):
        # What is not locked is a tool, such as pytest; where nothing is locked, everything counts.
        if not requirements or version not in pins.get(name, {version}):
            described[f"package {name}"] = version
    return described


def _requirements(lock: Path) -> list[str]:
    """Returns the lines that name a package, without hashes and comments; this library counts by its files."""
    lines = lock.read_text().splitlines() if lock.is_file() else []
    named = (re.split(r"\s[#\\]|\s--hash", line)[0].strip() for line in lines if not line.startswith((" ", "#", "-")))
    return sorted(line for line in named if line and not _normal(line).startswith("kfp-ct"))


def lock_digest(lock: Path) -> str:
    """Returns a hash of what a lock file names; of one that is not there, too."""
    return _digest(_requirements(lock))


def _digest(requirements: list[str]) -> str:
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]


def python_version(python: Path) -> str:
    """Returns the minor version of an interpreter, such as 3.12; empty if it is not there."""
    configuration = python.parent.parent / "pyvenv.cfg"
    match = _VERSION.search(configuration.read_text()) if configuration.is_file() else None
    if match:
        return match[1]
    if not python.is_file():
        return ""
    probe = "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
    answer = subprocess.run([str(python), "-I", "-S", "-c", probe], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def site_packages(python: Path) -> list[Path]:
    """Returns the folders that an environment's packages are installed in."""
    return sorted(python.parent.parent.glob("lib*/python3*/site-packages"))


def _installed(python: Path) -> Iterator[tuple[str, str]]:
    for folder in {path.resolve() for path in site_packages(python)}:
        for entry in folder.glob("*.dist-info"):
            name, _, version = entry.name.removesuffix(".dist-info").partition("-")
            yield _normal(name), version


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
