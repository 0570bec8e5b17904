"""`ct compile`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes({3: "The compiled package is one that the KFP backend would refuse."})
def compile_project(
    name: options.Project,
    file: Annotated[Path, typer.Option("--output", "-o", help="Package to write.")] = Path("package.yaml"),
    images: options.BoundImages = [],  # noqa: B006 - typer copies it
    lock: Annotated[
        Path | None, typer.Option(help="Bind images as this lock file names them.", show_default="none")
    ] = None,
    environment: options.Environment = "local",
    digests: Annotated[bool, typer.Option(help="Refuse images that are not named by digest.")] = False,
    as_json: options.Json = False,
) -> None:
    """Compile a project's pipeline to a KFP package.

    The same sources and settings give the same bytes. The package is checked by the KFP backend's rules.
    """
    from kfp_ct.deploy.version import with_code_version
    from kfp_ct.local.run import compile_project
    from kfp_ct.package import bind, check, package
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace()
    compiled = with_code_version(compile_project(workspace, settings.load(workspace, name, environment, {})), workspace)
    locked = bind.read_lock(lock) if lock else {}
    used = {each: locked[each] for each in package.logical_images(compiled) if each in locked}
    compiled = package.bind_images(compiled, {**used, **options.pairs(images, "--image")})
    executors = check.check(compiled, digests)
    package.write_package(compiled, file)
    pipeline = compiled["pipelineInfo"]["name"]
    if as_json:
        images_used = package.images(compiled)
        output.print_json({"package": file, "pipeline": pipeline, "executors": executors, "images": images_used})
    else:
        print(f"{file}: pipeline {pipeline}, {executors} executors, checked")
