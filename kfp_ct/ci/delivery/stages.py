"""A delivered commit on its way: fetched as it was built, and written down where it has passed.

    gs://bucket/pipelines/flights/COMMIT/   package.yaml, images.lock, provenance.json, …, as the build left them
        stages/test.json                    the package's digest, where it was deployed, and whether a run succeeded

What goes on is the same file: nothing is compiled or built again, and whoever fetches it holds it to the digest that
the provenance and the stage before it name. Stages are only added, each once.
"""

import base64
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import require_plain
from kfp_ct.runs.record import now
from kfp_ct.storage import locations, storage

PACKAGE, PROVENANCE, ENVELOPE = "package.yaml", "provenance.json", "provenance.dsse.json"
# What `ct deploy` was told of a run: only the last of them waited for it to succeed.
NO_RUN, RUN, WAIT = RUNS = ("no-run", "run", "wait")


@dataclasses.dataclass(frozen=True)
class Stage:
    """That a package was deployed to an environment.

    Attributes:
        package: SHA-256 of the package's file.
        run: no-run, run, or wait where a run of it succeeded there.
        build: Id of the build that did it.
    """

    stage: str
    package: str
    target: str
    run: str
    build: str = ""
    at: str = ""


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file.

    Raises:
        UsageError: There is no such file.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}\nexpected: a package that was delivered\nfix: ct delivery fetch")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(source: str, destination: Path, commit: str, after: str) -> str:
    """Downloads what was delivered of a commit; returns the package's digest.

    Args:
        source: The folder of the commit.
        destination: Folder to make.
        commit: The commit it has to be of, by its provenance.
        after: The stage that the same package has to have passed; empty for none.

    Raises:
        UsageError: Nothing was delivered, it is of another commit, it was changed, or it has not passed.
    """
    if destination.exists():
        raise UsageError(f"{destination} is there already\nexpected: a folder to make\nfix: choose another --to")
    prefix = f"{source.rstrip('/')}/"
    found = [each for each in storage.list_folder(source) if each.uri.startswith(prefix)]
    names = {each.uri.removeprefix(prefix) for each in found}
    if not {PACKAGE, PROVENANCE} <= names:
        raise UsageError(
            f"nothing was delivered of {commit} at {source}\nexpected: {PACKAGE} and {PROVENANCE}\n"
            "fix: see whether the build of that commit succeeded; a red step delivers nothing"
        )
    try:
        storage.download((each, destination / each.uri.removeprefix(prefix)) for each in found)
        made = digest(destination / PACKAGE)
        _require_built(destination, commit, made)
        if after:
            _require_passed(source, after, made)
    except BaseException:
        shutil.rmtree(destination, ignore_errors=True)  # what was refused is not deployed by mistake
        raise
    return made


def record(source: str, passed: Stage) -> Stage:
    """Writes down that a package has passed a stage; again, this does nothing.

    Raises:
        UsageError: The package is not what was delivered, or another one has passed that stage as this commit.
    """
    uri = _uri(source, passed.stage)
    _require_delivered(source, passed.package)
    stamped = dataclasses.replace(passed, at=now())
    if storage.create(uri, json.dumps(dataclasses.asdict(stamped), indent=1).encode()):
        return stamped
    before = _read(uri)
    if before is None or before.package != passed.package:
        raise UsageError(
            f"{uri} says that {before.package if before else 'nothing'} has passed {passed.stage}\n"
            f"expected: {passed.package}: one commit is one package\nfix: deliver another commit"
        )
    if before.run != WAIT and passed.run == WAIT:  # passed for good now
        storage.write(uri, json.dumps(dataclasses.asdict(stamped), indent=1).encode())
        return stamped
    return before


def _require_delivered(source: str, package: str) -> None:
    delivered = storage.read(locations.join(source, PACKAGE))
    there = hashlib.sha256(delivered.data).hexdigest() if delivered else "none"
    if there != package:
        raise UsageError(
            f"the package has the digest {package}, what was delivered at {source} has {there}\n"
            "expected: the package of that folder\nfix: name the folder and the --package of one commit"
        )


def _require_built(folder: Path, commit: str, made: str) -> None:
    _require_one_statement(folder)
    try:
        statement = json.loads((folder / PROVENANCE).read_text())
        subjects = {each["name"]: each["digest"].get("sha256", "") for each in statement["subject"]}
        definition = statement["predicate"]["buildDefinition"]
        built = definition["internalParameters"]["systemSubstitutions"]["COMMIT_SHA"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{PROVENANCE} is no provenance of `ct images provenance`: {error!r}") from error
    if built != commit:
        raise UsageError(f"what was delivered is of the commit {built}\nexpected: {commit}\nfix: promote that commit")
    if subjects.get(PACKAGE) != made:
        raise UsageError(
            f"{PACKAGE} has the digest {made}, its provenance names {subjects.get(PACKAGE) or 'none'}\n"
            "expected: the file that was built\nfix: find out who changed it; deliver the commit again elsewhere"
        )


def _require_one_statement(folder: Path) -> None:
    """Demands that the signed statement is the one that is read: an old one beside a new one would pass as new."""
    if not (folder / ENVELOPE).is_file():
        return
    try:
        signed = base64.b64decode(json.loads((folder / ENVELOPE).read_text())["payload"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{ENVELOPE} is no envelope of `ct images sign`: {error!r}") from error
    if signed != (folder / PROVENANCE).read_bytes():
        raise UsageError(
            f"{ENVELOPE} holds another statement than {PROVENANCE}\nexpected: the provenance as it was signed\n"
            "fix: find out who changed it; deliver the commit again elsewhere"
        )


def _require_passed(source: str, after: str, made: str) -> None:
    uri = _uri(source, after)
    before = _read(uri)
    if before is None:
        problem = f"this package was not deployed to {after}: there is no {uri}"
    elif before.package != made:
        problem = f"{after} has passed with the package {before.package}, this one is {made}"
    elif before.run != WAIT:
        problem = f"this package was deployed to {after}, and no run of it was waited for ({before.run})"
    else:
        return
    raise UsageError(
        f"{problem}\nexpected: a run that succeeded in {after}\nfix: have the build of {after} succeed first"
    )


def _uri(source: str, stage: str) -> str:
    require_plain(stage, "a stage is", "test, preprod or prod")
    return locations.join(source, "stages", f"{stage}.json")


def _read(uri: str) -> Stage | None:
    content = storage.read(uri)
    if content is None:
        return None
    try:
        fields: dict[str, Any] = json.loads(content.data)
        return Stage(**fields)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{uri} is no stage of `ct delivery record`: {error}") from error
