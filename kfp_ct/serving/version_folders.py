"""The versions that folders hold, as they were seen: <model>/<number>/saved_model.pb, TensorFlow Serving's layout."""

import dataclasses
import re
from pathlib import Path

_VERSION = re.compile(r"[0-9]{1,18}")
# What changes when a version that could not be loaded is fixed: its files' names, inodes, sizes and times.
Stamp = tuple[tuple[str, int, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Folder:
    """A version's folder as it was seen; TensorFlow Serving takes leading zeros in its name."""

    path: Path
    stamp: Stamp

    def same(self, other: "Folder") -> bool:
        """Whether it holds the same files; a folder that is renamed holds the same."""
        return self.stamp == other.stamp


def scan(root: Path) -> dict[str, dict[int, Folder]] | None:
    """Returns the servable versions of each model folder; None if the root cannot be read."""
    try:
        folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return {folder.name: versions_in(folder) for folder in folders}
    except OSError:
        return None


def versions_in(folder: Path) -> dict[int, Folder]:
    """Returns the servable versions of one folder.

    Raises:
        OSError: It cannot be read.
    """
    return {
        int(path.name): Folder(path, _stamp(path))
        for path in folder.iterdir()
        if _VERSION.fullmatch(path.name) and (path / "saved_model.pb").is_file()
    }


def _stamp(folder: Path) -> Stamp:
    found = []
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        found.append((str(path.relative_to(folder)), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)
