"""KFP interface of the predict_batch component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def predict_batch(
    examples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    predictions: dsl.Output[dsl.Dataset],
    keys: list = [],
    carry: list = [],
    destination: dict = {},
    signature: str = "serving_default",
    max_nonfinite_fraction: float = 0.0,
    beam_pipeline_args: list = [],
    engine: dict = {},
) -> None:
    """Scores every row of a dataset with a model; a killed run goes on where it stopped.

    Args:
        examples: Dataset with a manifest; the rows of all its splits are scored. It needs no label.
        model: Model artifact; its metadata names the version.
        predictions: Parquet files of keys, carried columns, the model's outputs, model_version and predicted_at, with
            a manifest and summary.json.
        keys: Columns that identify a row; with neither keys nor carry all columns are written.
        carry: Further columns to write beside the predictions.
        destination: {"folder": ...} to write into a folder of its own below that one, which a later run can resume; of
            an object store (s3://, gs://) beside the run's own, shard by shard, the manifest last;
            {"table": "project.dataset.table"} to append the rows to a BigQuery table too, each of them once;
            {"tfrecord": "examples"} or "prediction_log" to write what TFX's BulkInferrer does beside the Parquet files.
        signature: Signature of the SavedModel.
        max_nonfinite_fraction: The run stops if more than this share of rows has a NaN or infinite prediction.
        beam_pipeline_args: Beam options (runner, project, …); empty scores in this process, batch by batch.
        engine: {"vertex": {...}} has a batch prediction job of Vertex AI predict: the version that `deploy` brought to
            its Model Registry, on replicas of the prediction service; the files are the same.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.predict_batch import work

    with reported():
        request = work.PredictionRequest(
            examples.path, model.path, str(model.metadata.get("version", "")), keys, carry, signature,
            max_nonfinite_fraction, beam_pipeline_args, engine,
        )  # fmt: skip
        written = work.predict(request, destination, predictions.path)
        predictions.metadata.update(written.metadata)
        if written.folder != predictions.path:
            predictions.uri = written.folder
