"""`ct images sbom`, `scan` and `provenance`: what is in the images, what is known of that, where they come from."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.cli import options
from kfp_ct.cli import output as printing
from kfp_ct.cli.exit_codes import exit_codes

Sboms = Annotated[Path, typer.Option(help="Folder of the bills of materials, IMAGE.cdx.json.")]


@exit_codes({4: "An image cannot be examined."})
def sbom(
    lock: options.Lock = Path("images.lock"),
    output: Annotated[Path, typer.Option(help="Folder to write, IMAGE.cdx.json each.")] = Path("sbom"),
) -> None:
    """Write a bill of materials of each image (CycloneDX JSON)."""
    from kfp_ct.ci.supply import sbom as boms
    from kfp_ct.package import bind

    counts = boms.write(bind.read_lock(lock), output)
    for name, count in counts.items():
        print(f"{output / name}{boms.SUFFIX}: {count} components")


@exit_codes(
    {
        0: "Every package was examined and none fails the policy.",
        4: "A package fails the policy.",
        6: "No verdict: no source of advisories answers, or it has none for these packages.",
    }
)
def scan(
    sboms: Sboms = Path("sbom"),
    policy: Annotated[Path, typer.Option(help="Policy: which vulnerabilities are accepted.")] = Path(
        "infra/scan-policy.yaml"
    ),
    folder: Annotated[
        str,
        typer.Option("--advisories", help="Folder of OSV's files, instead of its service.", show_default="none"),
    ] = "",
    url: Annotated[
        str, typer.Option("--osv", help="Address of an advisory service with OSV's API.", show_default="OSV's own")
    ] = "",
    output: Annotated[Path, typer.Option(help="Report to write, JSON.")] = Path("scan.json"),
) -> None:
    """Check the bills of materials against known vulnerabilities."""
    from kfp_ct.ci.supply import advisories
    from kfp_ct.ci.supply import policy as policies
    from kfp_ct.ci.supply import scan as scanner

    source: advisories.Source = advisories.Service(url or advisories.SERVICE)
    if folder:
        source = advisories.Folder(Path(folder), policies.load(policy).max_age_days)
    print("\n".join(scanner.report(sboms, policy, source, output)))


def provenance(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="What was built beside the images, such as package.yaml.")
    ],
    build_id: Annotated[str, typer.Option("--build", help="Id of the build: $BUILD_ID.")],
    commit: Annotated[str, typer.Option(help="Commit that was built: $COMMIT_SHA.")],
    repository: Annotated[str, typer.Option(help="Repository: $REPO_FULL_NAME, or its URL.")],
    reference: Annotated[
        str, typer.Option("--ref", help="Branch or tag that was built: $REF_NAME.", show_default="none")
    ] = "",
    project_id: Annotated[str, typer.Option("--project", help="Project of the build: $PROJECT_ID.")] = "local",
    location: Annotated[str, typer.Option(help="Region of the build: $LOCATION; local is this machine.")] = "local",
    substitutions: Annotated[
        list[str], typer.Option(metavar="_KEY=VALUE,…", help="Substitutions that shaped the build; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    evidence: Annotated[
        list[Path], typer.Option(help="Files or folders that the build left as evidence; repeatable.")
    ] = [],  # noqa: B006
    lock: options.Lock = Path("images.lock"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Statement to write.")] = Path("provenance.json"),
) -> None:
    """Write what was built, from what and by whom (in-toto, SLSA)."""
    from kfp_ct.ci.supply import provenance as made
    from kfp_ct.package import bind
    from kfp_ct.project import workspace

    left = [path for each in evidence for path in (sorted(each.iterdir()) if each.is_dir() else [each])]
    given = options.pairs(substitutions, "--substitutions")
    known = made.Build(build_id, commit, repository, reference, project_id, location, given)
    statement = made.statement(workspace.find_workspace().root, known, bind.read_whole_lock(lock), files, left)
    made.write(output, statement)
    inputs = len(statement["predicate"]["buildDefinition"]["resolvedDependencies"])
    print(f"{output}: {len(statement['subject'])} artifacts built from {inputs} inputs")


def sign(
    statement: Annotated[Path, typer.Argument(metavar="FILE", help="Statement of `ct images provenance`.")] = Path(
        "provenance.json"
    ),
    key: Annotated[
        str, typer.Option(help="Private key: a file of PEM, or env:NAME.", show_default="none: nothing is signed")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Envelope to write (DSSE).")] = Path(
        "provenance.dsse.json"
    ),
) -> None:
    """Sign the provenance, and with it the package and all images it names.

    Without a key an envelope without a signature is written, which no policy takes.
    """
    from kfp_ct.base.errors import UsageError
    from kfp_ct.data import layouts
    from kfp_ct.package import signing

    if not statement.is_file():
        raise UsageError(f"there is no file {statement}\nfix: ct images provenance")
    payload = statement.read_bytes()
    try:
        signing.statement(payload)
    except signing.SignatureError as error:
        raise UsageError(f"{statement}: {error}") from error
    chosen = signing.private_key(key) if key else None
    layouts.write_json(output, signing.envelope(payload, chosen))
    said = f"signed by {signing.key_id(chosen.public_key())[:12]}" if chosen else "NOT signed: no key is named"
    print(f"{output}: {said}")


@exit_codes({4: "The registry refuses, or cosign failed."})
def attach(
    sboms: Sboms = Path("sbom"),
    envelope: Annotated[
        Path, typer.Option(help="Signed provenance to attach as well, where it is there (`ct images sign`).")
    ] = Path("provenance.dsse.json"),
    cosign_key: Annotated[
        str,
        typer.Option(
            help="Have cosign sign each image, too: a key it knows, such as gcpkms://…, k8s://… or cosign.key.",
            show_default="cosign is not asked",
        ),
    ] = "",
    lock: options.Lock = Path("images.lock"),
) -> None:
    """Attach bills of materials and signed provenance to the images in their registry.

    They are artifacts that refer to the image (OCI 1.1), which `oras discover` lists.
    """
    from kfp_ct.ci.images import attachments, cosign
    from kfp_ct.ci.supply import sbom as boms
    from kfp_ct.package import bind

    signer = cosign.Cosign(cosign_key) if cosign_key else None
    signed = envelope.read_bytes() if envelope.is_file() else b""
    images = bind.read_lock(lock)
    for name, reference in images.items():
        file = boms.of_image(sboms, name, reference)
        parts = [attachments.Attachment(attachments.SBOM, file.read_bytes(), file.name)]
        parts += [attachments.Attachment(attachments.ENVELOPE, signed, envelope.name)] if signed else []
        for part in parts:
            print(f"{reference}: {part.title} is {attachments.attach(reference, part)}")
        if signer:
            signer.sign(reference)
            print(f"{reference}: signed by cosign")


def verify(
    package: Annotated[Path, typer.Argument(metavar="FILE", help="Package; its envelope lies beside it.")],
    keys: Annotated[list[Path], typer.Option("--key", help="Public key, PEM; repeatable.")],
    as_json: options.Json = False,
) -> None:
    """Verify that a package, and its images, are what a key has signed."""
    from kfp_ct.base.errors import UsageError
    from kfp_ct.deploy import signed

    if not package.is_file():
        raise UsageError(f"there is no file {package}")
    found = signed.verified(package, keys)
    if as_json:
        printing.print_json({"package": package, "signed": sorted(found)})
        return
    print(f"{package}: signed, together with {len(found) - 1} more artifacts")
