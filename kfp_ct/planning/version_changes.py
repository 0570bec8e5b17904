"""What a new version changes: the pipeline, and the settings its runs begin with."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.deploy import version
from kfp_ct.deploy.deploy import Target
from kfp_ct.deploy.version import Version
from kfp_ct.package import package
from kfp_ct.planning.changes import CREATE, UPDATE, Change, Field, compare

_SERVED_BY = ("serving", "serving_root", "model_name", "registry_uri", "keep_versions")
_RELEASED_BY = ("release", "approve", "approvals", "approval_expires")


def changes(service: Target, wanted: Version) -> Iterator[Change]:
    """Yields what would change; nothing where the version is there.

    Raises:
        UsageError: A version of that name has other content.
    """
    found = service.pipeline(wanted.pipeline)
    latest = service.latest(found) if found else None
    there = service.version(found, wanted.name) if found else None
    if there is not None:
        version.refuse_other(wanted, there)
        return
    if latest is None:
        if not found:
            yield Change(CREATE, "pipeline", wanted.pipeline)
        yield Change(CREATE, "version", wanted.pipeline, (Field(CREATE, "version", None, wanted.name),))
    else:
        account = version.read(latest.description) or {}
        same = version.same(wanted.compiled, latest.pipeline_spec)
        yield Change(
            UPDATE, "version", wanted.pipeline, tuple(_version_fields(wanted, str(latest.display_name), account)),
            "the package is the same" if same else "",
        )  # fmt: skip
    yield from _settings(wanted, _parameters(latest) if latest is not None else None)


def _version_fields(wanted: Version, latest: str, account: Mapping[str, Any]) -> Iterator[Field]:
    yield Field(UPDATE, "version", latest, wanted.name)
    yield from compare({"settings": account.get("settings", "")}, {"settings": wanted.chosen.environment})


def _settings(wanted: Version, deployed: Mapping[str, Any] | None) -> Iterator[Change]:
    """Yields the settings that change, those of serving and of releases by themselves."""
    parts: dict[str, list[Field]] = {"settings": [], "served model": [], "release policy": []}
    for field in compare(deployed or {}, wanted.chosen.parameters):
        parts[_kind(field.path)].append(field)
    if deployed is None:  # the first version: a page of settings is no news
        del parts["settings"]
    action = UPDATE if deployed is not None else CREATE
    name = str(wanted.chosen.parameters.get("model_name", wanted.pipeline))
    for kind, fields in parts.items():
        if fields:
            yield Change(action, kind, wanted.pipeline if kind == "settings" else name, tuple(fields))


def _kind(path: str) -> str:
    first, _, rest = path.partition(".")
    if first == "serving" and rest.split(".")[0] in _RELEASED_BY:
        return "release policy"
    return "served model" if first in _SERVED_BY else "settings"


def _parameters(found: Any) -> Mapping[str, Any]:
    """Returns the settings of a version: they travel in its account, or as defaults of the package's inputs."""
    account = version.read(found.description) or {}
    if isinstance(account.get("parameters"), dict):
        return dict(account["parameters"])
    return package.defaults(package.of_spec(found.pipeline_spec))
