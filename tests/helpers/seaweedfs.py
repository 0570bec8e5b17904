"""An S3 object store on loopback: the real SeaweedFS, with the bucket `data` and two access keys."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import obstore
from obstore.store import S3Store

from ports import free_ports

OWNER, READER = ("AKOWNER", "owner-secret"), ("AKREADER", "reader-secret")
_IDENTITIES = {
    "identities": [
        {"name": "owner", "credentials": [{"accessKey": OWNER[0], "secretKey": OWNER[1]}],
         "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
        {"name": "reader", "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}],
         "actions": ["Read", "List"]},
    ]
}  # fmt: skip
_PORTS = ("master", "volume", "filer", "s3", "admin")


@dataclasses.dataclass(frozen=True)
class SeaweedFS:
    """Where it listens."""

    url: str

    def environment(self, key=OWNER, url: str = "") -> dict[str, str]:
        """What a process needs to reach it (or what stands before it)."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": key[0],
            "AWS_SECRET_ACCESS_KEY": key[1],
            "AWS_REGION": "us-east-1",
        }


@contextlib.contextmanager
def running(bucket: str = "data"):
    """Starts the store with an empty bucket; its files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    (folder / "identities.json").write_text(json.dumps(_IDENTITIES))
    ports = dict(zip((*_PORTS, *(f"{name}.port.grpc" for name in _PORTS)), free_ports(2 * len(_PORTS)), strict=True))
    flags = [f"-{name if '.' in name else f'{name}.port'}={port}" for name, port in ports.items()]
    command = [
        str(Path(sys.prefix) / "bin" / "weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *flags,
        f"-s3.config={folder / 'identities.json'}", "-s3.autoCreateBucket=false", f"-bucket={bucket}", "-webdav=false",
        "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
        f"-filer.localSocket={folder / 'filer.sock'}", f"-s3.localSocket={folder / 's3.sock'}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env={**os.environ, "HOME": str(folder)})
    try:
        url = f"http://127.0.0.1:{ports['s3']}"
        store = SeaweedFS(url)
        _wait(store, bucket, process, folder / "log")
        yield store
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(store: SeaweedFS, bucket: str, process: subprocess.Popen, log: Path) -> None:
    client = S3Store(
        bucket, endpoint=store.url, access_key_id=OWNER[0], secret_access_key=OWNER[1], region="us-east-1",
        client_options={"allow_http": True}, retry_config={"max_retries": 0},
    )  # fmt: skip
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            obstore.list(client).collect()
        except obstore.exceptions.BaseError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"SeaweedFS did not start: {log.read_text()}")
