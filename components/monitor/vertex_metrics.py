"""What Cloud Monitoring has of an endpoint's versions: how often each answered with which code, and how fast.

By REST: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list, with the metrics that Vertex
AI exports, https://cloud.google.com/monitoring/api/metrics_gcp_a_b: a point a minute, some three minutes late.
`MONITORING_EMULATOR_HOST` (a URL) names another server, which is asked without credentials.
"""

import collections
import dataclasses
import datetime
import os
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.cloud import rest
from kfp_ct.models.vertex_log_settings import VertexLog

_HOST, _SCOPE = "https://monitoring.googleapis.com", "https://www.googleapis.com/auth/monitoring.read"
_ONLINE = "aiplatform.googleapis.com/prediction/online"
_RESPONSES, _LATENCIES = f"{_ONLINE}/response_count", f"{_ONLINE}/prediction_latencies"
_TOTAL = 'metric.labels.latency_type = "total"'
_SECONDS, _PAGE, _OK = 60, 10_000, range(200, 300)
Session = Any
Bucket = tuple[float, float]  # ends of a bucket of milliseconds


@dataclasses.dataclass
class Served:
    """What one version answered within a minute or more.

    Attributes:
        responses: How many answers, by code.
        latencies: How many requests took so many milliseconds, by the middle of Cloud Monitoring's buckets.
    """

    responses: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    latencies: collections.Counter[float] = dataclasses.field(default_factory=collections.Counter)

    @property
    def requests(self) -> int:
        """How many requests were answered, with whatever code."""
        return sum(self.responses.values())

    @property
    def errors(self) -> dict[str, int]:
        """How many got an error, by code."""
        return {code: number for code, number in self.responses.items() if not code.isdigit() or int(code) not in _OK}


Moment = tuple[str, datetime.datetime]  # a version, and the end of a point's minute


def read(project: str, log: VertexLog, start: datetime.datetime, end: datetime.datetime) -> dict[Moment, Served]:
    """Returns what each version answered, a point a minute.

    Raises:
        ConfigurationError: It may not be read.
        DataError: Cloud Monitoring did not answer.
    """
    found: dict[Moment, Served] = collections.defaultdict(Served)
    session = rest.session(bool(os.environ.get("MONITORING_EMULATOR_HOST")), _SCOPE)
    for series in _series(session, project, _filter(log, _RESPONSES), (start, end)):
        code = series["metric"].get("labels", {}).get("response_code", "")
        for moment, value in _points(series):
            found[moment].responses[code] += int(value.get("int64Value", 0))
    for series in _series(session, project, f"{_filter(log, _LATENCIES)} AND {_TOTAL}", (start, end)):
        for moment, value in _points(series):
            found[moment].latencies.update(_middles(value.get("distributionValue") or {}))
    return dict(found)


def _filter(log: VertexLog, metric: str) -> str:
    location = f' AND resource.labels.location = "{log.location}"' if log.location else ""
    resource = (
        f'resource.type = "aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id = "{log.endpoint}"'
    )
    return f'metric.type = "{metric}" AND {resource}{location}'


def _points(series: Mapping[str, Any]) -> Iterator[tuple[Moment, Mapping[str, Any]]]:
    version = series["metric"].get("labels", {}).get("deployed_model_id", "")
    for point in series.get("points", ()):
        yield (version, datetime.datetime.fromisoformat(point["interval"]["endTime"])), point["value"]


def _middles(distribution: Mapping[str, Any]) -> dict[float, int]:
    """Returns the middle of each bucket that has values, and how many."""
    counts = [int(count) for count in distribution.get("bucketCounts", ())]
    bounds = _bounds(distribution.get("bucketOptions") or {}, len(counts))
    found = {}
    for count, low, high in zip(counts, (None, *bounds), (*bounds, None), strict=False):
        if count:
            ends = [each for each in (low, high) if each is not None]
            positive = [each for each in ends if each > 0]
            # Buckets grow by a factor, so their middle is the geometric one; the outer ones have one end.
            found[(positive[0] * positive[-1]) ** 0.5 if positive else 0.0] = count
    return found


def _bounds(options: Mapping[str, Any], counts: int) -> list[float]:
    """Returns the bounds between buckets: below the first lies bucket 0."""
    if "explicitBuckets" in options:
        return [float(bound) for bound in options["explicitBuckets"].get("bounds", ())]
    if "linearBuckets" in options:
        given = options["linearBuckets"]
        offset, width = float(given.get("offset", 0)), float(given["width"])
        return [offset + width * number for number in range(int(given["numFiniteBuckets"]) + 1)]
    if "exponentialBuckets" in options:
        given = options["exponentialBuckets"]
        scale, factor = float(given["scale"]), float(given["growthFactor"])
        return [scale * factor**number for number in range(int(given["numFiniteBuckets"]) + 1)]
    return [0.0] * max(0, counts - 1)


def _series(
    session: Session, project: str, wanted: str, between: tuple[datetime.datetime, datetime.datetime]
) -> Iterator[Mapping[str, Any]]:
    """Yields time series, page after page."""
    start, end = (moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in between)
    query = {"filter": wanted, "interval.startTime": start, "interval.endTime": end, "pageSize": str(_PAGE)}
    token = ""
    while True:
        answer = _get(session, project, query | ({"pageToken": token} if token else {}))
        yield from answer.get("timeSeries", ())
        token = str(answer.get("nextPageToken") or "")
        if not token:
            return


def _get(session: Session, project: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    import requests
    from google.auth.exceptions import GoogleAuthError

    address = f"{os.environ.get('MONITORING_EMULATOR_HOST') or _HOST}/v3/projects/{project}/timeSeries"
    try:
        answer = session.get(address, params=dict(query), timeout=_SECONDS)
    except (requests.RequestException, GoogleAuthError) as error:
        raise DataError(f"Cloud Monitoring did not answer: {error}\nexpected: an answer\nfix: run again") from error
    if answer.status_code in (401, 403):
        raise ConfigurationError(
            f"Cloud Monitoring of {project} may not be read: {rest.message(answer)}\n"
            "expected: roles/monitoring.viewer on the project, and its API enabled\n"
            "fix: give it to the account that runs this; log.metrics: false judges neither errors nor latency"
        )
    if not answer.ok:
        raise DataError(
            f"Cloud Monitoring failed ({answer.status_code}): {rest.message(answer)}\n"
            "expected: an answer\nfix: run again"
        )
    found: Mapping[str, Any] = answer.json()
    return found
