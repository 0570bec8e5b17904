"""The names that TFX's modules import from tfx for their annotations, where tfx itself is not installed.

`from tfx.components.trainer.fn_args_utils import FnArgs` is in nearly every module for TFX, and nothing else of it is
used. The component set of an older glibc has no tfx; such modules run there with these names.
"""

import enum
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple


class StatsType(enum.Enum):
    """Which statistics stats_options_updater_fn is asked for."""

    UNKNOWN = 0
    PRE_TRANSFORM = 1
    POST_TRANSFORM = 2


class TunerFnResult(NamedTuple):
    """What tuner_fn returns."""

    tuner: Any
    fit_kwargs: dict[str, Any]


class FnArgs:
    """Arguments of run_fn; for annotations."""


class DataAccessor:
    """How run_fn reads examples; for annotations."""


class _Names(types.ModuleType):
    def __init__(self, name: str, **names: Any) -> None:
        super().__init__(name, "Stands for a module of tfx, which is not installed.")
        self.__path__: list[str] = []
        self.__dict__.update(names)


def install() -> None:
    """Makes the names importable, if tfx is not installed."""
    if "tfx" in sys.modules or importlib.util.find_spec("tfx") is not None:
        return
    for name, names in _modules().items():
        made = _Names(name, **names)
        sys.modules[name] = made
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, made)


def stats_type(number: int) -> Any:
    """Returns TFX's StatsType: tfx's own where it is installed, which modules compare with."""
    install()
    return importlib.import_module("tfx.components.transform.stats_options_util").StatsType(number)


def _modules() -> dict[str, dict[str, Any]]:
    trainer: dict[str, Callable[..., Any]] = {"FnArgs": FnArgs, "DataAccessor": DataAccessor}
    tuner = {"TunerFnResult": TunerFnResult}
    return {
        "tfx": {},
        "tfx.components": {**trainer, **tuner},
        "tfx.components.trainer": {},
        "tfx.components.trainer.fn_args_utils": trainer,
        "tfx.components.trainer.executor": {"TrainerFnArgs": FnArgs, "FnArgs": FnArgs},
        "tfx.components.tuner": {},
        "tfx.components.tuner.component": tuner,
        "tfx.components.transform": {},
        "tfx.components.transform.stats_options_util": {"StatsType": StatsType},
        "tfx.v1": {},
        "tfx.v1.components": {**trainer, **tuner},
    }
