"""Where a project's schedules are."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.deploy import connect as connecting
from kfp_ct.deploy import target as targets
from kfp_ct.deploy.schedules import apply, definition, plan, wanted
from kfp_ct.deploy.schedules.kfp_schedules import KfpSchedules
from kfp_ct.deploy.schedules.vertex_schedules import VertexSchedules
from kfp_ct.deploy.schedules.wanted import ScheduleTarget
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace

# Seconds in which a firing becomes a run that is listed: a cluster's controller looks every ten, its agent comes later.
_SETTLE = {targets.LOCAL: 3.0, targets.KFP: 45.0}


def connect(chosen: settings.Settings, kind: str, host: str, auth: str) -> tuple[ScheduleTarget, Any]:
    """Connects to a service; returns it as a place, and its schedules."""
    service, experiment = connecting.open_target(chosen, kind, host, auth)
    connecting.require_service(service, kind)
    return schedules_for(service, chosen, kind, experiment)


def schedules_for(service: Any, chosen: settings.Settings, kind: str, experiment: str) -> tuple[ScheduleTarget, Any]:
    """Returns a service as a place, and its schedules."""
    if kind == targets.VERTEX:
        return ScheduleTarget(service, kind, chosen.environment), VertexSchedules(service, chosen.project)
    zone = targets.section(chosen, kind).get("time_zone", "UTC")
    schedules = KfpSchedules(service, chosen.project, experiment, _SETTLE[kind])
    return ScheduleTarget(service, kind, chosen.environment, zone), schedules


@contextlib.contextmanager
def left_where_it_fails(say: Callable[[str], None]) -> Iterator[None]:
    """Says of a run that has no good end that schedules, which come after it, stay with the version before."""
    try:
        yield
    except CtError:
        say("the schedules stay as they were; `ct schedule apply` brings them to this version all the same")
        raise


def reconcile(
    workspace: Workspace, where: ScheduleTarget, schedules: Any, chosen: settings.Settings, version: str,
    say: Callable[[str], None],
) -> list[dict[str, str]]:  # fmt: skip
    """Brings the schedules of a pipeline that was just deployed to what schedules.yaml says; returns what was done."""
    actions = _planned(workspace, where, schedules, chosen, version)
    apply.apply(schedules, actions, say)
    return [{"action": each.kind, "schedule": each.name, "why": each.why} for each in actions]


def preview(
    workspace: Workspace, where: ScheduleTarget, schedules: Any, chosen: settings.Settings, version: str
) -> list[str]:
    """Says what `reconcile` would do; of a version that is not there yet, which schedules it is about."""
    pipeline = where.service.pipeline(chosen.pipeline_name)
    if pipeline and where.service.version(pipeline, version):
        actions = _planned(workspace, where, schedules, chosen, version)
        return [f"{each.kind} the schedule {each.name}: {each.why}" for each in actions]
    short = chosen.pipeline.rpartition(".")[2]
    of_it = [each.name for each in definition.load(workspace, chosen.project) if each.pipeline == short]
    return [f"bring the schedule {name} to that version" for name in of_it]


def _planned(
    workspace: Workspace, where: ScheduleTarget, schedules: Any, chosen: settings.Settings, version: str
) -> list[plan.Action]:
    wants = wanted.desired(workspace, chosen.project, where, (chosen.pipeline, version))
    return plan.plan(wants, [each for each in schedules.actual() if each.pipeline == chosen.pipeline_name])
