"""Where models are registered and served, and what the registry says of them."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record


@dataclasses.dataclass(frozen=True)
class Location:
    """A registry and the folder that a prediction service watches."""

    workspace: Workspace
    registry_uri: str
    serving_root: Path

    @property
    def reader(self) -> model_version.Reader:
        """What the registry is asked through."""
        return registry.open_reader(self.registry_uri)


def open_location(workspace: Workspace, registry_uri: str = "", serving_root: Path | None = None) -> Location:
    """Returns the named registry and folder; by default those of local runs."""
    uri = registry_uri or f"{model_version.SQLITE}{workspace.home / 'registry' / 'mlflow.db'}"
    return Location(workspace, uri, (serving_root or workspace.serving).absolute())


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
