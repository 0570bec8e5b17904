"""Registers a blessed model, and makes it the champion unless that waits until it is served."""

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

from kfp_ct.base import redaction, task_log
from kfp_ct.base.errors import DataError
from kfp_ct.components.register import card, publish
from kfp_ct.components.register.entry import PARAMETER_LENGTH, TAG_LENGTH, Entry, Registered, flatten
from kfp_ct.data import layouts
from kfp_ct.models import blessing, model_version, registry


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model and everything that is known about it, as paths of artifacts."""

    model_path: str
    blessing_path: str
    statistics_path: str
    evaluation_path: str
    training_key: str
    lineage: dict[str, Any]


def register(candidate: Candidate, registry_uri: str, model_name: str, make_champion: bool = True) -> Registered:
    """Registers a blessed model and moves the alias champion to it, unless deploy does that once it is served.

    A model that is registered already (by its content) keeps its version. A run that is killed at any point
    leaves no version or a whole one, and the next one finishes the work.

    Raises:
        ModelNotBlessedError: The verdict is not a yes, or is about another model.
        DataError: The model, the statistics or the evaluation is not whole.
        ConfigurationError: The registry cannot be used or written.
    """
    verdict = blessing.require(candidate.blessing_path, candidate.model_path)
    model_version.check_model_name(model_name)
    registered = _already_champion(registry.open_reader(registry_uri), model_name, verdict.model_fingerprint)
    if registered is None:
        with tempfile.TemporaryDirectory() as folder:
            entry = describe(candidate, verdict, (model_name, Path(folder)))
            registered = publish.publish(entry, registry_uri, make_champion)
    if not make_champion:
        task_log.summary(f"{model_name} v{registered.version} is registered; champion once it is served")
        return registered
    before = f"champion before: v{registered.previous_champion}" if registered.previous_champion else "the first one"
    task_log.summary(f"{model_name} v{registered.version} is champion; {before}")
    return registered


def with_run(lineage: dict[str, Any], run_id: str, run_resource: str) -> dict[str, Any]:
    """Returns lineage that names its run: as `ct run` says, else as the service does whose task this is."""
    if lineage.get("run") or not run_id:
        return lineage
    return {**lineage, "run": run_id, **({"run_resource": run_resource} if run_resource else {})}


def describe(candidate: Candidate, verdict: blessing.Blessing, to: tuple[str, Path]) -> Entry:
    """Gathers what the registry shall know about a model.

    Args:
        candidate: The model.
        verdict: On it.
        to: Its name in the registry, and a folder for the files that are written for it.
    """
    model_name, folder = to
    manifest = layouts.read_manifest(Path(candidate.model_path) / layouts.TRAINING)
    lineage = flatten(candidate.lineage)
    tags = {
        "training_key": candidate.training_key,
        "model_fingerprint": verdict.model_fingerprint,
        "data_fingerprint": manifest.fingerprint,
        "window": "/".join(manifest.window.get(edge, "") for edge in ("start", "end")),
        "compared_with": verdict.compared_with,
    }
    tags = {**{key: _clip(value, TAG_LENGTH) for key, value in lineage.items()}, **tags}
    rows = {f"rows.{split.name}": str(split.rows) for split in manifest.splits}
    parameters = {
        key: _clip(value, PARAMETER_LENGTH)
        for key, value in {**lineage, **rows, "window": tags["window"]}.items()
        if value
    }
    files, summary = _files_to_keep(candidate, manifest), Path(candidate.evaluation_path) / layouts.SUMMARY
    told = {**redaction.redact_tree(candidate.lineage), "model_name": model_name}
    described = card.describe(verdict, manifest, layouts.read_json(summary), told)
    return Entry(
        model_name,
        Path(candidate.model_path),
        verdict.model_fingerprint,
        tags,
        parameters,
        overall_metrics(summary),
        card.description(described),
        files | card.write(described, folder),
    )


def _files_to_keep(candidate: Candidate, manifest: layouts.Manifest) -> dict[str, Path]:
    files = {}
    for split in manifest.splits:
        name = f"{layouts.split_path('', split.name)}/{layouts.STATISTICS_FILE}"
        files[f"statistics/{name}"] = Path(candidate.statistics_path) / name
    files[f"{layouts.KEPT_EVALUATION}/{layouts.SUMMARY}"] = Path(candidate.evaluation_path) / layouts.SUMMARY
    for name in (blessing.BLESSED, blessing.DETAILS):
        files[f"{layouts.KEPT_BLESSING}/{name}"] = Path(candidate.blessing_path) / name
    if missing := [str(path) for path in files.values() if not path.is_file()]:
        raise DataError(
            f"{missing[0]} is not there\nexpected: the statistics and the evaluation of the run that trained the model"
        )
    return files


def overall_metrics(summary: Path) -> dict[str, float]:
    """Returns the finite numbers of an evaluation's metrics over all rows, by dotted name.

    They stand under "challenger" of "metrics", as evaluate writes them; a summary without them gives none.
    """
    metrics = layouts.read_json(summary).get("metrics", {}) if summary.is_file() else {}
    return dict(_numbers(metrics.get("challenger", {}), ""))


def _already_champion(reader: model_version.Reader, model_name: str, fingerprint: str) -> Registered | None:
    champion = reader.champion(model_name)
    if champion is None or champion.tags.get("model_fingerprint") != fingerprint:
        return None
    return Registered(champion.number, champion.tags.get("previous_champion", ""))


def _numbers(value: Any, name: str) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [
            number for key, item in value.items() for number in _numbers(item, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return [(name or "value", float(value))]
    return []


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
