"""The search: Keras Tuner's oracle here, its trials here or in a bounded number of processes.

Keras Tuner has a protocol of its own for many machines, a chief that answers over gRPC. It is not used: its chief
waits for ever for a worker that died, and it wants a port. Here the oracle is asked in this process, and a worker that
dies costs one trial.
"""

import dataclasses
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from keras_tuner.src.engine import trial as kt_trial

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, TrainingError
from kfp_ct.components.tune import project, trials
from kfp_ct.components.tune.mirror import Mirror
from kfp_ct.components.tune.settings import Tuning
from kfp_ct.components.tune.suggestions import LocalSuggestions, Suggestions
from kfp_ct.components.tune.trials import Job, Outcome
from kfp_ct.components.tune.worker import Worker

# So many failures in a row, before any trial succeeded, and the rest would fail as well.
MAX_FAILURES = 3
_OWN = "tuner/"  # Hyperband's bookkeeping among the values


@dataclasses.dataclass
class Search:
    """One search.

    Attributes:
        job: What tuner_fn is given.
        tuning: The settings.
        mirror: Folder of the search, and its lasting copy; what is in it already is gone on from.
        suggestions: Where trials come from.
    """

    job: Job
    tuning: Tuning
    mirror: Mirror
    suggestions: Suggestions = dataclasses.field(default_factory=LocalSuggestions)

    def __post_init__(self) -> None:
        self.mirror.fetch()
        self._tuner, self._fit_kwargs = self._resume()
        self._lock = threading.Lock()
        self._notes: dict[str, dict[str, Any]] = {}
        self._failed = 0

    @property
    def oracle(self) -> Any:
        """Keras Tuner's oracle, which knows every trial."""
        return self._tuner.oracle

    def run(self) -> dict[str, Any]:
        """Runs the trials that are left.

        Returns:
            objective, trials (id, status, score, values, seconds, worker, why), best (the id) and values of the best.

        Raises:
            TrainingError: No trial was completed.
        """
        done = sum(trial.status == kt_trial.TrialStatus.COMPLETED for trial in self.oracle.trials.values())
        if done:
            task_log.progress(f"goes on after {done} completed trials")
        if self.tuning.parallel == 1:
            self._run_trials("worker-1", None)
        else:
            names = [f"worker-{number}" for number in range(1, self.tuning.parallel + 1)]
            with ThreadPoolExecutor(self.tuning.parallel) as pool:
                list(pool.map(self._run_in_process, names))
        return self._report()

    def _resume(self) -> tuple[Any, dict[str, Any]]:
        """Makes the tuner; an earlier run's state that was cut off in the middle of a write is given up."""
        try:
            tuner, fit_kwargs = trials.make_tuner(self.job, str(self.mirror.folder))
        except ConfigurationError as error:
            if not isinstance(error.__cause__, json.JSONDecodeError):
                raise
            task_log.progress("the state of the earlier search is damaged: starts over")
            self.mirror.remove()
            tuner, fit_kwargs = trials.make_tuner(self.job, str(self.mirror.folder))
        oracle = tuner.oracle
        name = oracle.objective.name
        if self.tuning.objective and name != self.tuning.objective:
            raise ConfigurationError(
                f"the tuner's objective is {name}, tuning.objective is {self.tuning.objective}\n"
                "fix: make them agree, or let tuner_fn take it from fn_args.custom_config['tuning']"
            )
        if self.tuning.trials:
            oracle.max_trials = self.tuning.trials
        # Keras Tuner would raise with its lock held; `MAX_FAILURES` is ours.
        oracle.max_consecutive_failed_trials = sys.maxsize
        oracle.verbose = 0
        project.save_atomically(tuner)
        project.repair(oracle)
        self.suggestions.attach(oracle)
        tuner.save()
        return tuner, fit_kwargs

    def _run_in_process(self, name: str) -> None:
        worker = Worker(self.job)
        try:
            while self._run_trials(name, worker) is not None:
                task_log.progress(f"{name} stopped unexpectedly (exit code {worker.close()})")
                worker = Worker(self.job)
        finally:
            worker.close()

    def _run_trials(self, name: str, worker: Worker | None) -> str | None:
        """Takes trials until there are none; returns the id of a trial that its process did not survive."""
        while (trial := self._next_trial(name)) is not None:
            started = time.monotonic()
            if worker is None:
                outcome = trials.run(self._tuner, self._fit_kwargs, trial)
            else:
                answer = worker.run((str(self._tuner.directory), self._tuner.project_name), trial)
                outcome = answer or Outcome(error="its process stopped unexpectedly")
            self._end_trial(trial, outcome, {"worker": name, "seconds": time.monotonic() - started})
            if worker is not None and answer is None:
                return trial.trial_id
        return None

    def _next_trial(self, name: str) -> Any:
        """Returns the next trial; None if there are no more, or no hope."""
        while True:
            with self._lock:
                if self._failed >= MAX_FAILURES:
                    return None
                trial = self.oracle.create_trial(name)
                self._tuner.save()
                self.mirror.publish()
            if trial.status == kt_trial.TrialStatus.STOPPED:
                return None
            if trial.status != kt_trial.TrialStatus.IDLE:
                return trial
            time.sleep(0.2)  # the oracle waits for the trials under way

    def _end_trial(self, trial: Any, outcome: Outcome, note: dict[str, Any]) -> None:
        with self._lock:
            self._notes[trial.trial_id] = note
            if outcome.error:
                trial.status, trial.message = kt_trial.TrialStatus.FAILED, outcome.error
            else:
                trial.status = kt_trial.TrialStatus.COMPLETED
                trial.hyperparameters = type(trial.hyperparameters).from_config(outcome.hyperparameters)
                self.oracle.update_trial(trial.trial_id, outcome.metrics, step=outcome.step)
            self._tuner.on_trial_end(trial)
            self.suggestions.ended(self.oracle.trials[trial.trial_id])
            self.mirror.publish()
            completed = any(each.status == kt_trial.TrialStatus.COMPLETED for each in self.oracle.trials.values())
            self._failed = 0 if completed else self._failed + 1
            self._log_trial(trial.trial_id)

    def _log_trial(self, trial_id: str) -> None:
        trial = self.oracle.trials[trial_id]
        of = f"/{self.oracle.max_trials}" if self.oracle.max_trials else ""
        ended = f"trial {len(self.oracle.end_order)}{of}"
        if trial.status == kt_trial.TrialStatus.COMPLETED:
            best = self.oracle.get_best_trials(1)[0].score
            task_log.progress(f"{ended}: {self.oracle.objective.name} {trial.score:.4f}, best {best:.4f}")
        else:
            task_log.progress(f"{ended} failed: {trial.message}")

    def _report(self) -> dict[str, Any]:
        tried = sorted(self.oracle.trials.values(), key=lambda trial: trial.trial_id)
        completed = [trial for trial in tried if trial.status == kt_trial.TrialStatus.COMPLETED]
        if not completed:
            reasons = list(dict.fromkeys(trial.message for trial in tried if trial.message))
            raise TrainingError(
                "\n".join([f"no trial of {len(tried)} was completed", *(f"- {reason}" for reason in reasons[:5])])
                + f"\nfix: correct tuner_fn of {self.job.module}, or the ranges it searches"
            )
        best = self.oracle.get_best_trials(1)[0]
        return {
            "objective": self.oracle.objective.name,
            "direction": self.oracle.objective.direction,
            "trials": [self._trial_record(trial) for trial in tried],
            "best": best.trial_id,
            "values": _values(best),
        }

    def _trial_record(self, trial: Any) -> dict[str, Any]:
        note = self._notes.get(trial.trial_id, {})
        return {
            "id": trial.trial_id,
            "status": str(trial.status),
            "score": trial.score if trial.status == kt_trial.TrialStatus.COMPLETED else None,
            "values": _values(trial),
            "seconds": note.get("seconds"),
            "worker": note.get("worker"),
            "why": trial.message or "",
        }


def _values(trial: Any) -> dict[str, Any]:
    return {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith(_OWN)}
