"""Digests are those of the files as they are now, whatever was kept of them."""

import json
import os

import pytest

from kfp_ct.caching.file_index import FILE, FileIndex
from kfp_ct.caching.source_facts import code_digest


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("import b\n")
    monkeypatch.setattr("kfp_ct.caching.file_index._SETTLED_NS", -(10**18))
    first = FileIndex(tmp_path / "kept")
    digest, facts = first.digest(path), first.facts(path)
    first.save()
    second = FileIndex(tmp_path / "kept")
    monkeypatch.setattr(type(path), "read_bytes", lambda self: pytest.fail("read again"))
    assert second.digest(path) == digest
    assert second.facts(path) == facts
    assert facts.imports[0].module == "b"


def test_a_file_changed_within_a_tick_of_the_clock_is_seen(tmp_path):
    """Same size, same time: what was kept right after a change is not believed."""
    path = tmp_path / "a.txt"
    path.write_text("one")
    first = FileIndex(tmp_path / "kept")
    before = first.digest(path)
    first.save()
    found = path.stat()
    path.write_text("two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert FileIndex(tmp_path / "kept").digest(path) != before


def test_refresh_tells_whether_anything_changed(tmp_path):
    path, absent = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("one")
    index = FileIndex()
    before = index.digest(path)
    assert index.digest(absent) == ""
    assert not index.refresh()
    path.write_text("other")
    assert index.refresh()
    assert index.digest(path) != before
    absent.write_text("here")
    assert index.refresh()
    assert index.digest(absent) != ""
    path.unlink()
    assert index.refresh()
    assert index.digest(path) == ""


@pytest.mark.parametrize("kept", ["", "[]", '{"files": 1}', '{"reader": "another", "files": {}}'])
def test_what_cannot_be_read_is_made_again(tmp_path, kept):
    (tmp_path / FILE).write_text(kept)
    (tmp_path / "a.txt").write_text("x")
    index = FileIndex(tmp_path)
    assert index.digest(tmp_path / "a.txt")
    index.save()
    assert json.loads((tmp_path / FILE).read_text())["files"]


SOURCE = "import a\n\n\n# why\nx = '''\n\n# text\n'''  # here\ny = [\n    1,  # one\n]\n"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("import a\n# because\nx = '''\n\n# text\n'''\ny = [\n    1,\n]\n", True),
        (SOURCE.replace("# one", "# two"), True),
        (SOURCE.replace("# text", "# other"), False),
        (SOURCE.replace("'''\n\n#", "'''\n#"), False),
        (SOURCE.replace("1,", "2,"), False),
    ],
)
def test_comments_and_empty_lines_are_not_code(other, same):
    assert (code_digest(SOURCE.encode()) == code_digest(other.encode())) is same


def test_an_encoding_is_code():
    assert code_digest(b"# coding: utf-8\nx = 1\n") != code_digest(b"# coding: latin-1\nx = 1\n")


@pytest.mark.parametrize(
    ("source", "other", "same"),
    [
        pytest.param("x = '#' # a\n", "x = '#'\n", True, id="a sign in a string before a comment"),
        pytest.param("x = 'ü#'  # ü\n", "x = 'ü#'\n", True, id="letters of several bytes"),
        pytest.param("x = f'{y}#a'\n", "x = f'{y}#b'\n", False, id="a sign in a formatted string"),
        pytest.param("x = b'#a'\n", "x = b'#b'\n", False, id="a sign in bytes"),
        pytest.param("x = '''\n\n'''\n", "x = '''\n'''\n", False, id="an empty line in a string"),
        pytest.param("x = 1\r\n# a\r\n", "x = 1\r\n# b\r\n", True, id="Windows' line ends"),
        pytest.param("x = (  # a\n", "x = (  # b\n", False, id="no Python: every byte counts"),
    ],
)
def test_what_is_a_comment_is_told_by_the_syntax(source, other, same):
    assert (code_digest(source.encode()) == code_digest(other.encode())) is same
