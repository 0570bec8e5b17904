"""What is known of TFMA, Keras and TensorFlow Metadata before a run is what the installed libraries are."""

import json

import pytest
from google.protobuf import descriptor_pb2
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2

import evaluation_names
from kfp_ct.components.evaluate import metric_names
from kfp_ct.data.message_texts import TYPES

FIX = "fix: run infra/evaluation_names.py in the current component set"


def messages(files):
    """Full name of a message or enum to the names and kinds of its fields, or its values."""
    found = {}

    def add(prefix, several):
        for each in several:
            name = f"{prefix}.{each.name}"
            found[name] = {(field.name, field.number, field.type, field.label) for field in each.field}
            add(name, each.nested_type)
            found.update({f"{name}.{enum.name}": {v.name for v in enum.value} for enum in each.enum_type})

    for file in files:
        add(file.package, file.message_type)
        found.update({f"{file.package}.{enum.name}": {v.name for v in enum.value} for enum in file.enum_type})
    return found


def test_the_types_of_messages_are_those_of_the_installed_libraries():
    kept = messages(descriptor_pb2.FileDescriptorSet.FromString(TYPES.read_bytes()).file)
    installed = messages(evaluation_names.message_types().file)

    assert len(installed) > 60
    # The older set knows less: nothing that it takes may be refused.
    assert {name: fields - kept.get(name, set()) for name, fields in installed.items() if fields - kept[name]} == {}, (
        FIX
    )


def test_the_names_of_metrics_are_those_of_the_installed_libraries():
    assert metric_names.known() == evaluation_names.metrics(), FIX


NEEDED = {  # what metrics need, as JSON; others need nothing
    "recall": 0.5, "precision": 0.5, "specificity": 0.5, "sensitivity": 0.5, "false_positive_rate": 0.1,
    "thresholds": [0.5], "num_classes": 2, "target_class_ids": [0], "feature_key": "x", "sample_size": 3,
    "threshold": 0.5, "feature_key_path": ["x"], "gain_key": "x", "top_k_list": [1], "rouge_type": "rouge1",
    "class_ids": [0], "ground_truth_key": "x", "prediction_key": "x", "normalizer": [1.0],
}  # fmt: skip
# Keras has them for programs: what they need is no JSON, or TFMA does not take what they compute.
FOR_PROGRAMS = {"MeanMetricWrapper", "MeanTensor"}


def metric_of(name):
    needs = {each: NEEDED[each] for each in metric_names.known()[name]["needs"]}
    return config_pb2.MetricConfig(class_name=name, config=json.dumps(needs) if needs else "")


@pytest.mark.parametrize("name", sorted(set(metric_names.known()) - FOR_PROGRAMS))
def test_tfma_makes_every_metric_that_is_known(name):
    metric = metric_of(name)
    assert list(metric_names.problems(metric)) == []

    keys = list(
        metric_specs.keys_and_metrics_from_specs(config_pb2.EvalConfig(), [config_pb2.MetricsSpec(metrics=[metric])])
    )

    assert type(keys[0][2]).__name__


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        pytest.param({"class_name": "AUCC"}, "class_name", id="misspelt"),
        pytest.param({"class_name": "auc"}, "class_name", id="Keras's short name"),
        pytest.param({"class_name": "mse"}, "class_name", id="Keras's function"),
        pytest.param({"class_name": "Metric"}, "class_name", id="Keras's base class"),
        pytest.param({"class_name": "AUC", "config": "num_thresholds: 3"}, "config", id="no JSON"),
        pytest.param({"class_name": "AUC", "config": '"num_threshold": 3'}, "config", id="unknown setting"),
        pytest.param({"class_name": "MeanIoU"}, "config", id="missing setting"),
        pytest.param({"class_name": "PrecisionAtRecall"}, "config", id="missing setting of TFMA's"),
    ],
)
def test_what_is_refused_before_a_run_tfma_refuses_too(metric, field):
    made = config_pb2.MetricConfig(**metric)
    (found,) = metric_names.problems(made)
    assert found[0] == field

    with pytest.raises((ValueError, TypeError)):
        metric_specs.to_computations([config_pb2.MetricsSpec(metrics=[made])], config_pb2.EvalConfig())
