"""The request log of an object store: the files that a period may need, in a folder of this step."""

import contextlib
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base import task_log
from kfp_ct.components.monitor import request_log
from kfp_ct.storage import locations, storage


@contextlib.contextmanager
def local(root: str, model: str, since: datetime.datetime) -> Iterator[str]:
    """Lends the folder of a log: a path as it is, else a copy of what a model's log has since a moment.

    Raises:
        ConfigurationError: The bucket cannot be read, or there is no log.
        DataError: There is no bucket, or a file was removed while it was read.
    """
    if not locations.is_remote(root):
        yield str(locations.local_path(root))
        return
    base = locations.join(root, model)
    found = storage.list_folder(base)
    if not found and not storage.list_folder(root):
        raise request_log.no_log(root)
    wanted = [each for each in found if each.uri.endswith(".parquet")]
    wanted = [each for each in wanted if (at := request_log.written(Path(each.name))) is None or at >= since]
    with tempfile.TemporaryDirectory(prefix="ct-request-log-") as folder:
        (Path(folder) / model).mkdir()
        storage.download((each, Path(folder) / model / each.uri.removeprefix(f"{base}/")) for each in wanted)
        task_log.progress(f"{len(wanted):,} files of the request log fetched from {base}")
        yield folder
