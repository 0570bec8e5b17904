"""KFP interface of the train component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def train(
    examples: dsl.Input[dsl.Dataset],
    transform_graph: dsl.Input[dsl.Artifact],
    transformed_examples: dsl.Input[dsl.Dataset],
    schema: dsl.Input[dsl.Artifact],
    base_model: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    model_run: dsl.Output[dsl.Artifact],
    module: str,
    hyperparameters: dict = {},
    checkpoints: str = "",
    distribution: str = "",
    warm_up_rows: int = 32,
    warm_up_log: str = "",
) -> None:
    """Trains a model with the user's run_fn.

    Args:
        examples: Dataset with a manifest; raw, the transform graph is applied as it is read.
        transform_graph: Output of transform.
        transformed_examples: Output of transform; its TFRecord files, if it has any, are read in place of the raw rows.
        schema: schema.pbtxt.
        base_model: Model to start from; a folder without a SavedModel means from scratch.
        model: SavedModel under Format-Serving/; the schema and manifest it was trained by under Training/.
        model_run: TensorBoard logs, and summary.json with the loss and metrics of every epoch.
        module: Import path or file with TFX's `run_fn(fn_args)`.
        hyperparameters: Passed to run_fn as fn_args.hyperparameters and fn_args.custom_config; train_steps and
            eval_steps are passed under their own names.
        checkpoints: Folder, s3:// or gs:// that outlives a killed run; empty trains without resume.
        distribution: tf.distribute strategy: mirrored or multi_worker_mirrored; empty for none.
        warm_up_rows: So many rows of the eval split go into the model as requests that services, ours and TensorFlow
            Serving, answer before they are ready (assets.extra/tf_serving_warmup_requests); 0 for none.
        warm_up_log: Folder, s3:// or gs:// of the model's requests in the log of the prediction service
            (`--request-log` FOLDER: FOLDER/MODEL): its newest rows are taken in place of the eval split's, as far as
            signatures answer them. What clients sent is then in the model. Empty for none.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.train import work

    with reported():
        request = work.TrainingRequest(
            examples.path, transform_graph.path, f"{schema.path}/schema.pbtxt", base_model.path, module,
            hyperparameters, checkpoints, distribution, warm_up_rows, transformed_examples.path,
            warm_up_log,
        )  # fmt: skip
        model.metadata.update(work.train(request, model.path, model_run.path))
