"""Taking files away so that nobody sees half of them: they vanish by a rename, and are deleted after that.

<top>/.gc/<name>/content        what was taken from below <top>, such as artifacts/
<top>/.gc/<name>/copies.json    what goes with it from object stores
"""

import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.data import layouts
from kfp_ct.storage import storage

_FOLDER, _CONTENT, _COPIES = ".gc", "content", "copies.json"


def take(path: Path, top: Path, copies: Sequence[str] = ()) -> None:
    """Takes a file or folder away from below `top`."""
    kept = top / _FOLDER / secrets.token_hex(8)
    kept.mkdir(parents=True)
    layouts.write_text(kept / _COPIES, json.dumps(list(copies)))
    path.rename(kept / _CONTENT)


def empty(top: Path) -> None:
    """Deletes what was taken from below `top`, and its copies, whoever took it.

    Raises:
        CtError: An object store does not answer; what is left goes the next time.
    """
    for kept in sorted((top / _FOLDER).glob("*")):
        if (kept / _CONTENT).exists() and (kept / _COPIES).is_file():
            for uri in layouts.read_json(kept / _COPIES):
                for item in storage.list_folder(uri):
                    storage.delete(item.uri)
        shutil.rmtree(kept / _CONTENT, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
