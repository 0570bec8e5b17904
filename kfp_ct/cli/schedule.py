"""`ct schedule`: a project's schedules on a service."""

import sys
from typing import Any

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family

UNREACHABLE = {7: "The service refused, failed or did not answer."}


@exit_codes(UNREACHABLE)
def plan(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    as_json: options.Json = False,
) -> None:
    """Show what `apply` would change."""
    _show(_planned(name, target, host, auth, environment)[1], as_json)


@exit_codes(UNREACHABLE)
def apply(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    as_json: options.Json = False,
) -> None:
    """Bring the service's schedules to what schedules.yaml says.

    Interrupted, it continues the next time.
    """
    from kfp_ct.deploy.schedules import apply

    service, actions = _planned(name, target, host, auth, environment)
    apply.apply(service, actions, lambda line: print(line, file=sys.stderr, flush=True))
    _show(actions, as_json)


@exit_codes({0: "They agree.", 1: "They differ.", **UNREACHABLE})
def check(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    as_json: options.Json = False,
) -> None:
    """Check that the service's schedules are those of schedules.yaml."""
    from kfp_ct.deploy.schedules import plan

    actions = _planned(name, target, host, auth, environment)[1]
    _show(actions, as_json)
    if plan.drifted(actions):
        raise CtError("the service's schedules are not those of schedules.yaml\nfix: ct schedule apply")


@exit_codes(UNREACHABLE)
def list_schedules(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    as_json: options.Json = False,
) -> None:
    """List the service's schedules of this project."""
    from kfp_ct.deploy.schedules import reconcile
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    chosen = settings.load(find_workspace(), name, environment, {})
    found = reconcile.connect(chosen, target, host, auth)[1].actual()
    if as_json:
        output.print_json(found)
        return
    for each in found:
        when = each.cron or f"every {each.interval} s"
        print(f"{each.name}: {when}, {'enabled' if each.enabled else 'disabled'}, version {each.version[:12]}")
    if not found:
        print("none")


def _planned(name: str, target: str, host: str, auth: str, environment: str) -> tuple[Any, list[Any]]:
    from kfp_ct.deploy.schedules import definition, plan, reconcile, wanted
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    where, service = reconcile.connect(chosen, target, host, auth)
    found = service.actual()
    if not (workspace.settings_folder(name).parent / definition.FILE).is_file() and not found:
        raise UsageError(f"{name} has no {definition.FILE}, and the service no schedule of it")
    return service, plan.plan(wanted.desired(workspace, name, where), found)


def _show(actions: list[Any], as_json: bool) -> None:
    if as_json:
        output.print_json([{"action": a.kind, "schedule": a.name, "why": a.why} for a in actions])
        return
    for action in actions:
        print(f"{action.kind:8} {action.name}: {action.why}")


app = family(
    "Plan, apply, check and list a project's schedules.",
    {"plan": plan, "apply": apply, "check": check, "list": list_schedules},
)
