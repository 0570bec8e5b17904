"""Where models are registered and served, and what the registry says of them."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError, UsageError
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry, serving_target
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from kfp_ct.storage import locations as storage_locations


@dataclasses.dataclass(frozen=True)
class Location:
    """A registry, and what serves its models.

    Attributes:
        serving_root: Folder that a prediction service watches, or the URI of where models are published to.
        serving: What serves them, as the settings `serving` say; by default what watches the folder.
    """

    workspace: Workspace
    registry_uri: str
    serving_root: Path | str
    serving: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def target(self, name: str) -> serving_target.ServingTarget:
        """What serves a model."""
        return serving_target.open_target(self.serving, str(self.serving_root), name)

    @property
    def reader(self) -> model_version.Reader:
        """What the registry is asked through."""
        return registry.open_reader(self.registry_uri)


def open_location(
    workspace: Workspace,
    registry_uri: str = "",
    serving_root: Path | str = "",
    chosen: Mapping[str, Any] | None = None,
) -> Location:
    """Returns a registry and what serves its models.

    Args:
        workspace: Whose local runs they are by default.
        registry_uri: The registry; over that of `chosen`.
        serving_root: The folder that models are served from; over that of `chosen`, and whatever serves there.
        chosen: Parameters of a training pipeline.
    """
    chosen = chosen or {}
    local = f"{model_version.SQLITE}{workspace.home / 'registry' / 'mlflow.db'}"
    uri = registry_uri or chosen.get("registry_uri") or local
    root = str(serving_root or chosen.get("serving_root") or workspace.serving)
    place = root if storage_locations.is_remote(root) else storage_locations.local_path(root)
    return Location(workspace, uri, place, {} if serving_root else chosen.get("serving") or {})


def settings_of(workspace: Workspace, name: str, environment: str) -> Mapping[str, Any]:
    """Returns the parameters of the project that trains a model, for one environment.

    Raises:
        UsageError: There is no such project.
    """
    trained = []
    for project in workspace.projects():
        if (workspace.settings_folder(project) / f"{environment}.yaml").is_file():
            parameters = settings.load(workspace, project, environment, {}).parameters
            if parameters.get("model_name") == name and "serving_root" in parameters:
                return parameters
            trained.append(str(parameters.get("model_name", "")))
    raise UsageError(
        f"no project has settings {environment} that train a model {name!r}\n"
        f"expected: one of those that have: {', '.join(filter(None, trained)) or 'none'}\n"
        "fix: correct --settings, or say where it is with --registry and --serving-root"
    )


def versions(place: Location, name: str) -> list[model_version.ModelVersion]:
    """Returns a model's versions, newest first.

    Raises:
        UsageError: The registry has no such model.
    """
    found = place.reader.versions(model_version.check_model_name(name))
    if not found:
        known = ", ".join(place.reader.models()) or "none yet: a run that passes every gate registers one"
        raise UsageError(f"there is no model {name!r} in {place.registry_uri}\nexpected: one of those there: {known}")
    return found


def local_files(place: Location, name: str, version: model_version.ModelVersion) -> Path | None:
    """Returns the folder of a version's files; None if they are not on this machine.

    Raises:
        DataError: They should be, and are gone.
    """
    located = registered_model.locate(version, place.registry_uri, name)
    return Path(located.uri) if located.uri and "://" not in located.uri else None


@contextlib.contextmanager
def files(place: Location, name: str, version: model_version.ModelVersion) -> Iterator[Path]:
    """Lends the folder of a version's files, downloaded if they are elsewhere.

    Raises:
        DataError: They are gone.
        ConfigurationError: The registry does not hand them out.
    """
    folder = local_files(place, name, version)
    if folder is not None:
        yield folder
        return
    from kfp_ct.models import registry_download

    with tempfile.TemporaryDirectory(prefix="ct-model-") as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        registry_download.download(place.registry_uri, version.source, folder)
        yield folder


@contextlib.contextmanager
def records(place: Location, name: str, version: model_version.ModelVersion) -> Iterator[Path | None]:
    """Lends a folder with what the registry keeps beside a version, downloaded if it is elsewhere; None if it is gone.

    Raises:
        ConfigurationError: The registry does not answer.
    """
    try:
        folder = local_files(place, name, version)
    except DataError:  # nothing can be deployed from there
        yield None
        return
    if folder is not None:
        yield folder
        return
    from kfp_ct.models import registry_download

    with tempfile.TemporaryDirectory(prefix="ct-model-") as temporary:
        kept = (layouts.KEPT_BLESSING, layouts.KEPT_EVALUATION)
        registry_download.download_records(place.registry_uri, version.source, Path(temporary), kept)
        yield Path(temporary)


def kept_blessing(folder: Path) -> Path:
    """Returns where the registry keeps the blessing of a version, in the folder of its files."""
    return folder / layouts.REGISTERED / layouts.KEPT_BLESSING


def trial(place: Location, run: str) -> str:
    """Returns where the run that made a version kept its trial of the service; empty if that is not on this machine."""
    folder = place.workspace.runs / run
    if not run or not (folder / record.RECORD).is_file():
        return ""
    task = record.load(folder).task("validate-infra")
    return str(task.artifacts.get("infra_validation", {}).get("uri", "")) if task else ""
