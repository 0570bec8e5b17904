"""KFP interface of the tune component."""

from typing import NamedTuple

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def tune(
    examples: dsl.Input[dsl.Dataset],
    transform_graph: dsl.Input[dsl.Artifact],
    schema: dsl.Input[dsl.Artifact],
    trials: dsl.Output[dsl.Artifact],
    view: dsl.Output[dsl.HTML],
    module: str,
    hyperparameters: dict = {},
    tuning: dict = {},
    checkpoints: str = "",
) -> NamedTuple("Outputs", [("hyperparameters", dict)]):
    """Searches hyperparameters with the user's tuner_fn, or hands them on as they are.

    Args:
        examples: Dataset with a manifest; only its train split is looked at.
        transform_graph: Output of transform.
        schema: schema.pbtxt.
        trials: summary.json with every trial: its values, its score, why it failed.
        view: The trials as a page.
        module: Import path or file with TFX's `tuner_fn(fn_args)`; its result has `.tuner` and `.fit_kwargs`.
        hyperparameters: What the settings say; it wins over what is found.
        tuning: Empty does not tune. Else trials, parallel (processes), epochs, rows and objective.
        checkpoints: Folder, s3:// or gs:// URI that outlives a killed run; empty searches without resume.

    Returns:
        hyperparameters: The best trial's values under those given.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.tune import work

    with reported():
        request = work.TuningRequest(
            examples.path, transform_graph.path, f"{schema.path}/schema.pbtxt", module, hyperparameters, tuning,
            checkpoints,
        )  # fmt: skip
        return (work.tune(request, work.Outputs(trials.path, view.path)),)
