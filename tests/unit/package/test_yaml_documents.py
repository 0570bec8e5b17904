"""YAML that strangers hand over is refused in milliseconds where it would take minutes, gigabytes or the process."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.package import yaml_documents

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(LAUGHS, "aliases stand for more than", id="billion laughs"),
        pytest.param("a: &a [*a]", "aliases stand for more than|inside itself", id="an anchor inside itself"),
        pytest.param("a: &a {b: {c: *a}}", "aliases stand for more than|inside itself", id="further down"),
        pytest.param("[" * 100_000, "nests deeper", id="lists without end"),
        pytest.param("{a: " * 5_000 + "1" + "}" * 5_000, "nests deeper", id="deep mappings"),
        pytest.param('{"a": ' * 5_000 + "1" + "}" * 5_000, "nests deeper", id="deep JSON"),
        pytest.param("a: [1", "not YAML", id="not YAML"),
        pytest.param("!!python/object:os.system {}", "not YAML", id="an object"),
    ],
)
def test_it_is_refused_at_once(text, said):
    began = time.process_time()
    with pytest.raises(ValueError, match=said):
        yaml_documents.parse(text)
    assert time.process_time() - began < 2


def test_aliases_that_stand_for_little_are_followed():
    assert yaml_documents.parse("a: &a {x: 1}\nb: *a\n---\n# nothing\n---\nc: 2\n") == [
        {"a": {"x": 1}, "b": {"x": 1}},
        {"c": 2},
    ]


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(st.lists(TREES.filter(lambda tree: tree is not None), max_size=3))
def test_what_is_written_is_read(trees):
    assert yaml_documents.parse(yaml.safe_dump_all(trees)) == trees
