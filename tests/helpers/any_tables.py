"""Tables nobody would write, as hypothesis strategies, and the datasets made of them."""

import uuid

import pyarrow as pa
from hypothesis import strategies as st

import small_examples
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32),
    pa.string(): st.one_of(TEXTS, st.sampled_from(["", " ", "NaN", "\u202e", "x" * 5_000])),
}


@st.composite
def tables(draw, min_rows=0):
    """Columns of any name and type with any values; rows that may be none or one."""
    rows = draw(st.integers(min_rows, 5))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(VALUES)))
        columns[name] = pa.array(draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


def dataset(folder, table):
    """Writes a table as both splits of a dataset; returns its path."""
    return small_examples.write(folder / f"examples-{uuid.uuid4().hex}", table, table, shards=1)


def described(folder, table):
    """Statistics and inferred schema of a table; the folders."""
    examples = dataset(folder, table)
    stats, contract = f"{examples}-statistics", f"{examples}-schema"
    statistics.write_statistics(examples, stats, f"{examples}.html", [])
    schema.write_schema(stats, contract, "")
    return stats, contract
