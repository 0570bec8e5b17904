"""An archive of user code: files of the repository, the same bytes for the same files, and never a secret."""

import fnmatch
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from kfp_ct.base.errors import UsageError

_IGNORE, _INCLUDE = ".gcloudignore", "#!include:"
_SECRETS = (
    ".env", ".env.*", "*.env", ".netrc", ".pypirc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "id_rsa*",
    "id_ed25519*", "*credentials*.json", "*service-account*.json", "*service_account*.json", "kubeconfig*",
)  # fmt: skip
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")
_LONGEST = 64 << 20
# A date that no file has: what counts is the content.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def pack(root: Path, task: str, names: Iterable[str]) -> bytes:
    """Packs what a task needs of a repository; empty if that is nothing.

    Args:
        root: The repository.
        task: The task's name, for messages.
        names: Files, relative to the repository; those of the library and of nobody here are left to the image.

    Raises:
        UsageError: A file looks like a secret, is one that .gcloudignore leaves out, or they are too large.
    """
    files = [name for name in sorted(set(names)) if _is_users(root, name)]
    _require_public(root, task, files)
    size = sum((root / name).stat().st_size for name in files)
    if size > _LONGEST:
        largest = max(files, key=lambda name: (root / name).stat().st_size)
        raise UsageError(
            f"the code of the task {task} has {size >> 20} MB, most of it {largest}\n"
            f"expected: at most {_LONGEST >> 20} MB\n"
            "fix: keep data in an object store and name it by its URI"
        )
    return _zip(root, files) if files else b""


def _is_users(root: Path, name: str) -> bool:
    """Whether a file is one of the user's: of this repository, and not of a library that is developed in it."""
    clone = (root / "kfp_ct" / "__init__.py").is_file()
    library = ("kfp_ct/", "components/") if clone else ("kfp_ct/",)
    return not name.startswith(("/", *library)) and (root / name).is_file()


def _require_public(root: Path, task: str, files: list[str]) -> None:
    ignored = _ignored(root, files)
    for name in files:
        if reason := f"{_IGNORE} keeps it out of the cloud" if name in ignored else _secret(root / name):
            raise UsageError(
                f"the task {task} would take {name} along, and {reason}\n"
                "expected: code and texts that anybody with the object store may read\n"
                "fix: hand secrets over by `env` of the section kubernetes; name the file neither in code nor settings"
            )


def _secret(path: Path) -> str:
    """Says why a file looks like a secret; empty if it does not."""
    if any(fnmatch.fnmatch(path.name, each) for each in _SECRETS):
        return "its name is one of a secret"
    return "it holds a private key" if _PRIVATE_KEY.search(path.read_bytes()) else ""


def _ignored(root: Path, files: list[str]) -> set[str]:
    path = root / _IGNORE
    if not path.is_file():
        return set()
    from pathspec import GitIgnoreSpec

    lines: list[str] = []
    for line in path.read_text().splitlines():
        included = root / line.removeprefix(_INCLUDE).strip()
        lines += included.read_text().splitlines() if line.startswith(_INCLUDE) and included.is_file() else [line]
    return set(GitIgnoreSpec.from_lines(lines).match_files(files))


def _zip(root: Path, files: list[str]) -> bytes:
    written = io.BytesIO()
    # Not compressed: another release of zlib would make other bytes of the same files.
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in files:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr, entry.create_system = _MODE, 3
            archive.writestr(entry, (root / name).read_bytes())
    return written.getvalue()
