"""What of a project depends on its task: pieces of the templates, and the gates."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
_NUMBER_OF_CLASS = '''def _number_of_class(names: tf.Tensor) -> tf.Tensor:
    """The place of each `[n]` in CLASSES; -1, which no loss takes, of one that is none."""
    found = tf.equal(names[:, tf.newaxis], tf.constant(CLASSES))
    return tf.where(tf.reduce_any(found, 1), tf.argmax(tf.cast(found, tf.int8), 1), tf.constant(-1, tf.int64))


'''
_MOMENTS = '''def moments(train: tf.data.Dataset) -> tuple[float, float]:
    """Returns the mean and the standard deviation of the labels; 1 if they are all alike."""
    labels = np.concatenate([label for _, label in train.as_numpy_iterator()]).astype("float64")
    return float(labels.mean()), float(labels.std()) or 1.0


'''
_STANDARDISED = """    # Learnt in standard deviations from the mean, told in the label's own unit.
    mean, deviation = moments(train)
    train = train.map(lambda features, label: (features, (label - mean) / deviation))
"""
_RESTORED = (
    '    model = keras.Model(model.input, keras.layers.Rescaling(deviation, mean, name="value")(model.output))\n'
)


@dataclasses.dataclass(frozen=True)
class Task:
    """A task's pieces of features.py and model.py, by what they are put in for, and the gates of its settings."""

    pieces: Mapping[str, str]
    gates: Mapping[str, Any]


_EVERY = {
    "classes": "", "label_is": "", "label_feature": "tf.reshape(inputs[LABEL], [-1])", "number_of_class": "",
    "imported": "CATEGORIES, LABEL, NUMBERS, SERVED", "standardised": "", "restored": "", "moments": "", "numpy": "",
}  # fmt: skip
_TASKS = {
    BINARY: Task(
        {
            "predicts": "the probability that `$label_name` is 1",
            "loss": "binary_crossentropy",
            "metric": "AUC",
            "head": 'layers.Dense(1, activation="sigmoid", name="probability")',
            "output": "probability",
            "answer": "the probability, `[n, 1]`",
        },
        {"metric": "auc", "min_baseline_gain": 0.01},
    ),
    MULTICLASS: Task(
        {
            "predicts": "the probability of each class of `$label_name`, in the order of CLASSES",
            "loss": "sparse_categorical_crossentropy",
            "metric": "accuracy",
            "head": 'layers.Dense(len(CLASSES), activation="softmax", name="probabilities")',
            "output": "probabilities",
            "answer": "the probabilities, `[n, len(CLASSES)]`",
            "label_is": ": the number of its class",
            "label_feature": "_number_of_class(tf.reshape(inputs[LABEL], [-1]))",
            "number_of_class": _NUMBER_OF_CLASS,
            "imported": "CATEGORIES, CLASSES, LABEL, NUMBERS, SERVED",
        },
        {"metric": "log_loss", "min_baseline_gain": 0.01},
    ),
    REGRESSION: Task(
        {
            "predicts": "the value of `$label_name` that is to be expected",
            "loss": "mean_squared_error",
            "metric": "mean_absolute_error",
            "head": 'layers.Dense(1, name="standardised")',
            "output": "value",
            "answer": "the value, `[n, 1]`",
            "standardised": _STANDARDISED,
            "restored": _RESTORED,
            "moments": _MOMENTS,
            "numpy": "import numpy as np\n",
        },
        {"metric": "rmse", "min_baseline_gain": 0.0},
    ),
}


def pieces(profile: dict[str, Any]) -> dict[str, str]:
    """Returns the templates' pieces for a profile's task."""
    filled = {**_EVERY, **_TASKS[profile["task"]].pieces}
    return {name: text.replace("$label_name", profile["label"]) for name, text in filled.items()}


def gates(task: str) -> dict[str, Any]:
    """Returns the gates of a task's settings."""
    return {"task": task, "confidence": 0.95, "min_gain": 0.0, **_TASKS[task].gates}


def numbers_of_classes(profile: dict[str, Any]) -> dict[str, str]:
    """Returns what the evaluation config says of the classes."""
    shares = list(profile["classes"].values())
    return {
        "most_frequent": f"{max(shares, default=0):.2f}",
        "class_ids": json.dumps(list(range(len(shares)))),
    }
