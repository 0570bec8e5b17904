"""`ct compare` of a run here with the same run on `ct up`, on Kubeflow Pipelines and on Vertex AI, by their APIs."""

import json
import os

import pytest
from google.auth.credentials import AnonymousCredentials

import kfp_stand_in
import local_endpoint
import seaweedfs
import vertex_listener
from ct_command import ct
from kfp_ct.deploy import kfp_api, kfp_run, vertex_run
from kfp_ct.deploy.kfp_target import KfpTarget
from kfp_ct.deploy.vertex_target import VertexTarget
from kfp_ct.runs import parity
from kfp_ct.runs.run_facts import RunFacts, StepFacts
from kfp_ct.storage import storage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
CHECKS = {"checks": [{"gate": "baseline", "passed": True, "reason": "r"}]}
MANIFEST = {"fingerprint": "f1", "splits": [{"name": "train", "rows": 10, "files": []}], "rejected_rows": 0}
SPEC = {
    "pipelineInfo": {"name": "p-training"},
    "root": {"inputDefinitions": {"parameters": {
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 2.0},
        "query": {"parameterType": "STRING", "defaultValue": "q.sql"},
    }}, "dag": {"tasks": {}}},
    "deploymentSpec": {"executors": {"exec-ingest": {"container": {"image": "registry/ct@sha256:1"}}}},
}  # fmt: skip


def here() -> RunFacts:
    return RunFacts(
        "20260101", "this machine", "SUCCEEDED", {"epochs": 2, "query": "q.sql"},
        {
            "ingest": StepFacts(
                "SUCCEEDED",
                artifacts={"examples": {"fingerprint": "f1", "rows": {"train": 10}, "rejected_rows": 0}},
            ),
            "evaluate": StepFacts("SUCCEEDED", {"Output": True}, {"evaluation": {}}, {"auc": 0.7}, {"baseline": True}),
            "register": StepFacts("SKIPPED"),
        },
        {"commit": "c"},
    )  # fmt: skip


def deciding(found: parity.Comparison) -> list[tuple]:
    return [(each.section, each.name, each.first, each.second) for each in found.differences if each.decides]


def test_a_run_here_against_the_same_on_ct_up(tmp_path):
    package = local_endpoint.compiled(local_endpoint.doubling, tmp_path / "package.yaml")
    mine = ct(tmp_path / "mine", "run", package, "--set", "number=2", "--json")
    assert mine.code == 0, mine.err
    with local_endpoint.running(tmp_path / "theirs") as endpoint:
        client = endpoint.client()
        theirs = [
            client.create_run_from_pipeline_package(package, arguments={"number": number}).run_id for number in (2, 3)
        ]
        assert all(local_endpoint.ended(client, each).state == "SUCCEEDED" for each in theirs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KF_PIPELINES_ENDPOINT", endpoint.url)
            same, other, nothing = (
                ct(tmp_path / "mine", "compare", "last", f"local:{each}", "--json") for each in (*theirs, "no-such-run")
            )
    assert same.code == 0, same.out + same.err
    assert json.loads(same.out)["compared"] == 2, "the outputs of both steps"
    assert other.code == 1
    assert [each["name"] for each in json.loads(other.out)["differences"] if each["decides"]] == [
        "number", "double Output", "double-2 Output",
    ]  # fmt: skip
    assert (nothing.code, nothing.out) == (7, "")
    assert "no-such-run" in nothing.err


def task(name: str, state: str, metadata: dict | None = None, outputs: dict | None = None) -> dict:
    named = {
        key: {"artifacts": [{"name": "a", "uri": uri, "schemaTitle": title, "metadata": said}]}
        for key, (uri, title, said) in (outputs or {}).items()
    }
    return {"taskName": name, "state": state, "execution": {"metadata": metadata or {}}, "outputs": named}


def test_a_run_here_against_the_same_on_vertex(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(CHECKS))
    examples = {"fingerprint": "f1", "rows": {"train": 10.0}, "rejected_rows": 0.0}
    name = "projects/acme/locations/europe-west1/pipelineJobs/one"
    with vertex_listener.listening() as listener:
        listener.resources[name] = {
            "name": name, "state": "PIPELINE_STATE_SUCCEEDED", "pipelineSpec": SPEC, "labels": {"commit": "c"},
            "runtimeConfig": {"parameterValues": {"epochs": 2}},
        }  # fmt: skip
        listener.states = ["PIPELINE_STATE_SUCCEEDED"]
        listener.details = [
            task("ingest", "SKIPPED", {}, {"examples": ("gs://b/examples", "system.Dataset", examples)}),
            task("evaluate", "SUCCEEDED", {"output:Output": True, "input:gates": "x"}, {
                "metrics": ("gs://b/metrics", "system.Metrics", {"auc": 0.7001}),
                "evaluation": (str(tmp_path), "system.Artifact", {}),
            }),
            task("register", "NOT_TRIGGERED"),
            {"taskName": "", "state": "SUCCEEDED"},
        ]  # fmt: skip
        section = {
            "project": "acme", "location": "europe-west1", "bucket": "gs://b", "api_endpoint": listener.url,
        }  # fmt: skip
        there = vertex_run.facts(VertexTarget(section, AnonymousCredentials()), "one")
    assert (there.steps["ingest"].state, there.versions["image"]) == ("CACHED", "registry/ct@sha256:1")
    mine = here()
    assert deciding(parity.compare(mine, there, 0.001)) == []
    assert parity.compare(mine, there, 0.001).same
    assert deciding(parity.compare(mine, there)) == [("metrics", "evaluate auc", 0.7, 0.7001)]


@pytest.fixture
def bucket(monkeypatch):
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield "s3://data/root"


def test_a_run_here_against_the_same_on_kfp_with_its_pipeline_root(bucket, monkeypatch):
    folder = f"{bucket}/p-training/run-1"
    for path, content in {
        "ingest/1-2/examples/manifest.json": MANIFEST,
        "evaluate/3-4/metrics": {"auc": 0.7},
        "evaluate/3-4/evaluation/summary.json": CHECKS,
        "train/5-6/model/Training/manifest.json": {**MANIFEST, "fingerprint": "not of an output"},
    }.items():
        storage.write(f"{folder}/{path}", json.dumps(content).encode())
    with kfp_stand_in.serving() as state:
        state.views = [{
            "run_id": "run-1", "state": "SUCCEEDED", "pipeline_spec": SPEC,
            "runtime_config": {"parameters": {"epochs": 2}, "pipeline_root": bucket},
            "run_details": {"task_details": kfp_stand_in.details({"ingest": "SUCCEEDED", "evaluate": "SUCCEEDED"})},
        }]  # fmt: skip
        service = KfpTarget(kfp_api.connect(state.url), state.url)
        there = kfp_run.facts(service, "run-1")
        found = parity.compare(here(), there)
        storage.write(
            f"{folder}/ingest/1-2/examples/manifest.json", json.dumps({**MANIFEST, "fingerprint": "f2"}).encode()
        )
        other = parity.compare(here(), kfp_run.facts(service, "run-1"))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        blind = parity.compare(here(), kfp_run.facts(service, "run-1"))
    assert (deciding(found), found.same) == ([], True)
    assert found.compared == 5, "fingerprint, rows, rejected rows, metric, gate"
    assert "output parameters" in found.not_told[0]
    assert deciding(other) == [("data", "ingest examples.fingerprint", "f1", "f2")]
    assert (blind.compared, blind.same) == (0, False)
    assert any("export AWS_" in line for line in blind.not_told)
