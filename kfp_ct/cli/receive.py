"""`ct receive`: the trigger service."""

import os
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, watch_service
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.watch import SettingsOfRuns, State

PORT = "PORT"  # how Cloud Run says where to listen
_BEHIND_IAM = typer.Option(
    "--behind-iam", help="Cloud Run lets in nobody without roles/run.invoker: it has verified the tokens' signatures."
)
_CERTIFICATES = typer.Option(help="Address of the certificates that tokens are signed with.", show_default="Google's")


@exit_codes({7: "The service refused, failed or did not answer.", 130: "The service was interrupted."})
def receive(
    name: options.Project,
    audience: Annotated[str, typer.Option(help="Audience of the ID tokens: the address that senders are given.")],
    senders: Annotated[
        list[str],
        typer.Option("--sender", metavar="EMAIL", help="Service account whose tokens are taken; repeatable."),
    ],
    target: options.Target = "vertex",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: SettingsOfRuns = "",
    state: State = "",
    listen: Annotated[str, typer.Option(help="Address to listen at.")] = "0.0.0.0",  # noqa: S104 - of a container
    port: Annotated[int, typer.Option(help="Port to listen at.", show_default="$PORT, else 8080")] = 0,
    certificates: Annotated[str, _CERTIFICATES] = "",
    behind_iam: Annotated[bool, _BEHIND_IAM] = False,
    home: options.Home = None,
) -> None:
    """Start a service's runs by events over HTTP (Cloud Run).

    Pushes of Pub/Sub, events of Cloud Storage, jobs of Cloud Scheduler and requests of people start a run where
    triggers.yaml says so, exactly as `ct watch --target` decides. Only requests with an ID token of a sender are
    answered; Cloud Run takes the signature out of tokens that its IAM has verified, and --behind-iam allows that. The
    state is an object that is written on conditions, so any number of instances may run.
    """
    import uvicorn

    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.watch import http_service, oidc
    from kfp_ct.watch import watch as watching

    if target in ("local", "none"):
        raise UsageError("ct receive starts runs of kfp or vertex\nfix: --target; `ct up` receives for this machine")
    watched = watching.open_watch(find_workspace(home), name, environment)
    served = watch_service.open_service_watch(watched, watch_service.Place(target, host, auth, state))
    expected = oidc.Expected(audience, frozenset(senders), certificates or oidc.CERTIFICATES, behind_iam)
    app = http_service.application(served, oidc.Verifier(expected))
    uvicorn.run(app, host=listen, port=port or int(os.environ.get(PORT, "8080")), log_level="warning")
