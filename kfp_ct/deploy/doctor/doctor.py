"""`ct doctor`: what runs on a target need, looked at one by one without changing anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.deploy import code_packages, kfp_identity, pod_paths, reachable, version
from kfp_ct.deploy import target as targets
from kfp_ct.deploy.doctor import cluster_checks, place_checks, pod_needs, serving_checks, vertex_checks
from kfp_ct.deploy.doctor.finding import Finding, fine, guarded, of_error, problem, unknown
from kfp_ct.deploy.kfp_target import DEFAULT_NAMESPACE
from kfp_ct.package.package import Package
from kfp_ct.project.settings import Settings
from kfp_ct.project.workspace import Workspace

Absent = Callable[[Iterable[str]], list[str]]


def examine(workspace: Workspace, chosen: Settings, service: Any, kind: str) -> Iterator[Finding]:
    """Yields what is there and what is missing.

    Args:
        workspace: The repository.
        chosen: The settings that runs would have.
        service: What they are deployed to.
        kind: kfp or vertex.
    """
    yield from guarded("service", lambda: _service(service, kind))
    try:
        reachable.require_reachable(chosen, kind, workspace)
        compiled = version.for_target(workspace, chosen, kind)
        pod_paths.require_mounted(compiled, chosen, kind)
        yield fine("settings", f"{chosen.file} fit the pipeline and the target")
    except CtError as error:
        yield _of_settings(error)
        return
    section = chosen.targets.get(kind, {})
    if kind == targets.KFP:
        yield from cluster_checks.findings(
            cluster_checks.Wanted(
                section.get("namespace") or DEFAULT_NAMESPACE, pod_needs.of_package(compiled),
                section.get("service_account", ""), section.get("time_zone", "UTC"),
            )
        )  # fmt: skip
    else:
        asked = pod_needs.of_package(compiled).resources
        yield from guarded("Google Cloud", lambda: vertex_checks.findings(service, asked))
    roots = tuple(str(section[name]) for name in ("pipeline_root", "bucket") if section.get(name))
    yield from place_checks.findings(chosen, roots)
    yield from serving_checks.findings(chosen.parameters)
    yield from _code(compiled)


def _code(compiled: Package) -> Iterator[Finding]:
    for uri, names in code_packages.references(compiled).items():
        what, state = f"user code of {', '.join(names)}", code_packages.presence(uri)
        if state == "ok":
            yield fine(what, uri)
        else:
            yield unknown(what, f"{uri}: {state}; `ct deploy` brings it there")


def images(locked: Mapping[str, str], absent: Absent) -> Iterator[Finding]:
    """Yields whether images are in their registry.

    Args:
        locked: References by name.
        absent: Returns those of some references that their registry does not have.
    """
    for name, reference in sorted(locked.items()):
        what = f"image {name}"
        try:
            gone = absent([reference])
        except CtError as error:
            yield unknown(what, str(error).splitlines()[0])
            continue
        if gone:
            yield problem(what, f"{reference} is not in its registry", "ct images build, and push it there")
        else:
            yield fine(what, reference)


def before_deploying(chosen: Settings, compiled: Mapping[str, Any], kind: str) -> list[str]:
    """Returns what of a cluster is missing, as far as a kubeconfig tells at once; nothing where it cannot be asked."""
    if kind != targets.KFP:
        return []
    section = chosen.targets.get(kind, {})
    needs = pod_needs.of_package(dict(compiled))
    if not (needs.claims or needs.secrets or needs.config_maps or section.get("service_account")):
        return []
    wanted = cluster_checks.Wanted(
        section.get("namespace") or DEFAULT_NAMESPACE, needs, section.get("service_account", ""),
        section.get("time_zone", "UTC"),
    )  # fmt: skip
    return [str(each).strip() for each in cluster_checks.findings(wanted) if each.state == "problem"]


def _service(service: Any, kind: str) -> Iterator[Finding]:
    if kind == targets.KFP:
        found = kfp_identity.require_kind(service.client, service.host, kind)
        users = ", several users" if found.several_users else ""
        yield fine("service", f"{service.host} is {found.name or 'Kubeflow Pipelines'}{users}")
        if found.several_users and not service.namespace:
            yield problem("namespace", "the service has several users", "kfp: {namespace: YOURS}")
        return
    service.reach()
    yield fine("service", f"Vertex AI answers for {service.parent}")


def _of_settings(error: CtError) -> Finding:
    lines = [line for line in str(error).splitlines() if not line.startswith(("expected: ", "fix: "))]
    found = of_error("settings", error)
    return problem("settings", "; ".join(line.removeprefix("- ") for line in lines), found.fix)
