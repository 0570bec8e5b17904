"""A batch prediction job of Vertex AI: the same files as in the task, one job however often a task is killed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

import cloud_storage
import predicting
import vertex_listener
from kfp_ct.base.errors import ConfigurationError, DataError, NotServedError
from kfp_ct.components.predict_batch import work
from kfp_ct.components.predict_batch.settings import Parameters
from kfp_ct.data import layouts, reading
from kfp_ct.models import vertex_model
from vertex_batches import BatchListener

MODEL = "projects/acme/locations/europe-west1/models/flights"
KEY = "projects/acme/locations/europe-west1/keyRings/r/cryptoKeys/k"
ROWS = 250


@pytest.fixture(scope="module", autouse=True)
def bucket():
    with cloud_storage.running("data"):
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predicting.save(tmp_path_factory.mktemp("model"))


def predict(instance):
    """What the prediction service answers for a row of this model."""
    assert instance.keys() == {"size", "weight"}
    size, weight = np.float32(instance["size"]), np.float32(instance["weight"] or 0)
    score = float(1 / (1 + np.exp(-(size - weight))))
    return {"score": [score], "pair": [score, 1 - score]}


class Place:
    """A task's settings, and Vertex AI."""

    def __init__(self, folder, listener, model):
        self.folder, self.listener, self.model = folder, listener, model
        self.examples = predicting.dataset(folder / "examples", rows=ROWS)
        self.section = {
            "project": "acme", "location": "europe-west1", "model": "flights", "folder": f"gs://data/{folder.name}",
            "poll_seconds": 0.01, "api_endpoint": listener.url, "labels": {"team": "flights"}, "encryption_key": KEY,
            "accelerator": "NVIDIA_L4", "machine_type": "g2-standard-4", "max_replicas": 8, "batch_rows": 32,
        }  # fmt: skip
        fingerprint = layouts.tree_fingerprint(f"{model}/{layouts.SERVING_MODEL}")
        listener.models[f"{MODEL}@v7"] = {vertex_model.FINGERPRINT: fingerprint[:63]}

    def run(self, **more):
        engine = {"vertex": {**self.section, **more}}
        request = work.PredictionRequest(self.examples, self.model, "7", ["id"], engine=engine)
        return work.predict(request, {}, str(self.folder / "predictions"), shard_rows=100)

    @property
    def created(self):
        return [body for method, _, _, body in self.listener.requests if method == "POST"]


@pytest.fixture
def place(tmp_path, model):
    with vertex_listener.listening(BatchListener(predict)) as listener:
        yield Place(tmp_path, listener, model)


def test_the_files_are_those_that_the_task_would_have_written(place, capsys):
    written = place.run()
    files = layouts.split_files(written.folder, "predict")
    found = pa.concat_tables(pyarrow.parquet.read_table(file) for file in files)
    rows = pa.Table.from_batches(reading.iter_batches(layouts.split_files(place.examples, "predict")))
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    np.testing.assert_allclose(found["score"].to_numpy(), predicting.expected(rows), rtol=1e-6)
    assert found.schema.field("pair").type == pa.list_(pa.float32())
    assert found.schema.field("score").type == pa.float32()
    assert (len(files), written.metadata["vertex_job"]) == (3, place.listener.jobs[0]["name"])
    (sent,) = place.created
    assert (sent["model"], sent["encryptionSpec"]) == (f"{MODEL}@4", {"kmsKeyName": KEY})
    assert sent["dedicatedResources"] == {
        "machineSpec": {"machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1},
        "startingReplicaCount": 1, "maxReplicaCount": 8,
    }  # fmt: skip
    assert (sent["manualBatchTuningParameters"], sent["labels"]["team"]) == ({"batchSize": 32}, "flights")
    assert len(sent["inputConfig"]["gcsSource"]["uris"]) == 3
    assert "Vertex AI predicts" in capsys.readouterr().out


def test_a_task_that_was_killed_while_it_waited_finds_its_job(place):
    place.listener.states = ["JOB_STATE_RUNNING"]
    with pytest.raises(NotServedError, match=r"not at its end after 1 s[\s\S]*goes on waiting"):
        place.run(timeout_seconds=1)
    place.listener.states = ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    assert place.run().metadata["rows"] == ROWS
    assert len(place.created) == 1
    place.listener.ending = {"completionStats": {"failedCount": "1"}}
    assert place.run().metadata["rows"] == ROWS, "what is whole is not asked for again"


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"refusal": 429}, NotServedError, "a quota is used up"),
        ({"refusal": 403}, ConfigurationError, r"forbids[\s\S]*roles/aiplatform.user"),
        ({"refusal": 400}, ConfigurationError, r"fix: correct engine\.vertex"),
        ({"ending": {"error": {"code": 8, "message": "no L4"}}}, NotServedError, r"no L4[\s\S]*raise the quota"),
        ({"ending": {"error": {"code": 7, "message": "bucket"}}}, ConfigurationError, r"bucket[\s\S]*objectUser"),
        ({"ending": {"error": {"code": 13, "message": "broke"}}}, NotServedError, r"broke[\s\S]*Cloud Logging"),
        ({"models": {}}, ConfigurationError, r"@v7 is not there[\s\S]*fix: deploy that version"),
        ({"models": {f"{MODEL}@v7": {vertex_model.FINGERPRINT: "f"}}}, ConfigurationError, "is another model"),
        ({"lost": 3}, DataError, "has no prediction for 3 rows"),
        ({"predict": lambda row: {"score": [1], "pair": [1]}}, DataError, "no pair of this model"),
    ],
    ids=["quota", "permission", "refused", "no machine", "no bucket", "broke", "no model", "other", "lost", "shape"],
)
def test_what_goes_wrong_is_said_and_nothing_is_finished(change, kind, said, place):
    place.listener.states = ["JOB_STATE_FAILED" if "ending" in change else "JOB_STATE_SUCCEEDED"]
    for name, value in change.items():
        setattr(place.listener, name, value)
    with pytest.raises(kind, match=said):
        place.run()
    assert not (place.folder / "predictions" / layouts.MANIFEST).exists()
    if "ending" in change:  # a job that failed is not waited for again
        place.listener.states, place.listener.ending = ["JOB_STATE_SUCCEEDED"], {}
        assert place.run().metadata["vertex_job"].endswith("/2")


def test_rows_that_were_not_predicted_are_counted_with_the_first_reason(place):
    place.listener.states = ["JOB_STATE_PARTIALLY_SUCCEEDED"]
    place.listener.ending = {"completionStats": {"successfulCount": "248", "failedCount": "2"}}
    with pytest.raises(DataError, match=r"did not predict 2 rows: .*column size is text[\s\S]*248 there are"):
        place.run()
    place.listener.jobs[0] |= {"partialFailures": [{"code": 3, "message": "two rows are text"}]}
    with pytest.raises(DataError, match="two rows are text"):
        place.run()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"beam_pipeline_args": ["--runner=DirectRunner"]}, "either Vertex AI or Beam"),
        ({"signature": "examples"}, "asks no other signature"),
        ({"engine": {"vertex": {"project": "a"}}}, "location"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, said, place):
    given = {
        "keys": [], "carry": [], "destination": {}, "signature": "serving_default", "max_nonfinite_fraction": 0.0,
        "beam_pipeline_args": [], "engine": {"vertex": place.section}, **change,
    }  # fmt: skip
    with pytest.raises(ValidationError, match=said):
        Parameters.model_validate(given)
