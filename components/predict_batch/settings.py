"""The settings of predict_batch."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base.settings import Fraction, Names, Settings, Text, Texts, matching
from kfp_ct.components.predict_batch.vertex_settings import VertexBatch
from kfp_ct.storage import locations

TABLE = r"(([a-z][a-z0-9:.-]*)\.\w+)\.[^.`/$@\s]+"  # the dataset, and in it the project

EXAMPLES, PREDICTION_LOG = "examples", "prediction_log"
DEFAULT_SIGNATURE = "serving_default"


class Destination(Settings):
    """Where predictions go beside, or in place of, the run's own folder."""

    folder: str = Field(
        "", description="A folder, s3://… or gs://… that outlives the run, which a later run can resume."
    )
    table: Annotated[str, matching(f"^({TABLE})?$", "a BigQuery table, project.dataset.table")] = Field(
        "", description="A BigQuery table, project.dataset.table; every row is appended once."
    )
    tfrecord: Literal["", "examples", "prediction_log"] = Field(
        "",
        description="Beside Parquet, gzipped TFRecord as TFX's BulkInferrer writes it: examples, tf.Examples of all "
        "columns with the predictions; or prediction_log, PredictionLogs of the examples and the outputs.",
    )
    output_columns: dict[Text, Text] = Field(
        {}, description="Features of those tf.Examples by the model's outputs; empty: every output, under its name."
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what cannot be said together."""
        if self.tfrecord and locations.is_remote(self.folder):
            yield "tfrecord", "it is written beside Parquet in local folders; to an object store Parquet alone goes"
        if self.output_columns and self.tfrecord != EXAMPLES:
            yield "output_columns", "it names features of tf.Examples; expected tfrecord: examples beside it"


class Engine(Settings):
    """What predicts: the task itself, or a Beam runner by beam_pipeline_args, or Vertex AI."""

    vertex: VertexBatch | None = Field(
        None, description="A batch prediction job of Vertex AI; null: the task, or Beam where it is given arguments."
    )


class Parameters(Settings):
    """The parameters of predict_batch."""

    keys: Names
    carry: Names
    destination: Destination
    signature: Text
    max_nonfinite_fraction: Fraction
    beam_pipeline_args: Texts
    engine: Engine

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what a batch prediction job of Vertex AI cannot do."""
        if self.engine.vertex and self.beam_pipeline_args:
            yield "engine", "either Vertex AI or Beam predicts; expected no beam_pipeline_args beside engine.vertex"
        if self.engine.vertex and self.signature != DEFAULT_SIGNATURE:
            yield "engine", f"Vertex AI asks no other signature; expected signature: {DEFAULT_SIGNATURE}"
