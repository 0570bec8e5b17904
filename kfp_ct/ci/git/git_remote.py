"""A git remote on this machine whose pushes run builds, as Cloud Build's triggers do on a hosted repository."""

import contextlib
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
from kfp_ct.ci.cloudbuild import build
from kfp_ct.ci.cloudbuild.states import Status
from kfp_ct.ci.git.definition import Trigger, parse
from kfp_ct.data import layouts
from kfp_ct.project.workspace import HOME_VARIABLE, Workspace, git

TRIGGERS = "infra/triggers"
SETTINGS = "ct-trigger.yaml"
_NOTHING = "0" * 40


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
    old, new, ref = update
    found = list(_triggers(repository, new))
    matching = [trigger for trigger in found if trigger.matches(ref, _changed(repository, old, new))]
    if not matching:
        _say(f"{ref}: none of {len(found)} triggers is for this push")
        return 0
    # A push that waits takes its place by writing its commit: whoever finds another one there has been overtaken.
    name = re.sub(r"[^\w.-]", "_", ref)
    waiting, lock = repository / "builds" / f"{name}.newest", repository / "builds" / f"{name}.lock"
    layouts.write_text(waiting, new)
    code = 0
    with atomic_files.locked(lock):
        if waiting.read_text() != new:
            _say(f"{ref}: {new[:7]} was overtaken by {waiting.read_text()[:7]} and is not built")
            return 0
        for trigger in matching:
            code = _build(workspace, repository, (new, ref), trigger, options) or code
    return code


def _build(
    workspace: Workspace, repository: Path, pushed: tuple[str, str], trigger: Trigger, options: Mapping[str, Any]
) -> int:
    commit, ref = pushed
    kind, _, name = ref.removeprefix("refs/").partition("/")
    if trigger.needs_approval:
        given = ",".join(f"{key}={value}" for key, value in trigger.substitutions.items())
        _say(f"{trigger.name}: waits for a person's approval, which is to run")
        _say(
            f"  ct build --source {repository} --commit {commit} --substitutions {given}".removesuffix(
                " --substitutions "
            )
        )
        return 0
    _say(f"{trigger.name}: building {commit[:7]} of {name} by {trigger.config}")
    request = build.BuildRequest(
        config=Path(trigger.config),
        source=repository,
        commit=commit,
        substitutions={**trigger.substitutions, **options.get("substitutions", {})},
        containers=options.get("containers"),
        images=options.get("images", {}),
        inputs={name: Path(file) for name, file in options.get("inputs", {}).items()},
        environment=options.get("environment", {}),
        built_in={
            "BRANCH_NAME": name if kind == "heads" else "",
            "TAG_NAME": name if kind == "tags" else "",
            "REF_NAME": name,
            "TRIGGER_NAME": trigger.name,
            "TRIGGER_BUILD_CONFIG_PATH": trigger.config,
        },
        cause=f"push to {name} ({trigger.name})",
    )
    done = build.run(workspace, request, Console(file=sys.stdout, highlight=False, width=100))
    Console(file=sys.stdout, highlight=False).print(build.closing(done, workspace.builds / done.id), soft_wrap=True)
    verdict = "delivered" if done.status is Status.SUCCESS else "nothing is delivered"
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
