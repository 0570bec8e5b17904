"""Which of TFMA's metrics mean something where a row has any number of classes; known without TensorFlow.

TFMA takes each class by itself (`binarize`), or every row and class as a row of its own (no option, or
`micro_average`), or averages over the classes. Metrics of one true class, of distances and of rankings it computes
all the same, of numbers that say nothing: those are refused.
"""

from collections.abc import Iterator
from typing import Any

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.base.setting_problems import nearest
from kfp_ct.components.evaluate import eval_config

COUNTS = ("ExampleCount", "WeightedExampleCount")
# Counted at thresholds: these alone are defined where only the top k of a row are looked at.
CONFUSION = (
    "AUC", "AUCPrecisionRecall", "BalancedAccuracy", "BinaryAccuracy", "ConfusionMatrixAtThresholds",
    "DiagnosticOddsRatio", "F1Score", "FN", "FNR", "FP", "FPR", "FallOut", "FalseDiscoveryRate", "FalseNegatives",
    "FalseOmissionRate", "FalsePositives", "FowlkesMallowsIndex", "Informedness", "Markedness",
    "MatthewsCorrelationCoefficient", "MaxRecall", "MissRate", "NPV", "NegativeLikelihoodRatio",
    "NegativePredictiveValue", "PPV", "PositiveLikelihoodRatio", "Precision", "PrecisionAtRecall",
    "PredictedPositiveRate", "Prevalence", "PrevalenceThreshold", "Recall", "RecallAtFalsePositiveRate",
    "RecallAtPrecision", "SensitivityAtSpecificity", "Specificity", "SpecificityAtSensitivity", "TN", "TNR", "TP",
    "TPR", "ThreatScore", "ThresholdAtRecall", "TrueNegatives", "TruePositives",
)  # fmt: skip
OTHERS = (
    "BinaryCrossentropy", "Calibration", "CalibrationPlot", "ConfusionMatrixPlot", "MeanLabel", "MeanPrediction",
    "MeanSquaredError", "MultiLabelConfusionMatrixPlot",
)  # fmt: skip
TAKEN = (*COUNTS, *CONFUSION, *OTHERS)
# What comes to mind for a task of classes, and what says it of several labels.
_INSTEAD = (
    ("Categorical", "BinaryAccuracy or BinaryCrossentropy"),
    ("SparseCategorical", "BinaryAccuracy or BinaryCrossentropy"),
    ("BinaryCrossEntropy", "Keras's BinaryCrossentropy"),
    ("MultiClass", "MultiLabelConfusionMatrixPlot"),
    ("TopK", "Precision or Recall with binarize { top_k_list { … } }"),
    ("SparseTopK", "Precision or Recall with binarize { top_k_list { … } }"),
)


def problems_of_text(text: str, output: str) -> Iterator[str]:
    """Says what the text of an EvalConfig asks of an output that has no meaning for several labels a row."""
    config = eval_config.parsed(text)
    if config is not None:
        yield from problems(config, output)


def problems(config: Any, output: str) -> Iterator[str]:
    """Says what an EvalConfig asks of an output that has no meaning for several labels a row.

    Args:
        config: Of TFMA's class, or of the one that is made without TFMA.
        output: TFMA's name of the output; empty if it is the only one.
    """
    for number, spec in enumerate(config.metrics_specs):
        asked = eval_config.asked_outputs(config, spec)
        if output and asked and output not in asked:
            continue
        place = f"metrics_specs[{number}]"
        if spec.query_key:
            yield f"{place}.query_key ranks the rows of a query, of which one label a row is needed"
        top = bool(spec.binarize.top_k_list.values or spec.binarize.k_list.values or spec.aggregate.top_k_list.values)
        for count, metric in enumerate(spec.metrics):
            if not metric.module:
                yield from _of_metric(f"{place}.metrics[{count}]", metric.class_name, top)


def wants_one_hot(config: Any, output: str) -> bool:
    """Whether metrics of an output want class numbers as a 0 or 1 for every class, as Keras's Categorical… do.

    Raises:
        ConfigurationError: Others want the numbers.
    """
    specs = [spec for spec in config.metrics_specs if not output or output in spec.output_names]
    names = [metric.class_name for spec in specs for metric in spec.metrics if not metric.module]
    wide = [name for name in names if name.startswith(("Categorical", "TopKCategorical"))]
    sparse = [name for name in names if name.startswith("Sparse")]
    if wide and sparse:
        raise ConfigurationError(
            f"the evaluation config names {wide[0]}, of one-hot labels, and {sparse[0]}, of class numbers\n"
            f"expected: metrics of one kind\nfix: name Sparse{wide[0].removeprefix('Sparse')} in place of {wide[0]}"
        )
    return bool(wide)


def _of_metric(place: str, name: str, top: bool) -> Iterator[str]:
    if name not in TAKEN:
        instead = next((other for start, other in _INSTEAD if name.startswith(start)), "")
        near = f"expected {instead}" if instead else nearest(name, list(TAKEN)) or "expected such as AUC or F1Score"
        yield f"{place}.class_name: {name} is not defined for the task multilabel, of many classes a row; {near}"
    elif top and name in OTHERS:
        yield (
            f"{place}.class_name: {name} is not defined of the top k classes of a row; "
            f"expected such as Precision or Recall, or {name} without top_k_list and k_list"
        )
