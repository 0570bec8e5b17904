"""The monitoring pipeline: served traffic to a decision whether to retrain."""

from kfp import dsl

from kfp_ct.components.monitor.component import monitor
from kfp_ct.components.resolve_model.component import resolve_model


@dsl.pipeline(
    name="monitoring", description="Compares served traffic with training data and decides whether to retrain."
)
def monitoring(
    model_name: str,
    registry_uri: str,
    request_log: str,
    window_start: str = "",
    window_end: str = "",
    labels: str = "",
    history: str = "",
    rules: dict = {},  # noqa: B006 - kfp copies defaults into the package
    log: dict = {},  # noqa: B006
) -> None:
    """Wires the components; every argument is documented by the component that takes it."""
    # The registry changes between runs, the log and the labels grow: looking at them is never answered from a cache.
    champion = resolve_model(registry_uri=registry_uri, model_name=model_name).set_caching_options(False)
    monitor(
        model=champion.outputs["model"],
        model_name=model_name,
        request_log=request_log,
        window_start=window_start,
        window_end=window_end,
        labels=labels,
        history=history,
        rules=rules,
        log=log,
    ).set_caching_options(False)
