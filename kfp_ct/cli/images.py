"""`ct images`: build, push, lock and look for the project's images."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base import errors
from kfp_ct.cli import supply as supply_command
from kfp_ct.project import workspace

app = typer.Typer(help="Build the project's images, push them, lock their digests.", no_args_is_help=True)
app.command()(supply_command.sbom)
app.command()(supply_command.scan)
app.command()(supply_command.provenance)
Lock = Annotated[Path, typer.Option(help="The lock file: name to reference by digest.")]


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Images to build [default: all].")] = None,
    registry: Annotated[str, typer.Option(help="Such as europe-docker.pkg.dev/project/repository.")] = "localhost:5000",
    commit: Annotated[str, typer.Option(help="Tag of the images [default: the commit].")] = "",
    base: Annotated[str, typer.Option(help="Base image, by digest.")] = "debian:trixie-slim",
    network: Annotated[str, typer.Option(help="Network of build steps: cloudbuild, host.")] = "",
    lock: Lock = Path("images.lock"),
) -> None:
    """Build what has changed, push it, tag it by content and by commit, and write images.lock."""
    from kfp_ct.ci.images import build as builder
    from kfp_ct.ci.images import inputs

    root = workspace.find_workspace().root
    commit = commit or workspace.commit(root)
    if not commit:
        raise errors.UsageError("there is no commit to name the images by\nfix: give --commit")
    request = builder.Request(root, registry, commit, base, network)
    built = builder.build(request, names or inputs.targets(root), lambda text: print(text, flush=True))
    builder.write_lock(lock, built, builder.base_image(base))
    reused = sum(each.reused for each in built.values())
    print(f"{lock}: {len(built)} images, {len(built) - reused} built, {reused} unchanged")


@app.command()
def check(
    lock: Lock = Path("images.lock"),
    package: Annotated[Path | None, typer.Option(help="Look for the images of this compiled package instead.")] = None,
) -> None:
    """Demand that every image is in its registry."""
    from kfp_ct.ci.images import build as builder
    from kfp_ct.package import bind
    from kfp_ct.package import package as packages

    named = packages.images(packages.load_package(package)) if package else bind.read_lock(lock).values()
    references = sorted(named)
    absent = builder.absent(references)
    for reference in absent:
        print(f"absent: {reference}")
    if absent:
        raise errors.PackageError(f"{len(absent)} of {len(references)} images are in no registry\nfix: ct images build")
    print(f"{len(references)} images looked for, all there")
