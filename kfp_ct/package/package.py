"""Compiles a pipeline to a KFP v2 package: pure, offline, the same bytes for the same sources."""

import copy
import importlib
import json
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kfp_ct.base.errors import PackageError, UsageError
from kfp_ct.data import layouts
from kfp_ct.package import other_files, yaml_documents

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent

# The pipeline document of a package, as parsed YAML; its second document, for a platform, stands in it as `platforms`.
Package = dict[str, Any]
PLATFORMS = "platforms"

_LOGICAL = re.compile(r"kfp-ct-(.+)-python:local")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,126}[a-z0-9])?")


def compile_pipeline(pipeline: str, name: str) -> Package:
    """Compiles `pipelines.training` (module; the function has its name) into a package.

    Args:
        pipeline: Import path of a module under pipelines/.
        name: Pipeline name on the backend: lower case letters, digits and dashes.

    Raises:
        UsageError: There is no such pipeline, or the name does not fit.
    """
    # KFP takes half a second to import: what only reads packages goes without.
    from kfp import compiler

    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no pipeline name\nexpected: lower case letters, digits and dashes, at most 128")
    function = _load(pipeline)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # KFP writes YAML in Python, which takes half a second, and JSON at once; what is for a platform only as YAML.
        path = Path(folder) / ("package.yaml" if function.platform_spec.platforms else "package.json")
        compiler.Compiler().compile(function, str(path), pipeline_name=name)
        if path.suffix == ".yaml":
            return load_package(path)
        compiled: Package = json.loads(path.read_text())  # not as YAML, for which 1e-05 is a text
        return compiled


def with_defaults(package: Package, parameters: Mapping[str, Any]) -> Package:
    """Makes values the defaults of pipeline inputs, so that a run started by hand begins from them."""
    changed = copy.deepcopy(package)
    for name, value in typed(package, parameters).items():
        inputs(changed)[name].update(defaultValue=value, isOptional=True)
    return changed


def with_keras(package: Package, version: int) -> Package:
    """Says which Keras the tasks that run a user's module have TensorFlow use; `tf.keras` is decided by a variable."""
    changed = copy.deepcopy(package)
    variable = {"name": "TF_USE_LEGACY_KERAS", "value": "1" if version == 2 else "0"}
    for component in changed["components"].values():
        if "module" in component.get("inputDefinitions", {}).get("parameters", {}) and "executorLabel" in component:
            container = changed["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
            others = [each for each in container.get("env", []) if each["name"] != variable["name"]]
            container["env"] = [*others, variable]
    return changed


def bind_images(package: Package, images: Mapping[str, str]) -> Package:
    """Replaces logical image names (kfp_ct/base/image.py) by references.

    Args:
        package: A package.
        images: Logical name, or the part of it that says which (`components`), to a reference.

    Raises:
        UsageError: A name that no component of the package uses.
    """
    bound = copy.deepcopy(package)
    unused = set(images)
    for executor in bound["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        for name, reference in images.items():
            if container.get("image") in (name, logical_image(name)):
                container["image"] = reference
                unused.discard(name)
    if unused:
        raise UsageError(
            f"no component of this package runs in the image {', '.join(sorted(unused))}\n"
            f"expected: one of {', '.join(sorted(logical_images(package))) or 'none: all are bound'}\n"
            "fix: correct the name"
        )
    return bound


def logical_image(name: str) -> str:
    """Returns the image of a name that is bound later, such as `components-gpu`; a reference stands for itself."""
    return name if set("/:") & set(name) else f"kfp-ct-{name}-python:local"


def in_image(package: Package, image: str) -> Package:
    """Names one image for every container of a package: what runs is this machine's, whatever stands there."""
    changed = copy.deepcopy(package)
    for executor in changed["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"]["image"] = image
    return changed


def images(package: Package) -> list[str]:
    """Returns the images a package's executors run in, each once."""
    executors = package["deploymentSpec"]["executors"].values()
    return sorted({executor["container"]["image"] for executor in executors if "container" in executor})


def logical_images(package: Package) -> set[str]:
    """Returns the names of the images that are still to be bound, such as `components`."""
    found = (_LOGICAL.fullmatch(image) for image in images(package))
    return {match[1] for match in found if match}


def commands(package: Package) -> list[list[str]]:
    """Returns the command of every executor; an empty one for those that run no container."""
    return [
        list(each.get("container", {}).get("command", ())) for each in package["deploymentSpec"]["executors"].values()
    ]


def inputs(package: Package) -> dict[str, dict[str, Any]]:
    """Returns the package's parameters: name to its KFP definition (parameterType, defaultValue, isOptional)."""
    return dict(package["root"].get("inputDefinitions", {}).get("parameters", {}))


def of_spec(spec: Mapping[str, Any]) -> Package:
    """Returns the package of what a service calls a spec: a pipeline document, or one beside its platform's."""
    platform = (spec.get("platform_spec") or {}).get(PLATFORMS)
    return {**spec.get("pipeline_spec", spec), **({PLATFORMS: platform} if platform else {})}


def as_spec(package: Package) -> dict[str, Any]:
    """Returns what a service calls the spec of a package: the pipeline document, or it beside its platform's."""
    document = pipeline_document(package)
    platforms = package.get(PLATFORMS)
    return {"pipeline_spec": document, "platform_spec": {PLATFORMS: platforms}} if platforms else document


def pipeline_document(package: Package) -> dict[str, Any]:
    """Returns the PipelineSpec of a package: it, without what is for a platform."""
    return {name: each for name, each in package.items() if name != PLATFORMS}


def defaults(package: Package) -> dict[str, Any]:
    """Returns the default values of the package's parameters, as far as they have one."""
    found = {name: each["defaultValue"] for name, each in inputs(package).items() if "defaultValue" in each}
    return typed(package, found)


def typed(package: Package, values: Mapping[str, Any]) -> dict[str, Any]:
    """Gives numbers the type of their input: JSON has one kind, in a package and on the wire all are doubles."""
    kinds = {name: definition["parameterType"] for name, definition in inputs(package).items()}
    return {name: of_kind(kinds.get(name, ""), value) for name, value in values.items()}


def of_kind(kind: str, value: Any) -> Any:
    """Gives a number the type of an input or output of one of KFP's kinds."""
    if kind == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer():
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if kind == "NUMBER_DOUBLE" and whole else value


def dump(package: Package) -> str:
    """Renders a package as YAML, keys sorted; a platform's document follows the pipeline's."""
    documents = [pipeline_document(package), *({PLATFORMS: each} for each in [package.get(PLATFORMS)] if each)]
    return str(yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True, width=120))


def write_package(package: Package, path: Path) -> None:
    """Writes a package under a temporary name and renames it."""
    layouts.write_text(path, dump(package))


def load_package(path: Path) -> Package:
    """Reads a package.

    Raises:
        PackageError: The file is not a package.
    """
    try:
        documents = yaml_documents.parse(path.read_text())
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} cannot be read: {error}") from error
    found = of_documents(documents)
    if found is None:
        raise PackageError(other_files.refusal(str(path), documents))
    return found


def of_documents(documents: Sequence[Any]) -> Package | None:
    """Returns the package that the documents of a file are; None if they are none."""
    pipelines = [each for each in documents if isinstance(each, dict) and isinstance(each.get("root"), dict)]
    platforms = [each for each in documents if isinstance(each, dict) and set(each) == {PLATFORMS}]
    if len(pipelines) != 1 or len(platforms) > 1 or len(pipelines) + len(platforms) != len(documents):
        return None
    return {**pipelines[0], **(platforms[0] if platforms else {})}


def _load(pipeline: str) -> "BaseComponent":
    from kfp.dsl.base_component import BaseComponent

    name = pipeline.rpartition(".")[2]
    try:
        function = getattr(importlib.import_module(pipeline), name)
    except ModuleNotFoundError as error:
        if error.name and not pipeline.startswith(error.name):
            raise
        raise UsageError(f"there is no pipeline module {pipeline}\nexpected: such as pipelines.training") from error
    except AttributeError as error:
        raise UsageError(
            f"module {pipeline} has no pipeline {name}\nexpected: `@dsl.pipeline def {name}(…)`"
        ) from error
    if not isinstance(function, BaseComponent):
        raise UsageError(f"{pipeline}.{name} is no pipeline\nexpected: the decorator @dsl.pipeline")
    return function
