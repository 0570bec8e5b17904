"""Settings that more than one component takes: Beam's options, and what is ours of the hyperparameters."""

import math

from pydantic import ConfigDict, Field

from kfp_ct.base.settings import Count, Settings, Texts

# What is said of training to this library, and no hyperparameter of a module.
OWN_NAMES = ("train_steps", "eval_steps", "fit_callbacks")
# Batch size that steps are counted in where the hyperparameters name none; TFX's examples use it.
DEFAULT_BATCH_SIZE = 40
BeamArguments = Texts


class Hyperparameters(Settings):
    """What the user's module is given; all but these names are the module's own business."""

    model_config = ConfigDict(extra="allow")

    batch_size: Count | None = Field(None, description="Rows per step; the steps of one pass are counted by it.")
    train_steps: Count | None = Field(None, description="Steps to train for; null: one pass over the train split.")
    eval_steps: Count | None = Field(None, description="Steps to evaluate for; null: one pass over the eval split.")
    fit_callbacks: bool = Field(
        True,
        description="Whether Model.fit of a module that passes none of fn_args.callbacks gets them: progress, curves, "
        "a stop on NaN and, with checkpoints, going on where a killed run stopped.",
    )

    def steps(self, asked: int | None, rows: int) -> int:
        """Returns the steps asked for, else those of one pass over rows: a dataset may repeat for ever."""
        return asked or math.ceil(rows / (self.batch_size or DEFAULT_BATCH_SIZE))
