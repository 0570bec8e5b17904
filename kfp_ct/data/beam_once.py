"""What Beam works out again and again for a pipeline, worked out once."""

import bz2
import copy
import inspect
import sys
import types
import weakref
from collections.abc import Callable, Collection, Iterable
from typing import Any

from apache_beam.internal import cloudpickle_pickler
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core, userstate

Arguments = tuple[list[str], list[Any]]
Specs = tuple[set[Any], set[Any]]
# bzip2's blocks are 100,000 bytes a level, into which its first pass may put 5 bytes for 4: what surely fits into one
# is compressed the same by the lowest level.
_BLOCK = 75_000
_parsed: dict[tuple[Any, ...], PipelineOptions] = {}
_view_as = PipelineOptions.view_as


def remember() -> None:
    """Lets Beam remember functions' arguments and parsed options.

    It inspects every method of every DoFn up to ten times a pipeline, and parses all options each time that it asks for
    one: together a quarter of the CPU time of a small pipeline. Of the rest, a tenth goes into looking for the state
    that DoFns keep, looking for submodules among all modules, and the memory that bzip2 takes for its largest block.
    """
    if not isinstance(core.get_function_args_defaults, _Remembered):
        core.get_function_args_defaults = _Remembered(core.get_function_args_defaults)
        PipelineOptions.view_as = _view
        userstate.get_dofn_specs = _RememberedSpecs(userstate.get_dofn_specs)
        cloudpickle._find_imported_submodules = imported_submodules
        cloudpickle_pickler.bz2 = types.SimpleNamespace(compress=compress, decompress=bz2.decompress)


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


class _RememberedSpecs:
    """The state and timers of a DoFn as `userstate` finds them, looked for once a class."""

    def __init__(self, find: Callable[[Any], Specs]) -> None:
        self._find = find
        self._classes: weakref.WeakKeyDictionary[type, Specs] = weakref.WeakKeyDictionary()

    def __call__(self, dofn: Any) -> Specs:
        cls = type(dofn)
        # A method that is the object's own is no other object's.
        if any(isinstance(value, types.MethodType) for value in vars(dofn).values()):
            return self._find(dofn)
        if cls not in self._classes:
            states, timers = self._find(dofn)
            if not _methods_are_the_classes(dofn):
                return states, timers
            self._classes[cls] = states, timers
        states, timers = self._classes[cls]
        return set(states), set(timers)


def _methods_are_the_classes(dofn: Any) -> bool:
    """Whether each method is a function of the class, not what a property or another descriptor gives."""
    methods = [name for name in dir(dofn) if isinstance(getattr(dofn, name, None), types.MethodType)]
    known = (types.FunctionType, classmethod)
    return all(isinstance(inspect.getattr_static(type(dofn), name, None), known) for name in methods)


def imported_submodules(code: types.CodeType, dependencies: Iterable[Any]) -> list[types.ModuleType]:
    """Returns the imported submodules of packages that a function may reach by the names in its code.

    `cloudpickle` looks for them among all modules, of which there are thousands; a submodule's package is imported too.
    """
    found: list[types.ModuleType] = []
    for each in dependencies:
        if isinstance(each, types.ModuleType) and getattr(each, "__package__", None):
            found += _below(each.__name__, code.co_names)
    return found


def _below(package: str, names: Collection[str]) -> list[types.ModuleType]:
    found = []
    for name in names:
        module = sys.modules.get(f"{package}.{name}")
        if module is not None:
            found += [module, *_below(f"{package}.{name}", names)]
    return found


def compress(data: bytes, compresslevel: int = 9) -> bytes:
    """Compresses as `bz2.compress` does; what fits into the smallest block takes the memory of that alone."""
    return bz2.compress(data, 1 if len(data) < _BLOCK else compresslevel)


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
