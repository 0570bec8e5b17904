"""The batch-prediction pipeline: the DAG and nothing else."""

from kfp import dsl

from kfp_ct.components.ingest.component import ingest
from kfp_ct.components.predict_batch.component import predict_batch
from kfp_ct.components.resolve_model.component import resolve_model
from kfp_ct.components.resolve_sources.component import resolve_sources


@dsl.pipeline(name="batch-prediction", description="Scores the rows of a window with a registered model.")
def batch_prediction(
    sources: dict,
    query: str,
    model_name: str,
    registry_uri: str,
    keys: list = [],  # noqa: B006 - kfp copies defaults into the package
    carry: list = [],  # noqa: B006
    destination: dict = {},  # noqa: B006
    version: str = "champion",
    signature: str = "serving_default",
    max_nonfinite_fraction: float = 0.0,
    window_start: str = "",
    window_end: str = "",
    max_bad_fraction: float = 0.02,
    data_version: str = "",
    ingest_options: dict = {},  # noqa: B006
    beam_pipeline_args: list = [],  # noqa: B006
    engine: dict = {},  # noqa: B006
) -> None:
    """Wires the components; every argument is documented by the component that takes it."""
    # The sources change between runs: they are looked at every time, and read only where they changed.
    looked_at = resolve_sources(
        sources=sources,
        window_start=window_start,
        window_end=window_end,
        options=ingest_options,
        data_version=data_version,
    ).set_caching_options(False)
    data = ingest(
        sources=sources,
        query=query,
        split={"method": "none"},
        window_start=window_start,
        window_end=window_end,
        max_bad_fraction=max_bad_fraction,
        data_version=looked_at.output,
        options=ingest_options,
    )
    # The registry changes between runs: asking it is never answered from a cache.
    found = resolve_model(registry_uri=registry_uri, model_name=model_name, version=version).set_caching_options(False)
    predict_batch(
        examples=data.outputs["examples"],
        model=found.outputs["model"],
        keys=keys,
        carry=carry,
        destination=destination,
        signature=signature,
        max_nonfinite_fraction=max_nonfinite_fraction,
        beam_pipeline_args=beam_pipeline_args,
        engine=engine,
    )
