"""Cloud Monitoring on loopback, as far as reading time series goes: projects.timeSeries.list of its REST API, v3.

Metrics and their labels are those that Google publishes (metrics_gcp_a_b, aiplatform): a point a minute, deltas. Series
come a page each, as long lists do. It was never compared with what Vertex AI exports: no Google Cloud was reachable.
"""

import contextlib
import datetime
import re
import urllib.parse

import loopback_http

ONLINE = "aiplatform.googleapis.com/prediction/online"
# As Vertex AI's latencies: finite buckets that grow by a factor.
BUCKETS = {"exponentialBuckets": {"numFiniteBuckets": 40, "growthFactor": 1.4, "scale": 1.0}}
_FILTER = re.compile(
    r'metric\.type = "(?P<type>[^"]+)" AND resource\.type = "aiplatform\.googleapis\.com/Endpoint"'
    r' AND resource\.labels\.endpoint_id = "(?P<endpoint>[a-z0-9-]+)"'
    r'(?: AND resource\.labels\.location = "(?P<location>[a-z0-9-]+)")?'
    r'(?: AND metric\.labels\.latency_type = "(?P<latency>\w+)")?'
)


class Monitoring:
    """`series` are time series of one endpoint; `forbidden` is whether nobody may read; `requests` what was asked."""

    def __init__(self, endpoint="ct-small"):
        self.endpoint, self.series, self.forbidden, self.requests = endpoint, [], False, []

    def answered(self, version, end, codes, latencies=()):
        """Adds what a version answered within the minute before `end`: answers by code, and milliseconds of each."""
        for code, number in codes.items():
            self._add("response_count", {"deployed_model_id": version, "response_code": code}, "INT64", end,
                      {"int64Value": str(number)})  # fmt: skip
        for kind, factor in (("total", 1), ("overhead", 1000)):  # another kind of latency must not be counted
            labels = {"deployed_model_id": version, "latency_type": kind}
            value = {"distributionValue": distribution([each * factor for each in latencies])}
            self._add("prediction_latencies", labels, "DISTRIBUTION", end, value)

    def _add(self, metric, labels, kind, end, value):
        interval = {"startTime": _text(end - datetime.timedelta(minutes=1)), "endTime": _text(end)}
        self.series.append({
            "metric": {"type": f"{ONLINE}/{metric}", "labels": labels},
            "resource": {"type": "aiplatform.googleapis.com/Endpoint",
                         "labels": {"endpoint_id": self.endpoint, "location": "europe-west1"}},
            "metricKind": "DELTA", "valueType": kind, "points": [{"interval": interval, "value": value}],
        })  # fmt: skip

    def answer(self, path, query):
        self.requests.append((path, query))
        if self.forbidden:
            return 403, "Permission monitoring.timeSeries.list denied (or the resource may not exist)."
        asked = _FILTER.fullmatch(query["filter"])
        if not re.fullmatch(r"/v3/projects/[a-z][a-z0-9-]+/timeSeries", path) or asked is None:
            return 400, f"Field filter had an invalid value of {query['filter']!r}"
        if not query["interval.startTime"] < query["interval.endTime"]:
            return 400, "Field interval.end_time had an invalid value"
        found = [each for each in self.series if self._fits(each, asked, query)]
        at = int(query.get("pageToken", 0))
        token = {"nextPageToken": str(at + 1)} if at + 1 < len(found) else {}
        return 200, ({"timeSeries": found[at : at + 1]} if found else {}) | token

    def _fits(self, series, asked, query):
        labels, resource = series["metric"]["labels"], series["resource"]["labels"]
        end = series["points"][0]["interval"]["endTime"]
        return (
            series["metric"]["type"] == asked["type"]
            and resource["endpoint_id"] == asked["endpoint"]
            and asked["location"] in (None, resource["location"])
            and asked["latency"] in (None, labels.get("latency_type"))
            and query["interval.startTime"] < end <= query["interval.endTime"]
        )


def distribution(values):
    """What the API has of values: counts of buckets, without zeros at the end."""
    bounds = [1.4**number for number in range(41)]
    counts = [0] * 42
    for value in values:
        counts[sum(bound <= value for bound in bounds)] += 1
    while counts and not counts[-1]:
        counts.pop()
    return {"count": str(len(values)), "bucketOptions": BUCKETS, "bucketCounts": [str(each) for each in counts]}


@contextlib.contextmanager
def running(monkeypatch, endpoint="ct-small"):
    """Starts it and points the reader there."""
    monitoring = Monitoring(endpoint)

    def answer(path):
        url = urllib.parse.urlsplit(path)
        return monitoring.answer(url.path, dict(urllib.parse.parse_qsl(url.query)))

    with loopback_http.serving(loopback_http.of_json(answer)) as port:
        monkeypatch.setenv("MONITORING_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield monitoring


def _text(moment):
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
