"""Schedules as recurring runs of a Kubeflow Pipelines API."""

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import kfp_server_api

from kfp_ct.base.errors import RequestRefusedError, TargetError, UsageError
from kfp_ct.deploy import kfp_api, kfp_identity, version
from kfp_ct.deploy.kfp_target import DEFAULT_NAMESPACE, KfpTarget
from kfp_ct.deploy.schedules.plan import Actual, Desired
from kfp_ct.package.backend_limits import LONGEST_DESCRIPTION

_PAGE = 100


class KfpSchedules:
    """The recurring runs that were made for one project; a line of JSON in their description says so."""

    def __init__(self, target: KfpTarget, project: str, experiment: str, settle: float) -> None:
        self.target = target
        self.project = project
        self.experiment = experiment
        self.settle = settle

    def actual(self) -> list[Actual]:
        """Returns all that were made for the project."""
        found, token = [], ""
        while True:
            with kfp_api.speaking(self.target.host):
                page = self.target.client.list_recurring_runs(
                    page_token=token, page_size=_PAGE, namespace=self.target.namespace or None
                )
            found += [each for each in map(self._read, page.recurring_runs or []) if each is not None]
            token = page.next_page_token or ""
            if not token:
                return found

    def create(self, wanted: Desired, start: datetime.datetime, enabled: bool) -> Actual:
        """Makes a recurring run that fires after `start`."""
        account = {
            "schedule": wanted.name, "project": wanted.project, "version": wanted.version, "hash": wanted.hash,
            "zone": wanted.zone,
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        }  # fmt: skip
        description = version.written(account)
        if len(description) > LONGEST_DESCRIPTION:
            raise UsageError(
                f"schedule {wanted.name}: what KFP has to keep of it takes {len(description)} characters\n"
                f"expected: at most {LONGEST_DESCRIPTION}, as its database has\n"
                "fix: shorten the names of the schedule or the project"
            )
        experiment = self.target.experiment(self.experiment)
        with self._telling_of_phantoms(wanted), kfp_api.speaking(self.target.host):
            made = self.target.client.create_recurring_run(
                experiment, f"{wanted.pipeline}-{wanted.name}", description=description,
                start_time=f"{start.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}", cron_expression=wanted.cron or None,
                interval_second=wanted.interval or None, max_concurrency=wanted.max_concurrency,
                no_catchup=not wanted.catch_up, params=wanted.arguments, pipeline_id=wanted.pipeline_id,
                version_id=wanted.version_id, enabled=enabled, service_account=self.target.service_account,
                pipeline_root=self.target.pipeline_root,
            )  # fmt: skip
        return Actual(
            str(made.recurring_run_id), wanted.name, wanted.hash, enabled, account["made"],
            start.replace(microsecond=0), wanted.pipeline, wanted.version, wanted.cron, wanted.interval, wanted.zone,
        )  # fmt: skip

    @contextlib.contextmanager
    def _telling_of_phantoms(self, wanted: Desired) -> Iterator[None]:
        """Says where a schedule may be left that the service refused: a cluster's is made before it is noted."""
        try:
            yield
        except TargetError as error:
            if isinstance(error, RequestRefusedError) or self._is_local():
                raise
            namespace = self.target.namespace or DEFAULT_NAMESPACE
            raise TargetError(
                f"{error}\nKFP may have left a ScheduledWorkflow of {wanted.name}: it fires, and KFP lists it nowhere\n"
                f"fix: find it with `kubectl -n {namespace} get swf` by its age, then "
                f"`kubectl -n {namespace} delete swf NAME`"
            ) from error

    def _is_local(self) -> bool:
        try:
            return kfp_identity.identify(self.target.client, self.target.host).is_local
        except TargetError:
            return False

    def enable(self, actual: Actual, enabled: bool) -> None:
        """Lets it fire, or keeps it from firing."""
        client = self.target.client
        with kfp_api.speaking(self.target.host):
            (client.enable_recurring_run if enabled else client.disable_recurring_run)(actual.id)

    def delete(self, actual: Actual) -> None:
        """Deletes it; nothing happens if it is gone."""
        with kfp_api.speaking(self.target.host):
            try:
                self.target.client.delete_recurring_run(actual.id)
            except kfp_server_api.ApiException as error:
                if error.status != kfp_api.NOT_FOUND:
                    raise

    def last_firing(self, actual: Actual) -> datetime.datetime | None:
        """Returns for when its last run was scheduled; None if it never fired."""
        made, token = datetime.datetime.fromisoformat(actual.made), ""
        while True:
            with kfp_api.speaking(self.target.host):
                page = self.target.client.list_runs(
                    page_token=token, page_size=_PAGE, sort_by="created_at desc",
                    namespace=self.target.namespace or None,
                )  # fmt: skip
            for run in page.runs or []:
                if run.recurring_run_id == actual.id:
                    return max(run.scheduled_at or run.created_at, actual.start)
                if run.created_at < made - datetime.timedelta(hours=1):  # older than the schedule, clocks aside
                    return None
            token = page.next_page_token or ""
            if not token:
                return None

    def now(self) -> datetime.datetime:
        """Returns the time."""
        return datetime.datetime.now(datetime.UTC)

    def _read(self, found: Any) -> Actual | None:
        account = version.read(found.description)
        if not account or "schedule" not in account or account.get("project") != self.project:
            return None
        trigger = found.trigger.cron_schedule or found.trigger.periodic_schedule
        expression = found.trigger.cron_schedule.cron if found.trigger.cron_schedule else ""
        return Actual(
            id=str(found.recurring_run_id),
            name=str(account["schedule"]),
            hash=str(account.get("hash", "")),
            enabled=str(found.status or found.mode) in ("ENABLED", "ENABLE"),
            made=str(account.get("made", "")),
            start=trigger.start_time or found.created_at,
            # Its name has it, and a description has little room; it stood there before.
            pipeline=str(account.get("pipeline") or str(found.display_name).removesuffix(f"-{account['schedule']}")),
            version=str(account.get("version", "")),
            cron=expression,
            interval=int(getattr(trigger, "interval_second", 0) or 0),
            zone=str(account.get("zone", "UTC")),
            arguments=(found.runtime_config.parameters if found.runtime_config else None) or {},
        )


def expression(cron: str, zone: str, server_zone: str, prefixed: bool) -> tuple[str, str]:
    """Returns a cron expression as a service takes it, and the zone it reads that in.

    Args:
        cron: Six fields.
        zone: The zone they are meant in.
        server_zone: The zone the service reads expressions in.
        prefixed: Whether it takes another one before the expression.

    Raises:
        UsageError: It can only read expressions in its own zone, and that is another.
    """
    if zone == server_zone:
        return cron, zone
    if prefixed:
        return f"TZ={zone} {cron}", zone
    raise UsageError(
        f"time_zone {zone}: Kubeflow Pipelines reads every expression in its own zone, {server_zone}\n"
        f"expected: time_zone: {server_zone}\n"
        "fix: write the hours of that zone, or say in the settings which one its CRON_SCHEDULE_TIMEZONE is: "
        f"kfp: {{time_zone: {zone}}}"
    )
