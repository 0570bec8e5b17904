"""What a project can show for itself: runs, reports, settings, tests that passed. Nothing counts that is not there."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.cards.statement import Statement
from kfp_ct.models import champion_history, model_version, registry
from kfp_ct.models.champion_history import Move
from kfp_ct.notices import settings as notices
from kfp_ct.project import settings, yaml_file
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay import replay
from kfp_ct.report import content, importance, model_statement
from kfp_ct.report.content import Content
from kfp_ct.runs import record
from kfp_ct.scorecard import project_tests
from kfp_ct.scorecard.notes import Note
from kfp_ct.scorecard.notes import load as load_notes
from kfp_ct.scorecard.project_tests import OwnTests
from kfp_ct.watch import policy
from kfp_ct.watch.policy import Policy


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was found of a project.

    Attributes:
        parameters: Settings of the training pipeline.
        rules: Rules of monitoring; None where no settings name them.
        trained: The newest run that blessed a model, with what its components said; None if there is none.
        trainings: Runs that trained a model to its verdict, newest first.
        importance: What the newest blessed model loses without each input; empty if nobody measured.
        monitored: Reports of monitoring runs and of the monitoring history, newest first.
        policy: Its triggers; None if it has none.
        statement: What people say of the model.
        tests: Its own tests as they ran last; None if they never did on these sources.
        replayed: The figures of its replay; empty if there is none.
        moves: How its champion moved.
        build: Commands of the build's steps, as one text; empty without a build.
        notified: Whether somebody is told of what goes wrong.
        locked: Whether environments are locked with hashes.
        notes: What was done by hand, by the test's name.
    """

    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rules: Mapping[str, Any] | None = None
    trained: Content | None = None
    trainings: tuple[Content, ...] = ()
    importance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    monitored: tuple[Mapping[str, Any], ...] = ()
    policy: Policy | None = None
    statement: Statement = dataclasses.field(default_factory=Statement)
    tests: OwnTests | None = None
    replayed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    build: str = ""
    notified: bool = False
    locked: bool = False
    notes: Mapping[str, Note] = dataclasses.field(default_factory=dict)

    @property
    def gates(self) -> Mapping[str, Any]:
        """The settings of the gates."""
        found: Mapping[str, Any] = self.parameters.get("gates") or {}
        return found

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """What evaluate said of the newest blessed model; empty if there is none."""
        return self.trained.evaluation if self.trained else {}

    def succeeded(self, component: str) -> bool:
        """Whether a component came to its end in the newest run that blessed a model."""
        task = self.trained.task(component) if self.trained else None
        return task is not None and task.state in ("SUCCEEDED", "CACHED")


def gather(workspace: Workspace, project: str, environment: str) -> Evidence:
    """Looks for everything that a project can show.

    Raises:
        UsageError: There is no such project, or a file of it does not fit.
    """
    folder = workspace.settings_folder(project).parent
    chosen = settings.load(workspace, project, environment, {})
    found = [run for run in record.load_all(workspace) if run.project == project and run.state == record.SUCCEEDED]
    trainings = [content.gather(run, workspace.runs / run.id) for run in found if run.task("train")]
    replayed = replay.own_workspace(workspace, project).home / replay.JSON
    build = workspace.root / "cloudbuild.yaml"
    trained = next((each for each in trainings if each.blessed), None)
    return Evidence(
        parameters=chosen.parameters,
        rules=_rules(workspace, project),
        trained=trained,
        trainings=tuple(trainings),
        importance=importance.read(trained.folder) if trained else {},
        monitored=tuple(run.summary("monitor", "report") for run in found if run.task("monitor")),
        policy=policy.load(folder / policy.FILE) if (folder / policy.FILE).is_file() else None,
        statement=model_statement.load(folder),
        tests=project_tests.last(workspace, project),
        replayed=json.loads(replayed.read_text()) if replayed.is_file() else {},
        moves=_moves(chosen.parameters),
        build=_steps(build) if build.is_file() else "",
        notified=(folder / notices.FILE).is_file(),
        locked=_locked(workspace.root / "requirements"),
        notes={each.test: each for each in load_notes(folder)},
    )


def _rules(workspace: Workspace, project: str) -> Mapping[str, Any] | None:
    """Returns the rules of the first settings that are monitoring's."""
    for path in sorted(workspace.settings_folder(project).glob("monitoring*.yaml")):
        rules: Mapping[str, Any] = settings.load(workspace, project, path.stem, {}).parameters.get("rules") or {}
        return rules
    return None


def _moves(parameters: Mapping[str, Any]) -> tuple[Move, ...]:
    """Returns the moves of the champion; none where no registry answers."""
    uri, model = str(parameters.get("registry_uri", "")), str(parameters.get("model_name", ""))
    database = model_version.database_path(uri) if uri else None
    if database is None or not database.is_file():
        return ()
    try:
        return tuple(champion_history.history(registry.open_reader(uri).versions(model)))
    except CtError:
        return ()


def _steps(path: Path) -> str:
    """Returns what the steps of a build run, a line each."""
    document = yaml_file.read(path)
    steps = document.get("steps") or () if isinstance(document, dict) else ()
    return "\n".join(" ".join(map(str, [each.get("entrypoint", ""), *each.get("args", ())])) for each in steps)


def _locked(folder: Path) -> bool:
    locks = [path for path in folder.glob("*.txt") if "--hash=" in path.read_text()]
    return bool(locks)
