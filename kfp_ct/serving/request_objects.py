"""The request log in an object store: a Parquet file an interval, uploaded whole; the bounds are those of a folder."""

import datetime
import io
import os
import socket
import time
from collections.abc import Sequence

import pyarrow.parquet as pq

from kfp_ct.serving.request_files import METADATA, Answered, Key, to_table
from kfp_ct.storage import locations, storage

# Looking for files to delete lists the whole log.
_TRIM_SECONDS = 600.0


class RequestObjects:
    """Files below a URI, whose size together is bounded; one thread may use it."""

    def __init__(self, root: str, total_bytes: int) -> None:
        self._root, self._total_bytes = root, total_bytes
        self._trimmed = time.monotonic()

    def write(self, key: Key, answers: Sequence[Answered], metadata: str) -> str:
        """Writes a file of its own name, whole or not at all; returns its URI."""
        content = io.BytesIO()
        pq.write_table(to_table(answers).replace_schema_metadata({METADATA: metadata}), content, compression="zstd")
        # Replicas have the same process id; their hosts are called differently.
        name = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%f}-{socket.gethostname()}-{os.getpid()}"
        uri = locations.join(self._root, key.model, str(key.version), f"{name}.parquet")
        storage.write(uri, content.getvalue())
        return uri

    def trim(self) -> None:
        """Deletes the oldest files until the rest are no larger together than they may be."""
        if time.monotonic() - self._trimmed < _TRIM_SECONDS:
            return
        self._trimmed = time.monotonic()
        found = sorted(storage.list_folder(self._root), key=lambda item: item.file_name)
        excess = sum(item.size for item in found) - self._total_bytes
        for item in found:
            if excess <= 0:
                return
            storage.delete(item.uri)  # another server of the same log may have been faster
            excess -= item.size
