"""The endpoint's tables. Times are ISO 8601 in UTC with milliseconds, so that text sorts as time does.

Runs outlive their experiment and their version: no foreign key leads to those.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Raised with every change of the tables; a file of another number is not opened.
REVISION = 1

metadata = MetaData()

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("display_name", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("tags", JSON, nullable=False, default=dict),
    Column("created_at", String, nullable=False, index=True),
)

versions = Table(
    "versions",
    metadata,
    Column("id", String, primary_key=True),
    Column("pipeline_id", ForeignKey("pipelines.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("display_name", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("code_source_url", String, nullable=False, default=""),
    Column("tags", JSON, nullable=False, default=dict),
    Column("created_at", String, nullable=False),
    Column("spec", Text, nullable=False),  # the package as it was uploaded, as JSON
    UniqueConstraint("pipeline_id", "name"),
    Index("versions_of_pipeline", "pipeline_id", "created_at"),
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    Column("created_at", String, nullable=False, index=True),
    Column("last_run_created_at", String, nullable=False, default=""),
    Column("storage_state", String, nullable=False, default="AVAILABLE"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),  # also names the run's folder
    Column("experiment_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("storage_state", String, nullable=False, default="AVAILABLE"),
    Column("pipeline_id", String),  # without a foreign key: a run outlives its version
    Column("version_id", String),
    Column("parameters", JSON, nullable=False, default=dict),
    Column("pipeline_root", String, nullable=False, default=""),
    Column("service_account", String, nullable=False, default=""),
    Column("recurring_run_id", String),
    Column("cause", Text, nullable=False, default=""),
    Column("state", String, nullable=False),
    Column("error", Text, nullable=False, default=""),
    Column("state_history", JSON, nullable=False, default=list),
    Column("attempt", Integer, nullable=False, default=1),
    Column("created_at", String, nullable=False),
    Column("scheduled_at", String, nullable=False),
    Column("started_at", String, nullable=False, default=""),
    Column("finished_at", String, nullable=False, default=""),
    # A firing of a schedule starts one run, whatever else happens.
    UniqueConstraint("recurring_run_id", "scheduled_at"),
    Index("runs_by_state", "state", "created_at"),
    Index("runs_by_creation", "created_at", "id"),
    Index("runs_of_experiment", "experiment_id", "created_at"),
)

recurring_runs = Table(
    "recurring_runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("experiment_id", String, nullable=False),
    Column("pipeline_id", String),
    Column("version_id", String),  # null: the newest at each firing
    Column("spec", Text),  # the package, for one that was given instead of a version
    Column("parameters", JSON, nullable=False, default=dict),
    Column("pipeline_root", String, nullable=False, default=""),
    Column("service_account", String, nullable=False, default=""),
    Column("max_concurrency", Integer, nullable=False, default=1),
    Column("trigger", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("no_catchup", Boolean, nullable=False, default=False),
    Column("created_at", String, nullable=False, index=True),
    Column("updated_at", String, nullable=False),
    Column("last_scheduled_at", String),
    Column("fired", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
)
