"""The command `ct deploy`."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.project import settings
from kfp_ct.project import workspace as project

Name = Annotated[str, typer.Argument(help="Folder under pipelines/, such as flights.")]
TargetName = Annotated[str, typer.Option("--target", help="local (`ct up`), kfp or vertex; none to deploy nothing.")]
Host = Annotated[str, typer.Option(help="Address of the API [default: as the settings say; of `ct up`].")]
Auth = Annotated[str, typer.Option(help="none, token ($CT_TOKEN), in-cluster, iap or dex ($CT_COOKIE).")]
Environment = Annotated[str, typer.Option("--settings", help="Settings file of the project: local, dev, prod.")]
NOWHERE = "none"  # for a build of which only the package is wanted


def deploy(
    name: Name,
    target: TargetName = "local",
    host: Host = "",
    auth: Auth = "",
    environment: Environment = "local",
    package: Annotated[Path | None, typer.Option(help="A package compiled before [default: compile it].")] = None,
    images: Annotated[
        list[str], typer.Option("--image", metavar="NAME=REFERENCE", help="Bind an image, as `ct compile` does.")
    ] = [],  # noqa: B006
    lock: Annotated[Path | None, typer.Option(help="Bind images as images.lock names them.")] = None,
    commit: Annotated[str, typer.Option(help="Commit the sources are of [default: what git says].")] = "",
    run: Annotated[bool, typer.Option("--run/--no-run", help="Start a run of it.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Start a run, and wait for its end.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds to wait at most.")] = None,
    cause: Annotated[str, typer.Option(help="Why the run happens; kept with the model.")] = "on demand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Deploy a project's pipeline as a version named by its commit; again, it does nothing.

    Exit code 0 means it is there (and with --wait, that the run ended well); 2 that something does not fit, 3 that
    the package is bad, 4 that the run failed, 7 that the service failed, 124 that the run was not waited for longer.
    """
    if target == NOWHERE:
        print("nothing is deployed: the target is none")
        return
    from kfp_ct.deploy import deploy as deploying
    from kfp_ct.deploy import version
    from kfp_ct.deploy.connect import bound_images, open_target
    from kfp_ct.deploy.schedules import reconcile

    workspace = project.find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    service, experiment = open_target(chosen, target, host, auth)
    wanted = version.prepare(workspace, chosen, target, package, bound_images(images, lock, package), commit)

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    where, schedules = reconcile.schedules_for(service, chosen, target, experiment)
    if dry_run:
        previewed = deploying.preview(service, wanted) + reconcile.preview(
            workspace, where, schedules, chosen, wanted.name
        )
        print(json.dumps(previewed, indent=1) if as_json else "\n".join(previewed))
        return
    done = deploying.deploy(service, wanted, experiment, say)
    done.schedules = reconcile.reconcile(workspace, where, schedules, chosen, wanted.name, say)
    try:
        if run or wait:
            waiting = deploying.Waiting(wait, timeout, 1.0 if target == "local" else 5.0)
            deploying.start(service, wanted, done, say, waiting, cause)
    finally:
        if as_json:
            print(json.dumps(dataclasses.asdict(done), indent=1))
