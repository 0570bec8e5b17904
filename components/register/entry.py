"""What is written into the registry about one model, in names and texts that MLflow takes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kfp_ct.base import redaction

# MLflow's limits are 250 characters for a name, 500 for a run's parameter and 5,000 for a tag.
_NAME_LENGTH, PARAMETER_LENGTH, TAG_LENGTH = 250, 500, 5_000
# The tag that says which model it is, by its content.
FINGERPRINT = "model_fingerprint"


@dataclasses.dataclass(frozen=True)
class Registered:
    """The version, and the version that the alias champion pointed at before (empty for none)."""

    version: str
    previous_champion: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is written into the registry about one model."""

    model_name: str
    model_path: Path
    fingerprint: str
    tags: dict[str, str]
    parameters: dict[str, str]
    metrics: dict[str, float]
    description: str  # Markdown, for the registry's own page
    files: dict[str, Path]  # path below `Registered/` of the version's folder to the file to copy there

    @property
    def run_name(self) -> str:
        """The name of the run that the version comes from."""
        return f"{self.model_name} {self.tags['window']}"


def flatten(lineage: dict[str, Any]) -> dict[str, str]:
    """Returns lineage entries as strings under names MLflow takes; what is nested becomes JSON."""
    return {mlflow_name(str(key)): _text(value) for key, value in lineage.items()}


def mlflow_name(name: str) -> str:
    """Returns a name that MLflow takes for a tag, a parameter or a metric: it reads each as a relative path, too."""
    taken = "".join(letter if letter.isalnum() or letter in "_-./ :" else "_" for letter in name[:_NAME_LENGTH])
    return "/".join(part for part in taken.split("/") if part.strip(".")) or "_"


def _text(value: Any) -> str:
    value = redaction.redact_tree(value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
