"""A module that was edited twice within a second is imported as it is now."""

import importlib
import os
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from kfp_ct.base import bytecode

MODULE = "edited_within_a_second"


@pytest.fixture
def guarded(monkeypatch, tmp_path):
    monkeypatch.setattr(SourceFileLoader, "set_data", SourceFileLoader.set_data)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    bytecode.never_keep_what_just_changed()
    return tmp_path


def imported(folder: Path, text: str, seconds: float) -> str:
    """Writes the module with a time of change, and imports it as a new process would."""
    source = folder / f"{MODULE}.py"
    source.write_text(text)
    os.utime(source, (seconds, seconds))
    sys.modules.pop(MODULE, None)
    importlib.invalidate_caches()
    return importlib.import_module(MODULE).VALUE


def test_the_second_of_two_edits_of_one_second_is_what_runs(guarded):
    now = int(time.time())
    assert imported(guarded, "VALUE = 'one'\n", now + 0.1) == "one"
    assert imported(guarded, "VALUE = 'two'\n", now + 0.9) == "two"


def test_without_the_guard_python_runs_the_first(guarded, monkeypatch):
    monkeypatch.setattr(SourceFileLoader, "set_data", SourceFileLoader.set_data.__wrapped__)
    now = int(time.time())
    assert imported(guarded, "VALUE = 'one'\n", now + 0.1) == "one"
    assert imported(guarded, "VALUE = 'two'\n", now + 0.9) == "one"


def test_what_was_not_edited_for_a_while_is_kept_and_the_guard_is_put_once(guarded):
    bytecode.never_keep_what_just_changed()
    assert not hasattr(SourceFileLoader.set_data.__wrapped__, "__wrapped__")
    assert imported(guarded, "VALUE = 'one'\n", int(time.time()) - 10) == "one"
    assert list((guarded / "__pycache__").iterdir())
    assert imported(guarded, "VALUE = 'two'\n", int(time.time())) == "two"
    assert imported(guarded, "VALUE = 'six'\n", int(time.time())) == "six"
