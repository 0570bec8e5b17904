"""Vertex AI's batch prediction jobs on loopback, held to Google's client; what a job predicts lies in Cloud Storage."""

import json

from google.cloud import aiplatform_v1 as vertex
from google.cloud.aiplatform_v1.services.job_service.transports import rest_base
from google.protobuf import json_format

import vertex_limits as limits
import vertex_serving
from kfp_ct.storage import storage
from vertex_listener import Listener

JOBS = rest_base._BaseJobServiceRestTransport
CREATE = vertex.CreateBatchPredictionJobRequest


class BatchListener(Listener):
    """Keeps jobs in the order of their creation.

    Attributes:
        models: Labels of a model's version, by its resource name with alias.
        predict: Returns the prediction of an instance.
        refusal: Status that the next job is refused with; 0 for none.
        states: What a job's looks give, the last one for ever.
        ending: Fields of a job at its end, such as error, partialFailures, completionStats.
        lost: Rows for which no result is written.
    """

    def __init__(self, predict) -> None:
        super().__init__()
        self.models: dict[str, dict] = {}
        self.predict, self.refusal, self.ending, self.lost = predict, 0, {}, 0
        self.states = ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
        self.jobs: list[dict] = []

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, dict]:
        self.requests.append((method, path, query, body))
        name = path.removeprefix("/v1/")
        if "/models/" in name:
            labels = self.models.get(name)
            return (200, {"name": name, "versionId": "4", "labels": labels}) if labels else vertex_serving.absent(name)
        if method == "POST":
            return self._create(name, body)
        if name.endswith("/batchPredictionJobs"):
            wanted = query["filter"].removeprefix('display_name="').removesuffix('"')
            return 200, {"batchPredictionJobs": [each for each in self.jobs if each["displayName"] == wanted]}
        return 200, self._looked_at(next(each for each in self.jobs if each["name"] == name))

    def _create(self, name: str, body: dict) -> tuple[int, dict]:
        if self.refusal:
            return self.refusal, {"error": {"code": self.refusal, "message": "refused", "status": "REFUSED"}}
        assert not limits.broken({"batchPredictionJob": body})
        request = CREATE.pb(CREATE())
        json_format.ParseDict({"parent": name.rpartition("/")[0], "batchPredictionJob": body}, request)
        vertex_serving.hold(JOBS, "CreateBatchPredictionJob", request, ("POST", f"/v1/{name}", body, {}))
        number = len(self.jobs) + 1
        made = {**body, "name": f"{name}/{number}", "state": "JOB_STATE_PENDING", "createTime": f"2026-01-0{number}"}
        self.jobs.append(made)
        return 200, made

    def _looked_at(self, job: dict) -> dict:
        job["state"] = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if job["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED") and "outputInfo" not in job:
            self._write(job)
        if job["state"] not in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
            job |= self.ending
        json_format.ParseDict(
            {**job, "createTime": "2026-01-01T00:00:00Z"}, vertex.BatchPredictionJob.pb(vertex.BatchPredictionJob())
        )
        return job

    def _write(self, job: dict) -> None:
        """Writes what was predicted as Vertex AI does: keys in place of instances, in no order, in several files."""
        uris, key = job["inputConfig"]["gcsSource"]["uris"], job["instanceConfig"]["keyField"]
        rows = [json.loads(line) for uri in uris for line in storage.read(uri).data.decode().splitlines()]
        results = [{"key": row.pop(key), "prediction": self.predict(row)} for row in rows][self.lost :]
        folder = f"{job['outputConfig']['gcsDestination']['outputUriPrefix']}/prediction-flights-2026"
        for number in range(2):
            lines = [f"{json.dumps(each)}\n" for each in reversed(results[number::2])]
            storage.write(f"{folder}/prediction.results-0000{number}-of-00002", "".join(lines).encode())
        errors = '{"error": "column size is text"}\n' if self.ending.get("completionStats") else ""
        storage.write(f"{folder}/prediction.errors_stats-00000-of-00001", errors.encode())
        job["outputInfo"] = {"gcsOutputDirectory": folder}
