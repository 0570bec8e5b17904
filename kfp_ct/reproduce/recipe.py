"""What a version was made of, as its run's record has it; what was never recorded is said, not guessed."""

import dataclasses
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.champions import locations
from kfp_ct.champions.locations import Location
from kfp_ct.models.model_version import ModelVersion
from kfp_ct.project import workspace as project
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from kfp_ct.runs.record import Run

_DIRTY = "-dirty"
# Of the run itself, by the names that `ct run` fills in.
_AUTOMATIC = ("lineage", "code_version", "data_version")
# Where results go: a reproduction has places of its own, and serves nowhere else.
_PLACES = {"registry_uri": "sqlite:///{home}/registry/mlflow.db", "serving_root": "{home}/serving",
           "checkpoints": "{home}/checkpoints", "serving": {}}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a version was made.

    Attributes:
        model: The model.
        version: As the registry has it.
        run: The record of the run that made it.
        folder: The run's folder.
        commit: The commit of its sources.
        is_dirty: Whether files differed from the commit.
    """

    model: str
    version: ModelVersion
    run: Run
    folder: Path
    commit: str
    is_dirty: bool

    @property
    def champion(self) -> str:
        """The version that it was judged against; empty for none."""
        return self.version.tags.get("compared_with", "")

    def arguments(self, home: Path) -> dict[str, object]:
        """Returns the values of the pipeline's inputs, with places below `home` for what it writes."""
        own = {name: place.format(home=home) if isinstance(place, str) else place for name, place in _PLACES.items()}
        given = {name: value for name, value in self.run.parameters.items() if name not in _AUTOMATIC}
        return {name: own.get(name, value) if value else value for name, value in given.items()}


def read(place: Location, model: str, number: str) -> Recipe:
    """Reads how a version was made.

    Raises:
        UsageError: There is no such version, or something that is needed was never recorded, or is not here.
    """
    known = locations.versions(place, model)
    version = next((each for each in known if each.number == number), None)
    if version is None:
        raise UsageError(
            f"{model} has no version {number} in {place.registry_uri}\n"
            f"expected: one of {', '.join(each.number for each in known)}"
        )
    title = f"{model} v{number}"
    run_id = version.tags.get("run", "")
    if not run_id:
        raise _unknown(title, "the run that made it was never recorded", "train it by `ct run`, which names the run")
    folder = place.workspace.runs / run_id
    if not (folder / record.RECORD).is_file():
        where = f"the record of its run {run_id}, which alone has its settings, is not in {place.workspace.runs}"
        fix = "name the local state of the run with --home; runs of services keep their records there"
        raise _unknown(title, where, fix)
    run = record.load(folder)
    commit = run.commit.removesuffix(_DIRTY)
    if not commit:
        raise _unknown(title, f"run {run_id} began outside a git repository: it has no commit", "train in a repository")
    _require_commit(place.workspace, title, commit)
    return Recipe(model, version, run, folder, commit, run.commit.endswith(_DIRTY))


def _require_commit(workspace: Workspace, title: str, commit: str) -> None:
    if not project.git(workspace.root, "rev-parse", "--verify", f"{commit}^{{commit}}"):
        raise UsageError(
            f"{title} was made of the commit {commit}, which {workspace.root} does not have\n"
            "expected: the repository that it was trained in, with its history\n"
            f"fix: git fetch origin {commit}, or run this in that repository"
        )


def _unknown(title: str, what: str, fix: str) -> UsageError:
    return UsageError(f"{title} cannot be reproduced: {what}\nfix: {fix}")
