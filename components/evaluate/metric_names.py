"""The metrics of TFMA and Keras that an EvalConfig may name, known without TensorFlow."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.base.setting_problems import nearest, shown

# What infra/evaluation_names.py writes: class name to the settings that it takes (null: any) and needs.
KNOWN = Path(__file__).with_name("metric_names.json")


@functools.cache
def known() -> dict[str, dict[str, Any]]:
    """Returns what is known of each class."""
    return dict(json.loads(KNOWN.read_text()))


def problems(metric: Any) -> Iterator[tuple[str, str]]:
    """Says what is wrong with an EvalConfig's metric: the field to blame, and words that go on after its name.

    A metric of a module of one's own is not looked at: what it takes is said by that module.
    """
    if metric.module:
        return
    if metric.class_name not in known():
        near = nearest(metric.class_name, list(known()))
        own = "expected the class of a metric of TFMA or Keras, or one of your own with its module"
        said = f" is {shown(metric.class_name)}: {own}" if metric.class_name else f" is missing: {own}"
        yield "class_name", said + (f"; {near}" if near else "")
        return
    try:
        given = _settings(metric.config)
    except ValueError as error:
        yield "config", f" is {shown(metric.config)}: expected JSON such as '\"num_thresholds\": 100' ({error})"
        return
    yield from _misfits(metric.class_name, given)


def _settings(config: str) -> dict[str, Any]:
    # TFMA takes an object with its braces, or without them.
    text = config if config.startswith("{") or not config else f"{{{config}}}"
    return dict(json.loads(text)) if text else {}


def _misfits(class_name: str, given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    takes, needs = known()[class_name]["takes"], known()[class_name]["needs"]
    for setting in sorted(set(given) - set(takes)) if takes is not None else ():
        near = nearest(setting, takes) or f"expected some of {', '.join(takes)}"
        yield "config", f": {class_name} takes no {setting}; {near}"
    for setting in sorted(set(needs) - set(given)):
        yield "config", f": {class_name} needs {setting}, which is not given"
