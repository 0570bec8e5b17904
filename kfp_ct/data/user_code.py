"""Finds what users name: modules by import path or file, texts by file."""

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from kfp_ct.base import exception_texts
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data import tfx_names
from kfp_ct.storage import locations, storage

# What the errors say of modules that were written for Keras 2, and are run by Keras 3.
_KERAS_2 = (
    "\nfix: if it is written for Keras 2, as modules before TensorFlow 2.16 are, put `keras: 2` into the settings"
)


def load_module(reference: str) -> ModuleType:
    """Imports a user module.

    Args:
        reference: An import path (`pipelines.flights.model`) or the path of a Python file.

    Raises:
        ConfigurationError: There is no such module, it needs a package that is not installed, or it fails.
    """
    tfx_names.install()
    try:
        if reference.endswith(".py"):
            return _load_file(Path(reference))
        return importlib.import_module(reference)
    except ModuleNotFoundError as error:
        raise ConfigurationError(_not_found(reference, error.name or "")) from error
    except ComponentError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ConfigurationError(failure(error, reference, "the import")) from error


def load_function(reference: str, name: str) -> Callable[..., Any]:
    """Returns function `name` of the user module `reference`.

    Raises:
        ConfigurationError: The module has no such function.
    """
    function = getattr(load_module(reference), name, None)
    if not callable(function):
        raise ConfigurationError(
            f"module {reference} has no function {name}\nexpected: `def {name}(...)` at its top level, as TFX has it"
        )
    return function


@contextlib.contextmanager
def failing_as(kind: type[ComponentError], reference: str, name: str) -> Iterator[None]:
    """Tells a failure of a user's function as what it is: the exception, and the line of the user's own code.

    The traceback stays in the log, in front of the message.

    Args:
        kind: The error to raise.
        reference: The user's module.
        name: The function that runs meanwhile.
    """
    try:
        yield
    except ComponentError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise kind(failure(error, reference, name)) from error


def failure(error: Exception, reference: str, name: str) -> str:
    """Returns the message of a user's function that failed."""
    file = getattr(sys.modules.get(reference), "__file__", None) or os.path.abspath(reference)  # noqa: PTH100
    place = exception_texts.own_place(error, (file,))
    where = f"\nwhere: {place}" if place else ""
    described = exception_texts.described(error)
    older = _KERAS_2 if "KerasTensor" in described or "save_format" in described else ""
    return f"{name} of {reference} fails: {described}{where}{older}"


def read_text(reference: str, what: str) -> str:
    """Reads a text file the user names (an SQL query, a schema, an evaluation config), local or at gs://.

    Raises:
        ConfigurationError: There is no such file.
    """
    if locations.is_remote(reference):
        return storage.read_text(reference, what)
    path = Path(reference)
    if not path.is_file():
        raise ConfigurationError(
            f"no {what} at {reference}\nexpected: a file, its path relative to {Path.cwd()}\n"
            "fix: correct the path in the settings file"
        )
    return path.read_text()


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigurationError(f"no module file at {path}\nexpected: a Python file, or an import path without .py")
    if str(path.parent.absolute()) not in sys.path:
        # Modules by file import their neighbours, as in TFX; at the end, so that they hide nothing that is installed.
        sys.path.append(str(path.parent.absolute()))
    # A stable name lets objects defined there be pickled (Beam) and traced twice.
    name = f"user_module_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _not_found(reference: str, missing: str) -> str:
    if missing and (reference == missing or reference.startswith(f"{missing}.")):
        return (
            f"there is no module {reference}\nexpected: an import path such as pipelines.flights.model, or a .py file\n"
            "fix: correct it in the settings file"
        )
    if missing.split(".")[0] == "tfx":
        return (
            f"module {reference} imports tfx, which is not installed in this component environment\n"
            "expected: glibc 2.38 or newer (Debian 13, Ubuntu 24.04), macOS on arm64, or the components image\n"
            "fix: run it in the image, or import what you need from tensorflow_transform instead"
        )
    return (
        f"module {reference} imports {missing}, which is not installed in the component environment\n"
        "expected: packages of the component set only\n"
        "fix: add it to requirements/components-*.in and run `make lock setup`, or do without it"
    )
