"""Whether what serves models on Vertex AI is this model's, what answers there, and whether its log has a place."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.deploy.doctor.finding import Finding, fine, guarded, problem
from kfp_ct.models import serving_target, vertex_endpoint, vertex_log_settings, vertex_target
from kfp_ct.models.settings import Serving
from kfp_ct.models.vertex_log_settings import LogAccess, VertexLog


def findings(parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields findings where a pipeline deploys to an endpoint of Vertex AI or reads its log; none where it does not.

    Args:
        parameters: Parameters of a pipeline, checked.
    """
    serving = parameters.get("serving") or {}
    if serving.get("target") == serving_target.VERTEX:
        chosen = Serving.model_validate(dict(serving))
        target = vertex_target.VertexTarget(chosen, parameters["model_name"], parameters["serving_root"])
        yield from guarded("endpoint", lambda: [_endpoint(target.endpoint)])
        if chosen.vertex and chosen.vertex.bigquery_log:
            yield from _log(chosen.vertex.bigquery_log, LogAccess())
    elif vertex_log_settings.is_table(read := str(parameters.get("request_log") or "")):
        yield from _log(read, VertexLog.model_validate(dict(parameters.get("log") or {})).bigquery)


def _log(uri: str, access: LogAccess) -> Iterator[Finding]:
    """Yields what there is of the table that Vertex AI logs requests to."""
    table, what = vertex_log_settings.table_of(uri), "request log"
    if not table:
        yield fine(what, f"Vertex AI makes a data set of its own in {uri}; monitor and the judge read a named one")
        return
    access = access.model_copy(update={"project": access.project or table.partition(".")[0]})
    yield from guarded(what, lambda: [_table(table, access)])


def _table(table: str, access: LogAccess) -> Finding:
    from kfp_ct.cloud import bigquery

    what, found = "request log", bigquery.columns(table, access)
    if found is None:
        return fine(what, f"{table} is not there yet; Vertex AI makes it with the first request")
    if missing := [name for name in vertex_log_settings.COLUMNS if name not in found]:
        text = f"{table} has no column {', '.join(missing)}, so Vertex AI cannot log there"
        return problem(what, text, "name another table in serving.vertex.bigquery_log and request_log")
    return fine(what, f"{table} is there")


def _endpoint(endpoint: vertex_endpoint.VertexEndpoint) -> Finding:
    seen = endpoint.get()
    if seen is None:
        return fine("endpoint", f"{endpoint.name} is not there yet; deploy makes it")
    shares, live = vertex_endpoint.traffic(seen), vertex_endpoint.live(seen)
    if not shares:
        return fine("endpoint", f"{endpoint.name}: nothing answers yet")
    idle = [number for number in vertex_endpoint.deployed(seen) if number not in shares]
    rest = f"; v{', v'.join(idle)} without traffic, until the next deployment" if idle else ""
    return fine("endpoint", f"{endpoint.name}: v{live} answers; traffic {vertex_endpoint.shown(shares)}{rest}")
