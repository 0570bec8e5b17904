"""Where a search's trials come from, and who hears how they ended: Keras Tuner's oracle, Vertex AI Vizier or Katib.

With a service the oracle keeps the trials as ever; only the values are the service's. Vizier's study lasts, Katib's
services remember nothing that they are not told. What a trial is called there stands among its values, as Hyperband's
bookkeeping does, so that a search that goes on knows it.
"""

import json
import math
from typing import Any, Protocol

from keras_tuner.src.engine import trial as kt_trial

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.tune import katib, katib_messages, search_space
from kfp_ct.components.tune.katib import KatibTrial, Service
from kfp_ct.components.tune.vizier import SUCCEEDED, Goal, Study, VizierTrial

NAME, ASSIGNED = "tuner/vizier", "tuner/katib"


class Suggestions(Protocol):
    """Where trials come from."""

    def attach(self, oracle: Any) -> None:
        """Lets an oracle take its trials from here; what an earlier search left is gone on from."""

    def ended(self, trial: Any) -> None:
        """Hears how a trial ended."""


class LocalSuggestions:
    """The oracle's own: random, grid, Bayesian or Hyperband, as tuner_fn chose."""

    def attach(self, oracle: Any) -> None:
        """Leaves the oracle as it is."""

    def ended(self, trial: Any) -> None:
        """Leaves it to the oracle."""


class VizierSuggestions:
    """Those of a study of Vertex AI Vizier."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._parameters: list[search_space.Parameter] = []
        self._waiting: list[VizierTrial] = []

    def attach(self, oracle: Any) -> None:
        """Opens the study: its ended trials are the oracle's, its open ones are run before new ones are asked for."""
        _require_limit(oracle, "tuning.vizier")
        self._parameters = search_space.parameters(oracle.hyperparameters.space)
        goal = Goal(oracle.objective.name, oracle.objective.direction == "max")
        known = {each.hyperparameters.values.get(NAME): each for each in oracle.trials.values()}
        for found in self._study.open(goal, self._parameters):
            mine = known.get(found.name)
            if mine is None and found.is_open:
                self._waiting.append(found)
            elif mine is None:
                self._adopt(oracle, found)
            elif found.is_open and mine.status in (kt_trial.TrialStatus.COMPLETED, kt_trial.TrialStatus.FAILED):
                self.ended(mine)  # the search was stopped before Vizier heard of it
        oracle.populate_space = self._populate

    def ended(self, trial: Any) -> None:
        """Completes the trial there."""
        score = trial.score if trial.status == kt_trial.TrialStatus.COMPLETED else None
        finite = score if score is not None and math.isfinite(score) else None
        self._study.complete(trial.hyperparameters.values[NAME], finite, trial.message or "")

    def _populate(self, trial_id: str) -> dict[str, Any]:
        found = self._waiting.pop(0) if self._waiting else self._study.suggest(f"trial-{trial_id}")
        if found is None:
            return {"status": kt_trial.TrialStatus.STOPPED}
        return {"status": kt_trial.TrialStatus.RUNNING, "values": self._values(found)}

    def _values(self, found: VizierTrial) -> dict[str, Any]:
        values = {each.name: each.value(found.values[each.name]) for each in self._parameters}
        return {**values, NAME: found.name}

    def _adopt(self, oracle: Any, found: VizierTrial) -> None:
        """Gives the oracle a trial that ended before this search began."""
        trial_id = f"{len(oracle.trials):0{len(str(oracle.max_trials))}d}"
        hyperparameters = oracle.hyperparameters.copy()
        hyperparameters.values = self._values(found)
        trial = kt_trial.Trial(hyperparameters, trial_id=trial_id, status=kt_trial.TrialStatus.RUNNING)
        oracle.trials[trial_id] = trial
        oracle.start_order.append(trial_id)
        if found.state == SUCCEEDED and found.score is not None:
            oracle.update_trial(trial_id, {oracle.objective.name: found.score})
            trial.status = kt_trial.TrialStatus.COMPLETED
        else:
            trial.status, trial.message = kt_trial.TrialStatus.FAILED, found.why or "infeasible"
        oracle.end_trial(trial)
        task_log.progress(f"{found.name} ended before: {trial.status}")


class KatibSuggestions:
    """Those of a suggestion service of Katib's, which is told of all trials with each request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parameters: list[search_space.Parameter] = []
        self._oracle: Any = None

    def attach(self, oracle: Any) -> None:
        """Describes the experiment; trials of an earlier search are told to the service by their own texts."""
        _require_limit(oracle, "tuning.katib")
        self._oracle = oracle
        self._parameters = search_space.parameters(oracle.hyperparameters.space, search_space.KATIB)
        goal = katib.Goal(oracle.objective.name, oracle.objective.direction == "max", oracle.max_trials)
        self._service.open(goal, self._parameters)
        oracle.populate_space = self._populate

    def ended(self, trial: Any) -> None:
        """Leaves it to the next request."""

    def _populate(self, trial_id: str) -> dict[str, Any]:
        known = (self._known(trial) for trial in self._oracle.trials.values())
        found = self._service.suggest([each for each in known if each])
        if found is None:
            return {"status": kt_trial.TrialStatus.STOPPED}
        values = {each.name: each.value(found.assignments[each.name]) for each in self._parameters}
        texts = json.dumps({"name": found.name, "assignments": found.assignments, "labels": found.labels})
        return {"status": kt_trial.TrialStatus.RUNNING, "values": {**values, ASSIGNED: texts}}

    def _known(self, trial: Any) -> KatibTrial | None:
        texts = trial.hyperparameters.values.get(ASSIGNED)
        if texts is None:
            return None
        score = trial.score if trial.status == kt_trial.TrialStatus.COMPLETED else None
        if score is not None and math.isfinite(score):
            return KatibTrial(**json.loads(texts), condition=katib_messages.SUCCEEDED, score=score)
        is_open = trial.status == kt_trial.TrialStatus.RUNNING
        return KatibTrial(**json.loads(texts), condition=katib_messages.RUNNING if is_open else katib_messages.FAILED)


def _require_limit(oracle: Any, setting: str) -> None:
    if not oracle.max_trials:
        raise ConfigurationError(
            f"{setting} is set, and neither tuning.trials nor the tuner says how many trials to run\n"
            "fix: set tuning.trials"
        )
