"""KFP interface of the evaluate component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def evaluate(
    examples: dsl.Input[dsl.Dataset],
    schema: dsl.Input[dsl.Artifact],
    model: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    blessing: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    curves: dsl.Output[dsl.ClassificationMetrics],
    view: dsl.Output[dsl.HTML],
    eval_config: str,
    gates: dict = {},
    beam_pipeline_args: list = [],
) -> bool:
    """Scores the model and the champion on the same eval rows and decides whether the model is blessed.

    Args:
        examples: Dataset with a manifest; its eval split is scored.
        schema: schema.pbtxt.
        model: The challenger, a SavedModel under Format-Serving/.
        champion: The model to beat; a folder without a SavedModel if there is none.
        evaluation: TFMA's result folder with its eval_config.json, and summary.json.
        blessing: BLESSED or NOT_BLESSED, and blessing.json with every gate's verdict and reason.
        metrics: The challenger's metrics over all rows.
        curves: ROC curve and confusion matrix over all rows; empty in regression.
        view: Metrics per slice, curves and the verdict as a page.
        eval_config: TFMA EvalConfig: slices, metrics, value and change thresholds; a file in text format, or
            module:function, a function without arguments that returns one.
        gates: Further gates: task, output, example_splits, extractors, classes, metric, confidence, min_gain,
            if_not_significant, if_champion_saw_rows, min_baseline_gain, slices, min_slice_rows, if_slice_small,
            max_slice_loss, max_slice_gap, model_card.
        beam_pipeline_args: Beam options (runner, project, …): its workers score and compute TFMA's metrics; empty does
            both in this process, batch by batch.

    Returns:
        Whether every gate let the model through.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.evaluate import work

    with reported():
        request = work.EvaluationRequest(
            examples.path, f"{schema.path}/schema.pbtxt", model.path, champion.path,
            champion.metadata.get("version", ""), eval_config, gates, beam_pipeline_args,
        )  # fmt: skip
        result = work.evaluate(request, work.Outputs(evaluation.path, blessing.path, view.path))
        result.log_to(metrics, curves)
        return result.blessed
