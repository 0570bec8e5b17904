"""Writes rows of June, a random sample, as callers ask, and whether each was late: `FILE ROWS` as arguments."""

import json
import random
import sys
import tempfile
from pathlib import Path

import yaml

from kfp_ct.components.ingest import work
from kfp_ct.data import layouts, reading
from pipelines.flights.features import LABEL, SERVED

SETTINGS = Path("pipelines/flights/settings")


def main(file: str, count: int) -> None:
    """Reads what the settings name, by the query of the example."""
    data, local, base = (
        yaml.safe_load((SETTINGS / f"{name}.yaml").read_text())["parameters"] for name in ("data", "local", "base")
    )
    sources = {name: {**source, **local["sources"][name]} for name, source in data["sources"].items()}
    split = {"method": "hash", "columns": ["flight_id"], "eval_fraction": 0.5}
    with tempfile.TemporaryDirectory() as folder:
        examples = Path(folder, "examples")
        request = work.IngestRequest(sources, base["query"], split, window_start="2013-06-01", window_end="2013-07-01")
        work.ingest(request, examples)
        files = [name for part in ("train", "eval") for name in layouts.split_files(examples, part)]
        rows = [row for batch in reading.iter_batches(files) for row in batch.to_pylist()]
    with open(file, "w") as out:
        for row in random.Random(0).sample(sorted(rows, key=lambda row: row["flight_id"]), count):
            out.write(json.dumps([{name: row[name] for name in SERVED}, row[LABEL]]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
