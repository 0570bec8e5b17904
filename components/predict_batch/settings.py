"""The settings of predict_batch."""

from typing import Annotated

from pydantic import Field

from kfp_ct.base.settings import Fraction, Names, Settings, Text, Texts, matching

TABLE = r"(([a-z][a-z0-9:.-]*)\.\w+)\.[^.`/$@\s]+"  # the dataset, and in it the project


class Destination(Settings):
    """Where predictions go beside, or in place of, the run's own folder."""

    folder: str = Field(
        "", description="A folder, s3://… or gs://… that outlives the run, which a later run can resume."
    )
    table: Annotated[str, matching(f"^({TABLE})?$", "a BigQuery table, project.dataset.table")] = Field(
        "", description="A BigQuery table, project.dataset.table; every row is appended once."
    )


class Parameters(Settings):
    """The parameters of predict_batch."""

    keys: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
    carry: Names
    destination: Destination
    signature: Text
    max_nonfinite_fraction: Fraction
    beam_pipeline_args: Texts
