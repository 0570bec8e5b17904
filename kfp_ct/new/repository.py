"""Makes a repository of one's own, with everything from the first run to CI/CD: `ct init`."""

import dataclasses
import hashlib
import json
import re
import shutil
import tempfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from kfp_ct.base.errors import UsageError

TEMPLATE = Path(__file__).parent / "templates" / "repository"
LIBRARY = "kfp-ct"
EXAMPLE = "flights"
# What only the example has.
_OF_EXAMPLE = (f"pipelines/{EXAMPLE}", f"tests/components/{EXAMPLE}", "requirements/data.in", "requirements/data.txt")
# What the template's files call the repository: those that are this one's own have its own name.
_NAMES = dict.fromkeys(("cloudbuild.yaml", "infra/checks.yaml", "infra/promote.yaml", "infra/triggers"), LIBRARY)
_NAME_IN_TEMPLATE = "my-repository"
# What a project that is to be made first is called in these files.
_NAME_PROJECT = ("Makefile", "cloudbuild.yaml", "infra/promote.yaml", "README.md")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_MADE_BY_RUNNING = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".new-*")
_PIN = """# The library. To upgrade, change the last line, then `make lock setup`.
# Its wheel lies in vendor/ where no index has it.
--find-links ../vendor
{requirement} --hash=sha256:{digest}
"""


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be made.

    Attributes:
        folder: Where; it is made, or is empty.
        name: Of the repository, its images and builds; the folder's by default.
        library: The wheel to pin; by default the one that this library was installed from.
        example: Whether the flights project comes with it, so that it runs at once.
    """

    folder: Path
    name: str = ""
    library: Path | None = None
    example: bool = True


def make(request: Request) -> str:
    """Writes the repository; nothing is left behind if something does not fit.

    Returns:
        What was made and how to go on.

    Raises:
        UsageError: The folder is not empty, the name is none, or there is no wheel to pin.
    """
    folder = request.folder.absolute()
    _check_empty(folder)
    name = request.name or _default_name(folder)
    _check_name(name)
    wheel = request.library or _installed_from()
    version = _version(wheel)
    home = next(path for path in folder.parents if path.is_dir())
    with tempfile.TemporaryDirectory(dir=home, prefix=f".{folder.name}-") as scratch:
        draft = Path(scratch) / "repository"
        shutil.copytree(TEMPLATE, draft, ignore=_MADE_BY_RUNNING)
        project = EXAMPLE if request.example else name.replace("-", "_")
        _adapt(draft, name, project)
        _pin(draft, wheel, version)
        _move(draft, folder)
    return _account(folder, project, request.example)


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file\nexpected: a folder that is empty, or none yet\nfix: choose another")
    # A repository that was just cloned from nothing has only this.
    found = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else []
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise UsageError(
            f"{folder} is not empty: there is {', '.join(found[:5])}{more}\n"
            "expected: an empty folder, or none yet\nfix: choose another, or move away what is there"
        )


def _default_name(folder: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME or name == LIBRARY:
        raise UsageError(
            f"{name!r} cannot be a repository's name\n"
            f"expected: lower-case letters, digits and single dashes, {_LONGEST_NAME} at most, and not {LIBRARY}, the "
            "library's own\nfix: give --name, such as churn-models"
        )


def _installed_from() -> Path:
    """Returns the wheel that this library was installed from, as pip and uv note it (PEP 610).

    Raises:
        UsageError: It came from elsewhere, or the wheel has gone.
    """
    fix = f"fix: give it by --library FILE.whl; `make wheel` in a clone or `pip download --no-deps {LIBRARY}` gets one"
    try:
        noted = json.loads(metadata.distribution(LIBRARY).read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:
        noted = {}
    if "dir_info" in noted or not noted.get("url", "").endswith(".whl"):
        raise UsageError(f"this library was not installed from a wheel, so there is none to pin\n{fix}")
    url = urllib.parse.urlparse(noted["url"])
    wheel = Path(urllib.request.url2pathname(url.path))
    if url.scheme != "file" or not wheel.is_file():
        raise UsageError(f"the wheel that this library was installed from is not there: {noted['url']}\n{fix}")
    return wheel


def _version(wheel: Path) -> str:
    """Returns the version of a wheel of this library.

    Raises:
        UsageError: It is no such wheel, or of another version than this, whose files those of the repository fit.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            about = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = archive.read(about).decode().splitlines()
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise UsageError(f"{wheel} is no wheel: {error or 'it has no metadata'}\nfix: correct --library") from error
    fields = dict(line.split(": ", 1) for line in lines[: lines.index("")] if ": " in line)
    if fields.get("Name") != LIBRARY:
        raise UsageError(f"{wheel} is a wheel of {fields.get('Name')}\nexpected: {LIBRARY}\nfix: correct --library")
    own = metadata.version(LIBRARY)
    if fields["Version"] != own:
        raise UsageError(
            f"{wheel} is version {fields['Version']}, and this is {own}\n"
            "expected: the same, since what is written fits it\nfix: install that wheel, and run its own `ct init`"
        )
    return own


def _adapt(draft: Path, name: str, project: str) -> None:
    """Gives the template's files the repository's name, and takes out the example where it is not wanted."""
    if project != EXAMPLE:
        for each in _OF_EXAMPLE:
            path = draft / each
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (path for path in draft.rglob("*") if path.is_file()):
        where = path.relative_to(draft)
        content = path.read_bytes()
        if content.startswith(b"#!") and path.suffix != ".sh":
            path.chmod(0o755)
        own = next((_NAMES[each] for each in _NAMES if where.is_relative_to(each)), _NAME_IN_TEMPLATE)
        changes = {own: name, **({EXAMPLE: project} if str(where) in _NAME_PROJECT else {})}
        _replace(path, content, changes)
    if project != EXAMPLE:
        makefile = draft / "Makefile"
        makefile.write_text(re.sub(r"^SMALL := .*$", "SMALL :=", makefile.read_text(), flags=re.MULTILINE))


def _replace(path: Path, content: bytes, changes: Mapping[str, str]) -> None:
    changed = content
    for old, new in changes.items():
        changed = changed.replace(old.encode(), new.encode())
    if changed != content:
        path.write_bytes(changed)


def _pin(draft: Path, wheel: Path, version: str) -> None:
    """Puts the wheel into the repository and pins it by version and content."""
    shutil.copyfile(wheel, draft / "vendor" / wheel.name)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    pin = _PIN.format(requirement=f"{LIBRARY}=={version}", digest=digest)
    (draft / "requirements" / "kfp-ct.txt").write_text(pin)


def _move(draft: Path, folder: Path) -> None:
    """Moves what is finished to its place, all of it or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    moved: list[Path] = []
    try:
        for path in sorted(draft.iterdir()):
            moved.append(folder / path.name)
            shutil.move(path, moved[-1])
    except BaseException:
        for path in moved:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _account(folder: Path, project: str, example: bool) -> str:
    first = "make run" if example else f"make setup, then .venv/bin/ct new {project} --data FILE.csv --label COLUMN"
    return (
        f"{folder}: a repository of your own, with the library pinned in requirements/kfp-ct.txt\n"
        "README.md says what is where; all of it is yours to edit\n"
        f"next: cd {folder}, then {first}"
    )
