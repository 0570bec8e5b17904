"""What is deployed: a package under a name that says which sources it is of."""

import copy
import dataclasses
import hashlib
import json
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_ct.base.errors import UsageError
from kfp_ct.caching import locked_environment
from kfp_ct.caching.package_versions import CODE_VERSION, PackageVersions
from kfp_ct.caching.task_version import SourceVersions
from kfp_ct.data import code_package
from kfp_ct.deploy import code_packages, pod_paths, reachable, signed, target, task_platform
from kfp_ct.deploy.code_packages import Archive
from kfp_ct.local import run
from kfp_ct.local.task_call import LOCAL_IMAGE
from kfp_ct.package import check, package
from kfp_ct.package.bind import Images
from kfp_ct.project import settings
from kfp_ct.project import workspace as project
from kfp_ct.runs.record import user
from kfp_ct.storage import locations

# The lock of the set that images hold; components-image.txt has the same releases.
IMAGE_LOCK = "components-current.txt"
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
SOURCES = "sources"
# It travels in an address, and proxies take eight kilobytes of that.
_LONGEST_SETTINGS = 5000


@dataclasses.dataclass(frozen=True)
class Version:
    """A package ready to be deployed.

    Attributes:
        pipeline: The pipeline's name on the service.
        name: The commit; `dirty-` and the start of the content's hash where the files are not those of a commit.
        commit: The commit; with -dirty if files differ from it; empty outside git.
        content: Hash of the package.
        chosen: The settings its runs begin with.
        compiled: The package.
        code: The user's code that its tasks fetch, as far as it is of the sources here.
    """

    pipeline: str
    name: str
    commit: str
    content: str
    chosen: settings.Settings
    compiled: package.Package
    code: Sequence[Archive] = ()

    @property
    def dirty(self) -> bool:
        """Whether it is of no commit."""
        return self.name.startswith("dirty-")

    @property
    def account(self) -> dict[str, Any]:
        """Says what it is to whoever reads it on the service, in JSON."""
        parameters = json.dumps(self.chosen.parameters, sort_keys=True)
        account: dict[str, Any] = {
            "commit": self.commit,
            "content": self.content,
            "dirty": self.dirty,
            "project": self.chosen.project,
            "settings": self.chosen.environment,
            "settings_hash": hashlib.sha256(parameters.encode()).hexdigest(),
        }
        # Too long to travel so, they are still the defaults of the package's inputs.
        if len(urllib.parse.quote(parameters)) <= _LONGEST_SETTINGS:
            account["parameters"] = self.chosen.parameters
        return account

    @property
    def description(self) -> str:
        """Returns a sentence, and the account below it."""
        of = f"commit {self.name}" if not self.dirty else f"files that differ from commit {self.commit or '(none)'}"
        return f"{self.chosen.project} with settings {self.chosen.environment}, of {of}\n" + written(self.account)

    def arguments(self, cause: str) -> dict[str, Any]:
        """Returns what a run of it is started with: the settings, and what the run is told of where it comes from."""
        told = started_with(self.compiled, self.chosen.parameters, self.commit, self.name, cause)
        if "lineage" in told and "lineage" not in self.chosen.parameters:
            told["lineage"]["user"] = user()
        return told


def started_with(
    compiled: package.Package, parameters: Mapping[str, Any], commit: str, name: str, cause: str
) -> dict[str, Any]:
    """Returns the arguments of a run of a version: its settings, and what it is told of where it comes from."""
    known = package.inputs(compiled)
    # Which run it is, its own step asks the service: nobody knows before it begins.
    lineage = {"commit": commit, "version": name, "cause": cause, "images": package.images(compiled)}
    told: dict[str, Any] = {"lineage": lineage}
    if not known.get(CODE_VERSION, {}).get("defaultValue"):
        # Compiled before packages said what their training is made of.
        told[CODE_VERSION] = name
    return {**{each: value for each, value in told.items() if each in known}, **parameters}


def of_package(compiled: package.Package, chosen: settings.Settings, commit: str) -> Version:
    """Names a package.

    Args:
        compiled: A package that a service would take.
        chosen: Settings of its runs.
        commit: The commit it is of; `-dirty` at its end, or empty, if it is of none.

    Raises:
        UsageError: That is no commit.
    """
    hashed = hashlib.sha256(package.dump(compiled).encode()).hexdigest()
    clean = commit and not commit.endswith("-dirty")
    if clean and not _COMMIT.fullmatch(commit):
        raise UsageError(f"--commit {commit!r}\nexpected: a commit's hash, such as git rev-parse HEAD says")
    name = commit if clean else f"dirty-{hashed[:12]}"
    return Version(compiled["pipelineInfo"]["name"], name, commit, hashed, chosen, compiled)


def prepare(
    workspace: project.Workspace,
    chosen: settings.Settings,
    destination: str,
    file: Path | None = None,
    images: Images | None = None,
    commit: str = "",
) -> Version:
    """Compiles, or reads what was compiled, and checks it.

    Args:
        workspace: The repository.
        chosen: The project's settings.
        destination: local, kfp or vertex.
        file: A package compiled before.
        images: References of images.
        commit: Commit the sources are of [default: what git says].

    Raises:
        UsageError: The settings do not fit, name what only this machine has, an image is not bound, or the policy
            wants a signature.
    """
    reachable.require_reachable(chosen, destination, workspace)
    if file:
        if not file.is_file():
            raise UsageError(f"there is no file {file}\nfix: make it with `ct compile`")
        compiled = package.load_package(file)
        settings.validate(chosen, compiled, workspace)
        task_platform.require_applied(compiled, chosen, destination)
        code = code_packages.rebuilt(compiled, workspace)
    else:
        compiled, code = with_code(workspace, chosen, destination)
    pod_paths.require_mounted(compiled, chosen, destination)
    compiled = (images or Images()).bind(compiled)
    unbound = package.logical_images(compiled)
    if destination == target.LOCAL and "components" in unbound:
        made_of = PackageVersions(compiled, chosen.parameters, SourceVersions(workspace))
        compiled = package.bind_images(compiled, {"components": LOCAL_IMAGE.format(version=made_of.digest)})
    elif unbound:
        raise UsageError(
            f"no service can pull the image {min(unbound)}: it is not bound\n"
            "expected: images by reference\nfix: give --lock images.lock (`ct images build`) or --image NAME=REFERENCE"
        )
    compiled = always_reading(compiled)
    check.check(compiled)
    commit = commit or project.commit(workspace.root)
    signed.require(workspace, chosen, compiled, signed.Deployed(destination, file, commit))
    named = of_package(compiled, chosen, commit)
    return dataclasses.replace(named, code=code)


def for_target(workspace: project.Workspace, chosen: settings.Settings, destination: str) -> package.Package:
    """Compiles a project's pipeline for a target: with what its training is made of, and what its tasks get there.

    Raises:
        UsageError: The settings do not fit.
    """
    return with_code(workspace, chosen, destination)[0]


def with_code(
    workspace: project.Workspace, chosen: settings.Settings, destination: str
) -> tuple[package.Package, list[Archive]]:
    """Compiles as `for_target` does; returns the user's code beside the package, where it travels by itself."""
    compiled = with_code_version(run.compile_project(workspace, chosen), workspace)
    compiled, code = code_packages.attach(compiled, chosen, destination, workspace)
    return task_platform.apply(compiled, chosen, destination), code


def with_code_version(compiled: package.Package, workspace: project.Workspace) -> package.Package:
    """Makes what the training is made of the default of the input `code_version`, where a package has that input.

    It is a hash of the sources and of the images' lock, the same on every machine: a commit that changes nothing of the
    training is the same training, and its champion is known again.
    """
    if CODE_VERSION not in package.inputs(compiled):
        return compiled
    lock = workspace.root / "requirements" / IMAGE_LOCK
    versions = SourceVersions(workspace, {IMAGE_LOCK: locked_environment.lock_digest(lock)})
    return package.with_defaults(compiled, {CODE_VERSION: PackageVersions(compiled, {}, versions).training})


def always_reading(compiled: package.Package) -> package.Package:
    """Takes tasks out of the cache that read what nobody took a fingerprint of.

    What is behind a path, or in the last 90 days, is another thing tomorrow, under the same arguments. Of sources,
    `ct run` hands a fingerprint over as `data_version`, and elsewhere the step resolve_sources takes one; of a query or
    a schema outside the image nobody does.
    """
    inputs = package.inputs(compiled)
    changed = copy.deepcopy(compiled)
    for task in changed["root"]["dag"]["tasks"].values():
        given = task.get("inputs", {}).get("parameters", {})
        handed_through = given.get("data_version", {}).get("componentInputParameter", "")
        unknown = handed_through and not inputs.get(handed_through, {}).get("defaultValue")
        if unknown or any(_is_outside(name, _value(source, inputs)) for name, source in given.items()):
            task["cachingOptions"] = {}
    return changed


def _value(source: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Returns what a task's parameter is when the package is run as it is; None for another task's output."""
    if "componentInputParameter" in source:
        return inputs.get(source["componentInputParameter"], {}).get("defaultValue")
    return source.get("runtimeValue", {}).get("constant")


def _is_outside(name: str, value: Any) -> bool:
    """Says whether a parameter names one file outside the image: an object, or a path of a mounted volume."""
    if name in (SOURCES, code_package.PARAMETER) or not isinstance(value, str):
        return False
    return "." in value.rpartition("/")[2] and (locations.is_remote(value) or value.startswith("/"))


def same(compiled: package.Package, other: Any) -> bool:
    """Whether a service's copy of a package is that package; a copy has its numbers and defaults written otherwise."""
    found = package.of_spec(other or {})
    return bool(_message(compiled) == _message(found) and _platforms(compiled) == _platforms(found))


def refuse_other(wanted: Version, found: Any) -> None:
    """Raises `UsageError` unless a version on a service is the one that is wanted."""
    account = read(found.description)
    if account and account.get("content") == wanted.content:
        return
    if same(wanted.compiled, found.pipeline_spec):
        return
    of = f" (deployed with settings {account['settings']})" if account and account.get("settings") else ""
    raise UsageError(
        f"{wanted.pipeline} has a version {wanted.name} of other content{of}\n"
        f"expected: one commit is one package; this one has the settings {wanted.chosen.environment}\n"
        "fix: deploy another commit, or delete that version"
    )


def written(account: Mapping[str, Any]) -> str:
    """Writes an account for a description, on one line."""
    return json.dumps({"kfp-ct": account}, sort_keys=True, separators=(",", ":"))


def read(description: str | None) -> dict[str, Any] | None:
    """Returns the account that a description holds; None if it is somebody else's."""
    for line in reversed((description or "").splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("kfp-ct"), dict):
            return dict(found["kfp-ct"])
    return None


def _platforms(compiled: dict[str, Any]) -> pipeline_spec_pb2.PlatformSpec:
    document = {package.PLATFORMS: compiled.get(package.PLATFORMS) or {}}
    return json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec(), ignore_unknown_fields=True)


def _message(compiled: dict[str, Any]) -> pipeline_spec_pb2.PipelineSpec:
    message = json_format.ParseDict(compiled, pipeline_spec_pb2.PipelineSpec(), ignore_unknown_fields=True)
    # Some releases write the name they know a pipeline by into it.
    message.pipeline_info.Clear()
    return message
