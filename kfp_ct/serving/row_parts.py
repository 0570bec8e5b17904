"""Large requests in row format, decoded a part at a time: rows are never all there as Python objects at once.

What Python makes of JSON is several times its size; parts of it stay in the processor's cache, and their memory is
used again. A body is cut where one row seems to end and the next to begin, `},{`. It is such a place if the part
before it parses as whole rows: what a parser is inside of at a cut hangs on what came before alone. A cut within a
text or a value leaves a part that is not valid JSON, and the body is then decoded as one.
"""

import re
from collections.abc import Iterator

import orjson

from kfp_ct.serving import columns
from kfp_ct.serving.values import Inputs, joined

# Smaller bodies gain nothing.
LARGE_BYTES = 524_288
PART_BYTES = 262_144
_HEAD = re.compile(rb'\s*\{\s*(?:"signature_name"\s*:\s*"([\w.-]*)"\s*,\s*)?"instances"\s*:\s*\[')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_CUT = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*(?=\{)")
# What follows a body's last row is looked for here.
_TAIL_BYTES = 64


def decode(body: bytes, signatures: dict[str, columns.Specs], default: str) -> tuple[str, Inputs] | None:
    """Returns a request's signature and inputs; None if it is not large, not in row format, or unusual."""
    if len(body) < LARGE_BYTES or (head := _HEAD.match(body)) is None:
        return None
    name = (head[1] or b"").decode() or default
    specs, tail = signatures.get(name), _TAIL.search(body, len(body) - _TAIL_BYTES)
    if specs is None or tail is None:
        return None
    parts: list[Inputs] = []
    for rows in _parts(body, head.end(), tail.start()):
        try:
            inputs = columns.rows_to_arrays(orjson.loads(b"".join((b"[", rows, b"]"))), specs)
        except orjson.JSONDecodeError:
            return None
        if inputs is None:
            return None
        parts.append(inputs)
    return name, {each: joined([part[each] for part in parts]) for each in specs}


def _parts(body: bytes, start: int, end: int) -> Iterator[memoryview]:
    """Yields the text of rows, without the commas between parts."""
    view = memoryview(body)
    while start < end:
        cut = _CUT.search(body, min(start + PART_BYTES, end), end)
        yield view[start : cut.start() + 1 if cut else end]
        start = cut.end() if cut else end
