"""A version's evaluation in Vertex AI's Model Registry: the numbers the registry keeps, attached once."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError
from kfp_ct.data import layouts
from kfp_ct.models import kept_records
from kfp_ct.models.vertex_api import Resource, VertexApi

_SCHEMAS = "gs://google-cloud-aiplatform/schema/modelevaluation"
# Vertex AI's names of metrics, by ours and TFMA's; whatever else there is stands in the evaluation's metadata.
_CLASSIFICATION = {
    "auc": "auRoc", "macro_auc": "auRoc", "micro_auc": "auRoc", "auc_precision_recall": "auPrc", "log_loss": "logLoss",
    "binary_crossentropy": "logLoss", "sparse_categorical_crossentropy": "logLoss",
}  # fmt: skip
_REGRESSION = {
    "rmse": "rootMeanSquaredError", "root_mean_squared_error": "rootMeanSquaredError", "mae": "meanAbsoluteError",
    "mean_absolute_error": "meanAbsoluteError", "r2": "rSquared",
}  # fmt: skip
_PATH = f"{layouts.KEPT_EVALUATION}/{layouts.SUMMARY}"


def kept_metrics(registry_uri: str, model_name: str, number: str) -> dict[str, float]:
    """Returns the overall metrics that a registry keeps with a version; empty where it keeps none.

    Raises:
        ConfigurationError: The registry does not answer.
    """
    found = kept_records.read(registry_uri, model_name, number, _PATH)
    return _metrics(json.loads(found)) if found else {}


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


def _metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    return dict(_finite(summary.get("metrics", {}).get("challenger", {})))


def _finite(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)
