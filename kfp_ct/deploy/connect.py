"""Connects to the service that pipelines are deployed to, as settings and options say."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.package.bind import Images, read_lock
from kfp_ct.project import settings


def open_target(chosen: settings.Settings, name: str, host: str, auth: str) -> tuple[Any, str]:
    """Connects to a service as settings and options say; returns it, and the experiment of the project.

    Raises:
        UsageError: They do not say enough.
    """
    from kfp_ct.deploy import kfp_api, kfp_target, target

    section = target.section(chosen, name)
    if name == target.VERTEX:
        from kfp_ct.deploy.vertex_target import VertexTarget

        return VertexTarget(section), chosen.pipeline_name
    there = os.environ.get("KF_PIPELINES_ENDPOINT") or (target.LOCAL_ADDRESS if name == target.LOCAL else "")
    host = (host or section.get("host") or there).rstrip("/")
    auth = auth or section.get("auth", "")
    if not host and auth != "in-cluster":
        where = f"pipelines/{chosen.project}/settings/{chosen.environment}.yaml"
        raise UsageError(f"where is Kubeflow Pipelines?\nfix: give --host, or kfp: {{host: …}} in {where}")
    _require_scheme(host)
    namespace = section.get("namespace", "")
    client = kfp_api.connect(host, auth, namespace)
    service = kfp_target.KfpTarget(
        client, host, namespace, section.get("service_account", ""), section.get("pipeline_root", "")
    )
    return service, section.get("experiment", chosen.pipeline_name)


def _require_scheme(host: str) -> None:
    """Refuses an address that does not say how it is spoken to: the SDK would take https, with a warning."""
    if host and not host.startswith(("http://", "https://")):
        raise UsageError(
            f"{host} is no address of a service\nexpected: http:// or https:// in front\n"
            f"fix: write http://{host}, or https://{host}, in --host, kfp: {{host: …}} or $KF_PIPELINES_ENDPOINT"
        )


def require_service(service: Any, name: str) -> None:
    """Raises unless what answers at a service's address is what a target means.

    Raises:
        UsageError: It is a cluster's for local, or `ct up` for kfp.
        TargetError: It is something else, or does not answer.
    """
    from kfp_ct.deploy import kfp_identity
    from kfp_ct.deploy.kfp_target import KfpTarget

    if isinstance(service, KfpTarget):
        kfp_identity.require_kind(service.client, service.host, name)


def bound_images(images: Mapping[str, str], lock: Path | None, file: Path | None) -> Images:
    """Returns the images that a package is bound to: those of the lock file, and over them those named one by one.

    Raises:
        UsageError: A lock is given with a package whose images are bound.
    """
    if lock and file:
        raise UsageError("--lock and --package exclude each other: a compiled package has its images")
    return Images(images, read_lock(lock) if lock else {})
