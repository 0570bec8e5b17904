"""Plans what would bring a target to what a project's files say, and applies it.

Nothing is kept between planning and applying: applying plans each part again where its turn comes, so what was done is
not done twice, and after a kill between any two writes the next one goes on.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import connect, deploy, object_roots, version
from kfp_ct.deploy import target as targets
from kfp_ct.deploy.schedules import apply as applying
from kfp_ct.deploy.schedules import definition, reconcile, wanted
from kfp_ct.deploy.schedules import plan as planning
from kfp_ct.deploy.version import Version
from kfp_ct.package.bind import Images
from kfp_ct.planning import definitions as defining
from kfp_ct.planning import schedule_changes, version_changes
from kfp_ct.planning.changes import Change
from kfp_ct.planning.definitions import Definitions, EndpointDefinitions, StoredDefinitions
from kfp_ct.planning.foreseen import ForeseenService
from kfp_ct.project import settings
from kfp_ct.project.settings import Settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.storage import locations

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Request:
    """A project and where it is wanted.

    Attributes:
        environments: Names of settings, one for each pipeline; schedules that name none take the first.
        file: A compiled package of the first settings' pipeline.
        commit: Commit the sources are of; empty for what git says.
    """

    project: str
    target: str
    host: str = ""
    auth: str = ""
    environments: tuple[str, ...] = ("local",)
    file: Path | None = None
    images: Images = dataclasses.field(default_factory=Images)
    commit: str = ""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What would change, and what of the project the target has no place for."""

    project: str
    target: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


class ProjectPlan:
    """A project against a target: its versions compiled and checked, the target reached."""

    def __init__(self, workspace: Workspace, request: Request) -> None:
        """Compiles and connects.

        Raises:
            CtError: Settings do not fit, an image is not bound, or the target does not answer.
        """
        self.workspace = workspace
        self.request = request
        self.chosen = list(_chosen(workspace, request))
        self.service, self.experiment = connect.open_target(self.chosen[0], request.target, request.host, request.auth)
        self.versions = [self._version(each, place) for place, each in enumerate(self.chosen)]
        connect.require_service(self.service, request.target)
        self.definitions = self._definitions()

    def plan(self) -> Plan:
        """Compares, and changes nothing."""
        found: list[Change] = []
        for each in self.versions:
            found += version_changes.changes(self.service, each)
        actions = self._schedules()[1]
        found += [change for action in actions if (change := schedule_changes.change(action))]
        found += [change for change, _ in self._defined()]
        notes = defining.unkept(self.definitions, self.workspace, self.request.project)
        return Plan(self.request.project, self._name(), tuple(found), tuple(notes))

    def apply(self, say: Say) -> None:
        """Brings the target to what is planned: versions, triggers and notices, then schedules.

        Raises:
            CtError: The target refuses or does not answer; what was done so far stays, and the next one goes on.
        """
        for chosen, each in zip(self.chosen, self.versions, strict=True):
            deploy.deploy(self.service, each, self._experiment(chosen), say)
        for change, text in self._defined():
            assert self.definitions is not None, "it has changes"  # noqa: S101
            self.definitions.write(f"{change.kind}.yaml", text)
            say(f"{change.action} {change.kind} of {change.name}")
        schedules, actions = self._schedules()
        applying.apply(schedules, actions, say)

    def _schedules(self) -> tuple[Any, Sequence[planning.Action]]:
        foreseen = ForeseenService(self.service, self.versions)
        place, schedules = reconcile.schedules_for(self.service, self.chosen[0], self.request.target, self.experiment)
        wants = wanted.desired(self.workspace, self.request.project, dataclasses.replace(place, service=foreseen))
        return schedules, planning.plan(wants, schedules.actual())

    def _defined(self) -> list[tuple[Change, str | None]]:
        if self.definitions is None:
            return []
        return list(defining.changes(self.definitions, self.workspace, self.request.project))

    def _definitions(self) -> Definitions | None:
        if self.request.target == targets.LOCAL:
            return EndpointDefinitions(self.service, self.request.project)
        root = object_roots.first(self.chosen[0], self.request.target)
        # Beside the firings of a watch of that target.
        return StoredDefinitions(locations.join(root, "watch", self.request.project)) if root else None

    def _version(self, chosen: Settings, place: int) -> Version:
        request = self.request
        file = request.file if place == 0 else None
        return version.prepare(self.workspace, chosen, request.target, file, request.images, request.commit)

    def _experiment(self, chosen: Settings) -> str:
        section = targets.section(chosen, self.request.target)
        return str(section.get("experiment", chosen.pipeline_name))

    def _name(self) -> str:
        address = getattr(self.service, "host", "") or getattr(self.service, "parent", "")
        return f"{self.request.target} ({address})" if address else self.request.target


def _chosen(workspace: Workspace, request: Request) -> Iterator[Settings]:
    """Yields the settings of every pipeline that is wanted: those asked for, then those that schedules name.

    Raises:
        UsageError: Two that were asked for are of one pipeline, which one commit has one version of.
    """
    seen: dict[str, str] = {}
    for name in dict.fromkeys(request.environments):
        chosen = settings.load(workspace, request.project, name, {})
        if chosen.pipeline_name in seen:
            raise UsageError(
                f"the settings {seen[chosen.pipeline_name]} and {name} are both of {chosen.pipeline_name}\n"
                "expected: settings of different pipelines: one commit is one version of each\n"
                "fix: leave out one --settings"
            )
        seen[chosen.pipeline_name] = name
        yield chosen
    for schedule in definition.load(workspace, request.project):
        if schedule.settings:
            chosen = settings.load(workspace, request.project, schedule.settings, {})
            if chosen.pipeline_name not in seen:
                seen[chosen.pipeline_name] = schedule.settings
                yield chosen
