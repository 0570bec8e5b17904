"""`ct compile`."""

import sys
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
    target: Annotated[
        str,
        typer.Option(
            help="What for: local, kfp or vertex.", show_default="what the settings have a section for, else local"
        ),
    ] = "",
    upload_code: Annotated[
        bool, typer.Option("--upload-code", help="Also bring the user's code to its place, as `ct deploy` does.")
    ] = False,
    digests: Annotated[bool, typer.Option(help="Refuse images that are not named by digest.")] = False,
    as_json: options.Json = False,
) -> None:
    """Compile a project's pipeline to a KFP package.

    The same sources and settings give the same bytes. For a cluster, tasks get what the section `kubernetes` or
    `vertex` says, and fetch the user's code where `code` is package. The package is checked by the KFP backend's rules.
    """
    from kfp_ct.deploy import code_packages, task_platform, version
    from kfp_ct.deploy.connect import bound_images
    from kfp_ct.deploy.target import require_target
    from kfp_ct.package import check, package
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    target = require_target(target) if target else task_platform.compile_target(chosen)
    compiled, code = version.with_code(workspace, chosen, target)
    compiled = bound_images(options.pairs(images, "--image"), lock, None).bind(compiled)
    executors = check.check(compiled, digests)
    if upload_code:
        code_packages.upload(compiled, code, lambda line: print(line, file=sys.stderr, flush=True))
    package.write_package(compiled, file)
    pipeline = compiled["pipelineInfo"]["name"]
    if as_json:
        images_used = package.images(compiled)
        output.print_json({"package": file, "pipeline": pipeline, "executors": executors, "images": images_used,
                           "code": code_packages.references(compiled)})  # fmt: skip
    else:
        print(f"{file}: pipeline {pipeline}, {executors} executors, checked")
        if code and not upload_code:
            print(f"user code: {len(code)} packages that tasks fetch; `ct deploy` or --upload-code brings them there")
