"""A folder in which tests of ingest lay out sources, run it and read what it wrote."""

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from kfp_ct.base.errors import ComponentError
from kfp_ct.components.ingest import work
from kfp_ct.data import layouts

BY_ID = {"method": "hash", "columns": ["id"], "eval_fraction": 0.3}


class Workplace:
    """A folder with sources, a query and an output."""

    def __init__(self, root: Path):
        self.root = root
        self.out = root / "out"

    def file(self, name: str, content: str | bytes) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def ingest(self, source, query: str = "SELECT * FROM t", split=BY_ID, **kwargs):
        sources = source if isinstance(source, dict) and "uri" not in source else {"t": source}
        request = work.IngestRequest(sources, self.file("query.sql", query), split, **kwargs)
        return work.ingest(request, self.out)

    def table(self, split: str) -> pa.Table:
        return pa.concat_tables(pyarrow.parquet.read_table(file) for file in layouts.split_files(self.out, split))

    def rows(self) -> list[dict]:
        rows = self.table("train").to_pylist() + self.table("eval").to_pylist()
        return sorted(rows, key=lambda row: row.get("id") or 0)

    def column(self, name: str) -> list:
        return [row[name] for row in self.rows()]

    def quarantine(self) -> list[dict]:
        return [json.loads(line) for line in (self.out / "quarantine.jsonl").read_text().splitlines()]


def csv_of(rows: int, value=lambda i: i, header: str = "id,x") -> str:
    return header + "\n" + "".join(f"{i},{value(i)}\n" for i in range(rows))


def assert_nothing_finished(place: Workplace) -> None:
    assert not (place.out / "manifest.json").exists()
    assert [p.name for p in place.root.iterdir() if p.name.startswith(".")] == []


def assert_refused(place: Workplace, error: type[ComponentError], *words: str, **kwargs) -> str:
    with pytest.raises(error) as caught:
        place.ingest(**kwargs)
    for word in words:
        assert word in str(caught.value)
    assert_nothing_finished(place)
    return str(caught.value)


def pack_zip(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.csv", text)
        archive.writestr("__MACOSX/._inner.csv", b"\x00\x05")


def pack_parquet(path: Path, text: str) -> None:
    ids = [int(line.split(",")[0]) for line in text.splitlines()[1:]]
    pyarrow.parquet.write_table(pa.table({"id": ids, "x": ids}), path)


def pack_jsonl(path: Path, text: str, opener=open) -> None:
    with opener(path, "wt") as file:
        for line in text.splitlines()[1:]:
            id, x = line.split(",")
            file.write(f'{{"id": {id}, "x": {x}}}\n')


PACKERS = {
    "csv": ("d.csv", lambda p, t: p.write_text(t)),
    "gz": ("d.csv.gz", lambda p, t: p.write_bytes(gzip.compress(t.encode()))),
    "zip": ("d.csv.zip", pack_zip),
    "parquet": ("d.parquet", pack_parquet),
    "jsonl": ("d.jsonl", pack_jsonl),
    "ndjson-gz": ("d.ndjson.gz", lambda p, t: pack_jsonl(p, t, gzip.open)),
    "tab-separated": ("d.tsv", lambda p, t: p.write_text(t.replace(",", "\t"))),
    "crlf-and-bom": ("d.csv", lambda p, t: p.write_bytes(b"\xef\xbb\xbf" + t.replace("\n", "\r\n").encode())),
}
