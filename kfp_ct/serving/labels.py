"""Names for versions, as clients may ask for them: <root>/<model>/labels.json, `{"stable": 12, "candidate": 13}`."""

import json
import logging
import re
from pathlib import Path

LABELS_FILE = "labels.json"
_log = logging.getLogger("serving")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_labels(folder: Path) -> dict[str, int] | None:
    """Returns a model's labels; None where the file is damaged, so that those known before go on being answered."""
    path = folder / LABELS_FILE
    try:
        labels = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.error("%s cannot be read, the labels stay as they were: %s", path, error)
        return None
    if not isinstance(labels, dict) or not all(_is_label(name, number) for name, number in labels.items()):
        _log.error('%s: expected an object of labels and version numbers, {"stable": 12}; they stay as they were', path)
        return None
    return labels


def _is_label(name: str, number: object) -> bool:
    return _LABEL.fullmatch(name) is not None and type(number) is int and 0 <= number < 10**18
