"""Runs ingest over one source in a folder, and reads what it wrote."""

from pathlib import Path

import pyarrow as pa
import pytest

from kfp_ct.base.errors import ComponentError
from kfp_ct.components.ingest import work
from kfp_ct.data import layouts, reading

BY_ID = {"method": "hash", "columns": ["id"], "eval_fraction": 0.3}


def ingest(root: Path, source, sql: str = "SELECT * FROM t", split=BY_ID, out: str = "out", **kwargs):
    """Ingests a source named t, or several by name."""
    (root / "query.sql").write_text(sql)
    sources = source if isinstance(source, dict) and not {"uri", "bigquery"} & source.keys() else {"t": source}
    return work.ingest(work.IngestRequest(sources, str(root / "query.sql"), split, **kwargs), root / out)


def table(root: Path, split: str, out: str = "out") -> pa.Table:
    return pa.Table.from_batches(reading.iter_batches(layouts.split_files(root / out, split)))


def rows(root: Path, out: str = "out", by: str = "id") -> list[dict]:
    both = [row for split in ("train", "eval") for row in table(root, split, out).to_pylist()]
    return sorted(both, key=lambda row: row[by])


def ids(root: Path, split: str, out: str = "out") -> list:
    return table(root, split, out).column("id").to_pylist()


def assert_refused(error: type[ComponentError], *words: str, root: Path, **kwargs) -> str:
    with pytest.raises(error) as caught:
        ingest(root, **kwargs)
    for word in words:
        assert word in str(caught.value)
    assert not (root / "out/manifest.json").exists()
    assert not (root / ".out.ingest").exists()
    return str(caught.value)
