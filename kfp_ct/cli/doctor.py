"""`ct doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.deploy.doctor.finding import Finding


@exit_codes({0: "Nothing that could be looked at is missing.", 7: "Something that runs need is missing."})
def doctor(
    name: options.Project,
    target: Annotated[str, typer.Option(help="Which service: kfp or vertex.")] = "kfp",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "prod",
    lock: Annotated[
        Path | None, typer.Option(help="Look whether the images of this lock file are there.", show_default="none")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Look whether a cluster has what runs of a project need.

    The service and its release, settings, claims, secrets, config maps, accounts, quotas, the zone of schedules,
    MLflow, buckets, the endpoint of Vertex AI, images: a line each, with the fix. Nothing is changed.
    """
    from kfp_ct.ci.images import build
    from kfp_ct.deploy.connect import open_target
    from kfp_ct.deploy.doctor import doctor as examining
    from kfp_ct.package.bind import read_lock
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    if target not in ("kfp", "vertex"):
        raise UsageError(f"--target {target!r}\nexpected: kfp or vertex")
    workspace = find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    service, _ = open_target(chosen, target, host, auth)
    found = []
    for finding in examining.examine(workspace, chosen, service, target):
        found.append(finding)
        _print(finding, as_json)
    for finding in examining.images(read_lock(lock), build.absent) if lock else ():
        found.append(finding)
        _print(finding, as_json)
    if as_json:
        output.print_json(found)
    problems = [each for each in found if each.state == "problem"]
    if problems:
        raise TargetError(f"{len(problems)} of {len(found)} things that runs need are missing")


def _print(finding: "Finding", as_json: bool) -> None:
    if not as_json:
        print(finding, flush=True)
