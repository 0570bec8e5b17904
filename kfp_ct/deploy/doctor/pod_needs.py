"""What pods of a package need in their namespace, as its platform document names it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package.package import PLATFORMS, Package

# A container's resources in a package, as a namespace's quotas name them.
_QUOTAS = {
    f"resource{what.title()}{kind.title()}": f"{kind}s.{what}"
    for what in ("cpu", "memory") for kind in ("request", "limit")
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Needs:
    """What pods need.

    Attributes:
        claims: Names of claims.
        secrets: By name, the keys that variables have.
        config_maps: The same.
        resources: By task, what its container asks for, as quotas name it.
    """

    claims: frozenset[str]
    secrets: Mapping[str, frozenset[str]]
    config_maps: Mapping[str, frozenset[str]]
    resources: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


def of_package(compiled: Package) -> Needs:
    """Returns what the pods of a package need; what need not be there is left out."""
    configs = list(_configs(compiled))
    claims = frozenset(str(each["constant"]) for each in _all(configs, "pvcMount") if each.get("constant"))
    secrets = _keys(configs, "secretAsEnv", "secretName", "secretKey")
    for kind in ("secretAsVolume", "imagePullSecret"):
        for each in _all(configs, kind):
            if not each.get("optional") and each.get("secretName"):
                secrets.setdefault(str(each["secretName"]), set())
    config_maps = _keys(configs, "configMapAsEnv", "configMapName", "configMapKey")
    for each in _all(configs, "configMapAsVolume"):
        if not each.get("optional") and each.get("configMapName"):
            config_maps.setdefault(str(each["configMapName"]), set())
    return Needs(claims, _frozen(secrets), _frozen(config_maps), dict(_resources(compiled)))


def _resources(compiled: Package) -> Iterator[tuple[str, dict[str, str]]]:
    for name, executor in compiled["deploymentSpec"]["executors"].items():
        if "container" in executor:
            given = executor["container"].get("resources", {})
            found = {key: str(given[field]) for field, key in _QUOTAS.items() if given.get(field)}
            accelerator = given.get("accelerator", {})
            if kind := accelerator.get("resourceType"):
                found[f"requests.{kind}"] = str(accelerator.get("resourceCount", "1"))
            # One that the run is started with is not known here.
            yield name.removeprefix("exec-"), {key: value for key, value in found.items() if "{{" not in value}


def _configs(compiled: Package) -> Iterator[Mapping[str, Any]]:
    document = (compiled.get(PLATFORMS) or {}).get("kubernetes") or {}
    yield from ((document.get("deploymentSpec") or {}).get("executors") or {}).values()


def _all(configs: list[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    for config in configs:
        yield from config.get(kind, ())


def _keys(configs: list[Mapping[str, Any]], kind: str, name: str, key: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in _all(configs, kind):
        if not each.get("optional") and each.get(name):
            found.setdefault(str(each[name]), set()).update(str(pair[key]) for pair in each.get("keyToEnv", ()))
    return found


def _frozen(found: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(keys) for name, keys in sorted(found.items())}
