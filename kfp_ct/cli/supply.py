"""What `ct images` says of its images: what is in them, what is known of that, where they come from."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.project import workspace

Lock = Annotated[Path, typer.Option(help="The lock file: name to reference by digest.")]
Sboms = Annotated[Path, typer.Option(help="Folder of the bills of materials, <image>.cdx.json.")]


def sbom(lock: Lock = Path("images.lock"), output: Sboms = Path("sbom")) -> None:
    """Write what is installed in each image: CycloneDX JSON."""
    from kfp_ct.ci.supply import sbom as boms
    from kfp_ct.package import bind

    counts = boms.write(bind.read_lock(lock), output)
    for name, count in counts.items():
        print(f"{output / name}{boms.SUFFIX}: {count} components")


def scan(
    sboms: Sboms = Path("sbom"),
    policy: Annotated[Path, typer.Option(help="What may be found.")] = Path("infra/scan-policy.yaml"),
    folder: Annotated[
        str, typer.Option("--advisories", help="Folder of OSV's files to use instead of its service.")
    ] = "",
    url: Annotated[str, typer.Option("--osv", help="OSV's service, or one that speaks as it does.")] = "",
    output: Annotated[Path, typer.Option(help="Account to write, JSON.")] = Path("scan.json"),
) -> None:
    """Hold the bills of materials against what is known of the packages.

    Exit code 0 means that every package was examined and nothing fails the policy; 4 that something does; 6 that
    nothing could be examined, because no source of advisories answers or it has none for these packages.
    """
    from kfp_ct.ci.supply import advisories
    from kfp_ct.ci.supply import policy as policies
    from kfp_ct.ci.supply import scan as scanner

    source: advisories.Source = advisories.Service(url or advisories.SERVICE)
    if folder:
        source = advisories.Folder(Path(folder), policies.load(policy).max_age_days)
    print("\n".join(scanner.report(sboms, policy, source, output)))


def provenance(
    files: Annotated[list[Path], typer.Argument(help="What was built beside the images, such as package.yaml.")],
    build_id: Annotated[str, typer.Option("--build", help="$BUILD_ID.")],
    commit: Annotated[str, typer.Option(help="$COMMIT_SHA.")],
    repository: Annotated[str, typer.Option(help="$REPO_FULL_NAME, or the repository's URL.")],
    reference: Annotated[str, typer.Option("--ref", help="$REF_NAME.")] = "",
    project_id: Annotated[str, typer.Option("--project", help="$PROJECT_ID.")] = "local",
    location: Annotated[str, typer.Option(help="$LOCATION; `local` is this machine.")] = "local",
    substitutions: Annotated[list[str], typer.Option(metavar="_KEY=VALUE,…", help="Those that shaped it.")] = [],  # noqa: B006
    evidence: Annotated[list[Path], typer.Option(help="Files or folders that the build left beside.")] = [],  # noqa: B006
    lock: Lock = Path("images.lock"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Statement to write.")] = Path("provenance.json"),
) -> None:
    """Write what was built, from what and by whom: an in-toto statement with SLSA's provenance."""
    from kfp_ct.ci.supply import provenance as made
    from kfp_ct.cli.build import pairs
    from kfp_ct.package import bind

    left = [path for each in evidence for path in (sorted(each.iterdir()) if each.is_dir() else [each])]
    known = made.Build(
        build_id, commit, repository, reference, project_id, location, pairs(substitutions, "--substitutions")
    )
    told = made.statement(workspace.find_workspace().root, known, bind.read_whole_lock(lock), files, left)
    made.write(output, told)
    inputs = len(told["predicate"]["buildDefinition"]["resolvedDependencies"])
    print(f"{output}: {len(told['subject'])} things built of {inputs} inputs")
