"""A task that kfp.local is about to execute: its arguments, its version in place of its image, its cache entry."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.local import cache, executor_output_utils
from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import TaskVersion
from kfp_ct.runs.task_inputs import Lookup, TaskInputs

# kfp warns where the name of an image has no "python" in it.
LOCAL_IMAGE = "kfp-ct-components-python:{version}"


@dataclasses.dataclass(frozen=True)
class TaskCall:
    """What kfp.local calls its task executor with.

    Attributes:
        arguments: The keyword arguments of kfp's `execute_single_task`.
    """

    arguments: dict[str, Any]

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.arguments["task_name"])

    @property
    def component(self) -> str:
        """The component's name, such as validate_data."""
        return self._component_name.removeprefix("comp-").replace("-", "_")

    @property
    def cacheable(self) -> bool:
        """Whether the pipeline lets it be answered from a cache."""
        return bool(self.arguments["task_spec"].caching_options.enable_cache)

    def version(self, made_of: PackageVersions) -> TaskVersion:
        """Tells the task's version, from the values it is given now; what runs no container has none.

        Raises:
            RunFailedError: Its sources have changed since the run began.
        """
        if not self._runs_container():
            return TaskVersion()
        values = {name: value for name, value in self._values().items() if not isinstance(value, dsl.Artifact)}
        definitions = self.arguments["components"][self._component_name].input_definitions.parameters
        defaults = {
            name: executor_output_utils.pb2_value_to_python(each.default_value)
            for name, each in definitions.items()
            if name not in values and each.HasField("default_value")
        }
        return made_of.now(self.task, self._command(), {**defaults, **values})

    def with_version(self, version: TaskVersion) -> "TaskCall":
        """Returns the call with the version in the name of the task's image, which is what kfp's cache keys hold."""
        if not self._runs_container():
            return self
        label = self._executor_label
        executor = pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec()
        executor.CopyFrom(self.arguments["executors"][label])
        executor.container.image = LOCAL_IMAGE.format(version=version.digest)
        # Another task of the same component may have another version.
        return TaskCall({**self.arguments, "executors": {**self.arguments["executors"], label: executor}})

    def inputs(self, version: TaskVersion) -> TaskInputs:
        """Says what the task is given and what the cache has for it, after `with_version`."""
        values = self._values()
        artifacts = {name: value for name, value in values.items() if isinstance(value, dsl.Artifact)}
        key = self._key(values) if self.cacheable else ""
        lookup, deleted = _look_up(key) if self.cacheable else (Lookup.NEVER, "")
        return TaskInputs(
            lookup=lookup,
            key=key,
            deleted=deleted,
            interface=hashlib.sha256(json.dumps(self._command()).encode()).hexdigest()[:16],
            parameters={name: value for name, value in values.items() if name not in artifacts},
            artifacts={name: {"uri": each.uri, "metadata": dict(each.metadata)} for name, each in artifacts.items()},
            version=version.parts,
        )

    @property
    def _component_name(self) -> str:
        return str(self.arguments["task_spec"].component_ref.name)

    @property
    def _executor_label(self) -> str:
        return str(self.arguments["components"][self._component_name].executor_label)

    def _runs_container(self) -> bool:
        return bool(self.arguments["executors"][self._executor_label].WhichOneof("spec") == "container")

    def _command(self) -> list[str]:
        container = self.arguments["executors"][self._executor_label].container
        return [*container.command, *container.args]

    def _values(self) -> dict[str, Any]:
        """Returns parameters and artifacts, as kfp works them out itself."""
        found: dict[str, Any] = OrchestratorUtils.make_task_arguments(
            self.arguments["task_spec"].inputs, self.arguments["io_store"]
        )
        return found

    def _key(self, values: dict[str, Any]) -> str:
        """Returns the key that kfp will ask its cache for; empty if it will not."""
        kept = cache.get_local_cache()
        if kept is None:
            return ""
        container = self.arguments["executors"][self._executor_label].container
        key: str = kept.compute_key(
            component_name=self._component_name,
            image=container.image,
            full_command=self._command(),
            arguments=values,
            env_vars={each.name: each.value for each in container.env},
            custom_cache_key=self.arguments["task_spec"].caching_options.cache_key or None,
        )
        return key


def forget(key: str) -> None:
    """Takes an entry out of the cache."""
    kept = cache.get_local_cache()
    if kept is not None:
        (Path(kept.cache_root) / f"{key}.json").unlink(missing_ok=True)


def _look_up(key: str) -> tuple[Lookup, str]:
    """Returns what the cache has for a key, and the first artifact that is gone."""
    kept = cache.get_local_cache()
    if kept is None:
        return Lookup.OFF, ""
    entry = Path(kept.cache_root) / f"{key}.json"
    if not entry.is_file():
        return Lookup.MISS, ""
    if kept.get(key) is not None:
        return Lookup.HIT, ""
    outputs = (each for each in json.loads(entry.read_text()).values() if isinstance(each, dict))
    gone = [each["uri"] for each in outputs if each.get("uri") and not _is_there(each["uri"])]
    return (Lookup.DELETED, gone[0]) if gone else (Lookup.MISS, "")


def _is_there(uri: str) -> bool:
    return "://" in uri or Path(uri).exists()
