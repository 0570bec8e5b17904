"""Copies a folder's files to an object store: python load.py FOLDER s3://BUCKET/FOLDER. What is there is left."""

import hashlib
import sys
from pathlib import Path

import obstore
from obstore.store import from_url

# What an object is the copy of is kept in its name's neighbour: stores do not agree on what an ETag is.
_MARK = ".sha256"


def load(folder: Path, destination: str) -> list[str]:
    """Copies the files that are missing or differ; returns their names.

    Args:
        folder: Where the files are.
        destination: s3:// or gs:// with a folder; credentials come from the environment (AWS_…).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise SystemExit(f"error: {folder} has no files\n  fix: make setup, then build the image again")
    store = from_url(destination)
    return [name for path in files if _copied(store, path, name := path.relative_to(folder).as_posix())]


def _copied(store: obstore.store.ObjectStore, path: Path, name: str) -> bool:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest().encode()
    if _read(store, name + _MARK) == digest:
        return False
    obstore.put(store, name, content)
    obstore.put(store, name + _MARK, digest)  # last: a copy that was cut off is made again
    return True


def _read(store: obstore.store.ObjectStore, name: str) -> bytes:
    try:
        return obstore.get(store, name).bytes().to_bytes()
    except FileNotFoundError:
        return b""


if __name__ == "__main__":
    copied = load(Path(sys.argv[1]), sys.argv[2])
    print(f"{len(copied)} files copied to {sys.argv[2]}" if copied else f"{sys.argv[2]} is complete; nothing to do")
