"""A git remote on this machine whose pushes run builds, as Cloud Build's triggers do on a hosted repository."""

import contextlib
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.ci.cloudbuild import approvals, build
from kfp_ct.ci.cloudbuild.states import Status
from kfp_ct.ci.git.definition import Trigger, parse
from kfp_ct.data import layouts
from kfp_ct.project.workspace import HOME_VARIABLE, Workspace, git

TRIGGERS = "infra/triggers"
SETTINGS = "ct-trigger.yaml"
_NOTHING = "0" * 40
# `git push ct HEAD:refs/for/main/TOPIC` is a pull request for main.
_REQUESTS = "refs/for/"


@dataclasses.dataclass(frozen=True)
class Pushed:
    """What was pushed: a branch, a tag, or a pull request, which is for a base branch."""

    commit: str
    ref: str
    base: str = ""
    changed: tuple[str, ...] = ()

    @property
    def event(self) -> str:
        """What triggers are matched with."""
        return f"{_REQUESTS}{self.base}" if self.base else self.ref

    @property
    def name(self) -> str:
        """Name of the branch or tag, or of the topic of a pull request."""
        if self.base:
            return self.ref.removeprefix(f"{_REQUESTS}{self.base}").strip("/") or "pull-request"
        return self.ref.removeprefix("refs/").partition("/")[2]

    @property
    def built_in(self) -> dict[str, str]:
        """The substitutions that Cloud Build sets of such an event."""
        tag = self.name if self.ref.startswith("refs/tags/") else ""
        return {"BRANCH_NAME": "" if tag else self.name, "TAG_NAME": tag, "REF_NAME": self.name}

    @property
    def of_request(self) -> dict[str, str]:
        """The substitutions that Cloud Build adds for a pull request."""
        return {"_BASE_BRANCH": self.base, "_HEAD_BRANCH": self.name} if self.base else {}


def install(workspace: Workspace, remote: str, options: Mapping[str, Any]) -> Path:
    """Makes a bare repository whose pushes run builds, and a remote of that name; does nothing twice.

    Args:
        workspace: The repository to push from.
        remote: Name of the remote.
        options: What every build's request gets beyond what its trigger says, such as `containers` or `images`.

    Raises:
        UsageError: There is no git repository, or the remote is another one.
    """
    path = workspace.home / "git" / f"{workspace.root.name}.git"
    if not (workspace.root / ".git").exists():
        raise UsageError(f"{workspace.root} is no git repository\nfix: git init")
    existing = git(workspace.root, "config", "--get", f"remote.{remote}.url")
    if existing and existing != str(path):
        raise UsageError(f"the remote {remote} is {existing}\nfix: choose another name with --remote")
    if not (path / "HEAD").is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    layouts.write_text(path / SETTINGS, yaml.safe_dump({"options": dict(options), "home": str(workspace.home)}))
    hook = path / "hooks" / "post-receive"
    # Git's own variables would make the build's git look here instead of at its copy.
    layouts.write_text(
        hook,
        f"#!/bin/sh\nunset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH\ncd {path}\n"
        f"export {HOME_VARIABLE}={workspace.home}\nexec {sys.executable} -m kfp_ct.ci.git.receive {path}\n",
    )
    hook.chmod(0o755)
    if not existing:
        subprocess.run(["git", "-C", str(workspace.root), "remote", "add", remote, str(path)], check=True)
    return path


def receive(repository: Path, updates: Iterator[str]) -> int:
    """Runs the builds of a push; returns the exit code, 0 only if all of them went well.

    Args:
        repository: The bare repository.
        updates: Lines `<old> <new> <ref>`, as git gives them to the hook.
    """
    settings = yaml.safe_load((repository / SETTINGS).read_text())
    workspace = Workspace(repository, Path(settings["home"]))
    code = 0
    for update in updates:
        old, new, ref = update.split()
        if new != _NOTHING:
            with _reported() as failed:
                code = _react(workspace, repository, (old, new, ref), settings["options"]) or code
            code = failed[0] if failed else code
    return code


def _react(workspace: Workspace, repository: Path, update: tuple[str, str, str], options: Mapping[str, Any]) -> int:
    pushed = _pushed(repository, *update)
    found = list(_triggers(repository, pushed.commit))
    matching = [trigger for trigger in found if trigger.matches(pushed.event, pushed.changed)]
    if not matching:
        _say(f"{pushed.ref}: none of {len(found)} triggers is for this push")
        return 0
    # A push that waits takes its place by writing its commit: whoever finds another one there has been overtaken.
    name = re.sub(r"[^\w.-]", "_", pushed.ref)
    waiting, lock = repository / "builds" / f"{name}.newest", repository / "builds" / f"{name}.lock"
    layouts.write_text(waiting, pushed.commit)
    code = 0
    with atomic_files.locked(lock):
        if waiting.read_text() != pushed.commit:
            newest = waiting.read_text()[:7]
            _say(f"{pushed.ref}: {pushed.commit[:7]} was overtaken by {newest} and is not built")
            return 0
        for trigger in sorted(matching, key=lambda each: each.needs_approval):
            request = _request(repository, pushed, trigger, options)
            code = (_hold if trigger.needs_approval else _build)(workspace, request, trigger) or code
    return code


def _pushed(repository: Path, old: str, new: str, ref: str) -> Pushed:
    """Reads a push.

    Raises:
        UsageError: It is a pull request for a branch that is not there.
    """
    if not ref.startswith(_REQUESTS):
        return Pushed(new, ref, changed=tuple(_changed(repository, old, new)))
    parts = ref.removeprefix(_REQUESTS).split("/")
    bases = ["/".join(parts[: len(parts) - left]) for left in range(len(parts))]
    base = next((each for each in bases if git(repository, "rev-parse", "--verify", "-q", f"refs/heads/{each}")), "")
    if not base:
        raise UsageError(
            f"{ref} is a pull request for a branch that is not here\n"
            f"expected: {_REQUESTS}BRANCH/TOPIC, where BRANCH was pushed before\nfix: push the branch first"
        )
    fork = git(repository, "merge-base", f"refs/heads/{base}", new)
    return Pushed(new, ref, base, tuple(_changed(repository, fork or _NOTHING, new)))


def _request(repository: Path, pushed: Pushed, trigger: Trigger, options: Mapping[str, Any]) -> build.BuildRequest:
    kind = "pull request" if pushed.base else "push"
    to = f"{pushed.name} for {pushed.base}" if pushed.base else f"to {pushed.name}"
    return build.BuildRequest(
        config=Path(trigger.config),
        source=repository,
        commit=pushed.commit,
        substitutions={**trigger.substitutions, **options.get("substitutions", {}), **pushed.of_request},
        containers=options.get("containers"),
        images=options.get("images", {}),
        inputs={name: Path(file) for name, file in options.get("inputs", {}).items()},
        environment=options.get("environment", {}),
        built_in={
            **pushed.built_in,
            "TRIGGER_NAME": trigger.name,
            "TRIGGER_BUILD_CONFIG_PATH": trigger.config,
        },
        cause=f"{kind} {to} ({trigger.name})",
    )


def _hold(workspace: Workspace, request: build.BuildRequest, trigger: Trigger) -> int:
    held = approvals.hold(workspace, request)
    _say(f"{trigger.name}: waits for a person's approval: ct trigger approve {held.id}")
    return 0


def _build(workspace: Workspace, request: build.BuildRequest, trigger: Trigger) -> int:
    _say(f"{trigger.name}: building {request.commit[:7]} of {request.built_in['REF_NAME']} by {trigger.config}")
    done = build.run(workspace, request, Console(file=sys.stdout, highlight=False, width=100))
    Console(file=sys.stdout, highlight=False).print(build.closing(done, workspace.builds / done.id), soft_wrap=True)
    verdict = "delivered" if done.status is Status.SUCCESS else "nothing is delivered"
    if "_BASE_BRANCH" in request.substitutions:
        verdict = "a pull request delivers nothing"
    _say(f"{trigger.name}: {done.status}, {verdict}")
    return build.exit_code(done)


def _triggers(repository: Path, commit: str) -> Iterator[Trigger]:
    """Yields the triggers of the pushed commit itself."""
    listed = git(repository, "ls-tree", "--name-only", commit, f"{TRIGGERS}/").splitlines()
    for path in listed:
        if path.endswith((".yaml", ".yml", ".json")):
            yield parse(git(repository, "show", f"{commit}:{path}"), path)


def _changed(repository: Path, old: str, new: str) -> list[str]:
    if old == _NOTHING:
        return []
    return git(repository, "diff", "--name-only", old, new).splitlines()


@contextlib.contextmanager
def _reported() -> Iterator[list[int]]:
    """Shows an error to the pusher as one message and keeps its exit code."""
    failed: list[int] = []
    try:
        yield failed
    except CtError as error:
        _say("error: " + "\n  ".join(str(error).splitlines()))
        _say("nothing was run, nothing is delivered")
        failed.append(error.exit_code)


def _say(text: str) -> None:
    print(f"ct: {text}", flush=True)
