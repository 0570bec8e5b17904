"""Arguments and options that commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import completion

LOCAL_STATE = "$CT_HOME, else .ct in the repository"

Project = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT",
        help="Project: a folder under pipelines/, such as flights.",
        autocompletion=completion.projects,
    ),
]
ProjectOrPackage = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT",
        help="Project, such as flights; or a compiled package, such as package.yaml.",
        autocompletion=completion.projects,
    ),
]
WindowStart = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="First day of the data window, inclusive.", show_default="the settings'"),
]
WindowEnd = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="Day after the last of the window, exclusive.", show_default="the settings'"),
]
Assignments = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Override a setting, such as hyperparameters.epochs=3: dots reach nested ones. Of a package: the value of "
        "an input. Repeatable.",
    ),
]
PackageArguments = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Values of a package's inputs, in YAML or JSON.", show_default="none"),
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Reuse the results of steps whose inputs have not changed.",
        show_default="for a project, not for a package",
    ),
]
Environment = Annotated[
    str,
    typer.Option(
        "--settings",
        metavar="NAME",
        help="Settings file of the project: local, dev or prod.",
        autocompletion=completion.settings,
    ),
]
Home = Annotated[Path | None, typer.Option("--home", help="Folder of all local state.", show_default=LOCAL_STATE)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Cause = Annotated[str, typer.Option("--cause", help="Why it happens; recorded with the result.")]
Commit = Annotated[str, typer.Option("--commit", help="Commit of the sources.", show_default="the commit that git has")]
Lock = Annotated[Path, typer.Option("--lock", help="Lock file that names every image by digest.")]
BoundImages = Annotated[
    list[str],
    typer.Option(
        "--image",
        metavar="NAME=REFERENCE",
        help="Bind an image of the package, such as components=registry/image@sha256:…; repeatable.",
    ),
]
Target = Annotated[
    str,
    typer.Option(
        help="Where to: local (the service of `ct up`), kfp, vertex, or none.",
        autocompletion=completion.targets,
    ),
]
Host = Annotated[
    str, typer.Option(help="Address of the Kubeflow Pipelines API.", show_default="the settings', or that of `ct up`")
]
Auth = Annotated[
    str,
    typer.Option(
        help="Authentication: none, token ($CT_TOKEN), in-cluster, iap or dex ($CT_COOKIE).",
        show_default="the settings'",
    ),
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Registered model, such as flights.")]
Registry = Annotated[str, typer.Option(help="MLflow tracking URI.", show_default="the registry of local runs")]
ServingRoot = Annotated[
    str,
    typer.Option(help="Folder of served models, or s3://…, gs://….", show_default="serving in the local state"),
]
ServedBy = Annotated[
    str,
    typer.Option(
        "--settings",
        metavar="NAME",
        help="Settings of the project that trains the model: their registry, and the folder, Deployment or "
        "InferenceService that serves it.",
        show_default="the local state",
    ),
]
Reason = Annotated[str, typer.Option(help="Why; recorded in the registry.", show_default="none")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and say what would be done; change nothing.")]
Substitutions = Annotated[
    list[str],
    typer.Option(
        "--substitutions", metavar="_KEY=VALUE,…", help="Values of the configuration's substitutions; repeatable."
    ),
]
Containers = Annotated[
    bool | None,
    typer.Option(
        "--containers/--no-containers",
        help="Run steps in containers, or as processes of this machine.",
        show_default="containers where an engine answers",
    ),
]
BuildImages = Annotated[
    list[str],
    typer.Option(
        "--image", metavar="NAME=REFERENCE", help="Use another image than the one the configuration names; repeatable."
    ),
]
BuildInputs = Annotated[
    list[str],
    typer.Option("--input", metavar="PATH=FILE", help="Add a file that no commit holds to the workspace; repeatable."),
]
BuildEnvironment = Annotated[
    list[str],
    typer.Option("--env", metavar="KEY=VALUE", help="Set an environment variable for every step; repeatable."),
]


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Reads KEY=VALUE,KEY=VALUE as gcloud writes them.

    Raises:
        UsageError: A part is not KEY=VALUE.
    """
    found = {}
    for text in texts:
        for part in text.split(","):
            key, sign, value = part.partition("=")
            if not sign or not key:
                raise UsageError(f"{option} {part!r}\nexpected: {option} KEY=VALUE,OTHER=VALUE")
            found[key.strip()] = value
    return found


def files(texts: Sequence[str]) -> dict[str, Path]:
    """Reads --input: path in the workspace to a file of this machine."""
    return {name: Path(file).absolute() for name, file in pairs(texts, "--input").items()}
