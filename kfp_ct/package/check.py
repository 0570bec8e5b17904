"""Checks a package by the rules of the KFP backend, which otherwise fail an upload or, worse, a run."""

import graphlib
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_ct.base.errors import PackageError, listed
from kfp_ct.package import platform_config, task_names
from kfp_ct.package.package import PLATFORMS, Package, pipeline_document

# kubeflow/pipelines, backend/src/v2/compiler: the pipeline name becomes a Kubernetes name.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
# Images of this project, logical or built, hold all that their tasks import; others are their authors' matter.
_OWN_IMAGE = re.compile(r"(^|/)kfp-ct-[\w-]+[:@]")
# What kfp's compiler calls a loop's item and a field of one; in some f-strings it names them wrongly.
_LOOP_ITEM = re.compile(r"loop-item(-param-\d+)?(-subvar-(?P<field>.+))?$")
SCHEMA_VERSION = "2.1.0"


def check(package: Package, digests: bool = False) -> int:
    """Raises unless a backend would take and run the package.

    Args:
        package: A package.
        digests: Also demand that every image is named by digest.

    Returns:
        How many executors were checked, never zero.

    Raises:
        PackageError: Lists everything that is wrong.
    """
    if found := problems(package, digests):
        raise PackageError(f"a backend would refuse this package\n{listed(found)}")
    return len(package["deploymentSpec"]["executors"])


def problems(package: Package, digests: bool = False) -> list[str]:
    """Returns why a backend would refuse a package, or fail its runs; nothing if it takes it.

    Args:
        package: A package.
        digests: Also demand that every image is named by digest.
    """
    found = list(_document(package))
    try:
        return found or [*_executors(package, digests), *platform_config.problems(package), *_graph(package)]
    except PackageError as error:
        return [str(error).partition("\n")[0]]


def _document(package: Package) -> Iterator[str]:
    name = package.get("pipelineInfo", {}).get("name", "")
    if not _NAME.fullmatch(name) or len(name) > 128:
        yield f"pipelineInfo.name {name!r}: expected lower case letters, digits, dashes and dots, at most 128"
    if package.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion is {package.get('schemaVersion')!r}: expected {SCHEMA_VERSION!r}"
    try:
        json_format.ParseDict(pipeline_document(package), pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict({PLATFORMS: package.get(PLATFORMS, {})}, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        yield f"not a PipelineSpec: {error}"
    for platform in set(package.get(PLATFORMS, {})) - {"kubernetes"}:
        yield f"platforms has {platform!r}: expected kubernetes, which is the only one a backend knows"


def _executors(package: Package, digests: bool) -> Iterator[str]:
    executors = package.get("deploymentSpec", {}).get("executors", {})
    if not executors:
        yield "it has no executors: there is nothing to run"
    for label, executor in sorted(executors.items()):
        container = executor.get("container")
        if container is None:
            continue
        image = container.get("image", "")
        if digests and not _DIGEST.fullmatch(image):
            yield f"{label}: image {image!r} is not named by digest: expected <repository>@sha256:<64 hex digits>"
        if _OWN_IMAGE.search(image) and "pip install" in " ".join(container.get("command", [])):
            yield f"{label}: installs packages when it starts: expected install_kfp_package=False, its image holds them"


def _graph(package: Package) -> Iterator[str]:
    components = package.get("components", {})
    task_names.names(package)  # raises where a DAG contains itself
    for place, around in _dags(package):
        dag = around.get("dag", {})
        yield from _waiting_for_each_other(place, dag)
        tasks = dag.get("tasks", {})
        if not tasks:
            yield f"{place}: has no tasks"
        for name, task in sorted(tasks.items()):
            component = task.get("componentRef", {}).get("name", "")
            if component not in components:
                yield f"{place}, task {name}: component {component!r} is not in the package"
                continue
            if problem := _runs_nothing(package, components[component]):
                yield f"{place}, task {name}: {problem}"
                continue
            yield from _task(f"{place}, task {name}", task, tasks, components)
            yield from _from_around(f"{place}, task {name}", task, around, components)


def _runs_nothing(package: Package, component: dict[str, Any]) -> str:
    """Says why a component runs nothing; empty if it does."""
    if "dag" in component:
        return ""
    label = component.get("executorLabel", "")
    if not label:
        return "it holds no tasks, and no executor"
    known = package["deploymentSpec"]["executors"]
    return "" if label in known else f"its executor {label!r} is not in the package"


def _waiting_for_each_other(place: str, dag: dict[str, Any]) -> Iterator[str]:
    waiting = {name: set(task.get("dependentTasks", ())) for name, task in dag.get("tasks", {}).items()}
    try:
        graphlib.TopologicalSorter(waiting).prepare()
    except graphlib.CycleError as error:
        yield f"{place}: tasks wait for each other: {', '.join(error.args[1])}"


def _dags(package: Package) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "root", package["root"]
    for name, component in sorted(package.get("components", {}).items()):
        if "dag" in component:
            yield name, component


def _task(place: str, task: dict[str, Any], tasks: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    for upstream in task.get("dependentTasks", []):
        if upstream not in tasks:
            yield f"{place}: depends on {upstream!r}, which is not there"
    wanted = components[task["componentRef"]["name"]].get("inputDefinitions", {})
    given = task.get("inputs", {})
    items = [task[each].get("itemInput") for each in ("parameterIterator", "artifactIterator") if each in task]
    for kind, producer_key, output_key in (
        ("parameters", "taskOutputParameter", "outputParameterKey"),
        ("artifacts", "taskOutputArtifact", "outputArtifactKey"),
    ):
        for name, definition in wanted.get(kind, {}).items():
            missing = name not in given.get(kind, {}) and name not in items
            if missing and not definition.get("isOptional") and "defaultValue" not in definition:
                yield f"{place}: its input {name!r} is not given"
        for name, source in given.get(kind, {}).items():
            # Parameters beside the component's are what texts and resources of the task are made of.
            if kind == "artifacts" and name not in wanted.get(kind, {}):
                yield f"{place}: gives {name!r}, which its component does not take"
            produced = source.get(producer_key)
            if produced:
                yield from _produced(f"{place}, input {name}", produced, output_key, kind, tasks, components)


def _from_around(place: str, task: dict[str, Any], around: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    """Yields the inputs of a task that need a value, and come from an input that the DAG around it does not have."""
    known = around.get("inputDefinitions", {})
    taken = components[task["componentRef"]["name"]].get("inputDefinitions", {})
    for kind, key in (("parameters", "componentInputParameter"), ("artifacts", "componentInputArtifact")):
        for name, source in task.get("inputs", {}).get(kind, {}).items():
            wanted = source.get(key)
            if not wanted or wanted in known.get(kind, {}) or taken.get(kind, {}).get(name, {}).get("isOptional"):
                continue
            yield f"{place}, input {name}: comes from {wanted!r}, which is no input of the DAG around it{_fix(wanted)}"


def _fix(wanted: str) -> str:
    item = _LOOP_ITEM.search(wanted)
    if not item:
        return ""
    what = f"the item's field {item['field']}" if item["field"] else "the item"
    return f"; fix: hand {what} to a component that makes the text, instead of an f-string"


def _produced(
    place: str, produced: dict[str, str], output_key: str, kind: str, tasks: dict[str, Any], components: dict[str, Any]
) -> Iterator[str]:
    producer = produced["producerTask"]
    if producer not in tasks:
        yield f"{place}: comes from task {producer!r}, which is not there"
        return
    outputs = components.get(tasks[producer]["componentRef"]["name"], {}).get("outputDefinitions", {})
    if produced[output_key] not in outputs.get(kind, {}):
        yield f"{place}: task {producer!r} has no output {produced[output_key]!r}"
