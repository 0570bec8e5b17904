"""Modules named to be deferred are loaded at their first use, and are then what they would have been."""

import importlib
import importlib.metadata
import importlib.resources
import inspect
import sys
import threading

import pytest

from kfp_ct.base import deferred_imports

FILES = {
    "deferred_one/__init__.py": "import sys\nsys.deferred_one = getattr(sys, 'deferred_one', 0) + 1\n"
    "from deferred_one.names import NAME\nVALUE = 1\ndef __getattr__(name):\n"
    "    if name == 'made':\n        return 'made'\n    raise AttributeError(name)\n",
    "deferred_one/names.py": "from deferred_one import part\nNAME = 'name'\n",
    "deferred_one/part.py": "PART = 'part'\n",
    "deferred_one/text.txt": "a text",
    "deferred_failing.py": "raise ImportError('its own library is missing')\n",
}
NAMES = ("deferred_one", "deferred_one.part", "deferred_failing", "deferred_absent")


@pytest.fixture
def deferred(monkeypatch, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "deferred_one", 0, raising=False)
    importlib.invalidate_caches()
    deferred_imports.defer(NAMES)
    yield importlib.import_module("deferred_one")
    for name in [each for each in sys.modules if each.startswith("deferred_")]:
        if name not in ("deferred_imports",):
            del sys.modules[name]


def test_a_module_is_loaded_once_when_an_attribute_is_asked_for(deferred):
    assert sys.deferred_one == 0
    assert deferred.VALUE == 1
    assert deferred.NAME == "name"
    assert sys.deferred_one == 1
    assert importlib.import_module("deferred_one") is deferred


def test_what_looks_through_all_modules_loads_none(deferred):
    assert inspect.getmodule(test_what_looks_through_all_modules_loads_none).__name__ == __name__
    assert not hasattr(deferred, "__warningregistry__")
    assert not hasattr(deferred, "__wrapped__")
    assert sys.deferred_one == 0


def test_its_own_getattr_dir_and_resources_are_those_of_the_file(deferred):
    assert importlib.resources.files(deferred).joinpath("text.txt").read_text() == "a text"
    assert deferred.made == "made"
    assert "VALUE" in dir(deferred)
    with pytest.raises(AttributeError):
        _ = deferred.nothing


def test_a_submodule_that_is_named_is_imported_without_its_package(deferred):
    part = importlib.import_module("deferred_one.part")
    assert part.PART == "part"
    assert deferred.part is part
    assert sys.deferred_one == 0


def test_another_submodule_is_imported_after_its_package_and_is_the_same(deferred):
    names = importlib.import_module("deferred_one.names")
    assert sys.deferred_one == 1
    assert names is deferred.names is sys.modules["deferred_one.names"]
    assert names.__spec__.origin.endswith("names.py")


def test_a_module_that_is_absent_is_not_found_and_one_that_fails_says_so_where_it_is_used(deferred):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("deferred_absent")
    failing = importlib.import_module("deferred_failing")
    for _ in range(2):
        with pytest.raises(ImportError, match="its own library is missing"):
            _ = failing.anything


def test_threads_that_ask_at_once_see_it_whole(deferred):
    seen = []
    threads = [threading.Thread(target=lambda: seen.append((deferred.VALUE, deferred.NAME))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(1, "name")] * 8
    assert sys.deferred_one == 1


def test_packages_are_not_searched_within_and_are_afterwards():
    with deferred_imports.without_package_search():
        assert importlib.metadata.packages_distributions() == {}
    assert importlib.metadata.packages_distributions()
