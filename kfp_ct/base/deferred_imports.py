"""Modules that are loaded when something of them is used, not when they are imported.

TensorFlow and TFX's libraries import what they use in special cases only: IPython, Pub/Sub, the distributions of scipy.
A fifth of the CPU time that importing those libraries takes is for such modules, and 100 MB of memory.
"""

import contextlib
import importlib
import importlib.metadata
import sys
import threading
import types
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import Any

# What TFX's libraries import at once and use seldom; a package's submodules are not meant unless they are named.
SELDOM_USED = (
    "IPython",
    "google.cloud.bigquery",
    "google.cloud.pubsub",
    "googleapiclient.discovery",
    "ipywidgets",
    "nltk",
    "nltk.stem",
    "nltk.stem.porter",
    "rouge_score.rouge_scorer",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.stats",
    "tensorflow_model_analysis.view",
    "tensorflow_model_analysis.view.util",
    "tensorflow_model_analysis.view.view_types",
    "tqdm.notebook",
)
# Packages whose other submodules do without them.
_NEED_NO_PACKAGE = {"IPython"}
# Python's import system, inspect and warnings look for these in every module; no deferred one has them.
_LOOKED_FOR = {"__path__", "__wrapped__", "__warningregistry__"}


def defer(names: Iterable[str]) -> None:
    """Has modules, as far as they are not imported yet, load at the first use of an attribute.

    A module that is not installed is not found, as without this; one that fails to load fails where it is used.

    Args:
        names: Full names of modules.
    """
    sys.meta_path.insert(0, _Finder(frozenset(names)))


@contextlib.contextmanager
def without_package_search() -> Iterator[None]:
    """Within it, nobody reads the file lists of all installed packages, as google.api_core does to word a warning."""
    search = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = dict
    try:
        yield
    finally:
        importlib.metadata.packages_distributions = search


class _Finder(MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how a module is loaded later; None for one of another name, or of another kind than a Python file."""
        if fullname not in self._names:
            return _loaded_with_its_package(fullname)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        spec.loader = _Later(self._names, spec.loader)
        return spec


def _loaded_with_its_package(fullname: str) -> ModuleSpec | None:
    """Loads a submodule's package first, if that is deferred; returns the submodule's spec if that has imported it."""
    package = fullname.rpartition(".")[0]
    above = sys.modules.get(package)
    if not isinstance(above, _Deferred) or package in _NEED_NO_PACKAGE:
        return None
    _load(above)
    module = sys.modules.get(fullname)
    return None if module is None else ModuleSpec(fullname, _Present(module))


class _Present(Loader):
    """Hands out a module that is there already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Returns the module."""
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        """Leaves the module as it is."""
        module.__spec__ = self._spec


class _Later(Loader):
    """Makes a module that loads itself."""

    def __init__(self, names: frozenset[str], loader: SourceFileLoader) -> None:
        self._names = names
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Returns the module, empty."""
        return _Deferred(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Gives the module the loader of its file, which is also asked for the module's resources."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__dict__["_deferred"] = self._names, self._loader, threading.RLock()


class _Deferred(types.ModuleType):
    """A module that is loaded when it is asked for an attribute that it has not."""

    def __getattr__(self, name: str) -> Any:
        if name in _LOOKED_FOR:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if "_deferred" in self.__dict__:
            if (submodule := f"{self.__name__}.{name}") in self.__dict__["_deferred"][0]:
                return importlib.import_module(submodule)  # `from package import submodule`
            _load(self)
        # What it has now, and what its own __getattr__ makes.
        return types.ModuleType.__getattribute__(self, name)

    def __dir__(self) -> Iterable[str]:
        _load(self)
        return types.ModuleType.__dir__(self)


def _load(module: _Deferred) -> None:
    """Loads a module, once; while it loads, it is as any module that is being imported."""
    deferred = module.__dict__.get("_deferred")
    if deferred is None:
        return
    _, loader, lock = deferred
    with lock:
        if module.__dict__.get("_loading") or "_deferred" not in module.__dict__:
            return
        module.__dict__["_loading"] = True
        try:
            loader.exec_module(module)
        except BaseException:
            del module.__dict__["_loading"]
            raise
        del module.__dict__["_loading"], module.__dict__["_deferred"]
        module.__class__ = types.ModuleType  # type: ignore[assignment]
