"""What of the local state and of registries is kept: pipelines/retention.yaml of a repository."""

from pathlib import Path
from typing import Any

from pydantic import Field

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import UsageError, listed
from kfp_ct.base.settings import CountOrNone, Names, Settings
from kfp_ct.clock.duration_settings import Duration, DurationOrNone
from kfp_ct.project import yaml_file

FILE = "retention.yaml"


class Retention(Settings):
    """What `ct gc` keeps beyond champions, versions that wait for approval or are being released, and open runs."""

    predecessors: CountOrNone = Field(
        3, description="Champions before the present one that keep their files, and what their runs wrote."
    )
    artifacts_for: Duration = Field("30d", description="So long after a run began what its tasks wrote is kept.")
    versions_for: Duration = Field(
        "30d", description="So long after it was registered a version that is no champion keeps its files."
    )
    evidence_for: Duration = Field("365d", description="So long a run's record, report and logs are kept.")
    cache_bytes: CountOrNone = Field(
        20_000_000_000, description="Size of what only the cache needs; what was used last is kept."
    )
    registries: Names = Field(
        (),
        description="Registries beyond this machine's own, such as http://mlflow:5000, whose old versions' files go.",
    )
    every: DurationOrNone = Field("", description="So often `ct up` deletes, such as 1d; empty: only `ct gc` does.")


def load(root: Path, given: dict[str, Any] | None = None) -> Retention:
    """Reads a repository's retention.yaml, without which the defaults hold; what is given stands over it.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    path = root / "pipelines" / FILE
    document = (yaml_file.read(path) or {}) if path.is_file() else {}
    written: Retention = yaml_file.described(document, Retention, path)
    if found := setting_problems.problems(Retention, given or {}):
        raise UsageError(f"what was given in place of {FILE} does not fit\n{listed(found)}\nfix: correct the option")
    return written.model_copy(update=given or {})
