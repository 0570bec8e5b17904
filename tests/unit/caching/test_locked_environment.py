"""What counts of the environment: what is locked, its Python, and packages that are not as locked."""

import pytest

from kfp_ct.caching.locked_environment import describe, lock_digest

LOCK = """\
# made by make lock
keras==3.8.0 \\
    --hash=sha256:aa
tensorflow[and-cuda]==2.16.2 ; python_full_version < '3.12' \\
    --hash=sha256:bb
kfp-ct==0.1.0 \\
    --hash=sha256:cc
"""


@pytest.fixture
def environment(tmp_path):
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in ("keras-3.8.0", "tensorflow-2.16.2", "pytest-8.0.0", "kfp_ct-0.1.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    (tmp_path / "components.txt").write_text(LOCK)
    return tmp_path


def described(folder):
    return describe(folder / "venv" / "bin" / "python", folder / "components.txt")


def test_as_locked_it_is_the_lock_and_the_python(environment):
    found = described(environment)
    assert set(found) == {"Python", "components.txt"}
    assert found["Python"] == "3.11"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("3.8.0", "3.9.0", False),
        ("sha256:aa", "sha256:dd", True),
        ("make lock", "something else", True),
        ("kfp-ct==0.1.0", "kfp-ct==0.2.0", True),  # the library counts by its files
        ("< '3.12'", "< '3.13'", False),
    ],
)
def test_a_lock_counts_by_what_it_locks(environment, old, new, same):
    before = described(environment)
    lock = environment / "components.txt"
    lock.write_text(LOCK.replace(old, new))
    assert (described(environment)["components.txt"] == before["components.txt"]) is same
    assert lock_digest(lock) == described(environment)["components.txt"]


def test_a_package_in_another_version_than_locked_is_named(environment):
    site = environment / "venv" / "lib" / "python3.11" / "site-packages"
    (site / "keras-3.8.0.dist-info").rename(site / "keras-3.9.0.dist-info")
    assert described(environment)["package keras"] == "3.9.0"


def test_without_a_lock_every_package_counts(environment):
    (environment / "components.txt").unlink()
    assert described(environment) == {
        "Python": "3.11", "package keras": "3.8.0", "package tensorflow": "2.16.2", "package pytest": "8.0.0",
        "package kfp-ct": "0.1.0",
    }  # fmt: skip
