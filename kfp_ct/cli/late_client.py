"""Has `import kfp` leave its client to be imported when somebody asks for it.

kfp imports its client, and with that the clients of Kubernetes and of its server: half of a second's CPU time, for
commands that compile and run pipelines here. `kfp.Client` and `kfp.client` are there as ever.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

_PACKAGE, _CLIENT = "kfp", "Client"
_MODULE = "kfp.client"


def install() -> None:
    """Arranges it for an import of kfp to come."""
    if _PACKAGE not in sys.modules and not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _PACKAGE:
            return None
        sys.meta_path.remove(self)  # it is needed once
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the package's own code while its client is an empty module."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        placeholder = types.ModuleType(_MODULE)
        setattr(placeholder, _CLIENT, None)
        sys.modules[_MODULE] = placeholder
        try:
            self._loader.exec_module(module)
        finally:
            del sys.modules[_MODULE]
        vars(module).pop(_CLIENT, None)
        vars(module)["__getattr__"] = _late


def _late(name: str) -> Any:
    """Answers for `kfp` what it has no attribute for yet."""
    if name in (_CLIENT, _MODULE.rpartition(".")[2]):
        client = importlib.import_module(_MODULE)
        return getattr(client, name) if name == _CLIENT else client
    raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
