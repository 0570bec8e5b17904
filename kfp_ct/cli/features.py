"""`ct features`: the online features of a project, and their skew."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.groups import family

Online = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File of online features.", show_default="features/PROJECT.db in the local state"
    ),
]
_NEVER_MISSING = "a moment such as 2013-07-01 or 2013-07-01T12:00:00-04:00 (UTC without an offset)"


def materialize(
    name: options.Project,
    environment: options.Environment = "local",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Leave out what was known by then.", show_default="from the beginning")
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="TIME", help="Leave out what was known later.", show_default="now")
    ] = "",
    online: Online = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Write each entity's newest features where the service looks them up.

    A span in the past fills in entities that are missing; what is there and newer stays.
    """
    from kfp_ct.project import feature_store
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace(home)
    path = (online or feature_store.online_file(workspace, name)).absolute()
    end = _moment("--until", until) if until else datetime.datetime.now(datetime.UTC).timestamp()
    span = {"start": _moment("--since", since) if since else None, "end": end}
    found = feature_store.ask(workspace, name, environment, {"do": "materialize", "online": str(path), **span})
    if as_json:
        output.print_json({"online": path, **span, **found})
        return
    for view, counts in found["views"].items():
        print(f"{view}: {counts['entities']:,} entities in the span, {counts['written']:,} written")
    print(path)


def skew(
    name: options.Project,
    request_log: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What `ct serve` logged.", show_default="request_log in the local state"),
    ] = None,
    environment: options.Environment = "local",
    signature: Annotated[str, typer.Option(help="Signature that was asked.")] = "serving_default",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Compare the features that the service answered by with those of training.

    For each logged row, the features that were known at its time are joined as ingest joins them.
    """
    from kfp_ct.project import feature_store, settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace(home)
    model = settings.load(workspace, name, environment, {}).parameters.get("model_name", name)
    log = (request_log or workspace.home / "request_log").absolute() / str(model)
    found = feature_store.ask(workspace, name, environment, {"do": "skew", "log": str(log), "signature": signature})
    if as_json:
        output.print_json(found)
        return
    for view, features in found["views"].items():
        for feature, each in features.items():
            shares = "{different:.2%} differ, {missing_online:.2%} miss it online, {missing_offline:.2%} offline"
            print(f"{view}.{feature}: of {each['rows']:,} rows {shares.format(**each)}")


def _moment(option: str, text: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}\nexpected: {_NEVER_MISSING}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


app = family("Write online features of a project, and measure their skew.", {"materialize": materialize, "skew": skew})
