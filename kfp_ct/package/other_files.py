"""Files that are taken for packages and are none: what they are, and how one gets a package."""

from collections.abc import Mapping, Sequence
from typing import Any

_PACKAGE = "one document with pipelineInfo and root, and at most one with platforms"


def refusal(name: str, documents: Sequence[Any]) -> str:
    """Returns the message that a file is no package: what it is, what was expected, how to get one."""
    first = next((each for each in documents if isinstance(each, Mapping)), {})
    what, fix = _known(first)
    return f"{name} is {what}\nexpected: {_PACKAGE}\nfix: {fix}"


def _known(document: Mapping[str, Any]) -> tuple[str, str]:
    if "implementation" in document:
        return (
            "the definition of a component, no compiled pipeline",
            "load it with `kfp.components.load_component_from_file(FILE)`; call it in a pipeline and compile that, or "
            "compile it by itself with `kfp.compiler.Compiler().compile(COMPONENT, 'package.yaml')`",
        )
    if "pipelineSpec" in document:
        return (
            "a job of Vertex AI Pipelines, which kfp before 2 compiled, no compiled pipeline",
            "compile the pipeline with kfp 2; a KFP backend takes its package, not a job",
        )
    if str(document.get("apiVersion", "")).startswith("argoproj.io/"):
        return (
            "a workflow of Argo, which kfp 1 compiled, no compiled pipeline",
            "compile the pipeline with kfp 2, whose packages all backends since KFP 2.0 take",
        )
    return "no compiled pipeline", "make it with `ct compile`, or with kfp's compiler"
