"""An EvalConfig that a Python function returns, as TFX pipelines have it: `module:function`, called without arguments.

`python -m kfp_ct.components.evaluate.function_config REFERENCE` prints it as JSON, `{"text": …}` or `{"error": …}`:
what is wrong is said before a run, from an environment that has no TFMA.
"""

import contextlib
import inspect
import json
import sys
from typing import Any

from google.protobuf import text_format

from kfp_ct.base import function_names
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data import message_texts, user_code


def read_text(reference: str) -> str:
    """Returns an EvalConfig's text: a file's, or of what a function returns.

    Raises:
        ConfigurationError: There is no such file or function, or it returns something else.
    """
    named = function_names.split(reference)
    if named is None:
        return user_code.read_text(reference, "evaluation config")
    complete_tfma()
    function = user_code.load_function(*named)
    if missing := _needed(function):
        raise ConfigurationError(
            f"{named[1]} of {named[0]} needs {', '.join(missing)}\nexpected: a function that is called without "
            "arguments\nfix: give them defaults, or name a function that calls it"
        )
    with user_code.failing_as(ConfigurationError, *named):
        config = function()
    descriptor = getattr(config, "DESCRIPTOR", None)
    if getattr(descriptor, "full_name", "") != message_texts.EVAL_CONFIG:
        raise ConfigurationError(
            f"{named[1]} of {named[0]} returned {type(config).__name__}\nexpected: a tfma.EvalConfig"
        )
    return text_format.MessageToString(config)


def _needed(function: Any) -> list[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.default is each.empty and each.kind not in kinds]


def complete_tfma() -> None:
    """Gives TFMA the names of its messages, which TFMA 0.52 itself has only where tfx puts them in."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    for name in (*config_pb2.DESCRIPTOR.message_types_by_name, *config_pb2.DESCRIPTOR.enum_types_by_name):
        if not hasattr(tfma, name):
            setattr(tfma, name, getattr(config_pb2, name))


def main(reference: str) -> None:
    """Prints the text of a function's EvalConfig, or what is wrong with it."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            found = {"text": read_text(reference)}
        except ComponentError as error:
            found = {"error": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
