"""A text that the registry keeps beside a version: on a shared disk, in a bucket, or behind the registry's server."""

import tempfile
from pathlib import Path

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry
from kfp_ct.storage import locations, storage

CARD = f"{layouts.KEPT_CARD}/{layouts.KEPT_CARD}.md"


def read(registry_uri: str, model_name: str, number: str, path: str) -> str | None:
    """Returns a text that a registry keeps with a version; None where it keeps none.

    Args:
        registry_uri: The registry; empty for none.
        model_name: The model.
        number: The version.
        path: Of the file, below `Registered/`.

    Raises:
        ComponentError: The registry does not answer.
    """
    version = registry.open_reader(registry_uri).version(model_name, number) if registry_uri else None
    if version is None:
        return None
    kept = f"{layouts.REGISTERED}/{path}"
    folder = registered_model.local_folder(version, registry_uri, model_name)
    if folder is not None:
        return (folder / kept).read_text() if (folder / kept).is_file() else None
    if locations.is_remote(version.source):
        uri = locations.join(version.source, kept)
        return storage.read_text(uri, "record of a version") if storage.stat(uri) else None
    if model_version.local_path(version.source) is not None:
        return None
    from kfp_ct.models import registry_download

    with tempfile.TemporaryDirectory(prefix="ct-record-") as temporary:
        registry_download.download_records(registry_uri, version.source, Path(temporary), (Path(path).parts[0],))
        found = Path(temporary) / kept
        return found.read_text() if found.is_file() else None


def card(registry_uri: str, model_name: str, number: str) -> str:
    """Returns a version's model card in Markdown without its head; empty where there is none, or it cannot be read now.

    It is for people: no reason to keep a blessed model from its traffic.
    """
    try:
        text = read(registry_uri, model_name, number, CARD) or ""
    except ComponentError as error:
        first = str(error).partition("\n")[0]
        task_log.progress(f"the model card of {model_name} v{number} is not handed on: {first}")
        return ""
    return text.split("\n---\n", 1)[-1].lstrip() if text.startswith("---\n") else text
