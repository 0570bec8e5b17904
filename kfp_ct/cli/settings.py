"""`ct settings`: what settings are in effect, and settings files made of what others know."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.groups import family


def show(
    name: options.Project,
    environment: options.Environment = "local",
    assignments: options.Assignments = [],  # noqa: B006 - typer copies it
    as_json: options.Json = False,
) -> None:
    """Show a project's settings, and which file each comes from.

    What a file extends and what --set gives is put together, as a run has it. They are not checked: compile does that.
    """
    from kfp_ct.base import redaction
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    chosen = settings.load(find_workspace(), name, environment, dict(map(settings.parse_override, assignments)))
    values = {"parameters": chosen.parameters, **chosen.targets}
    if as_json:
        output.print_json(redaction.redact_tree({"pipeline": chosen.pipeline, "keras": chosen.keras, **values}))
        return
    for path, value in _leaves(redaction.redact_tree(values), ()):
        shown = path[1:] if path[0] == "parameters" else path
        print(f"{'.'.join(map(str, shown))} = {value!r}  ({chosen.origin(shown) or '--set'})")


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    else:
        yield path, value


def from_terraform(
    name: options.Project,
    environment: Annotated[
        str, typer.Option("--settings", metavar="NAME", help="Settings to write, without .yaml.")
    ] = "vertex",
    outputs: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="What it printed, in a file.", show_default="standard input"),
    ] = None,
    base: Annotated[str, typer.Option(metavar="FILE", help="Settings that these extend.")] = "base.yaml",
    lock: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The images.lock of a build: its prediction service is what the endpoint serves with.",
            show_default="the settings do not say what serves",
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace settings of that name.")] = False,
) -> None:
    """Write a settings file from Terraform's outputs.

    In infra/terraform: terraform output -json | ct settings from-terraform flights
    """
    from kfp_ct.base import atomic_files
    from kfp_ct.project import terraform_output
    from kfp_ct.project.workspace import find_workspace

    folder = find_workspace().settings_folder(name)
    file = folder / f"{environment}.yaml"
    if not (folder / base).is_file():
        raise UsageError(f"there are no settings {folder / base}\nfix: --base FILE names those that these extend")
    if file.exists() and not force:
        raise UsageError(f"{file} is there already\nfix: --settings NAME writes another; --force replaces it")
    if outputs is not None and not outputs.is_file():
        raise UsageError(f"there is no file {outputs}")
    image = terraform_output.serving_image(lock) if lock else ""
    found = terraform_output.read(outputs.read_text() if outputs else sys.stdin.read(), image)
    with atomic_files.writing_to("settings", file):
        file.write_text(terraform_output.text(found, base))
    print(f"{file}: {', '.join(found)}")
    if terraform_output.SERVING not in found.get("parameters", {}):
        print("they do not say what serves: --lock images.lock adds the endpoint, with that build's prediction service")
    print(f"next: give it sources and registry_uri, then ct compile {name} --settings {environment}")


app = family("Show a project's settings, or make them.", {"show": show, "from-terraform": from_terraform})
