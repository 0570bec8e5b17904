"""Where a search's trials come from, and who hears how they ended: Keras Tuner's oracle itself, or Vertex AI Vizier.

With Vizier the oracle keeps the trials as ever; only the values are Vizier's, whose study is what lasts. A trial's name
there stands among its values, as Hyperband's bookkeeping does, so that a search that goes on knows it.
"""

import math
from typing import Any, Protocol

from keras_tuner.src.engine import trial as kt_trial

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.tune import vizier_space
from kfp_ct.components.tune.vizier import SUCCEEDED, Goal, Study, VizierTrial

NAME = "tuner/vizier"


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
        self._parameters: list[vizier_space.Parameter] = []
        self._waiting: list[VizierTrial] = []

    def attach(self, oracle: Any) -> None:
        """Opens the study: its ended trials are the oracle's, its open ones are run before new ones are asked for."""
        if not oracle.max_trials:
            raise ConfigurationError(
                "tuning.vizier is set, and neither tuning.trials nor the tuner says how many trials to run\n"
                "fix: set tuning.trials"
            )
        self._parameters = vizier_space.parameters(oracle.hyperparameters.space)
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
