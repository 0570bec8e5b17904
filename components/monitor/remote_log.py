"""The request log of an object store or of Vertex AI: the files that a period may need, in a folder of this step."""

import contextlib
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kfp_ct.base import task_log
from kfp_ct.components.monitor import request_log, vertex_log
from kfp_ct.models import vertex_log_settings
from kfp_ct.models.vertex_log_settings import VertexLog
from kfp_ct.storage import locations, storage


@contextlib.contextmanager
def local(root: str, log: VertexLog, model: str, moments: Sequence[datetime.datetime]) -> Iterator[str]:
    """Lends the folder of a log: a path as it is, else a copy of what a model's log has since a moment.

    Args:
        root: A folder, the URI of one, or a table that Vertex AI logs to (bq://).
        log: How such a table is read.
        model: The model.
        moments: The start, the end, and what the periods between are bounded by.

    Raises:
        ConfigurationError: The bucket or the table cannot be read, or there is no log.
        DataError: There is no bucket or table, or a file was removed while it was read.
    """
    if vertex_log_settings.is_table(root):
        with vertex_log.local(root, log, model, moments) as folder:
            yield folder
        return
    if not locations.is_remote(root):
        yield str(locations.local_path(root))
        return
    base = locations.join(root, model)
    found = storage.list_folder(base)
    if not found and not storage.list_folder(root):
        raise request_log.no_log(root)
    wanted = [each for each in found if each.uri.endswith(".parquet")]
    wanted = [each for each in wanted if (at := request_log.written(Path(each.name))) is None or at >= min(moments)]
    with tempfile.TemporaryDirectory(prefix="ct-request-log-") as folder:
        (Path(folder) / model).mkdir()
        storage.download((each, Path(folder) / model / each.uri.removeprefix(f"{base}/")) for each in wanted)
        task_log.progress(f"{len(wanted):,} files of the request log fetched from {base}")
        yield folder
