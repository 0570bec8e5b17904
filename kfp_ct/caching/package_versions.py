"""Versions of a whole package's tasks before it runs, and the identity of the training in it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.base.errors import RunFailedError
from kfp_ct.caching.task_version import TaskVersion, Versions
from kfp_ct.package import package as packages
from kfp_ct.package.resolution import ResolvedTask, Upstream, resolve

CODE_VERSION, TRAINING_KEY = "code_version", "training_key"
# Parameters that say where something is kept, not what is trained; hyperparameters are in the key by themselves.
_NOT_OF_THE_TRAINING = ("checkpoints", "hyperparameters", "tuning", "registry_uri", "model_name", CODE_VERSION)


class PackageVersions:
    """The tasks of one package with the arguments of one run, and their versions."""

    def __init__(self, compiled: packages.Package, arguments: Mapping[str, Any], versions: Versions) -> None:
        """Looks at every task.

        Args:
            compiled: A package.
            arguments: Values of its inputs, as far as they are known.
            versions: Tells the version of a task.
        """
        self._versions = versions
        self.tasks: dict[str, ResolvedTask] = resolve(compiled, arguments)
        self.versions: dict[str, TaskVersion] = {
            name: versions.of(task.command, task.parameters) for name, task in self.tasks.items()
        }

    @property
    def digest(self) -> str:
        """A hash of what all tasks are made of."""
        return _hash({name: version.digest for name, version in self.versions.items()})

    @property
    def training(self) -> str:
        """The code version of the training: of every step from the examples to the model.

        The examples themselves count by their content, hyperparameters and the search for them by their values: all
        three are in the training key beside this. Where no model is registered by a training key, every step counts.
        """
        steps = self.training_steps() or set(self.tasks)
        made_of = {name: [self.versions[name].digest, self._settings(name)] for name in steps}
        # Of the step that makes the key only its settings: whether training starts from the champion is one.
        return _hash({**made_of, **{name: [self._settings(name)] for name in self._keys() - steps}})

    def now(self, task: str, command: Sequence[str], parameters: Mapping[str, Any]) -> TaskVersion:
        """Returns a task's version at this moment, with the values that it is given.

        Raises:
            RunFailedError: Its sources are not those that the run began with, and that its training key is of.
        """
        version = self._versions.of(command, parameters)
        changed = self.versions.get(task, TaskVersion()).changed_sources(version)
        if changed:
            raise RunFailedError(
                f"{', '.join(changed[:3])} changed after the run had begun\n"
                "expected: sources that stay as they are to the run's end\n"
                "fix: run again; what ran before the change comes from the cache"
            )
        return version

    def training_steps(self) -> set[str]:
        """Returns the tasks between the examples and the model; empty if no task is told of a training key."""
        keys = self._keys()
        examples = {one.task for key in keys for several in self.tasks[key].artifacts.values() for one in several}
        steps: set[str] = set()
        waiting = [model.task for model in self._models(keys)]
        while waiting:
            name = waiting.pop()
            if name not in steps | keys | examples:
                steps.add(name)
                waiting += self.tasks[name].upstream
        return steps

    def _keys(self) -> set[str]:
        """Returns the tasks that make a training key of the code version."""
        return {name for name, task in self.tasks.items() if CODE_VERSION in {*task.parameters, *task.unknown}}

    def _models(self, keys: set[str]) -> list[Upstream]:
        """Returns the models that are registered under a training key."""
        told = [
            task
            for task in self.tasks.values()
            if any(one.task in keys and one.output == TRAINING_KEY for each in task.unknown.values() for one in each)
        ]
        return [one for task in told for one in task.artifacts.get("model", ())]

    def _settings(self, name: str) -> dict[str, Any]:
        """Returns a step's settings that are part of what is trained."""
        settings = {**self.tasks[name].parameters, **{key: str(each) for key, each in self.tasks[name].unknown.items()}}
        return {key: _canonical(value) for key, value in settings.items() if key not in _NOT_OF_THE_TRAINING}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """Returns a value with whole numbers as integers: on the wire all are doubles."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
