"""Runs any compiled package on this machine: whoever compiled it, in a repository or in none."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kfp_ct.base import redaction
from kfp_ct.base.errors import UsageError, listed
from kfp_ct.caching import made_texts
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import NoVersions, SourceVersions, Versions
from kfp_ct.local import run
from kfp_ct.package import check, package, processes, wiring
from kfp_ct.project import validation
from kfp_ct.project import workspace as project
from kfp_ct.project.environments import require_component_python
from kfp_ct.runs import record

if TYPE_CHECKING:
    from kfp_ct.local.containers import Containers

ENVIRONMENT = "package"


@dataclasses.dataclass(frozen=True)
class PackageRequest:
    """What to run and why.

    Attributes:
        arguments: Values of its inputs.
        cause: Why.
        containers: Every task runs in a container of the image that the package names.
        use_cache: Reuse the results of tasks whose inputs and sources have not changed.
    """

    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cause: str = "on demand"
    containers: bool = False
    use_cache: bool = False


def is_file(name: str) -> bool:
    """Whether what is to run is a package's file, not a project's name."""
    return name.endswith((".yaml", ".yml", ".json")) or Path(name).is_file()


def find_workspace(home: Path | None = None) -> project.Workspace:
    """Returns the repository around the working directory; where there is none, that folder with `.ct` in it."""
    try:
        return project.find_workspace(home)
    except UsageError:
        here = Path.cwd()
        chosen = home or Path(os.environ.get(project.HOME_VARIABLE) or here / ".ct")
        return project.Workspace(here, chosen.absolute())


def load(file: Path) -> package.Package:
    """Reads a package and checks it by the backend's rules.

    Raises:
        CtError: There is no such file, or it holds no package that a backend would take.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}\nexpected: a project's name, or a compiled package")
    compiled = package.load_package(file)
    check.check(compiled)
    return compiled


def prepare(workspace: project.Workspace, compiled: package.Package, request: PackageRequest) -> run.Prepared:
    """Completes a run of a package.

    Args:
        workspace: Where it runs.
        compiled: The package, as `load` returns it.
        request: What it is given.

    Raises:
        UsageError: The arguments do not fit, or this machine cannot run it.
    """
    project.make_importable(workspace)
    fitted = _in_containers(compiled) if request.containers else run.runnable(compiled)
    files = made_texts.named_files(workspace, is_where_tasks_run=not request.containers)
    if problems := validation.problems(fitted, request.arguments, files):
        raise UsageError(f"these arguments do not fit the pipeline\n{listed(problems)}\nfix: pass --set NAME=VALUE")
    run.require_variables(request.arguments)
    name, cause = compiled["pipelineInfo"]["name"], redaction.redact(request.cause)
    begun = record.new_run(workspace, project=name, environment=ENVIRONMENT, pipeline=name, cause=cause)
    if any(task.package for task in wiring.tasks(fitted)) and not request.containers:
        # Steps of this library want to know their data and sources.
        require_component_python(workspace.root)
        return run.complete(workspace, begun, fitted, request.arguments)
    versions: Versions = SourceVersions(workspace) if request.use_cache else NoVersions()
    begun.tasks = record.tasks(fitted)
    begun.parameters = package.typed(fitted, {**package.defaults(fitted), **request.arguments})
    made_of = PackageVersions(fitted, begun.parameters, versions)
    return run.Prepared(begun, fitted, begun.parameters, made_of, _containers(workspace, request))


def execute(
    workspace: project.Workspace, compiled: package.Package, request: PackageRequest, console: Console
) -> record.Run:
    """Runs a package to the end; returns the closed record, whose report is beside it."""
    return run.perform(workspace, prepare(workspace, compiled, request), console, request.use_cache)


def _in_containers(compiled: package.Package) -> package.Package:
    """Returns a package as its tasks run in containers: as it is.

    Raises:
        UsageError: Steps of it are a backend's.
    """
    if problems := list(processes.only_on_clusters(compiled)):
        reason = f"this machine cannot run the pipeline\n{listed(problems)}"
        raise UsageError(f"{reason}\nfix: deploy the pipeline to a cluster")
    return compiled


def _containers(workspace: project.Workspace, request: PackageRequest) -> "Containers | None":
    if not request.containers:
        return None
    workspace.home.mkdir(parents=True, exist_ok=True)
    from kfp_ct.local.containers import Containers, folders_for  # the engine's client takes long to import

    return Containers("", folders_for(request.arguments, workspace.root), workspace.home)
