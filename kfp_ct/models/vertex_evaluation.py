"""A version's evaluation in Vertex AI's Model Registry: the numbers the registry keeps, attached once."""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry
from kfp_ct.models.vertex_api import Resource, VertexApi
from kfp_ct.storage import locations, storage

_SCHEMAS = "gs://google-cloud-aiplatform/schema/modelevaluation"
# Vertex AI's names of metrics, by ours and TFMA's; whatever else there is stands in the evaluation's metadata.
_CLASSIFICATION = {
    "auc": "auRoc", "macro_auc": "auRoc", "auc_precision_recall": "auPrc", "log_loss": "logLoss",
    "binary_crossentropy": "logLoss", "sparse_categorical_crossentropy": "logLoss",
}  # fmt: skip
_REGRESSION = {
    "rmse": "rootMeanSquaredError", "root_mean_squared_error": "rootMeanSquaredError", "mae": "meanAbsoluteError",
    "mean_absolute_error": "meanAbsoluteError", "r2": "rSquared",
}  # fmt: skip
_PATH = f"{layouts.REGISTERED}/{layouts.KEPT_EVALUATION}/{layouts.SUMMARY}"


def kept_metrics(registry_uri: str, model_name: str, number: str) -> dict[str, float]:
    """Returns the overall metrics that a registry keeps with a version; empty where it keeps none.

    Raises:
        ConfigurationError: The registry does not answer.
    """
    version = registry.open_reader(registry_uri).version(model_name, number) if registry_uri else None
    if version is None:
        return {}
    folder = registered_model.local_folder(version, registry_uri, model_name)
    if folder is not None:
        return _metrics(layouts.read_json(folder / _PATH)) if (folder / _PATH).is_file() else {}
    if locations.is_remote(version.source):
        return _of_bucket(locations.join(version.source, _PATH))
    if model_version.local_path(version.source) is not None:
        return {}
    from kfp_ct.models import registry_download

    with tempfile.TemporaryDirectory(prefix="ct-evaluation-") as temporary:
        registry_download.download_records(registry_uri, version.source, Path(temporary), (layouts.KEPT_EVALUATION,))
        found = Path(temporary) / _PATH
        return _metrics(layouts.read_json(found)) if found.is_file() else {}


def attach(api: VertexApi, model_version_name: str, number: str, metrics: Mapping[str, float]) -> None:
    """Attaches an evaluation to a version, unless it has ours; what fails is said and stops nothing.

    Args:
        api: The project and location.
        model_version_name: Resource name of the version, with Vertex AI's own number.
        number: The registry's number of it.
        metrics: The metrics over all rows; none attaches nothing.
    """
    if not metrics:
        return
    try:
        found = api.every(f"{model_version_name}/evaluations", "modelEvaluations")
        if all(each.get("displayName") != _title(number) for each in found):
            api.post(f"{model_version_name}/evaluations:import", {"modelEvaluation": _body(number, metrics)})
    except ComponentError as error:  # numbers for people: no reason to keep a blessed model from its traffic
        first = str(error).partition("\n")[0]
        task_log.progress(f"{model_version_name}: its evaluation is not attached: {first}; the next deployment tries")


def _body(number: str, metrics: Mapping[str, float]) -> Resource:
    names, kind = (
        (_REGRESSION, "regression") if set(metrics) & set(_REGRESSION) else (_CLASSIFICATION, "classification")
    )
    return {
        "displayName": _title(number),
        "metricsSchemaUri": f"{_SCHEMAS}/{kind}_metrics_1.0.0.yaml",
        "metrics": {names[name]: value for name, value in metrics.items() if name in names},
        "metadata": dict(metrics),
    }


def _title(number: str) -> str:
    return f"kfp-ct v{number}"


def _of_bucket(uri: str) -> dict[str, float]:
    found = storage.stat(uri)
    return _metrics(json.loads(storage.read_text(uri, "evaluation"))) if found else {}


def _metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    return dict(_finite(summary.get("metrics", {}).get("challenger", {})))


def _finite(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)
