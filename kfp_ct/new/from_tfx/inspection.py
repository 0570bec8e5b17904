"""Prints a TFX pipeline as JSON: its components and what they were given. No component runs, nothing is written.

It is a script that runs alone, with any Python that has tfx:
`python inspection.py PIPELINE.py [FUNCTION] [NAME=VALUE …] > inspected.json`. The pipeline's file runs as `python
PIPELINE.py` does, with runners that only take the pipeline; or a function of it is called, whose arguments are the
values given, else what the file has by the parameter's name, as TFX's examples have `_data_root` for `data_root`.
"""

import contextlib
import importlib
import inspect
import json
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any

# What the file is run with; a runner whose orchestrator is not installed is replaced as a whole.
RUNNERS = (
    "tfx.orchestration.local.local_dag_runner",
    "tfx.orchestration.beam.beam_dag_runner",
    "tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner",
    "tfx.orchestration.kubeflow.kubeflow_dag_runner",
    "tfx.orchestration.airflow.airflow_dag_runner",
)
FUNCTIONS = ("create_pipeline", "_create_pipeline")


class _Runner:
    """Stands for a runner, or its configuration, whose orchestrator is not installed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def run(self, *arguments: Any, **named: Any) -> None:
        """Does nothing."""


class _Runners(types.ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Runner


def _disarm() -> list[Any]:
    """Makes runners take pipelines and do nothing; returns the pipelines that are made from now on."""
    from tfx.dsl.io import fileio
    from tfx.orchestration import pipeline, tfx_runner
    from tfx.orchestration.portable import tfx_runner as portable_runner

    made: list[Any] = []
    construct = pipeline.Pipeline.__init__

    def recorded(self: Any, *arguments: Any, **named: Any) -> None:
        construct(self, *arguments, **named)
        made.append(self)

    pipeline.Pipeline.__init__ = recorded
    fileio.makedirs = lambda path: None  # for the database of ML Metadata
    for name in RUNNERS:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = _Runners(name)
    waiting: list[Any] = [tfx_runner.TfxRunner, portable_runner.TfxRunner]
    while waiting:
        runner = waiting.pop()
        runner.run = lambda self, *arguments, **named: None
        waiting += runner.__subclasses__()
    return made


class _ConfigFunctions:
    """Notes which functions without parameters return an EvalConfig while the pipeline's file runs."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[tuple[Any, str, str]] = []

    def note(self, frame: types.FrameType, event: str, value: Any) -> None:
        """Looks at what a function returns, as `sys.setprofile` calls it."""
        if event != "return" or type(value).__name__ != "EvalConfig":
            return
        code = frame.f_code
        function = frame.f_globals.get(code.co_name)
        takes_none = not code.co_argcount and not code.co_kwonlyargcount
        if takes_none and getattr(function, "__code__", None) is code and code.co_filename != self._file:
            self._found.append((value, code.co_filename, code.co_name))

    def described(self) -> list[dict[str, Any]]:
        """Returns the functions, each with what it returned."""
        return [{"config": _value(config), "file": file, "function": name} for config, file, name in self._found]


def _call(file: str, function: str, given: dict[str, str]) -> Any:
    names: dict[str, Any] = runpy.run_path(file, run_name="pipeline")
    chosen = [name for name in ((function,) if function else FUNCTIONS) if callable(names.get(name))]
    if not chosen:
        raise SystemExit(f"{file} makes no pipeline, and has no function {function or ' or '.join(FUNCTIONS)}")
    arguments: dict[str, Any] = {}
    missing = []
    for name, parameter in inspect.signature(names[chosen[0]]).parameters.items():
        found = [source[key] for source, key in ((given, name), (names, f"_{name}"), (names, name)) if key in source]
        if found:
            arguments[name] = found[0]
        elif parameter.default is parameter.empty and parameter.kind not in (2, 4):  # *args, **kwargs
            missing.append(name)
    if missing:
        wanted = " ".join(f"--argument {name}=…" for name in missing)
        raise SystemExit(f"{chosen[0]} of {file} needs {', '.join(missing)}\nfix: give {wanted}")
    return names[chosen[0]](**arguments)


def _pipeline(file: str, function: str, given: dict[str, str], made: list[Any]) -> Any:
    sys.path[:0] = [str(Path(file).parent), str(Path.cwd())]
    sys.argv = [file]
    if not function:
        with contextlib.suppress(SystemExit):  # absl.app.run ends so
            runpy.run_path(file, run_name="__main__")
    if function or not made:
        found = _call(file, function, given)
        made += [found] if hasattr(found, "components") and found not in made else []
    outer = [each for each in made if not any(each in other.components for other in made)]
    if len(outer) != 1:
        names = ", ".join(each.pipeline_info.pipeline_name for each in outer) or "none"
        raise SystemExit(f"{file} makes {len(outer)} pipelines: {names}\nfix: name one's function by --function")
    return outer[0]


def _value(value: Any) -> Any:
    """Returns a value as JSON has it; what is known only in a run is named."""
    from google.protobuf import json_format, message
    from tfx.orchestration import data_types

    if isinstance(value, data_types.RuntimeParameter):
        return {"runtime_parameter": value.name, "default": _value(value.default)}
    if isinstance(value, message.Message):
        return json_format.MessageToDict(value, preserving_proto_field_name=True)
    if isinstance(value, dict):
        return {str(key): _value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return {"placeholder": repr(value)}


def _channels(channel: Any) -> list[dict[str, str]]:
    """Returns where an input comes from: of several channels each."""
    several = getattr(channel, "channels", None)
    if several:
        return [found for each in several for found in _channels(each)]
    found = {
        "type": channel.type_name,
        "producer": getattr(channel, "producer_component_id", None) or "",
        "key": getattr(channel, "output_key", None) or "",
    }
    return [found]


def _node(node: Any, pipeline: Any) -> dict[str, Any]:
    from tfx.dsl.experimental.conditionals import conditional

    registry = pipeline.dsl_context_registry
    contexts = [type(each).__name__ for each in registry.get_contexts(node)]
    executor = getattr(getattr(node, "executor_spec", None), "executor_class", None)
    return {
        "id": node.id,
        "type": f"{type(node).__module__}.{type(node).__qualname__}",
        "bases": [base.__name__ for base in type(node).__mro__],
        "executor": _value(executor) if executor else "",
        "exec_properties": {name: _value(value) for name, value in node.exec_properties.items()},
        "inputs": {name: _channels(channel) for name, channel in node.inputs.items()},
        "conditions": [repr(each) for each in conditional.get_predicates(node, registry)],
        "contexts": [name for name in contexts if name != "CondContext"],
        "components": [_node(each, node) for each in getattr(node, "components", ())],
    }


def main(file: str, *others: str) -> None:
    """Prints the pipeline of a file."""
    file = str(Path(file).absolute())
    function = others[0] if others and "=" not in others[0] else ""
    given = dict(each.split("=", 1) for each in others if "=" in each)
    with contextlib.redirect_stdout(sys.stderr):
        functions = _ConfigFunctions(file)
        made = _disarm()
        sys.setprofile(functions.note)
        try:
            pipeline = _pipeline(file, function, given, made)
        finally:
            sys.setprofile(None)
        import tfx.version

        found = {
            "tfx": tfx.version.__version__,
            "file": file,
            "name": pipeline.pipeline_info.pipeline_name,
            "legacy_keras": os.environ.get("TF_USE_LEGACY_KERAS", ""),
            "eval_config_functions": functions.described(),
            "beam_pipeline_args": _value(pipeline.beam_pipeline_args),
            "components": [_node(each, pipeline) for each in pipeline.components],
        }
    print(json.dumps(found, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
