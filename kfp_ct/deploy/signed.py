"""Which settings take signed packages only, and whether a package is signed: infra/signing.yaml."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import UsageError, listed
from kfp_ct.base.settings import Names, Settings
from kfp_ct.deploy import target
from kfp_ct.package import package, signing
from kfp_ct.package.package import Package
from kfp_ct.project import settings, yaml_file
from kfp_ct.project.workspace import Workspace

POLICY = "infra/signing.yaml"
# What the build signs beside the package: its provenance, which names the package and all images by digest.
ATTESTATION = "provenance.dsse.json"


@dataclasses.dataclass(frozen=True)
class Deployed:
    """How a package is deployed.

    Attributes:
        destination: local, kfp or vertex.
        file: The file that it was read from; None if it was compiled here and now, which nobody has signed.
        commit: The commit that its version is named by.
    """

    destination: str
    file: Path | None
    commit: str


class Signing(Settings):
    """Who signs, and what has to be signed."""

    keys: Names = Field(
        description="Files of public keys, PEM: a package counts that one of them signed.", min_length=1
    )
    settings: Names = Field(
        description="Settings that take signed packages only, such as preprod and prod.", min_length=1
    )


def load(workspace: Workspace) -> Signing | None:
    """Reads the policy; None if the repository has none, and nothing has to be signed.

    Raises:
        UsageError: Lists everything that does not fit; settings that no project has are such.
    """
    path = workspace.root / POLICY
    if not path.is_file():
        return None
    policy: Signing = yaml_file.described(yaml_file.read(path), Signing, path)
    known = sorted({each.stem for each in workspace.root.glob("pipelines/*/settings/*.yaml")})
    if unknown := [each for each in policy.settings if each not in known]:
        raise UsageError(
            f"{path} names settings that no project has: nothing would have to be signed for them\n"
            f"{listed(f'{each} {setting_problems.nearest(each, known)}' for each in unknown)}\n"
            f"expected: some of {', '.join(known)}\nfix: edit {path}"
        )
    return policy


def require(workspace: Workspace, chosen: settings.Settings, compiled: Package, deployed: Deployed) -> None:
    """Refuses a package that the policy does not let be deployed.

    Args:
        workspace: The repository with the policy.
        chosen: The settings that it is deployed with.
        compiled: The package as it is deployed, images bound.
        deployed: Where to, from which file, as which commit.

    Raises:
        UsageError: It is not signed by a key that counts, is of another commit, or has an image that is not part of
            what was signed.
    """
    policy = load(workspace)
    if policy is None or chosen.environment not in policy.settings:
        return
    file = deployed.file
    if file is None:
        raise UsageError(
            f"{POLICY}: the settings {chosen.environment} take signed packages only, and this one was compiled now\n"
            "fix: deploy the package that a build delivered: ct delivery fetch, then --package"
        )
    statement = verified_statement(file, [workspace.root / each for each in policy.keys])
    _require_commit(statement, deployed.commit, file)
    signed = signing.subjects(statement)
    # On this machine tasks run in its own environment: no image is pulled.
    images = package.images(compiled) if deployed.destination != target.LOCAL else []
    if strange := sorted(each for each in images if each.rpartition("@sha256:")[2] not in signed):
        raise UsageError(
            f"{file} runs the image {strange[0]}, which is no part of what was signed\n"
            "expected: the images of that build, by digest\nfix: deploy the package as it was delivered"
        )


def verified(file: Path, keys: list[Path]) -> frozenset[str]:
    """Returns the digests of what was signed together with a package.

    Raises:
        UsageError: There is no signature of one of these keys over this file.
    """
    return signing.subjects(verified_statement(file, keys))


def verified_statement(file: Path, keys: list[Path]) -> dict[str, Any]:
    """Returns the signed statement about a package.

    Raises:
        UsageError: There is no signature of one of these keys over this file.
    """
    path = file.parent / ATTESTATION
    if not path.is_file():
        raise UsageError(
            f"{file} is not signed: there is no {path}\nexpected: what the build signed, beside the package\n"
            "fix: ct delivery fetch, or ct images sign provenance.json --key FILE"
        )
    try:
        statement = signing.verify(_read(path), [signing.public_key(each) for each in keys])
    except signing.SignatureError as error:
        raise UsageError(f"{path}: {error}") from error
    made = hashlib.sha256(file.read_bytes()).hexdigest()
    if made not in signing.subjects(statement):
        raise UsageError(
            f"{file} has the digest {made}, which {path} does not name\n"
            "expected: the file that was signed\nfix: find out who changed it; deploy what the build delivered"
        )
    return statement


def _require_commit(statement: dict[str, Any], commit: str, file: Path) -> None:
    """Demands that the package is deployed as the commit that it was built of: else an old one would pass as a new."""
    try:
        built = str(
            statement["predicate"]["buildDefinition"]["internalParameters"]["systemSubstitutions"]["COMMIT_SHA"]
        )
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{file}: what was signed does not say of which commit it is\n"
            "expected: what `ct images provenance` writes\nfix: sign that"
        ) from error
    if built != commit:
        raise UsageError(
            f"{file} was built of the commit {built} and signed as such\nexpected: {commit}, as which it is deployed\n"
            "fix: deploy the package of that commit, or name its own with --commit"
        )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UsageError(f"{path} is no DSSE envelope: {error}") from error
