"""Builds that wait for a person: kept with all that they need, begun or refused by a word with name and reason."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import UsageError
from kfp_ct.ci.cloudbuild import record
from kfp_ct.ci.cloudbuild.build import BuildRequest
from kfp_ct.ci.cloudbuild.record import Record
from kfp_ct.ci.cloudbuild.states import Status
from kfp_ct.project.workspace import Workspace, require_plain
from kfp_ct.runs.record import new_id, now

APPROVED, REJECTED = "APPROVED", "REJECTED"
_REQUEST = "request.json"


@dataclasses.dataclass(frozen=True)
class Word:
    """What a person says of a build that waits."""

    state: str
    by: str
    why: str = ""


def hold(workspace: Workspace, request: BuildRequest) -> Record:
    """Keeps a build until somebody approves it.

    Args:
        workspace: Where it is kept.
        request: Of a commit; the build of files as they lie there could be another one later.
    """
    held = dataclasses.replace(request, id=new_id())
    built_in = held.built_in
    kept = Record(
        held.id, str(held.config), str(held.source), held.commit, built_in.get("REF_NAME", ""), held.cause, "",
        dict(held.substitutions), now(), Status.PENDING, "waits for a person's approval",
        approval={"state": Status.PENDING},
    )  # fmt: skip
    folder = workspace.builds / held.id
    folder.mkdir(parents=True)
    (folder / _REQUEST).touch(0o600)  # before there is something in it: the environment may hold secrets
    (folder / _REQUEST).write_text(json.dumps(dataclasses.asdict(held), default=str))
    kept.save(folder)
    return kept


@contextmanager
def answered(workspace: Workspace, build_id: str, word: Word) -> Iterator[BuildRequest | None]:
    """Notes a person's word; yields the build to run, None where it was rejected. Nobody else answers meanwhile.

    Raises:
        UsageError: There is no such build, or it waits no more.
    """
    require_plain(build_id, "a build is", "an id that `ct builds` lists")
    folder = workspace.builds / build_id
    if not (folder / _REQUEST).is_file():
        waiting = [each.id for each in record.load_all(workspace.builds) if each.status is Status.PENDING]
        known = ", ".join(waiting) or "none waits"
        raise UsageError(f"no build {build_id!r} waits for approval\nexpected: one of those that wait: {known}")
    with atomic_files.locked(folder / "approval.lock"):
        kept = record.load(folder)
        # An approved one that is still queued was killed before it began.
        if kept.status not in (Status.PENDING, Status.QUEUED):
            raise UsageError(f"the build {build_id} is {kept.status}{_said(kept)}\nexpected: one that waits")
        kept.approval = {**dataclasses.asdict(word), "at": now()}
        kept.status = Status.QUEUED if word.state == APPROVED else Status.CANCELLED
        kept.detail = f"{word.state.lower()} by {word.by}{f': {word.why}' if word.why else ''}"
        kept.save(folder)
        yield _request(folder, kept.approval) if word.state == APPROVED else None


def _request(folder: Path, approval: dict[str, str]) -> BuildRequest:
    fields: dict[str, Any] = json.loads((folder / _REQUEST).read_text())
    fields |= {
        "config": Path(fields["config"]), "source": Path(fields["source"]), "only": tuple(fields["only"]),
        "inputs": {name: Path(file) for name, file in fields["inputs"].items()}, "approval": approval,
    }  # fmt: skip
    return BuildRequest(**fields)


def _said(kept: Record) -> str:
    return f", {kept.approval['state'].lower()} by {kept.approval['by']}" if kept.approval.get("by") else ""
