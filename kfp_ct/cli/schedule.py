"""The command `ct schedule`."""

import dataclasses
import json
import sys
from typing import Annotated, Any

import typer

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.cli.deploy import Auth, Environment, Host, Name, TargetName
from kfp_ct.project import settings
from kfp_ct.project import workspace as project

app = typer.Typer(help="Schedules of a project (schedules.yaml) on a service.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


@app.command("plan")
def plan_(
    name: Name, target: TargetName = "local", host: Host = "", auth: Auth = "", environment: Environment = "local",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say what `apply` would do."""
    _show(_planned(name, target, host, auth, environment)[1], as_json)


@app.command("apply")
def apply_(
    name: Name, target: TargetName = "local", host: Host = "", auth: Auth = "", environment: Environment = "local",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Bring the service's schedules to what schedules.yaml says; interrupted, it goes on the next time."""
    from kfp_ct.deploy.schedules import apply

    service, actions = _planned(name, target, host, auth, environment)
    apply.apply(service, actions, lambda line: print(line, file=sys.stderr, flush=True))
    _show(actions, as_json)


@app.command("check")
def check_(
    name: Name, target: TargetName = "local", host: Host = "", auth: Auth = "", environment: Environment = "local",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Exit with 1 if the service has anything else than what schedules.yaml says."""
    from kfp_ct.deploy.schedules import plan

    actions = _planned(name, target, host, auth, environment)[1]
    _show(actions, as_json)
    if plan.drifted(actions):
        raise CtError("the service's schedules are not those of schedules.yaml\nfix: ct schedule apply")


@app.command("list")
def list_(
    name: Name, target: TargetName = "local", host: Host = "", auth: Auth = "", environment: Environment = "local",
    as_json: Json = False,
) -> None:  # fmt: skip
    """List the schedules that the service has of this project."""
    from kfp_ct.deploy.schedules import reconcile

    chosen = settings.load(project.find_workspace(), name, environment, {})
    found = reconcile.connect(chosen, target, host, auth)[1].actual()
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=1, default=str))
        return
    for each in found:
        when = each.cron or f"every {each.interval} s"
        print(f"{each.name}: {when}, {'enabled' if each.enabled else 'disabled'}, version {each.version[:12]}")
    if not found:
        print("none")


def _planned(name: str, target: str, host: str, auth: str, environment: str) -> tuple[Any, list[Any]]:
    from kfp_ct.deploy.schedules import definition, plan, reconcile, wanted

    workspace = project.find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    where, service = reconcile.connect(chosen, target, host, auth)
    found = service.actual()
    if not (workspace.settings_folder(name).parent / definition.FILE).is_file() and not found:
        raise UsageError(f"{name} has no {definition.FILE}, and the service no schedule of it")
    return service, plan.plan(wanted.desired(workspace, name, where), found)


def _show(actions: list[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"action": a.kind, "schedule": a.name, "why": a.why} for a in actions], indent=1))
        return
    for action in actions:
        print(f"{action.kind:8} {action.name}: {action.why}")
