"""The messages of Katib's suggestion services, `api.v1.beta1`, as far as a search needs them.

They are described here, not imported: Katib's Python package asks for protobuf before 5, which the component sets do
not have. The numbers are those of its `pkg/apis/manager/v1beta1/api.proto`, 0.19.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "api.v1.beta1"
SUGGEST, VALIDATE = (f"/{PACKAGE}.Suggestion/{name}" for name in ("GetSuggestions", "ValidateAlgorithmSettings"))
# Enumerations, which travel as their numbers.
DOUBLE, INT, DISCRETE, CATEGORICAL = 1, 2, 3, 4
UNIFORM, LOG_UNIFORM = 1, 2
MINIMIZE, MAXIMIZE = 1, 2
RUNNING, SUCCEEDED, FAILED = 1, 2, 4

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Field.TYPE_STRING, "int32": _Field.TYPE_INT32, "double": _Field.TYPE_DOUBLE}
# A field is its name, its number and its type; "*" stands before the type of one that is repeated.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "FeasibleSpace": (
        ("max", 1, "string"), ("min", 2, "string"), ("list", 3, "*string"), ("step", 4, "string"),
        ("distribution", 5, "int32"),
    ),
    "ParameterSpec": (("name", 1, "string"), ("parameter_type", 2, "int32"), ("feasible_space", 3, "FeasibleSpace")),
    "ParameterSpecs": (("parameters", 1, "*ParameterSpec"),),
    "ObjectiveSpec": (("type", 1, "int32"), ("goal", 2, "double"), ("objective_metric_name", 3, "string")),
    "AlgorithmSetting": (("name", 1, "string"), ("value", 2, "string")),
    "AlgorithmSpec": (("algorithm_name", 1, "string"), ("algorithm_settings", 2, "*AlgorithmSetting")),
    "ExperimentSpec": (
        ("parameter_specs", 1, "ParameterSpecs"), ("objective", 2, "ObjectiveSpec"), ("algorithm", 3, "AlgorithmSpec"),
        ("parallel_trial_count", 5, "int32"), ("max_trial_count", 6, "int32"),
    ),
    "Experiment": (("name", 1, "string"), ("spec", 2, "ExperimentSpec")),
    "ParameterAssignment": (("name", 1, "string"), ("value", 2, "string")),
    "Label": (("key", 1, "string"), ("value", 2, "string")),
    "Assignments": (("assignments", 1, "*ParameterAssignment"),),
    "TrialSpec": (
        ("objective", 2, "ObjectiveSpec"), ("parameter_assignments", 3, "Assignments"), ("labels", 4, "*Label"),
    ),
    "Metric": (("name", 1, "string"), ("value", 2, "string")),
    "Observation": (("metrics", 1, "*Metric"),),
    "TrialStatus": (
        ("start_time", 1, "string"), ("completion_time", 2, "string"), ("condition", 3, "int32"),
        ("observation", 4, "Observation"),
    ),
    "Trial": (("name", 1, "string"), ("spec", 2, "TrialSpec"), ("status", 3, "TrialStatus")),
    "GetSuggestionsRequest": (
        ("experiment", 1, "Experiment"), ("trials", 2, "*Trial"), ("current_request_number", 4, "int32"),
        ("total_request_number", 5, "int32"),
    ),
    "Suggested": (("assignments", 1, "*ParameterAssignment"), ("trial_name", 2, "string"), ("labels", 3, "*Label")),
    "GetSuggestionsReply": (("parameter_assignments", 1, "*Suggested"), ("algorithm", 2, "AlgorithmSpec")),
    "ValidateAlgorithmSettingsRequest": (("experiment", 1, "Experiment"),),
    "ValidateAlgorithmSettingsReply": (),
}  # fmt: skip


def _described() -> descriptor_pb2.FileDescriptorProto:
    # A package of our own: where Katib's is installed too, one name may not stand for two files.
    file = descriptor_pb2.FileDescriptorProto(name="kfp_ct/katib.proto", package="kfp_ct.katib", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label)
            plain = kind.removeprefix("*")
            made.type = _SCALARS.get(plain, _Field.TYPE_MESSAGE)
            if plain not in _SCALARS:
                made.type_name = f".kfp_ct.katib.{plain}"
    return file


def classes() -> dict[str, Any]:
    """Returns the messages' classes by name."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_described())
    found = pool.FindFileByName("kfp_ct/katib.proto")
    return {name: message_factory.GetMessageClass(each) for name, each in found.message_types_by_name.items()}
