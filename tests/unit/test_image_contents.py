"""An image holds whatever the modules import that run in it, and their packages' data."""

import re

import pytest

from kfp_ct.caching.file_index import FileIndex
from kfp_ct.caching.import_closure import ImportClosure
from kfp_ct.caching.module_finder import ModuleFinder
from kfp_ct.ci.images import inputs
from repository import ROOT

TASKS = sorted((ROOT / "kfp_ct/components").glob("*/*.py"))
# What only a component's errors.reported imports.
NOT_SERVED = {"kfp_ct/base/redaction.py", "kfp_ct/base/task_log.py"}


def lacking(target: str, files, without: str = "") -> set[str]:
    """Returns the files that those import and that the image of a target has not."""
    plan = inputs.dockerfile(ROOT, target, {})
    lines = re.findall(r"^COPY (?!--from|requirements|infra)(.+)$", plan, re.MULTILINE)
    copied = [ROOT / source for line in lines for source in line.split()[:-1] if source != without]
    closure = ImportClosure(ModuleFinder([ROOT], ROOT), FileIndex())
    needed = {found.resolve() for file in files for found in closure.of_file(file)}
    assert len(needed) > 10
    held = {path for path in needed if any(path.is_relative_to(each.resolve()) for each in copied)}
    return {str(path.relative_to(ROOT)) for path in needed - held}


@pytest.mark.parametrize("target", ["components-library", "components", "components-gpu"])
def test_images_of_tasks_have_what_components_import(target):
    assert lacking(target, TASKS) == set()


def test_the_image_of_the_service_has_what_it_imports():
    assert lacking("serving", [ROOT / "kfp_ct/serving/__main__.py"]) == NOT_SERVED


def test_a_folder_that_is_not_copied_is_missed():
    assert "kfp_ct/cards/statement.py" in lacking("components-library", TASKS, without="kfp_ct/cards")
