"""TFMA's EvalConfig as far as it can be judged without data, models and TensorFlow: before anything runs."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from kfp_ct.base.setting_problems import nearest
from kfp_ct.components.evaluate import metric_names
from kfp_ct.data import message_texts

LABELS = "expected model_specs { label_key: '<column>' }, or label_keys { key: '<output>' value: '<column>' }"
METRICS = "expected metrics_specs { metrics { class_name: 'AUC' } }"
_BOUNDS = {"value_threshold": ("lower_bound", "upper_bound"), "change_threshold": ("absolute", "relative")}


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of the models, and the columns that say what it should have been.

    Attributes:
        name: TFMA's name of it; empty if it is the only one.
        label: The label's column.
        prediction_key: The model's name of it; empty means the model's only one.
        weight: The column of the rows' weights; empty if all rows count alike.
    """

    name: str
    label: str
    prediction_key: str = ""
    weight: str = ""


def outputs(config: Any) -> tuple[Output, ...]:
    """Returns the outputs that are measured, the one that is judged first.

    Several model specs over one model, as configs for TFMA have them, are its outputs: the name is the output.
    """
    specs = specs_of_models(config)
    if len(specs) > 1:
        return tuple(
            Output(spec.name, spec.label_key, spec.prediction_key or spec.name, spec.example_weight_key)
            for spec in specs
        )
    (spec,) = specs or [type(config)().model_specs.add()]
    asked = [name for metrics in config.metrics_specs for name in metrics.output_names]
    names = list(dict.fromkeys([*asked, *sorted(spec.label_keys), *sorted(spec.prediction_keys)]))
    return tuple(
        Output(
            name,
            spec.label_keys.get(name, spec.label_key),
            spec.prediction_keys.get(name, spec.prediction_key or name),
            spec.example_weight_keys.get(name, spec.example_weight_key),
        )
        for name in names or [""]
    )


def specs_of_models(config: Any) -> list[Any]:
    """Returns the model specs that are not the champion's."""
    return [spec for spec in config.model_specs if not spec.is_baseline]


def asked_outputs(config: Any, metrics: Any) -> list[str]:
    """Returns the outputs that a metrics spec names; by several model specs, their names are the outputs'."""
    by_model = [*metrics.model_names] if len(specs_of_models(config)) > 1 else []
    return list(dict.fromkeys([*metrics.output_names, *by_model]))


def unusable(config: Any) -> Iterator[str]:
    """Says why nothing, or not all that is asked for, can be judged by a config."""
    if not any(spec.metrics for spec in config.metrics_specs):
        yield f"metrics_specs names no metrics: {METRICS}"
    found = outputs(config)
    for output in found:
        if not output.label:
            which = f" of the output {output.name}" if output.name else ""
            yield f"model_specs names no label{which}: {LABELS}"
    names = [output.name for output in found]
    for number, metrics in enumerate(config.metrics_specs):
        for name in asked_outputs(config, metrics) if len(found) > 1 else ():
            if name not in names:
                near = nearest(name, names) or f"expected one of {', '.join(names)}"
                yield f"metrics_specs[{number}] names the output {name!r}, which no model_specs have; {near}"


def problems(text: str) -> Iterator[str]:
    """Says everything that is wrong with the text of an EvalConfig."""
    try:
        config = _parsed(text)
    except ValueError as error:
        yield f"this is no EvalConfig in protobuf's text format: {error}"
        return
    yield from unusable(config)
    for place, metric in _metrics(config):
        yield from (f"{place}.{field}{said}" for field, said in metric_names.problems(metric))
    for place, threshold in _thresholds(config):
        yield from (f"{place}{said}" for said in _of_threshold(threshold))
    yield from _unbound(config)


def own_metrics(text: str) -> Iterator[tuple[str, str, str]]:
    """Yields the metrics of modules of one's own: where they are named, the module, and the class."""
    try:
        config = _parsed(text)
    except ValueError:
        return
    for place, metric in _metrics(config):
        if metric.module and metric.class_name:
            yield place, metric.module, metric.class_name


def output_names(text: str) -> list[str]:
    """Returns the names of the outputs that a config measures; none where the text is not one that can be used."""
    try:
        config = _parsed(text)
    except ValueError:
        return []
    return [output.name for output in outputs(config)] if not list(unusable(config)) else []


def beyond_extractors(text: str) -> Iterator[str]:
    """Yields what a config has that rows out of a user's extractors have no equal of."""
    try:
        config = _parsed(text)
    except ValueError:
        return
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        yield "slice_keys_sql"
    if len(specs_of_models(config)) > 1:
        yield "several model_specs that are no baseline"


def parsed(text: str) -> Any:
    """Returns the config that a text holds; None where it holds none."""
    try:
        return _parsed(text)
    except ValueError:
        return None


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Reads a config once for all that is asked of it; nobody changes what is returned."""
    return message_texts.parse(text, message_texts.EVAL_CONFIG)


def _metrics(config: Any) -> Iterator[tuple[str, Any]]:
    for number, spec in enumerate(config.metrics_specs):
        for count, metric in enumerate(spec.metrics):
            yield f"metrics_specs[{number}].metrics[{count}]", metric


def _bound_to_slices(config: Any) -> Iterator[tuple[str, Any]]:
    """Yields what binds a threshold to slices: of a metric, or of metrics by their names."""
    for place, metric in _metrics(config):
        for field in ("per_slice_thresholds", "cross_slice_thresholds"):
            yield from ((f"{place}.{field}[{n}]", each) for n, each in enumerate(getattr(metric, field)))
    for number, spec in enumerate(config.metrics_specs):
        for field in ("per_slice_thresholds", "cross_slice_thresholds"):
            for name, several in sorted(getattr(spec, field).items()):
                place = f"metrics_specs[{number}].{field}[{name}].thresholds"
                yield from ((f"{place}[{n}]", each) for n, each in enumerate(several.thresholds))


def _thresholds(config: Any) -> Iterator[tuple[str, Any]]:
    for place, metric in _metrics(config):
        if metric.HasField("threshold"):
            yield f"{place}.threshold", metric.threshold
    for number, spec in enumerate(config.metrics_specs):
        for name, threshold in sorted(spec.thresholds.items()):
            yield f"metrics_specs[{number}].thresholds[{name}]", threshold
    for place, bound in _bound_to_slices(config):
        yield f"{place}.threshold", bound.threshold


def _of_threshold(threshold: Any) -> Iterator[str]:
    """Says why a threshold holds nothing against a model, or would end in an error of TFMA's."""
    kinds = [kind for kind in _BOUNDS if threshold.HasField(kind)]
    if not kinds:
        yield " holds nothing against a model: expected value_threshold or change_threshold"
    for kind in kinds:
        limit = getattr(threshold, kind)
        given = {name: getattr(limit, name).value for name in _BOUNDS[kind] if limit.HasField(name)}
        if not given:
            yield f".{kind} holds nothing against a model: expected {' or '.join(_BOUNDS[kind])}"
        yield from (f".{kind}.{name} is NaN, which no value reaches" for name in given if math.isnan(given[name]))
        if kind == "change_threshold" and not limit.direction:
            yield f".{kind}.direction is missing: expected HIGHER_IS_BETTER or LOWER_IS_BETTER"
        if kind == "value_threshold" and len(given) == 2 and given["lower_bound"] > given["upper_bound"]:
            low, high = given["lower_bound"], given["upper_bound"]
            yield f".{kind} can never be met: the lower bound {low:g} is above the upper bound {high:g}"


def _unbound(config: Any) -> Iterator[str]:
    """Says which thresholds are bound to slices that nothing makes."""
    for place, bound in _bound_to_slices(config):
        crossed = "cross_slicing_specs" in bound.DESCRIPTOR.fields_by_name
        named = bound.cross_slicing_specs if crossed else bound.slicing_specs
        field, all_rows = ("cross_slicing_specs", "") if crossed else ("slicing_specs", " {} for all rows")
        if not named:
            yield f"{place} is bound to no slice, so it is never looked at: expected {field}{all_rows}"
        made = [*config.cross_slicing_specs] if crossed else [*config.slicing_specs, type(config)().slicing_specs.add()]
        if any(spec.slice_keys_sql for spec in config.slicing_specs):
            continue  # TFMA alone knows what those make
        for spec in named:
            if not any((_crosses if crossed else _meets)(spec, each) for each in made):
                yield f"{place} is bound to {_called(spec, crossed)}, which the config's {field} do not make; add them"


def _meets(wanted: Any, made: Any) -> bool:
    """Whether slices that a spec makes are among those that another spec means."""
    columns = [{*spec.feature_keys, *spec.feature_values} for spec in (wanted, made)]
    both = set(wanted.feature_values) & set(made.feature_values)
    return columns[0] == columns[1] and all(wanted.feature_values[key] == made.feature_values[key] for key in both)


def _crosses(wanted: Any, made: Any) -> bool:
    pairs = itertools.product(wanted.slicing_specs, made.slicing_specs)
    return _meets(wanted.baseline_spec, made.baseline_spec) and any(_meets(*pair) for pair in pairs)


def _called(spec: Any, crossed: bool) -> str:
    if crossed:
        return f"{' and '.join(_called(each, False) for each in spec.slicing_specs)} against " + _called(
            spec.baseline_spec, False
        )
    names: Sequence[str] = [*spec.feature_keys, *(f"{key}={value}" for key, value in spec.feature_values.items())]
    return f"slices of {', '.join(names)}" if names else "all rows"
