"""One trial: the user's tuner builds, fits and scores a model with one set of values."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from keras_tuner.src.engine import trial as kt_trial
from keras_tuner.src.engine import tuner_utils

from kfp_ct.base import exception_texts, secrets, setting_problems
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data import batches, user_code
from kfp_ct.data.fn_args import DataAccessor, FnArgs
from kfp_ct.data.settings import OWN_NAMES, Hyperparameters
from kfp_ct.data.training_data import Reader


@dataclasses.dataclass(frozen=True)
class Job:
    """What every process of a search needs to build the user's tuner.

    Attributes:
        graph_path: Folder of the transform graph.
        schema_file: The schema.pbtxt.
        module: The user's module.
        train_files: Rows to fit.
        eval_files: Rows to score by.
        train_rows: How many to fit.
        eval_rows: How many to score by.
        hyperparameters: What fn_args.hyperparameters holds.
        tuning: What fn_args.custom_config["tuning"] holds beside them.
    """

    graph_path: str
    schema_file: str
    module: str
    train_files: list[str]
    eval_files: list[str]
    train_rows: int
    eval_rows: int
    hyperparameters: dict[str, Any]
    tuning: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a trial: metrics, the epoch they are of, the space as it is now; or why it failed."""

    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    step: int = 0
    hyperparameters: dict[str, Any] | None = None
    error: str = ""


def make_tuner(job: Job, working_dir: str) -> tuple[Any, dict[str, Any]]:
    """Calls tuner_fn; returns its tuner and the arguments of `fit`.

    Raises:
        ConfigurationError: tuner_fn is not there, or returns something else.
    """
    tuner_fn = user_code.load_function(job.module, "tuner_fn")
    fn_args = _fn_args(job, working_dir)
    with user_code.failing_as(ConfigurationError, job.module, "tuner_fn"):
        made = tuner_fn(fn_args)
    tuner, fit_kwargs = getattr(made, "tuner", None), getattr(made, "fit_kwargs", None)
    if not hasattr(tuner, "oracle") or not isinstance(fit_kwargs, dict):
        raise ConfigurationError(
            f"tuner_fn of {job.module} returned {type(made).__name__}\n"
            "expected: TFX's TunerFnResult(tuner, fit_kwargs), or any object with a Keras Tuner as `.tuner` and a dict "
            "as `.fit_kwargs`"
        )
    return tuner, {"verbose": 0, **fit_kwargs}


def run(tuner: Any, fit_kwargs: dict[str, Any], trial: Any) -> Outcome:
    """Runs a trial; whatever goes wrong in the user's model is the trial's failure, not the search's."""
    try:
        results = tuner.run_trial(trial, **fit_kwargs)
        objective = tuner.oracle.objective
        tuner_utils.validate_trial_results(results, objective, "run_trial")
        metrics = tuner_utils.convert_to_metrics_dict(results, objective)
        step = tuner_utils.get_best_step(results, objective)
        # A multi-objective's value is no metric of its own.
        score = float(metrics.get(objective.name, 0.0))
    except ComponentError as error:
        return Outcome(error=str(error).partition("\n")[0])
    except Exception as error:
        return Outcome(error=exception_texts.described(error))
    if not math.isfinite(score):
        return Outcome(error=f"{objective.name} is {score}")
    finite = {name: float(value) for name, value in metrics.items()}
    return Outcome(finite, int(step or 0), trial.hyperparameters.get_config())


def adopt(tuner: Any, project: tuple[str, str], state: dict[str, Any]) -> Any:
    """Makes the tuner of another process work in the search's own project; returns the trial to run."""
    tuner.directory, tuner.project_name = project
    tuner.oracle._set_project_dir(*project)
    trial = kt_trial.Trial.from_state(state)
    tuner.oracle.trials[trial.trial_id] = trial
    # Hyperband goes on from an earlier trial's weights.
    earlier = trial.hyperparameters.values.get("tuner/trial_id")
    if earlier:
        file = Path(project[0]) / project[1] / f"trial_{earlier}" / "trial.json"
        tuner.oracle.trials[earlier] = kt_trial.Trial.load(str(file))
    return trial


def _fn_args(job: Job, working_dir: str) -> FnArgs:
    reader = Reader(batches.read_schema(job.schema_file), job.graph_path)
    ours = setting_problems.read(Hyperparameters, job.hyperparameters, "hyperparameters")
    return FnArgs(
        working_dir=working_dir,
        train_files=job.train_files,
        eval_files=job.eval_files,
        train_steps=ours.steps(ours.train_steps, job.train_rows),
        eval_steps=ours.steps(ours.eval_steps, job.eval_rows),
        schema_path=job.schema_file,
        transform_graph_path=job.graph_path,
        data_accessor=DataAccessor(reader.dataset, reader.record_batches),
        serving_model_dir="",
        eval_model_dir="",
        model_run_dir="",
        base_model=None,
        hyperparameters=secrets.resolve(
            {name: value for name, value in job.hyperparameters.items() if name not in OWN_NAMES}
        ),
        custom_config={**secrets.resolve(job.hyperparameters), "tuning": dict(job.tuning)},
        callbacks=[],
    )
