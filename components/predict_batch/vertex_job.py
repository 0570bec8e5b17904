"""A batch prediction job of Vertex AI: found again or created, waited for, and read, with nothing missing.

    <folder>/<identity>/instances-00000.jsonl   a shard's rows, each with its key
    <folder>/<identity>/…                       what Vertex AI writes: prediction.results-…, prediction.errors_stats-…

The job is named by what it predicts, so a task that was killed while it waited finds it again. Its model is the version
that `deploy` brought to Vertex AI's Model Registry, which has to be of the same files.
"""

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError, NotServedError
from kfp_ct.components.predict_batch.vertex_settings import VertexBatch
from kfp_ct.models import vertex_model
from kfp_ct.models.vertex_api import Resource, UnavailableError, VertexApi
from kfp_ct.storage import locations, storage

# Rows are known by it; the model does not see it.
KEY = "ct_key"
_SUCCEEDED, _PARTLY = "JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"
_LOST = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_ENDED = {_SUCCEEDED, _PARTLY, *_LOST}
# Codes of google.rpc.
_PERMISSION, _QUOTA = 7, 8
_RESULTS, _ERRORS = "prediction.results", "prediction.errors"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is predicted.

    Attributes:
        identity: Of the prediction.
        version: The registry's number of the model's version.
        fingerprint: Of the model's files.
    """

    identity: str
    version: str
    fingerprint: str


class VertexJob:
    """The batch prediction job of one prediction."""

    def __init__(self, chosen: VertexBatch, asked: Asked) -> None:
        """Calls nothing."""
        self._chosen, self._asked = chosen, asked
        self._api = VertexApi(chosen, chosen.poll_seconds, "engine.vertex")
        self.title = f"ct-{asked.identity[:40]}"
        self.folder = locations.join(chosen.folder, asked.identity[:16])

    def model(self) -> str:
        """Returns the resource name of the version that predicts, with Vertex AI's own number.

        Raises:
            ConfigurationError: It is not there, or is another model.
        """
        name = f"{self._api.parent}/models/{vertex_model.resource_id(self._chosen.model)}@v{self._asked.version}"
        found = self._api.get(name)
        kept = (found or {}).get("labels", {}).get(vertex_model.FINGERPRINT, "")
        if found is None or kept != self._asked.fingerprint[:63]:
            what = "is another model than the one that is to predict" if found else "is not there"
            raise ConfigurationError(
                f"{name} {what}\nexpected: the version as `deploy` brings it to Vertex AI (serving.target: vertex)\n"
                "fix: deploy that version there, or leave out engine.vertex, which predicts in the task"
            )
        return f"{name.partition('@')[0]}@{found['versionId']}"

    def run(self, shards: Iterable[tuple[int, Iterable[Any]]]) -> Resource:
        """Returns the job at its end, every row predicted.

        Args:
            shards: Number and rows, as JSON values, of each shard to predict.

        Raises:
            ConfigurationError: Something is forbidden or does not fit.
            NotServedError: A quota is used up, the job failed or did not end in time.
            DataError: Some rows were not predicted.
        """
        job = self._found() or self._created(shards)
        task_log.progress(f"Vertex AI predicts: {job['name']}")
        deadline = time.monotonic() + self._chosen.timeout_seconds
        while job.get("state") not in _ENDED:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{job['name']} was not at its end after {self._chosen.timeout_seconds} s\n"
                    "expected: its end before engine.vertex.timeout_seconds\n"
                    "fix: run again, which goes on waiting for it"
                )
            time.sleep(self._chosen.poll_seconds)
            job = self._api.get(job["name"]) or {**job, "state": "JOB_STATE_CANCELLED"}
        self._require_whole(job)
        return job

    def results(self, job: Resource) -> Iterator[tuple[str, Any]]:
        """Yields key and prediction of every row that was predicted, in any order."""
        folder = _output(job)
        files = [each for each in storage.list_folder(folder) if each.file_name.startswith(_RESULTS)] if folder else []
        for each in files:
            for line in storage.read_text(each.uri, "results of a batch prediction").splitlines():
                found = json.loads(line)
                yield str(found["key"]), found.get("prediction")

    def _found(self) -> Resource | None:
        """Returns the job of a run that was killed, unless it was lost."""
        query = {"filter": f'display_name="{self.title}"'}
        jobs = self._api.every(f"{self._api.parent}/batchPredictionJobs", "batchPredictionJobs", query)
        going = [each for each in jobs if each.get("displayName") == self.title and each.get("state") not in _LOST]
        return max(going, key=lambda each: str(each.get("createTime", "")), default=None)

    def _created(self, shards: Iterable[tuple[int, Iterable[Any]]]) -> Resource:
        model, uris = self.model(), []
        for number, rows in shards:
            uris.append(locations.join(self.folder, f"instances-{number:05d}.jsonl"))
            lines = (json.dumps({KEY: f"{number}/{row}", **each}) for row, each in enumerate(rows))
            storage.write(uris[-1], "".join(f"{line}\n" for line in lines).encode())
        return self._api.post(f"{self._api.parent}/batchPredictionJobs", self._body(model, uris))

    def _body(self, model: str, uris: list[str]) -> Resource:
        chosen = self._chosen
        machine: Resource = {"machineType": chosen.machine_type}
        if chosen.accelerator:
            machine |= {"acceleratorType": chosen.accelerator, "acceleratorCount": chosen.accelerator_count}
        body: Resource = {
            "displayName": self.title,
            "model": model,
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": uris}},
            "instanceConfig": {"instanceType": "object", "keyField": KEY},
            "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": self.folder}},
            "dedicatedResources": {
                "machineSpec": machine,
                "startingReplicaCount": chosen.starting_replicas,
                "maxReplicaCount": chosen.max_replicas,
            },
            "manualBatchTuningParameters": {"batchSize": chosen.batch_rows},
            "labels": {**chosen.labels, vertex_model.MODEL: vertex_model.resource_id(chosen.model)},
        }
        if chosen.service_account:
            body["serviceAccount"] = chosen.service_account
        if chosen.encryption_key:
            body["encryptionSpec"] = {"kmsKeyName": chosen.encryption_key}
        return body

    def _require_whole(self, job: Resource) -> None:
        counted = {name: int(value) for name, value in (job.get("completionStats") or {}).items()}
        missing = counted.get("failedCount", 0) + max(0, counted.get("incompleteCount", 0))
        if job["state"] == _SUCCEEDED and not missing:
            return
        if job["state"] in (_SUCCEEDED, _PARTLY):
            raise DataError(
                f"{job['name']} did not predict {missing or 'some'} rows: {self._first_error(job)}\n"
                f"expected: a prediction for each row; {counted.get('successfulCount', 0)} there are\n"
                f"fix: look at {_ERRORS}… in {_output(job) or self.folder}, correct the rows, delete the job, run again"
            )
        raise _lost(job)

    def _first_error(self, job: Resource) -> str:
        for each in job.get("partialFailures", []):
            return str(each.get("message", "")).partition("\n")[0]
        folder = _output(job)
        for file in storage.list_folder(folder) if folder else []:
            if file.file_name.startswith(_ERRORS):
                return storage.read_text(file.uri, "errors of a batch prediction").partition("\n")[0][:300]
        return "it does not say why"


def _output(job: Mapping[str, Any]) -> str:
    """Returns the folder that a job has written to; empty for none."""
    return str((job.get("outputInfo") or {}).get("gcsOutputDirectory", ""))


def _lost(job: Mapping[str, Any]) -> Exception:
    error = job.get("error") or {}
    message = f"{job['name']} is {job['state']}: {error.get('message', 'it does not say why')}"
    if error.get("code") == _QUOTA:
        return NotServedError(
            f"{message}\nexpected: quota for the replicas asked for\n"
            "fix: ask for less (engine.vertex.machine_type, max_replicas), or raise the quota; then run again"
        )
    if error.get("code") == _PERMISSION:
        return ConfigurationError(
            f"{message}\nexpected: an account that may read the instances and write to engine.vertex.folder\n"
            "fix: give engine.vertex.service_account roles/storage.objectUser there; then run again"
        )
    return NotServedError(f"{message}\nexpected: its success\nfix: its log in Cloud Logging says why; then run again")
