"""Whether what serves models on Vertex AI is this model's, and what answers there."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.deploy.doctor.finding import Finding, fine, guarded
from kfp_ct.models import serving_target, vertex_endpoint, vertex_target
from kfp_ct.models.settings import Serving


def findings(parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields a finding where a pipeline deploys to an endpoint of Vertex AI; none where it does not.

    Args:
        parameters: Parameters of a pipeline, checked.
    """
    serving = parameters.get("serving") or {}
    if serving.get("target") == serving_target.VERTEX:
        chosen = Serving.model_validate(dict(serving))
        target = vertex_target.VertexTarget(chosen, parameters["model_name"], parameters["serving_root"])
        yield from guarded("endpoint", lambda: [_endpoint(target.endpoint)])


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
