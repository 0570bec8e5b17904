"""Keras Tuner's search space as services that suggest have it, and their values as Keras Tuner's.

Conditional parameters are suggested in every trial; Keras Tuner takes those that are active in it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kfp_ct.base.errors import ConfigurationError

VIZIER, KATIB = "Vertex AI Vizier", "Katib"
_SETTINGS = {VIZIER: "tuning.vizier", KATIB: "tuning.katib"}
_SCALES = {"linear": "UNIT_LINEAR_SCALE", "log": "UNIT_LOG_SCALE", "reverse_log": "UNIT_REVERSE_LOG_SCALE"}
# Values that a stepped range may have; Vizier's own limit of a list.
_MOST_VALUES = 1_000


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: Its name, in both.
        spec: Fields of Vizier's ParameterSpec, as its JSON has them.
        values: The values that it may have; empty for those of a range.
        kind: What a number of a range is turned into.
    """

    name: str
    spec: Mapping[str, Any]
    values: Sequence[Any] = ()
    kind: type = float

    @property
    def texts(self) -> list[str]:
        """The values as texts."""
        return [_text(each) for each in self.values]

    def value(self, suggested: Any) -> Any:
        """Returns a suggested value, or its text, as Keras Tuner has it.

        Raises:
            ConfigurationError: It is none of the parameter's.
        """
        if not self.values:
            number = float(suggested)
            return round(number) if self.kind is int else number
        if isinstance(suggested, str):
            found = [each for each in self.values if _text(each) == suggested]
        else:
            found = [each for each in self.values if abs(float(each) - suggested) <= 1e-9 * max(1.0, abs(suggested))]
        if not found:
            raise ConfigurationError(
                f"{suggested!r} is suggested for {self.name}\nexpected: one of {', '.join(map(str, self.values))}\n"
                "fix: the study or service is of another search; name a new one in tuning"
            )
        return found[0]


def parameters(space: Iterable[Any], service: str = VIZIER) -> list[Parameter]:
    """Returns the parameters of a search space; fixed ones are not searched.

    Args:
        space: Keras Tuner's.
        service: Who suggests.

    Raises:
        ConfigurationError: A parameter has no equal in the service; names it.
    """
    try:
        return _parameters(space, service)
    except _NoEqualError as error:
        name, what, expected = error.args
        raise ConfigurationError(
            f"the hyperparameter {name!r} {what}, which {service} has no equal of\nexpected: {expected}\n"
            f"fix: change tuner_fn, or leave {_SETTINGS[service]} out"
        ) from error


class _NoEqualError(Exception):
    """A parameter that services do not have: its name, what is so of it, what is expected."""


def _parameters(space: Iterable[Any], service: str) -> list[Parameter]:
    found: dict[str, Parameter] = {}
    for each in space:
        kind = type(each).__name__
        if kind == "Fixed":
            continue
        if kind not in _KINDS:
            raise _NoEqualError(each.name, f"is a {kind}", "Int, Float, Choice or Boolean")
        if each.name.split() != [each.name]:
            raise _NoEqualError(each.name, "has a space in its name", "a name without")
        made = _KINDS[kind](each)
        if service == KATIB and "REVERSE" in made.spec.get("scaleType", ""):
            raise _NoEqualError(each.name, "is sampled by reverse_log", "linear or log")
        if found.setdefault(each.name, made) != made:
            raise _NoEqualError(each.name, "stands twice in the space, with other values", "one range or list a name")
    return list(found.values())


def _range(each: Any, kind: type, spec: str) -> Parameter:
    if each.step is not None and (each.sampling != "linear" or kind is float or each.step != 1):
        return _numbers(each.name, _stepped(each, kind), each.sampling)
    bounds = {"minValue": str(each.min_value) if kind is int else each.min_value,
              "maxValue": str(each.max_value) if kind is int else each.max_value}  # fmt: skip
    return Parameter(each.name, {spec: bounds, "scaleType": _SCALES[each.sampling]}, kind=kind)


def _stepped(each: Any, kind: type) -> list[Any]:
    found, value = [], each.min_value
    slack = 1e-9 * abs(each.max_value)
    while value <= each.max_value + slack:
        found.append(kind(value))
        if len(found) > _MOST_VALUES:
            raise _NoEqualError(each.name, f"has more than {_MOST_VALUES:,} steps", "fewer, or no step")
        number = len(found)
        value = each.min_value + number * each.step if each.sampling == "linear" else each.min_value * each.step**number
    return found


def _numbers(name: str, values: Sequence[Any], sampling: str = "linear") -> Parameter:
    ordered = sorted(set(values))
    spec = {"discreteValueSpec": {"values": [float(each) for each in ordered]}, "scaleType": _SCALES[sampling]}
    return Parameter(name, spec, ordered)


def _named(name: str, values: Sequence[Any]) -> Parameter:
    unique = list(dict.fromkeys(values))
    return Parameter(name, {"categoricalValueSpec": {"values": [_text(each) for each in unique]}}, unique)


def _choice(each: Any) -> Parameter:
    named = any(isinstance(value, str | bool) for value in each.values)
    return _named(each.name, each.values) if named else _numbers(each.name, each.values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


_KINDS: dict[str, Callable[[Any], Parameter]] = {
    "Int": lambda each: _range(each, int, "integerValueSpec"),
    "Float": lambda each: _range(each, float, "doubleValueSpec"),
    "Choice": _choice,
    "Boolean": lambda each: _named(each.name, [False, True]),
}
