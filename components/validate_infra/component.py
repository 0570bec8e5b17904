"""KFP interface of the validate_infra component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def validate_infra(
    examples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    evaluated: dsl.Input[dsl.Artifact],
    blessing: dsl.Output[dsl.Artifact],
    infra_validation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    view: dsl.Output[dsl.HTML],
    infra: dict = {},
) -> bool:
    """Serves the model with the prediction service, sends it eval rows, and completes or withdraws its blessing.

    It asks as clients do: raw values, each row alone and in batches, without label, weight and columns that the schema
    keeps out of the environment SERVING. A model that cannot be asked without those is not blessed.

    Args:
        examples: Dataset with a manifest; rows of its eval split are sent.
        model: SavedModel under Format-Serving/.
        champion: The model whose clients must go on working; a folder without a SavedModel if there is none.
        evaluated: The blessing that evaluate gave this model; anything but a yes is refused.
        blessing: The final verdict: the checks of evaluate and those made here.
        infra_validation: summary.json: checks, measurements, mismatches, what a request must have, and one request with
            its answer.
        metrics: Latency, throughput, memory, start time and size.
        view: Checks, latencies and budgets as a page.
        infra: server (subprocess, docker:IMAGE, or the address of a service that has this model,
            http://HOST/v1/models/NAME), rows, batch_rows, tolerance, concurrency, start_s, request_s, signature, and
            the budgets p50_ms, p99_ms, min_rows_per_s, max_memory_mb, max_load_s, max_model_mb; a budget that is not
            set is measured, not judged.

    Returns:
        Whether the model was blessed before and every check let it through.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.validate_infra import work

    with reported():
        request = work.InfraRequest(
            examples.path, model.path, champion.path, champion.metadata.get("version", ""), evaluated.path, infra
        )
        result = work.validate(request, work.Outputs(blessing.path, infra_validation.path, view.path))
        result.log_to(metrics)
        return result.blessed
