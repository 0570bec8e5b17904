"""Packages that callers hand over: read as KFP's client writes them, checked, and fitted to this machine."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

from kfp_ct.base import secrets
from kfp_ct.base.errors import PackageError, UsageError, listed
from kfp_ct.endpoint.store.faults import invalid
from kfp_ct.package import check, clear_secrets, other_files, package, processes, yaml_documents
from kfp_ct.project import validation
from kfp_ct.project.named_files import NamedFiles

# KFP's own bound (kubeflow/pipelines, backend/src/apiserver/common/const.go).
LARGEST = 32 << 20


def read(content: bytes, name: str) -> package.Package:
    """Reads an uploaded file: a package, or a .zip or .tar.gz that holds one; a second document is for Kubernetes.

    Raises:
        Fault: It holds no package, or one that a backend would not take; says why.
    """
    if len(content) > LARGEST:
        raise invalid(f"{name} has more than {LARGEST >> 20} MiB")
    try:
        text = _unpacked(content, name).decode()
        documents = yaml_documents.parse(text)
    except ValueError as error:
        raise invalid(f"{name} cannot be read: {error}") from error
    return checked(_pipeline(documents, name))


def from_spec(spec: Mapping[str, Any]) -> package.Package:
    """Takes a package from the body of a request: a PipelineSpec, or one beside its platform_spec.

    Raises:
        Fault: It is no package, or one that a backend would not take.
    """
    return checked(_pipeline([package.of_spec(spec)], "pipeline_spec"))


def checked(found: package.Package) -> package.Package:
    """Returns the package if a backend takes it; whether this machine can run it shows when it is run.

    Raises:
        Fault: A backend would not take it, or it holds a secret in the clear.
    """
    try:
        json.dumps(found, ensure_ascii=False).encode()  # JSON's and YAML's escapes can name halves of a character
        fitted = processes.fitted(found)
        check.check(fitted)
        problems = clear_secrets.problems(found)
        unable(found)
    except PackageError as error:
        raise invalid(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise invalid(f"this is no compiled pipeline: {error!r}") from error
    if problems:
        raise invalid(f"the package cannot be kept\n{listed(problems)}")
    return found


def unable(found: package.Package) -> list[str]:
    """Returns what of a package this machine cannot run, in words."""
    return list(processes.problems(processes.fitted(found)))


def arguments(found: package.Package, given: Mapping[str, Any], files: NamedFiles | None = None) -> None:
    """Refuses parameters that do not fit the package's inputs, or what components say of their parameters.

    Args:
        found: A package.
        given: Values by the inputs' names.
        files: Looks at the files that they name, too, where the run begins now.

    Raises:
        Fault: Lists what is unknown, missing, of another type or not allowed.
    """
    try:
        problems = [*validation.problems(found, given, files), *secrets.unset(given)]
    except UsageError as error:
        raise invalid(str(error)) from error
    if problems:
        raise invalid(f"these parameters do not fit the pipeline\n{listed(problems)}")


def _pipeline(documents: list[Any], name: str) -> package.Package:
    found = package.of_documents(documents)
    if found is None or "pipelineInfo" not in found:
        raise invalid(other_files.refusal(name, documents))
    return found


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                entries = [entry for entry in archive.infolist() if entry.filename.endswith((".yaml", ".yml"))]
                entry = _chosen(entries, [each.filename for each in entries], name)
                if entry.file_size > LARGEST:
                    raise invalid(f"{name} unpacks to more than {LARGEST >> 20} MiB")
                return archive.read(entry)
        if content[:2] == b"\x1f\x8b":
            return _from_tar(content, name)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise invalid(f"{name} is no archive that can be read: {error}") from error
    return content


def _from_tar(content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        entries = []
        for member in archive:
            if archive.offset > 4 * LARGEST:
                raise invalid(f"{name} unpacks to more than {4 * LARGEST >> 20} MiB")
            if member.isfile() and member.name.endswith((".yaml", ".yml")):
                entries.append(member)
        entry = _chosen(entries, [each.name for each in entries], name)
        if entry.size > LARGEST:
            raise invalid(f"{name} unpacks to more than {LARGEST >> 20} MiB")
        file = archive.extractfile(entry)
        return file.read(LARGEST) if file else b""


def _chosen(entries: list[Any], names: list[str], name: str) -> Any:
    """As KFP's client chooses: the only YAML file, or the one called pipeline.yaml."""
    if len(entries) == 1:
        return entries[0]
    if "pipeline.yaml" in names:
        return entries[names.index("pipeline.yaml")]
    raise invalid(f"{name} holds {len(entries)} YAML files: expected one, or one called pipeline.yaml")
