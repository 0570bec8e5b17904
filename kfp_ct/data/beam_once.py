"""What Beam works out again and again for a pipeline, worked out once."""

import copy
import types
import weakref
from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

Arguments = tuple[list[str], list[Any]]
_parsed: dict[tuple[Any, ...], PipelineOptions] = {}
_view_as = PipelineOptions.view_as


def remember() -> None:
    """Lets Beam remember functions' arguments and parsed options.

    It inspects every method of every DoFn up to ten times a pipeline, and parses all options each time that it asks for
    one: together a quarter of the CPU time of a small pipeline.
    """
    if not isinstance(core.get_function_args_defaults, _Remembered):
        core.get_function_args_defaults = _Remembered(core.get_function_args_defaults)
        PipelineOptions.view_as = _view


class _Remembered:
    """The same answers as `inspect`'s, which reads plain functions and their methods once."""

    def __init__(self, inspect: Callable[[Any], Arguments]) -> None:
        self._inspect = inspect
        self._functions: weakref.WeakKeyDictionary[Any, Arguments] = weakref.WeakKeyDictionary()
        self._methods: weakref.WeakKeyDictionary[Any, Arguments] = weakref.WeakKeyDictionary()

    def __call__(self, function: Any) -> Arguments:
        if isinstance(function, types.MethodType):
            known, key = self._methods, function.__func__
        else:
            known, key = self._functions, function
        if not isinstance(key, types.FunctionType):
            return self._inspect(function)
        if key not in known:
            known[key] = self._inspect(function)
        names, defaults = known[key]
        return list(names), list(defaults)


def _view(self: PipelineOptions, of: type[PipelineOptions]) -> PipelineOptions:
    """Does what `view_as` does with what was parsed of the same flags before; values are each pipeline's own."""
    if self._flags is None:
        return _view_as(self, of)
    key = (of, *self._flags)
    if key not in _parsed:
        _parsed[key] = of(list(self._flags))
    parsed = _parsed[key]
    view = object.__new__(of)
    vars(view).update(vars(parsed))
    for name in parsed._visible_option_list():
        if name not in self._all_options:
            self._all_options[name] = copy.deepcopy(getattr(parsed._visible_options, name))
    vars(view).update(_flags=self._flags, _all_options=self._all_options)
    return view
