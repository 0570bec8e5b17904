"""Bills of materials: what is installed in each image, as CycloneDX JSON."""

import dataclasses
import datetime
import inspect
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.ci.supply import inventory
from kfp_ct.data import layouts

SUFFIX = ".cdx.json"
ECOSYSTEM = "osv:ecosystem"  # a component's property: where advisories speak of it, and by which name
NAME, VERSION = "osv:name", "osv:version"


class SbomError(CtError):
    """An image has nothing in it, or cannot be looked into."""

    exit_code = 4


@dataclasses.dataclass(frozen=True)
class Installed:
    """A component as advisories know it: a PyPI project, or the source of Debian packages."""

    ecosystem: str
    name: str
    version: str


def look_into(reference: str) -> tuple[dict[str, Any], str]:
    """Asks an image's own Python what is installed in it; returns that, and when the image was made.

    Raises:
        UsageError: No engine answers.
        SbomError: The image is not to be had, or has no Python.
    """
    try:
        client = docker.from_env(timeout=600)
    except docker.errors.DockerException as error:
        raise UsageError(f"no Docker engine answers: {error}\nfix: start it") from error
    try:
        output = _run_in(client, reference, ["python3", "-c", inspect.getsource(inventory)])
        return json.loads(output), str(client.images.get(reference).attrs["Created"])
    except (docker.errors.DockerException, ValueError) as error:
        raise SbomError(f"{reference} cannot be looked into: {error}\nexpected: an image with python3") from error


def document(name: str, reference: str, found: Mapping[str, Any], made: str) -> str:
    """Writes what was found in an image as CycloneDX; the same image gives the same text.

    Args:
        name: What the image is called, such as components.
        reference: The image by digest.
        found: What is installed in it (inventory.py).
        made: When the image was made, ISO 8601.

    Raises:
        SbomError: Nothing is installed in it.
    """
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    if not found["python"] and not found["debian"]:
        raise SbomError(f"nothing is installed in {reference}\nexpected: Python distributions or Debian packages")
    version = reference.partition("@")[2]
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=reference)
    components = [*_distributions(found["python"]), *_packages(found["debian"], found["system"])]
    seconds = datetime.datetime.fromisoformat(made[:19]).replace(tzinfo=datetime.UTC)
    bom = Bom(
        components=components,
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, reference),
        metadata=BomMetaData(component=root, timestamp=seconds),
    )
    bom.register_dependency(root, components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def write(images: Mapping[str, str], folder: Path) -> dict[str, int]:
    """Writes a bill of materials for each image; returns how many components each has.

    Args:
        images: Name to reference by digest.
        folder: Where `<name>.cdx.json` is written.
    """
    counts = {}
    for name, reference in images.items():
        found, made = look_into(reference)
        layouts.write_text(folder / f"{name}{SUFFIX}", document(name, reference, found, made))
        counts[name] = len(found["python"]) + len(found["debian"])
    return counts


def read(path: Path) -> tuple[str, list[Installed]]:
    """Reads a bill of materials: the image's reference, and what advisories may speak of.

    Raises:
        SbomError: It is none, or has nothing in it that advisories could speak of.
    """
    try:
        tree = json.loads(path.read_text())
        reference = str(tree["metadata"]["component"]["bom-ref"])
        properties = [
            {each["name"]: each["value"] for each in component.get("properties", [])}
            for component in tree.get("components", [])
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SbomError(f"{path} is no bill of materials: {error!r}\nfix: ct images sbom") from error
    found = {Installed(each[ECOSYSTEM], each[NAME], each[VERSION]) for each in properties if ECOSYSTEM in each}
    if not found:
        raise SbomError(f"{path} has no component that can be examined\nfix: ct images sbom")
    return reference, sorted(found, key=dataclasses.astuple)


def files(folder: Path) -> list[Path]:
    """Returns the bills of materials in a folder.

    Raises:
        UsageError: There is none.
    """
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        raise UsageError(f"there is no bill of materials in {folder}\nfix: ct images sbom --output {folder}")
    return found


def of_image(folder: Path, name: str, reference: str) -> Path:
    """Returns the bill of materials of an image.

    Raises:
        SbomError: There is none, or it is of another image.
    """
    path = folder / f"{name}{SUFFIX}"
    described, _ = read(path)
    if described != reference:
        raise SbomError(f"{path} is of {described}\nexpected: {reference}, as the lock has it\nfix: ct images sbom")
    return path


def _run_in(client: Any, reference: str, command: list[str]) -> bytes:
    """Returns all that a command in a container wrote, read once it has ended."""
    container = client.containers.run(reference, command, detach=True, network_mode="none")
    try:
        code = container.wait()["StatusCode"]
        if code:
            raise SbomError(f"{reference} cannot be looked into: exit code {code}: {container.logs().decode()[-500:]}")
        return bytes(container.logs(stdout=True, stderr=False))
    finally:
        container.remove(force=True)


def _distributions(found: Iterable[Mapping[str, str]]) -> list[Any]:
    from cyclonedx.factory.license import LicenseFactory
    from packageurl import PackageURL
    from packaging.utils import canonicalize_name

    components = []
    for each in found:
        name = canonicalize_name(each["name"])
        licences = [LicenseFactory().make_from_string(each["licence"])] if each.get("licence") else []
        known = Installed("PyPI", name, each["version"])
        url = PackageURL("pypi", name=name, version=each["version"])
        components.append(_component(each["name"], each["version"], url, known, licences))
    return components


def _packages(found: Iterable[Mapping[str, str]], system: Mapping[str, str]) -> list[Any]:
    from packageurl import PackageURL

    components = []
    for each in found:
        known = Installed(f"Debian:{system['version']}", each["source"], each["source_version"])
        qualifiers = {"arch": each["architecture"], "distro": f"{system['id']}-{system['version']}"}
        url = PackageURL("deb", system["id"], each["name"], each["version"], qualifiers)
        components.append(_component(each["name"], each["version"], url, known, []))
    return components


def _component(name: str, version: str, url: Any, known: Installed, licences: list[Any]) -> Any:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    values = {ECOSYSTEM: known.ecosystem, NAME: known.name, VERSION: known.version}
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=url.to_string(),
        licenses=licences,
        properties=[Property(name=key, value=value) for key, value in values.items()],
    )
