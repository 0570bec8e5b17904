"""KFP interface of the monitor component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def monitor(
    model: dsl.Input[dsl.Model],
    report: dsl.Output[dsl.Artifact],
    view: dsl.Output[dsl.HTML],
    model_name: str,
    request_log: str,
    window_start: str = "",
    window_end: str = "",
    labels: str = "",
    history: str = "",
    rules: dict = {},
    log: dict = {},
) -> bool:
    """Compares what the champion was asked with what it was trained on, and decides whether to retrain.

    Args:
        model: The registered model that is champion.
        report: summary.json: the decision with its reasons, distances per feature, quality, staleness, latency.
        view: The same as a page, with the history's time series.
        model_name: Registered model.
        request_log: Folder that the prediction service logs to (`--request-log`), or the table of BigQuery that Vertex
            AI logs an endpoint's requests to, bq://project.dataset.table.
        window_start: Start of the period (inclusive), ISO 8601, UTC; empty: a day before its end.
        window_end: End of the period (exclusive); empty: now.
        labels: Labels that came later: Parquet, CSV or JSON Lines (a file or a pattern) with request_id, label and,
            where requests have several rows, row. Empty for none.
        history: JSON Lines file with one line a version and period; empty for none.
        rules: Thresholds and policies: see components/monitor/settings.py.
        log: How such a table is read, and of which endpoint: see components/monitor/settings.py.

    Returns:
        Whether to retrain.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.monitor import work

    with reported():
        request = work.MonitoringRequest(
            model.path, model.metadata, model_name, request_log, (window_start, window_end), labels, history, rules, log
        )  # fmt: skip
        result = work.monitor(request, work.Outputs(report.path, view.path))
        report.metadata.update({"state": result["state"], "rows": result["traffic"]["rows"]})
        return result["retrain"]
