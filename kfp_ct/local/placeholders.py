"""Fills in KFP's placeholders, `{{$…}}`, in texts that a package holds, and in nothing that runs hand through."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# The mount path of a pipeline's workspace on a cluster; kfp's local runner replaces it by the workspace's folder too.
WORKSPACE_MOUNT = "/kfp-workspace"
_PLACEHOLDER = re.compile(r"\{\{\$(?P<path>[^{}]*)\}\}")
_PARAMETER = re.compile(r"\.inputs\.parameters\[(?:''|'|\")(?P<name>.*?)(?:''|'|\")\]")
_KEY = re.compile(r"\[(?:''|'|\")?(.*?)(?:''|'|\")?\]|\.?([^.\[\]]+)")


def task_facts(facts: Mapping[str, str], position: Sequence[str], iterations: Sequence[int]) -> dict[str, str]:
    """Returns what placeholders stand for in one task: what they stand for in the run, its name and its id.

    Args:
        facts: What the placeholders of the run stand for.
        position: Names of the DAG tasks around the task, and its own.
        iterations: Which iteration of each loop around it.
    """
    known = "/".join([facts[".pipeline_job_uuid"], *position, *map(str, iterations)])
    uuid = hashlib.sha256(known.encode()).hexdigest()[:16]
    return {**facts, ".pipeline_task_name": position[-1], ".pipeline_task_uuid": uuid}


def fill_constant(value: Any, parameters: Mapping[str, Any], facts: Mapping[str, str]) -> Any:
    """Fills in a constant argument of a task: f-strings name the task's other inputs, and facts of the run.

    Args:
        value: The constant; what is no text, and what it holds deeper down, is filled in all the same.
        parameters: The task's other input parameters.
        facts: What placeholders such as `.pipeline_job_name` stand for.
    """
    if isinstance(value, Mapping):
        return {
            fill_constant(key, parameters, facts): fill_constant(each, parameters, facts) for key, each in value.items()
        }
    if isinstance(value, list):
        return [fill_constant(each, parameters, facts) for each in value]
    if not isinstance(value, str) or ("{{$" not in value and WORKSPACE_MOUNT not in value):
        return value

    def look_up(path: str) -> str | None:
        named = _PARAMETER.fullmatch(path)
        if named:
            return as_text(parameters.get(named["name"]))
        return facts.get(path)

    return _fill(in_workspace(value, facts), look_up)


def fill_command(text: str, executor_input: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """Fills in one element of a command: `{{$}}` is the whole executor input, paths lead into it.

    Args:
        text: The element.
        executor_input: The task's executor input.
        facts: What placeholders such as `.pipeline_job_name` stand for.
    """

    def look_up(path: str) -> str | None:
        if path == "":
            return json.dumps(executor_input)
        if path in facts:
            return facts[path]
        if path in (".outputs.output_file", ".outputMetadataUri"):
            return str(executor_input["outputs"]["outputFile"])
        if path.startswith((".inputs.", ".outputs.")):
            return as_text(_at(executor_input, path))
        return None

    return _fill(in_workspace(text, facts), look_up)


def in_workspace(text: str, facts: Mapping[str, str]) -> str:
    """Replaces the workspace's mount path by its folder on this machine."""
    return text.replace(WORKSPACE_MOUNT, facts[".workspace_path"]) if WORKSPACE_MOUNT in text else text


def as_text(value: Any) -> str:
    """Returns a value as it stands in a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _fill(text: str, look_up: Callable[[str], str | None]) -> str:
    """Replaces what is known in one pass: what is filled in is not looked at again."""

    def replaced(match: re.Match[str]) -> str:
        found = look_up(match["path"])
        return match[0] if found is None else found

    return _PLACEHOLDER.sub(replaced, text)


def _at(executor_input: Mapping[str, Any], path: str) -> Any:
    """Follows such a path as `.inputs.artifacts['model'].path`; None where it leads nowhere."""
    keys = [first or second for first, second in _KEY.findall(path)]
    kind = keys[:2]
    rest: list[Any] = keys[2:]
    if kind == ["inputs", "parameters"]:
        rest = ["parameterValues", *rest]
    elif kind == ["outputs", "parameters"]:
        rest = ["parameters", *rest[:1], "outputFile"]
    elif len(rest) > 1:
        field = "uri" if rest[1] == "path" else rest[1]
        rest = ["artifacts", rest[0], "artifacts", 0, field, *rest[2:]]
    else:
        # Without a field it is a list of artifacts, each with name, type, uri and metadata.
        rest = ["artifacts", *rest, "artifacts"]
    found: Any = executor_input.get(keys[0], {})
    try:
        for key in rest:
            found = found[key]
    except (KeyError, IndexError, TypeError):
        return None
    return found
