"""What pods of a package need in their namespace, as its platform document names it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package.package import PLATFORMS, Package


@dataclasses.dataclass(frozen=True)
class Needs:
    """Objects by kind: claims by name; secrets and config maps by name to the keys that variables have."""

    claims: frozenset[str]
    secrets: Mapping[str, frozenset[str]]
    config_maps: Mapping[str, frozenset[str]]


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
    return Needs(claims, _frozen(secrets), _frozen(config_maps))


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
