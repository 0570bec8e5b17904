"""Pipelines and versions over HTTP: KFP's PipelineService and PipelineUploadService."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response, UploadFile

from kfp_ct.endpoint.api import bodies, wire
from kfp_ct.endpoint.api.context import Context, asked, context
from kfp_ct.endpoint.store import ignored, listing, packages, store_pipelines
from kfp_ct.endpoint.store.faults import invalid
from kfp_ct.package import package

router = APIRouter(prefix="/apis/v2beta1/pipelines")
Ctx = Annotated[Context, Depends(context)]
Asked = Annotated[listing.Asked, Depends(asked)]


@router.post("")
def create_pipeline(ctx: Ctx, body: bodies.Pipeline) -> dict[str, Any]:
    """Creates a pipeline that has no version yet."""
    with ctx.database.writing() as connection:
        return wire.pipeline(_create(connection, body))


@router.post("/create")
def create_pipeline_and_version(ctx: Ctx, body: bodies.PipelineAndVersion) -> dict[str, Any]:
    """Creates a pipeline and its first version, or neither."""
    compiled = _spec(body.pipeline_version)
    with ctx.database.writing() as connection:
        row = _create(connection, body.pipeline)
        about = {"name": row["name"], **_named(body.pipeline_version)}
        store_pipelines.create_version(connection, row["id"], compiled, about)
    return wire.pipeline(row)


@router.post("/upload")
def upload_pipeline(
    ctx: Ctx,
    response: Response,
    uploadfile: UploadFile,
    name: Annotated[str, Query()] = "",
    display_name: Annotated[str, Query()] = "",
    description: Annotated[str, Query()] = "",
    tags: Annotated[str, Query()] = "",
) -> dict[str, Any]:
    """Creates a pipeline and its first version, which has the pipeline's name, from a file."""
    compiled = _uploaded(uploadfile)
    wire.warn(response, ignored.of_package(compiled))
    name = name or display_name or compiled["pipelineInfo"]["name"]
    with ctx.database.writing() as connection:
        row = store_pipelines.create_pipeline(connection, name, display_name, description, tags)
        about = {"name": name, "display_name": display_name, "description": description}
        store_pipelines.create_version(connection, row["id"], compiled, about)
    return wire.pipeline(row)


@router.post("/upload_version")
def upload_version(
    ctx: Ctx,
    response: Response,
    uploadfile: UploadFile,
    pipelineid: Annotated[str, Query()] = "",
    name: Annotated[str, Query()] = "",
    display_name: Annotated[str, Query()] = "",
    description: Annotated[str, Query()] = "",
    tags: Annotated[str, Query()] = "",
) -> dict[str, Any]:
    """Adds a version to a pipeline, from a file."""
    compiled = _uploaded(uploadfile)
    wire.warn(response, ignored.of_package(compiled))
    about = {
        "name": name or display_name or uploadfile.filename, "display_name": display_name,
        "description": description, "tags": tags,
    }  # fmt: skip
    with ctx.database.writing() as connection:
        return wire.version(store_pipelines.create_version(connection, pipelineid, compiled, about))


@router.get("")
def list_pipelines(ctx: Ctx, wanted: Asked) -> dict[str, Any]:
    """Lists pipelines."""
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_pipelines.PIPELINES, wanted)
    return wire.listed("pipelines", [wire.pipeline(row) for row in found.rows], found.total, found.next_token)


@router.get("/names/{name}")
def get_pipeline_by_name(ctx: Ctx, name: str) -> dict[str, Any]:
    """Returns the pipeline with a name."""
    with ctx.database.reading() as connection:
        return wire.pipeline(store_pipelines.pipeline_by_name(connection, name))


@router.get("/{pipeline_id}")
def get_pipeline(ctx: Ctx, pipeline_id: str) -> dict[str, Any]:
    """Returns a pipeline."""
    with ctx.database.reading() as connection:
        return wire.pipeline(store_pipelines.pipeline(connection, pipeline_id))


@router.patch("/{pipeline_id}")
def update_pipeline(ctx: Ctx, pipeline_id: str, body: bodies.Pipeline) -> dict[str, Any]:
    """Changes a pipeline's display name and tags; what is left out stays, empty tags take all away."""
    with ctx.database.writing() as connection:
        return wire.pipeline(store_pipelines.update_pipeline(connection, pipeline_id, body.display_name, body.tags))


@router.delete("/{pipeline_id}")
def delete_pipeline(ctx: Ctx, pipeline_id: str, cascade: bool = False) -> dict[str, Any]:
    """Deletes a pipeline."""
    with ctx.database.writing() as connection:
        store_pipelines.delete_pipeline(connection, pipeline_id, cascade)
    return {}


@router.post("/{pipeline_id}/versions")
def create_version(ctx: Ctx, pipeline_id: str, body: bodies.Version) -> dict[str, Any]:
    """Adds a version whose package is in the body."""
    compiled = _spec(body)
    with ctx.database.writing() as connection:
        return wire.version(store_pipelines.create_version(connection, pipeline_id, compiled, _named(body)))


@router.get("/{pipeline_id}/versions")
def list_versions(ctx: Ctx, pipeline_id: str, wanted: Asked) -> dict[str, Any]:
    """Lists a pipeline's versions."""
    with ctx.database.reading() as connection:
        store_pipelines.pipeline(connection, pipeline_id)
        of_it = store_pipelines.VERSIONS.table.c.pipeline_id == pipeline_id
        found = listing.page(connection, store_pipelines.VERSIONS, wanted, of_it)
    return wire.listed("pipeline_versions", [wire.version(row) for row in found.rows], found.total, found.next_token)


@router.get("/{pipeline_id}/versions/{version_id}")
def get_version(ctx: Ctx, pipeline_id: str, version_id: str) -> dict[str, Any]:
    """Returns a version with its package."""
    with ctx.database.reading() as connection:
        return wire.version(store_pipelines.version(connection, version_id, pipeline_id))


@router.patch("/{pipeline_id}/versions/{version_id}")
def update_version(ctx: Ctx, pipeline_id: str, version_id: str, body: bodies.Version) -> dict[str, Any]:
    """Changes a version's display name and tags; what is left out stays, empty tags take all away."""
    with ctx.database.writing() as connection:
        store_pipelines.version(connection, version_id, pipeline_id)
        return wire.version(store_pipelines.update_version(connection, version_id, body.display_name, body.tags))


@router.delete("/{pipeline_id}/versions/{version_id}")
def delete_version(ctx: Ctx, pipeline_id: str, version_id: str) -> dict[str, Any]:
    """Deletes a version."""
    with ctx.database.writing() as connection:
        store_pipelines.delete_version(connection, pipeline_id, version_id)
    return {}


def _create(connection: Any, body: bodies.Pipeline) -> Any:
    return store_pipelines.create_pipeline(
        connection, body.name, body.display_name or "", body.description or "", body.tags
    )


def _named(body: bodies.Version) -> dict[str, Any]:
    fields = body.model_dump(include={"name", "display_name", "description", "code_source_url", "tags"})
    return {name: value for name, value in fields.items() if value}


def _uploaded(file: UploadFile) -> package.Package:
    return packages.read(file.file.read(packages.LARGEST + 1), file.filename or "the uploaded file")


def _spec(body: bodies.Version) -> package.Package:
    if body.package_url and body.package_url.pipeline_url:
        raise invalid("package_url: nothing is fetched from elsewhere; upload the file, or give pipeline_spec")
    if not body.pipeline_spec:
        raise invalid("pipeline_spec: missing")
    return packages.from_spec(body.pipeline_spec)
