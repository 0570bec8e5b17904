"""What a form starts: a version of a pipeline, or the package of an earlier run; and what there is to choose from."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.store import folders, store_pipelines, store_runs, tables
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.ui import version_notes
from kfp_ct.package.package import Package
from kfp_ct.project.workspace import Workspace

LATEST = "latest"
_MOST_VERSIONS = 100


@dataclasses.dataclass(frozen=True)
class Source:
    """What is to run.

    Attributes:
        name: What runs of it are called if nobody names them.
        package: The package whose inputs are asked for.
        pipeline: Its pipeline's id; empty for the package of a run.
        version: The version's id, or `latest`.
        run: The earlier run whose package it is; empty for a version.
    """

    name: str
    package: Package
    pipeline: str = ""
    version: str = ""
    run: str = ""

    @property
    def wanted(self) -> store_runs.Wanted:
        """A run of it that has no name yet."""
        if self.run:
            return store_runs.Wanted("", spec=self.package)
        version = "" if self.version == LATEST else self.version
        return store_runs.Wanted("", pipeline_id=self.pipeline, version_id=version)


def of_pipeline(connection: Connection, pipeline: str, version: str) -> Source:
    """Returns a version of a pipeline; the newest one where none is named, or `latest`.

    Raises:
        Fault: There is no such version.
    """
    name = store_pipelines.pipeline(connection, pipeline)["display_name"]
    if version and version != LATEST:
        found = store_pipelines.version(connection, version, pipeline)
    else:
        found = store_pipelines.latest_version(connection, pipeline)
    return Source(name, json.loads(found["spec"]), pipeline, version or found["id"])


def of_run(connection: Connection, workspace: Workspace, row: Mapping[str, Any]) -> Source:
    """Returns what a run was of; its own package if that is no version, or the version is gone."""
    if row["pipeline_id"] and row["version_id"]:
        try:
            return of_pipeline(connection, row["pipeline_id"], row["version_id"])
        except Fault:  # deleted since
            pass
    return Source(row["name"], folders.submitted(folders.of(workspace, row["id"])), run=row["id"])


def of_form(connection: Connection, workspace: Workspace, form: Mapping[str, str]) -> Source:
    """Returns what a form that was sent names.

    Raises:
        Fault: There is no such version or run.
    """
    if form.get("run"):
        return of_run(connection, workspace, store_runs.get(connection, form["run"]))
    return of_pipeline(connection, form.get("pipeline", ""), form.get("version", ""))


def pipelines(connection: Connection) -> list[tuple[str, str]]:
    """Returns id and name of the pipelines that can be run: those with a version."""
    has_version = tables.pipelines.c.id.in_(sqlalchemy.select(tables.versions.c.pipeline_id))
    query = sqlalchemy.select(tables.pipelines.c.id, tables.pipelines.c.display_name).where(has_version)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(tables.pipelines.c.display_name))]


def versions(connection: Connection, pipeline: str, newest_too: bool) -> list[tuple[str, str]]:
    """Returns id and name of a pipeline's versions, newest first; `newest_too` puts `latest` before them."""
    columns = tables.versions.c
    query = sqlalchemy.select(columns.id, columns.display_name).where(columns.pipeline_id == pipeline)
    rows = connection.execute(query.order_by(columns.created_at.desc()).limit(_MOST_VERSIONS)).all()
    options = [(LATEST, "latest at each firing")] if newest_too else []
    return options + [(row[0], version_notes.short(row[1])) for row in rows]


def experiments(connection: Connection) -> list[tuple[str, str]]:
    """Returns id and name of the experiments that take runs."""
    columns = tables.experiments.c
    query = sqlalchemy.select(columns.id, columns.name).where(columns.storage_state == "AVAILABLE")
    return [(row[0], row[1]) for row in connection.execute(query.order_by(columns.name))]
