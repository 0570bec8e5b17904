"""A task that is about to run: its version, its cache entry and what it is given."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.local.cache import LocalCache

from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import TaskVersion
from kfp_ct.local.dag_run import Place
from kfp_ct.runs.leases import Lease
from kfp_ct.runs.task_inputs import Lookup, TaskInputs

LOCAL_IMAGE = "kfp-ct-components-python:{version}"


@dataclasses.dataclass(frozen=True)
class TaskCall:
    """A task, its component and the values it is given.

    Attributes:
        place: Where it stands.
        task: The task.
        component: Its component.
        executor: What its component runs.
        inputs: Its input parameters and artifacts.
    """

    place: Place
    task: Mapping[str, Any]
    component: Mapping[str, Any]
    executor: Mapping[str, Any]
    inputs: Mapping[str, Any]

    @property
    def component_name(self) -> str:
        """The component's name, such as validate_data."""
        return str(self.task["componentRef"]["name"]).removeprefix("comp-").replace("-", "_")

    @property
    def container(self) -> Mapping[str, Any]:
        """The specification of its container; empty if it runs none."""
        return dict(self.executor.get("container", {}))

    @property
    def cacheable(self) -> bool:
        """Whether the pipeline lets it be answered from a cache."""
        return bool(self.container) and bool(self.task.get("cachingOptions", {}).get("enableCache"))

    @property
    def parameters(self) -> dict[str, Any]:
        """Its input parameters."""
        return {name: value for name, value in self.inputs.items() if name not in self._artifact_names}

    def version(self, made_of: PackageVersions) -> TaskVersion:
        """Tells the task's version, from the values it is given now; what runs no container has none.

        Raises:
            RunFailedError: Its sources have changed since the run began.
        """
        if not self.container:
            return TaskVersion()
        return made_of.now(self.place.known_as, self._command, self.parameters)

    def key(self, version: TaskVersion, cache: LocalCache | None) -> str:
        """Returns the key of its entry in the cache; empty if it has none.

        Args:
            version: The task's version, which stands for its image.
            cache: The cache; None if the run goes without.
        """
        if cache is None or not self.cacheable:
            return ""
        key: str = cache.compute_key(
            component_name=str(self.task["componentRef"]["name"]),
            image=LOCAL_IMAGE.format(version=version.digest),
            full_command=self._command,
            arguments=dict(self.inputs),
            env_vars={each["name"]: each.get("value", "") for each in self.container.get("env", ())},
            custom_cache_key=self.task["cachingOptions"].get("cacheKey") or None,
        )
        return key

    def described(self, version: TaskVersion, key: str, cache: LocalCache | None) -> TaskInputs:
        """Says what the task is given and what the cache has for it."""
        artifacts = {name: each for name, each in self.inputs.items() if isinstance(each, dsl.Artifact)}
        lookup, deleted = _look_up(key, cache) if self.cacheable else (Lookup.NEVER, "")
        return TaskInputs(
            lookup=lookup,
            key=key,
            deleted=deleted,
            interface=hashlib.sha256(json.dumps(self._command).encode()).hexdigest()[:16],
            parameters=self.parameters,
            artifacts={name: {"uri": each.uri, "metadata": dict(each.metadata)} for name, each in artifacts.items()},
            version=version.parts,
        )

    @property
    def _command(self) -> list[str]:
        return [*self.container.get("command", ()), *self.container.get("args", ())]

    @property
    def _artifact_names(self) -> Mapping[str, Any]:
        return dict(self.component.get("inputDefinitions", {}).get("artifacts", {}))


def take(key: str, cache: LocalCache, uses: Lease) -> dict[str, Any] | None:
    """Returns what the cache has for a key, None for nothing; the run's lease then holds its artifacts."""
    with uses.looking():
        outputs: dict[str, Any] | None = cache.get(key)
        if outputs is not None:
            uses.add(each.uri for each in _artifacts(outputs))
            (Path(cache.cache_root) / f"{key}.json").touch()  # what was used last is kept longest
    return outputs


def forget(key: str, cache: LocalCache) -> None:
    """Takes an entry out of the cache."""
    (Path(cache.cache_root) / f"{key}.json").unlink(missing_ok=True)


def _artifacts(outputs: Mapping[str, Any]) -> Iterator[dsl.Artifact]:
    for value in outputs.values():
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dsl.Artifact))


def _look_up(key: str, cache: LocalCache | None) -> tuple[Lookup, str]:
    """Returns what the cache has for a key, and the first artifact that is gone."""
    if cache is None:
        return Lookup.OFF, ""
    entry = Path(cache.cache_root) / f"{key}.json"
    if not entry.is_file():
        return Lookup.MISS, ""
    if cache.get(key) is not None:
        return Lookup.HIT, ""
    outputs = (each for each in json.loads(entry.read_text()).values() if isinstance(each, dict))
    gone = [each["uri"] for each in outputs if each.get("uri") and not _is_there(each["uri"])]
    return (Lookup.DELETED, gone[0]) if gone else (Lookup.MISS, "")


def _is_there(uri: str) -> bool:
    return "://" in uri or Path(uri).exists()
