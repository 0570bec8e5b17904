"""What the request log may not show: inputs and outputs that are never logged, and those of which a digest is.

Digests are keyed (BLAKE2b): equal values have equal digests under one key, by which rows can be joined, and without
the key nobody can try values out. Replicas that share a log need the same key.
"""

import dataclasses
import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

import numpy as np

from kfp_ct.serving.request_files import Answered
from kfp_ct.serving.values import Inputs, Lists

_DIGEST_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Privacy:
    """Names of inputs and outputs, and the key of digests.

    Attributes:
        never: What is not logged.
        hashed: What is logged as a digest of each value.
        key: The key of the digests.
    """

    never: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()
    key: bytes = dataclasses.field(default=b"", repr=False)

    def applied(self, answered: Answered) -> Answered:
        """Returns an answer as it may be logged."""
        if not self.never and not self.hashed:
            return answered
        inputs: Inputs = {name: self._value(name, value) for name, value in self._shown(answered.inputs)}
        outputs = {name: self._value(name, value) for name, value in self._shown(answered.outputs)}
        return dataclasses.replace(answered, inputs=inputs, outputs=outputs, row_count=answered.rows)

    def to_json(self) -> dict[str, Any]:
        """Returns what is hidden, as a file's metadata says it."""
        return {"hidden": sorted(self.never | self.hashed)} if self.never or self.hashed else {}

    def _shown(self, side: Any) -> Iterable[tuple[str, Any]]:
        return ((name, value) for name, value in side.items() if name not in self.never)

    def _value(self, name: str, value: Any) -> Any:
        if name not in self.hashed:
            return value
        if isinstance(value, Lists):  # one digest of each row's list
            ends = np.cumsum(value.lengths)
            rows = [value.values[end - length : end] for end, length in zip(ends, value.lengths, strict=True)]
        else:
            rows = list(value) if value.ndim else [value]
        digests = np.empty(len(rows), object)
        digests[:] = [self._digest(row) for row in rows]
        return digests

    def _digest(self, row: Any) -> bytes:
        values = row.tolist() if isinstance(row, np.ndarray | np.generic) else row
        flat = values if isinstance(values, list) else [values]
        # Text and its bytes are one value; so are an array of one and the value.
        content = repr([value.encode() if isinstance(value, str) else value for value in flat]).encode()
        return hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=self.key[:64]).hexdigest().encode()


NOTHING_HIDDEN = Privacy()


def privacy(never: Iterable[str], hashed: Iterable[str], key: str) -> Privacy:
    """Returns what is hidden; without a key, digests are those of one process."""
    return Privacy(frozenset(never), frozenset(hashed), key.encode() or secrets.token_bytes(32))
