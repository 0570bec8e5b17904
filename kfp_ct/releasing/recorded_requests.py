"""Recorded requests to drive a service with: bodies of `:predict`, from a file of JSON lines or from a request log."""

import base64
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.storage import locations, storage

JSON_LINES, PARQUET = (".jsonl", ".json"), ".parquet"
# Of a log the newest files are read, and so many requests at most: enough to be varied, little to be kept.
MOST, _FILES = 10_000, 20
_EXPECTED = (
    'expected: JSON lines, {"instances": […]} or an instance each, or the request log of `ct serve --request-log`'
)


def read(source: str) -> list[bytes]:
    """Returns the bodies of recorded requests, oldest first.

    Args:
        source: A file of JSON lines, a Parquet file or a folder of a request log; of an object store, too.

    Raises:
        UsageError: There is none, or a line holds no request.
    """
    with tempfile.TemporaryDirectory(prefix="ct-requests-") as temporary:
        found = [body for file in _files(source, Path(temporary)) for body in _bodies(file)][-MOST:]
    if not found:
        raise UsageError(f"{source} holds no request\n{_EXPECTED}\nfix: a load test that sends nothing says nothing")
    return found


def instances(body: bytes) -> int:
    """Returns for how many rows a body asks."""
    return len(json.loads(body)["instances"])


def _files(source: str, temporary: Path) -> list[Path]:
    if not locations.is_remote(source):
        path = locations.local_path(source)
        kinds = (*JSON_LINES, PARQUET)
        found = [path] if path.is_file() else [each for each in path.rglob("*") if each.suffix in kinds]
        return sorted((each for each in found if each.is_file()), key=lambda each: each.name)[-_FILES:]
    whole = storage.stat(source)
    listed = [whole] if whole else [each for each in storage.list_folder(source) if each.uri.endswith(PARQUET)]
    newest = sorted(listed, key=lambda each: each.file_name)[-_FILES:]
    pairs = [(each, temporary / f"{n:04}-{each.file_name}") for n, each in enumerate(newest)]
    storage.download(pairs)
    return [path for _, path in pairs]


def _bodies(file: Path) -> Iterator[bytes]:
    if file.suffix == PARQUET:
        yield from _of_log(file)
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line.strip():
            yield _of_line(line, f"{file.name}:{number}")


def _of_line(line: str, where: str) -> bytes:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where} is no JSON: {error}\n{_EXPECTED}") from error
    if isinstance(found, dict) and "instances" in found:
        if not isinstance(found["instances"], list) or not found["instances"]:
            raise UsageError(f"{where} asks for nothing\n{_EXPECTED}")
        return json.dumps(found).encode()
    return json.dumps({"instances": [found]}).encode()


def _of_log(file: Path) -> Iterator[bytes]:
    import pyarrow.parquet

    requests: dict[str, list[dict[str, Any]]] = {}
    table = pyarrow.parquet.read_table(file)
    if not {"request_id", "inputs"} <= set(table.column_names):
        raise UsageError(f"{file.name} is no file of a request log\n{_EXPECTED}")
    for row in table.select(["request_id", "inputs"]).to_pylist():
        asked = {name: _json(value) for name, value in (row["inputs"] or {}).items() if value is not None}
        requests.setdefault(row["request_id"], []).append(asked)
    yield from (json.dumps({"instances": rows}).encode() for rows in requests.values())


def _json(value: Any) -> Any:
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
