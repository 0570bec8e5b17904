"""`ct images`: build, push, lock and look for the project's images."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import PackageError, UsageError
from kfp_ct.cli import options, output, supply_chain
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family


@exit_codes({4: "An image cannot be built or pushed, or the registry does not answer."})
def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", help="Images to build.", show_default="all")
    ] = None,
    registry: Annotated[
        str, typer.Option(help="Registry, such as europe-docker.pkg.dev/project/repository.")
    ] = "localhost:5000",
    commit: Annotated[str, typer.Option(help="Tag of the images.", show_default="the commit that git has")] = "",
    base: Annotated[str, typer.Option(help="Base image, by tag or digest.")] = "debian:trixie-slim",
    network: Annotated[
        str, typer.Option(help="Network of build steps, such as cloudbuild or host.", show_default="the engine's own")
    ] = "",
    lock: options.Lock = Path("images.lock"),
    as_json: options.Json = False,
) -> None:
    """Build and push the images whose content has changed.

    Each is tagged by its content and by the commit; images.lock then names all of them by digest.
    """
    from kfp_ct.ci.images import build as builder
    from kfp_ct.ci.images import inputs
    from kfp_ct.project import workspace

    root = workspace.find_workspace().root
    commit = commit or workspace.commit(root)
    if not commit:
        raise UsageError("there is no commit to name the images by\nfix: give --commit")
    request = builder.ImageRequest(root, registry, commit, base, network)
    progress = sys.stderr if as_json else sys.stdout
    built = builder.build(request, names or inputs.targets(root), lambda text: print(text, file=progress, flush=True))
    builder.write_lock(lock, built, builder.base_image(base))
    if as_json:
        output.print_json({"lock": lock, "images": built})
        return
    reused = sum(each.reused for each in built.values())
    print(f"{lock}: {len(built)} images, {len(built) - reused} built, {reused} unchanged")


@exit_codes({3: "An image is missing from its registry.", 4: "A registry does not answer."})
def check(
    lock: options.Lock = Path("images.lock"),
    package: Annotated[
        Path | None,
        typer.Option(help="Look for the images of this compiled package instead.", show_default="those of the lock"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check that every image is in its registry."""
    from kfp_ct.ci.images import build as builder
    from kfp_ct.package import bind
    from kfp_ct.package import package as packages

    named = packages.images(packages.load_package(package)) if package else bind.read_lock(lock).values()
    references = sorted(named)
    absent = builder.absent(references)
    if as_json:
        output.print_json({"images": references, "absent": absent})
    else:
        print("".join(f"absent: {reference}\n" for reference in absent), end="")
    if absent:
        raise PackageError(f"{len(absent)} of {len(references)} images are in no registry\nfix: ct images build")
    if not as_json:
        print(f"{len(references)} images: all are in their registries")


app = family(
    "Build, push, lock and inspect the project's images.",
    {
        "build": build,
        "check": check,
        "sbom": supply_chain.sbom,
        "scan": supply_chain.scan,
        "provenance": supply_chain.provenance,
        "sign": supply_chain.sign,
        "attach": supply_chain.attach,
        "verify": supply_chain.verify,
    },
)
