"""Set-up: which component set and Python fit a machine, and what a failure tells its user."""

import re
from pathlib import Path

import pytest

from kfp_ct.project import environments, library
from kfp_ct.project.environments import Environment
from repository import ROOT

LOCKS = (("author.txt", "author-dev.txt"), ("author.txt",))


@pytest.mark.parametrize(
    ("libc", "lock", "python"),
    [
        pytest.param(("glibc", "2.36"), "components-older-glibc.txt", "3.11", id="Debian 12"),
        pytest.param(("glibc", "2.38"), "components-current.txt", ">=3.12,<3.14", id="first that fits"),
        pytest.param(("glibc", "2.41"), "components-current.txt", ">=3.12,<3.14", id="Debian 13"),
        pytest.param(("", ""), "components-current.txt", ">=3.12,<3.14", id="macOS"),
    ],
)
def test_the_component_set_fits_the_c_library(libc, lock, python):
    assert environments.component_set(libc) == (lock, python)
    assert (ROOT / "requirements" / lock).is_file()


def test_a_missing_python_is_named_with_its_versions():
    assert "expected: Python >=3.12,<3.14 on this machine" in environments.missing_python(">=3.12,<3.14")


def test_uv_is_pinned_once_in_its_own_lock_as_in_the_authors():
    own, authors = ((ROOT / "requirements" / name).read_text() for name in ("uv.txt", "author.txt"))
    assert own.startswith("uv==")
    assert own in authors


def test_an_archive_without_the_link_gets_it_again(tmp_path):
    (tmp_path / "kfp_ct").mkdir()
    assert not environments.link_components(tmp_path), "an installed library has its components"
    (tmp_path / "components").mkdir()
    assert environments.link_components(tmp_path)
    assert (tmp_path / "kfp_ct/components").readlink() == Path("../components")
    assert not environments.link_components(tmp_path)


@pytest.fixture
def repository(tmp_path):
    """A repository of its own: locks, and the library pinned."""
    (tmp_path / "requirements").mkdir()
    for name, text in {
        "author.txt": "typer==1\n",
        "author-dev.txt": "pytest==1\n",
        "kfp-ct.txt": "kfp-ct==0.1.0\n",
    }.items():
        (tmp_path / "requirements" / name).write_text(text)
    return tmp_path


def test_an_environment_is_stale_when_a_lock_or_the_pin_of_the_library_changes(repository):
    both, author = (Environment(repository, ".venv", "author", locks) for locks in LOCKS)
    assert author.is_stale()
    (repository / ".venv").mkdir()
    both.stamp()
    assert not author.is_stale(), "it has more than is needed"
    assert not both.is_stale()
    (repository / "requirements" / "kfp-ct.txt").write_text("kfp-ct==0.2.0\n")
    assert author.is_stale()
    author.stamp()
    assert not author.is_stale()
    assert both.is_stale(), "its development tools may have gone"


def test_locks_of_an_older_library_are_told_from_those_of_this_one():
    wanted = [
        "typer",
        'pytest; extra == "author"',
        'pydantic<1; extra == "author"',
        'no-such-package>=2; extra == "author"',
        'neither-this; extra == "components"',
    ]
    found = list(library.lacking(wanted, "author"))
    assert len(found) == 2
    assert re.fullmatch(r"pydantic<1, and [\d.]+ is there", found[0])
    assert found[1] == "no-such-package>=2, which is not there"
    assert list(library.lacking(wanted[:2], "author")) == []
