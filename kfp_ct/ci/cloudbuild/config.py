"""A build configuration, checked and ready to run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.ci.cloudbuild import expansion, rules, substitutions
from kfp_ct.ci.cloudbuild.document import Document, read
from kfp_ct.ci.cloudbuild.problems import Findings, InvalidBuildError, Problem, refuse

DEFAULT_TIMEOUT = 3600.0


@dataclasses.dataclass(frozen=True)
class Step:
    """One step with its substitutions replaced.

    Attributes:
        label: Its id, or `step-<index>`.
        waits_for: Indices of the steps that must have ended well before.
        environment: Variables, those of the build among them.
        timeout: Seconds; None for no own limit.
    """

    index: int
    label: str
    image: str
    entrypoint: str
    args: tuple[str, ...]
    script: str
    folder: str
    environment: dict[str, str]
    secrets: tuple[str, ...]
    volumes: dict[str, str]
    waits_for: tuple[int, ...]
    timeout: float | None
    allow_failure: bool
    allow_exit_codes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Build:
    """A whole build; `timeout` in seconds, `objects` a gs:// folder to path patterns."""

    steps: list[Step]
    timeout: float
    images: list[str]
    objects: dict[str, list[str]]
    packages: list[str]  # kinds of package artifacts that only the cloud can publish
    values: dict[str, str]


def examine(text: str) -> tuple[Document, list[Problem]]:
    """Reads a configuration and finds everything that is wrong with it."""
    from google.cloud.devtools.cloudbuild_v1.types import cloudbuild

    findings = Findings()
    document = Document({}, {})
    try:
        document = read(text, cloudbuild.Build.pb().DESCRIPTOR, findings)
        if document.tree or not findings.errors:
            rules.check(document, findings)
            substitutions.check(document, findings)
    except RecursionError:
        findings.error(1, "it is nested too deeply to be read")
    return document, findings.all


def examine_file(path: Path) -> tuple[Document, list[Problem]]:
    """Examines a file; that it cannot be read is a problem like others, so that other files are examined still."""
    try:
        return examine(read_text(path))
    except InvalidBuildError as error:
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else cause
        return Document({}, {}), [Problem(1, f"it cannot be read: {why}\nexpected: a cloudbuild.yaml")]


def load(path: Path, given: Mapping[str, str], built_in: Mapping[str, str]) -> Build:
    """Reads, checks and completes a configuration for a run.

    Args:
        path: The file.
        given: Substitutions from the command line or a trigger.
        built_in: Values of Cloud Build's own substitutions.

    Raises:
        InvalidBuildError: Cloud Build would refuse it, or a substitution has no value.
    """
    document, problems = examine(read_text(path))
    fatal = [problem for problem in problems if problem.fatal]
    fatal += _unmatched(document, given)
    if fatal:
        raise refuse(str(path), sorted(set(fatal)))
    try:
        values = substitutions.resolve(document.tree, given, built_in)
        tree = substitutions.substitute(document.tree, values)
    except expansion.ExpansionError as error:
        raise InvalidBuildError(f"{path}: {error}") from error
    return _build(tree, values)


def read_text(path: Path) -> str:
    """Returns a configuration's text.

    Raises:
        InvalidBuildError: There is no such file, or it is no text.
    """
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidBuildError(f"{path} cannot be read: {error}\nexpected: a cloudbuild.yaml") from error


def refused_elsewhere(path: Path) -> list[Problem]:
    """Returns what of a configuration that runs here one way of starting a build on Cloud Build would refuse."""
    return [problem for problem in examine(read_text(path))[1] if problem.by and not problem.fatal]


def _unmatched(document: Document, given: Mapping[str, str]) -> list[Problem]:
    """A run demands what `MUST_MATCH`, the default, demands: every substitution declared, every one used."""
    findings = Findings()
    declared = document.tree.get("substitutions", {})
    for key in given:
        if not substitutions.USER_KEY.fullmatch(key) and key not in substitutions.BUILT_IN:
            findings.error(1, f"--substitutions gives {key}\nexpected: a name such as _{key.strip('_').upper()}")
    if document.tree.get("options", {}).get("substitutionOption") == "ALLOW_LOOSE":
        return findings.all
    for where, text in substitutions.texts(document.tree):
        for key in expansion.keys(text):
            if substitutions.USER_KEY.fullmatch(key) and key not in declared and key not in given:
                line = document.line_using(key, *where)
                findings.error(line, f"${key} is neither declared nor given\nfix: declare it under substitutions")
    return findings.all


def _build(tree: dict[str, Any], values: dict[str, str]) -> Build:
    options = tree.get("options", {})
    steps: list[Step] = []
    for index, step in enumerate(tree["steps"]):
        steps.append(_step(index, step, options, values, steps))
    artifacts = tree.get("artifacts", {})
    objects = artifacts.get("objects", {})
    return Build(
        steps=steps,
        timeout=rules.seconds(tree.get("timeout", "")) or DEFAULT_TIMEOUT,
        images=list(dict.fromkeys([*tree.get("images", []), *artifacts.get("images", [])])),
        objects={objects["location"]: objects["paths"]} if objects else {},
        packages=sorted(name for name in artifacts if name not in ("images", "objects")),
        values=values,
    )


def _step(
    index: int, step: dict[str, Any], options: dict[str, Any], values: dict[str, str], before: list[Step]
) -> Step:
    environment = dict(entry.split("=", 1) for entry in [*options.get("env", []), *step.get("env", [])])
    if step.get("script") and step.get("automapSubstitutions", options.get("automapSubstitutions")):
        environment = {**values, **environment}
    volumes = [*options.get("volumes", []), *step.get("volumes", [])]
    return Step(
        index=index,
        label=step.get("id") or f"step-{index}",
        image=step["name"],
        entrypoint=step.get("entrypoint", ""),
        args=tuple(step.get("args", [])),
        script=step.get("script", ""),
        folder=step.get("dir", ""),
        environment=environment,
        secrets=(*options.get("secretEnv", []), *step.get("secretEnv", [])),
        volumes={volume["name"]: volume["path"] for volume in volumes},
        waits_for=_waits(step.get("waitFor", []), before),
        timeout=rules.seconds(step.get("timeout", "")),
        allow_failure=bool(step.get("allowFailure")),
        allow_exit_codes=tuple(step.get("allowExitCodes", [])),
    )


def _waits(names: list[str], before: list[Step]) -> tuple[int, ...]:
    if not names:
        return tuple(step.index for step in before)
    return tuple(step.index for step in before if step.label in names)
