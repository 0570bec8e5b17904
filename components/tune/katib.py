"""A suggestion service of Katib's over gRPC: asked for the next values, and told of the trials so far.

A service keeps the trials of one experiment in memory, knows a trial by the texts of its values, and hears of all of
them with each request: so texts go back as they came, and an answer that was lost may cost one suggestion, no trial.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.tune import katib_messages as messages
from kfp_ct.components.tune.search_space import Parameter
from kfp_ct.components.tune.settings import Katib


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a service that is away is asked again, in seconds."""

    first: float = 1.0
    most: float = 30.0
    whole: float = 300.0


@dataclasses.dataclass(frozen=True)
class Goal:
    """The metric, whether more of it is better, and how many trials there are to be."""

    metric: str
    maximize: bool
    trials: int


@dataclasses.dataclass(frozen=True)
class KatibTrial:
    """A trial as the service knows it.

    Attributes:
        name: Its name.
        assignments: The values' texts, as the service gave them.
        labels: What the service said of it, for itself.
        condition: How far it has come, by Katib's number.
        score: The metric, if it succeeded.
    """

    name: str
    assignments: Mapping[str, str]
    labels: Mapping[str, str]
    condition: int = messages.RUNNING
    score: float | None = None


class Service:
    """A suggestion service of one experiment."""

    def __init__(self, settings: Katib, name: str, patience: Patience | None = None) -> None:
        """Prepares; nothing is sent.

        Args:
            settings: Where it listens, and the algorithm.
            name: The experiment's name.
            patience: How long to ask again.
        """
        import grpc

        self._settings, self._patience = settings, patience or Patience()
        self._messages = messages.classes()
        self._channel = grpc.insecure_channel(settings.endpoint)
        self._experiment: Any = self._messages["Experiment"](name=name)

    def open(self, goal: Goal, parameters: Sequence[Parameter]) -> None:
        """Describes the experiment, and asks whether the algorithm takes it.

        Raises:
            ComponentError: The service refuses, or does not answer.
        """
        spec = self._experiment.spec
        spec.objective.type = messages.MAXIMIZE if goal.maximize else messages.MINIMIZE
        spec.objective.objective_metric_name = goal.metric
        spec.algorithm.algorithm_name = self._settings.algorithm
        for name, value in self._settings.algorithm_settings.items():
            spec.algorithm.algorithm_settings.add(name=name, value=value)
        spec.max_trial_count, spec.parallel_trial_count = goal.trials, 1
        for each in parameters:
            _describe(spec.parameter_specs.parameters.add(), each)
        request = self._messages["ValidateAlgorithmSettingsRequest"](experiment=self._experiment)
        self._ask(messages.VALIDATE, request, "ValidateAlgorithmSettingsReply")

    def suggest(self, trials: Sequence[KatibTrial]) -> KatibTrial | None:
        """Returns the next trial; None if the algorithm has no more.

        Args:
            trials: All trials that the service suggested before.

        Raises:
            ComponentError: The service refuses, or does not answer.
        """
        request = self._messages["GetSuggestionsRequest"](
            experiment=self._experiment, current_request_number=1, total_request_number=len(trials) + 1
        )
        for trial in trials:
            self._add(request.trials.add(), trial)
        found = self._ask(messages.SUGGEST, request, "GetSuggestionsReply").parameter_assignments
        if not found:
            return None
        assignments = {each.name: each.value for each in found[0].assignments}
        labels = {each.key: each.value for each in found[0].labels}
        return KatibTrial(found[0].trial_name or f"{self._experiment.name}-{len(trials)}", assignments, labels)

    def _add(self, message: Any, trial: KatibTrial) -> None:
        message.name = trial.name
        message.spec.objective.CopyFrom(self._experiment.spec.objective)
        for name, value in trial.assignments.items():
            message.spec.parameter_assignments.assignments.add(name=name, value=value)
        for key, value in trial.labels.items():
            message.spec.labels.add(key=key, value=value)
        message.status.condition = trial.condition
        if trial.score is not None:
            metric = self._experiment.spec.objective.objective_metric_name
            message.status.observation.metrics.add(name=metric, value=repr(trial.score))

    def _ask(self, method: str, request: Any, reply: str) -> Any:
        """Asks again while the service is away; that it does not check settings is no refusal."""
        import grpc

        call = self._channel.unary_unary(
            method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=self._messages[reply].FromString,
        )
        pause, end = self._patience.first, time.monotonic() + self._patience.whole
        while True:
            try:
                return call(request, timeout=max(1.0, self._patience.most))
            except grpc.RpcError as error:
                code = error.code()
                if code == grpc.StatusCode.UNIMPLEMENTED and method == messages.VALIDATE:
                    return None
                if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise self._refused(error) from error
                if time.monotonic() + pause > end:
                    raise self._away(error) from error
            task_log.progress(f"Katib's suggestion service at {self._settings.endpoint} is away; it is asked again")
            time.sleep(pause)
            pause = min(2 * pause, self._patience.most)

    def _refused(self, error: Any) -> ComponentError:
        return ConfigurationError(
            f"Katib's suggestion service at {self._settings.endpoint} refuses: {error.code().name}: "
            f"{(error.details() or '')[:300]}\n"
            f"expected: a service of this search alone, whose algorithm is {self._settings.algorithm}\n"
            "fix: correct tuning.katib; restart the service if it has served another search, and run again without "
            "checkpoints if it was restarted in the middle of this one"
        )

    def _away(self, error: Any) -> ComponentError:
        return ComponentError(
            f"Katib's suggestion service at {self._settings.endpoint} does not answer: {error.code().name}\n"
            "expected: a service that listens there\nfix: see whether it runs; then run again"
        )


def _describe(message: Any, parameter: Parameter) -> None:
    """Fills in a parameter from Vizier's words for it, which hold all that Katib's do."""
    spec, space = parameter.spec, message.feasible_space
    message.name = parameter.name
    if parameter.values:
        message.parameter_type = messages.CATEGORICAL if "categoricalValueSpec" in spec else messages.DISCRETE
        space.list.extend(parameter.texts)
        return
    bounds = spec.get("integerValueSpec") or spec["doubleValueSpec"]
    message.parameter_type = messages.INT if parameter.kind is int else messages.DOUBLE
    space.min, space.max = (str(bounds[name]) for name in ("minValue", "maxValue"))
    space.distribution = messages.LOG_UNIFORM if "LOG" in spec.get("scaleType", "") else messages.UNIFORM
