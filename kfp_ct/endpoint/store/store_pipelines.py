"""Pipelines and their versions."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from kfp_ct.base import secrets
from kfp_ct.endpoint.store.database import new_id, now, row_of
from kfp_ct.endpoint.store.faults import check_name, check_text, exists, invalid, not_found, precondition
from kfp_ct.endpoint.store.listing import Listed
from kfp_ct.endpoint.store.tables import pipelines, versions
from kfp_ct.package import package

PIPELINES = Listed(
    pipelines,
    {"id": "id", "pipeline_id": "id", "name": "name", "display_name": "display_name", "created_at": "created_at",
     "description": "description"},
    tuple(pipelines.c),
)  # fmt: skip
VERSIONS = Listed(
    versions,
    {"id": "id", "pipeline_version_id": "id", "name": "name", "display_name": "display_name",
     "created_at": "created_at", "description": "description", "pipeline_id": "pipeline_id"},
    tuple(versions.c),
)  # fmt: skip
# A package is some ten thousand letters, which a list for people does not show.
VERSIONS_WITHOUT_PACKAGE = dataclasses.replace(
    VERSIONS, fetched=tuple(column for column in versions.c if column is not versions.c.spec)
)
Row = Mapping[str, Any]
# The columns of KFP's database (MySQL), and its limits of tags.
LONGEST_NAME, LONGEST_VERSION_NAME, LONGEST_TEXT = 128, 127, 255
MOST_TAGS, LONGEST_TAG = 20, 63


def create_pipeline(connection: Connection, name: str, display_name: str, description: str, tags: Any) -> Row:
    """Creates a pipeline without versions; returns its row.

    Raises:
        Fault: The name is not one, or is taken.
    """
    row: dict[str, Any] = {
        "id": new_id(), "name": check_name("pipeline", name or display_name, LONGEST_NAME),
        "display_name": check_text("display_name", display_name or name, LONGEST_TEXT),
        "description": check_text("description", description), "tags": read_tags(tags), "created_at": now(),
    }  # fmt: skip
    if connection.execute(sqlalchemy.select(pipelines.c.id).where(pipelines.c.name == row["name"])).first():
        raise exists("pipeline", row["name"])
    connection.execute(pipelines.insert().values(row))
    return row


def create_version(
    connection: Connection, pipeline_id: str, compiled: package.Package, about: Mapping[str, Any]
) -> Row:
    """Adds a version to a pipeline; returns its row.

    Args:
        connection: A writing transaction.
        pipeline_id: The pipeline.
        compiled: A checked package.
        about: name, display_name, description, code_source_url and tags, as far as they were given.

    Raises:
        Fault: There is no such pipeline, or the name is taken.
    """
    pipeline(connection, pipeline_id)
    name = check_name("version", about.get("name") or about.get("display_name") or "", LONGEST_VERSION_NAME)
    taken = sqlalchemy.select(versions.c.id).where(versions.c.pipeline_id == pipeline_id, versions.c.name == name)
    if connection.execute(taken).first():
        raise exists("version", name)
    for field, longest in (("display_name", LONGEST_TEXT), ("description", None), ("code_source_url", LONGEST_TEXT)):
        check_text(field, about.get(field) or "", longest)
    row = {
        "id": new_id(), "pipeline_id": pipeline_id, "name": name, "display_name": about.get("display_name") or name,
        "description": about.get("description") or "", "code_source_url": about.get("code_source_url") or "",
        "tags": read_tags(about.get("tags")), "created_at": now(), "spec": json.dumps(compiled),
    }  # fmt: skip
    connection.execute(versions.insert().values(row))
    return row


def update_pipeline(connection: Connection, pipeline_id: str, display_name: str | None, tags: Any) -> Row:
    """Changes what of a pipeline may change; None and an empty name leave it as it is. Returns its row."""
    pipeline(connection, pipeline_id)
    _update(connection, pipelines, pipeline_id, _changes(display_name, tags))
    return pipeline(connection, pipeline_id)


def update_version(connection: Connection, version_id: str, display_name: str | None, tags: Any) -> Row:
    """Changes what of a version may change; None and an empty name leave it as it is. Returns its row."""
    version(connection, version_id)
    _update(connection, versions, version_id, _changes(display_name, tags))
    return version(connection, version_id)


def _changes(display_name: str | None, tags: Any) -> dict[str, Any]:
    named = {"display_name": check_name("display", display_name, LONGEST_TEXT)} if display_name else {}
    return named | ({"tags": read_tags(tags)} if tags is not None else {})


def _update(connection: Connection, table: Table, key: str, changes: Mapping[str, Any]) -> None:
    if changes:
        connection.execute(table.update().where(table.c.id == key).values(changes))


def pipeline(connection: Connection, pipeline_id: str) -> Mapping[str, Any]:
    """Returns a pipeline's row."""
    return row_of(connection, pipelines, pipeline_id, "pipeline")


def pipeline_by_name(connection: Connection, name: str) -> Mapping[str, Any]:
    """Returns the row of the pipeline with a name."""
    row = connection.execute(sqlalchemy.select(pipelines).where(pipelines.c.name == name)).mappings().first()
    if row is None:
        raise not_found("pipeline", name)
    return dict(row)


def version(connection: Connection, version_id: str, pipeline_id: str = "") -> Mapping[str, Any]:
    """Returns a version's row, of a given pipeline if one is given."""
    wanted = [versions.c.id == version_id, *([versions.c.pipeline_id == pipeline_id] if pipeline_id else [])]
    row = connection.execute(sqlalchemy.select(versions).where(*wanted)).mappings().first()
    if row is None:
        raise not_found("pipeline version", version_id)
    return dict(row)


def latest_version(connection: Connection, pipeline_id: str) -> Mapping[str, Any]:
    """Returns the row of a pipeline's newest version."""
    pipeline(connection, pipeline_id)
    query = sqlalchemy.select(versions).where(versions.c.pipeline_id == pipeline_id)
    # Of two in one millisecond the one that was written last.
    row = connection.execute(query.order_by(versions.c.created_at.desc(), sqlalchemy.text("rowid DESC"))).mappings()
    found = row.first()
    if found is None:
        raise precondition(f"the pipeline {pipeline_id} has no versions")
    return dict(found)


def delete_pipeline(connection: Connection, pipeline_id: str, cascade: bool) -> None:
    """Deletes a pipeline, which must have no versions unless `cascade` says that they go with it."""
    pipeline(connection, pipeline_id)
    of_it = versions.c.pipeline_id == pipeline_id
    if not cascade and connection.execute(sqlalchemy.select(versions.c.id).where(of_it)).first():
        raise precondition("the pipeline has versions: delete them first, or set cascade")
    connection.execute(versions.delete().where(of_it))
    connection.execute(pipelines.delete().where(pipelines.c.id == pipeline_id))


def delete_version(connection: Connection, pipeline_id: str, version_id: str) -> None:
    """Deletes a version; runs of it keep their package."""
    version(connection, version_id, pipeline_id)
    connection.execute(versions.delete().where(versions.c.id == version_id))


def _check_tags(tags: Mapping[str, str]) -> None:
    """Refuses tags that KFP would: it keeps them as Kubernetes does labels, and filters by `tags.NAME`."""
    if len(tags) > MOST_TAGS:
        raise invalid(f"tags: there are {len(tags)}: expected at most {MOST_TAGS}")
    for name, value in tags.items():
        if not name or "." in name or max(len(name), len(value)) > LONGEST_TAG:
            raise invalid(
                f"tags: {name[:40]!r} = {value[:40]!r}: expected a name without a dot, and at most {LONGEST_TAG} "
                "characters in each"
            )


def read_tags(tags: Any) -> dict[str, str]:
    """Takes tags as a map, or as JSON of one.

    Raises:
        Fault: They are neither.
    """
    if isinstance(tags, str) and tags:
        try:
            tags = json.loads(tags)
        except ValueError as error:
            raise invalid(f"tags are not JSON: {error}") from error
    if not tags:
        return {}
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise invalid("tags: expected a map of texts")
    _check_tags(tags)
    if problems := secrets.in_the_clear(tags, ("tags",)):
        raise invalid(str(problems[0]))
    return tags
