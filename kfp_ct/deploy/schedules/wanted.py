"""What a project's schedules.yaml wants of a service, worked out against what is deployed there."""

import dataclasses
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import target as targets
from kfp_ct.deploy import version
from kfp_ct.deploy.deploy import Target
from kfp_ct.deploy.schedules import definition, vertex_schedules
from kfp_ct.deploy.schedules.definition import Schedule
from kfp_ct.deploy.schedules.kfp_schedules import expression
from kfp_ct.deploy.schedules.plan import Desired
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class ScheduleTarget:
    """Where schedules are wanted: a service, its kind, the settings deployed there, the zone it reads cron in."""

    service: Any
    kind: str
    environment: str
    zone: str = "UTC"


def desired(
    workspace: Workspace, project: str, place: ScheduleTarget, deployed: tuple[str, str] = ("", "")
) -> list[Desired]:
    """Returns a project's schedules as the service should have them.

    Args:
        workspace: The repository.
        project: Folder under pipelines/.
        place: The service.
        deployed: Pipeline (its module) and version deployed just now: only its schedules count, and `latest` is that.

    Raises:
        UsageError: A schedule's settings, version or zone does not fit.
    """
    pipeline, uploaded = deployed
    return [
        _desired(workspace, project, place, each, uploaded)
        for each in definition.load(workspace, project)
        if not pipeline or each.pipeline == pipeline.rpartition(".")[2]
    ]


def _desired(workspace: Workspace, project: str, place: ScheduleTarget, schedule: Schedule, deployed: str) -> Desired:
    where = f"schedule {schedule.name}"
    chosen = settings.load(workspace, project, schedule.settings or place.environment, schedule.overrides)
    chosen = chosen.given_in(f"pipelines/{project}/{definition.FILE}, {where}")
    _require_pipeline(schedule, chosen)
    pipeline_id = place.service.pipeline(chosen.pipeline_name)
    if not pipeline_id:
        raise UsageError(
            f"{where}: the pipeline {chosen.pipeline_name} is not deployed\n"
            f"fix: ct deploy {project} --settings {chosen.environment} --target {place.kind}"
        )
    name = deployed if deployed and schedule.version == definition.LATEST else schedule.version
    found = _version(place.service, pipeline_id, name)
    if found is None:
        raise UsageError(f"{where}: {chosen.pipeline_name} has no version {name}\nfix: deploy it, or name another")
    compiled = package.of_spec(found.pipeline_spec)
    settings.validate(chosen, compiled, workspace)
    written, zone = schedule.expression, "UTC"
    if place.kind == targets.VERTEX:
        written = vertex_schedules.expression(written, schedule.time_zone, schedule.seconds, where)
    elif written:
        written, zone = expression(written, schedule.time_zone, place.zone, place.kind == targets.LOCAL)
    return Desired(
        name=schedule.name,
        project=project,
        pipeline=chosen.pipeline_name,
        pipeline_id=pipeline_id,
        version_id=str(found.pipeline_version_id),
        version=str(found.display_name),
        # A service knows a version by its commit.
        arguments=version.started_with(
            compiled, chosen.parameters, str(found.display_name), str(found.display_name), f"schedule {schedule.name}"
        ),
        cron=written,
        interval=schedule.seconds,
        zone=zone,
        max_concurrency=schedule.max_concurrency,
        catch_up=schedule.catch_up,
        enabled=schedule.enabled,
    )


def _require_pipeline(schedule: Schedule, chosen: settings.Settings) -> None:
    """Refuses a schedule whose settings are another pipeline's."""
    pipeline = chosen.pipeline.rpartition(".")[2]
    if pipeline == schedule.pipeline:
        return
    fix = (
        f"pipeline: {pipeline}, or settings of {schedule.pipeline}"
        if schedule.settings
        else f"settings: those of {schedule.pipeline}"
    )
    raise UsageError(
        f"schedule {schedule.name}: it is of the pipeline {schedule.pipeline}, "
        f"the settings {chosen.environment} are of {chosen.pipeline}\nfix: in {definition.FILE}, write {fix}"
    )


def _version(service: Target, pipeline_id: str, name: str) -> Any:
    return service.latest(pipeline_id) if name == definition.LATEST else service.version(pipeline_id, name)
