"""KFP interface of the transform component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def transform(
    examples: dsl.Input[dsl.Dataset],
    schema: dsl.Input[dsl.Artifact],
    transform_graph: dsl.Output[dsl.Artifact],
    transformed_examples: dsl.Output[dsl.Dataset],
    module: str,
    materialize: bool = False,
    options: dict = {},
    materialize_format: str = "parquet",
    beam_pipeline_args: list = [],
) -> None:
    """Runs the user's preprocessing_fn over the train split with TensorFlow Transform.

    Args:
        examples: Dataset with a manifest.
        schema: schema.pbtxt.
        transform_graph: TFT's transform_fn/ and transformed_metadata/, the same graph for training and serving; with
            statistics, pre_transform_feature_stats/ and post_transform_feature_stats/.
        transformed_examples: The transformed rows if materialised, else an empty dataset.
        module: Import path or file with `preprocessing_fn(inputs)`.
        materialize: Write the transformed rows; otherwise the trainer applies the graph as it reads.
        options: custom_config, analyze and statistics, as TFX's Transform has them.
        materialize_format: parquet; or tfrecord, gzipped tf.Examples, which then are fn_args.train_files and
            eval_files, as TFX's Trainer has them: for modules that call tf.data's make_batched_features_dataset.
        beam_pipeline_args: Beam options (runner, project, …); empty runs on this machine.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.transform import work

    with reported():
        request = work.TransformRequest(
            examples.path,
            f"{schema.path}/schema.pbtxt",
            module,
            beam_pipeline_args,
            options,
            materialize_format,
        )
        transform_graph.metadata.update(work.analyze(request, transform_graph.path))
        work.write_statistics(request, transform_graph.path)
        work.write_examples(request, transform_graph.path, transformed_examples.path, materialize)
