"""The user's preprocessing_fn: what it reads, and its mistakes told apart from ours."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow_transform as tft

from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data import batches, user_code

PreprocessingFn = Callable[[dict[str, Any]], dict[str, Any]]


class _Columns(dict):
    """The inputs of a preprocessing_fn, which says what there is when asked for what there is not."""

    def __missing__(self, name: str) -> None:
        raise ConfigurationError(
            f"preprocessing_fn reads column {name!r}, which is not in the schema\nexpected: one of {sorted(self)}\n"
            "fix: correct the name, or add the column to the query and the schema"
        )


def load(module: str, custom_config: Mapping[str, Any] | None = None) -> PreprocessingFn:
    """Loads a module's preprocessing_fn, wrapped so that its mistakes become a `ConfigurationError` that names it.

    `custom_config` is what the function is given if it takes one, as TFX has it.
    Beam's workers get the module's reference and load it themselves: they do not know it under this process's name.

    Raises:
        ConfigurationError: There is no such module or function.
    """
    _function.cache_clear()  # the file may have changed
    _function(module)

    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            outputs = _with_configuration(_function(module), dict(custom_config or {}))(_Columns(inputs))
        except ComponentError as error:
            raise ConfigurationError(f"{module}: {error}") from error
        except Exception as error:
            message = user_code.failure(error, module, "preprocessing_fn")
            raise ConfigurationError(f"{message}\nexpected: TensorFlow and tft operations on the inputs") from error
        if not isinstance(outputs, dict) or not outputs:
            raise ConfigurationError(
                f"preprocessing_fn of {module} yields no features\nexpected: a dict of feature name to tensor\n"
                "fix: return at least one feature"
            )
        return outputs

    return call


def _with_configuration(function: Callable[..., dict[str, Any]], custom_config: dict[str, Any]) -> PreprocessingFn:
    """TFX gives a preprocessing_fn its `custom_config` if it takes one."""
    takes = "custom_config" in inspect.signature(function).parameters
    return functools.partial(function, custom_config=custom_config) if takes else function


@functools.cache
def _function(module: str) -> PreprocessingFn:
    return user_code.load_function(module, "preprocessing_fn")


def columns_read(preprocessing_fn: PreprocessingFn, specs: Mapping[str, batches.FeatureSpec]) -> list[str]:
    """Returns the columns that the outputs depend on, so that only those are read from disk.

    Raises:
        ConfigurationError: The function fails, reads an unknown column, or its outputs depend on no column.
    """
    names = tft.get_transform_input_columns(
        preprocessing_fn, {name: batches.type_spec(spec) for name, spec in specs.items()}
    )
    if not names:
        raise ConfigurationError(
            f"the outputs of preprocessing_fn depend on no column\nexpected: it to use some of {sorted(specs)}"
        )
    return sorted(names)
