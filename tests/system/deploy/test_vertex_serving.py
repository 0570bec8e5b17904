"""A model on a Vertex AI endpoint: uploaded, deployed, given traffic; what fails or is killed is done once."""

import itertools

import pytest
from pydantic import ValidationError

import cloud_storage
import vertex_listener
from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError, NotServedError
from kfp_ct.champions import listing, promotion
from kfp_ct.deploy.doctor import serving_checks
from kfp_ct.models import serving_folder, vertex_api
from kfp_ct.models.settings import Serving
from release_artifacts import make_run
from vertex_place import ENDPOINT, MODEL, PARENT, SERIAL, KilledError, Place, kill_after
from vertex_serving import NOT_READY, ServingListener

KEY = "projects/acme/locations/europe-west1/keyRings/r/cryptoKeys/k"
WHOLE = {
    "machine_type": "g2-standard-4", "min_replicas": 1, "max_replicas": 3,
    "scale_at": {"cpu": 70, "accelerator": 50}, "accelerator": "NVIDIA_L4", "spot": True,
    "service_account": "ct-prediction@acme.iam.gserviceaccount.com", "encryption_key": KEY,
    "private_projects": ["acme-clients"], "bigquery_log": "bq://acme.ct_predictions.requests",
    "bigquery_log_sample": 0.5, "labels": {"team": "flights"}, "request_log": "gs://data/requests",
}  # fmt: skip
EVALUATION = "/evaluations:import"
FIRST = ["models:upload", EVALUATION, "/endpoints", ":deployModel", ":traffic", ":mergeVersionAliases"]
NEXT = ["models:upload", EVALUATION, ":deployModel", ":traffic", ":undeployModel", ":mergeVersionAliases"]


@pytest.fixture(scope="module")
def storage():
    with cloud_storage.running("data"):
        yield


@pytest.fixture
def vertex(storage):
    with vertex_listener.listening(ServingListener()) as listener:
        yield listener


@pytest.fixture
def place(tmp_path, vertex):
    return Place(tmp_path, vertex)


def test_the_first_version_is_uploaded_deployed_and_given_all_traffic(tmp_path, vertex):
    place = Place(tmp_path, vertex, vertex=WHOLE)

    found = place.deploy("one", "1")

    assert vertex.verbs == FIRST
    assert place.seen() == ("1", "1", ["1"], {"1": 100})
    assert found == {"model": "flights", "version": "1", "previous": ""}
    model, endpoint = vertex.models[MODEL][0], vertex.endpoints[ENDPOINT]
    assert set(model.version_aliases) == {"v1", "champion", "default"}
    assert model.artifact_uri == f"{place.root}/releases/flights-v1/flights/1"
    assert (model.labels["team"], model.labels["kfp-ct-blessed"]) == ("flights", "yes")
    assert "auc 0.70 against 0.65" in model.version_description
    assert "| commit | abc123 |" in model.version_description, "the model card that register kept"
    assert list(model.container_spec.args)[-2:] == ["--request-log", "gs://data/requests"]
    assert model.container_spec.predict_route == "/v1/models/flights:predict"
    deployed = endpoint.deployed_models[0]
    resources = deployed.dedicated_resources
    assert (resources.machine_spec.machine_type, resources.machine_spec.accelerator_type.name) == (
        "g2-standard-4", "NVIDIA_L4",
    )  # fmt: skip
    assert (resources.min_replica_count, resources.max_replica_count, resources.spot) == (1, 3, True)
    assert [(each.metric_name, each.target) for each in resources.autoscaling_metric_specs] == [
        ("aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle", 50),
        ("aiplatform.googleapis.com/prediction/online/cpu/utilization", 70),
    ]
    assert deployed.service_account == WHOLE["service_account"]
    assert {model.encryption_spec.kms_key_name, endpoint.encryption_spec.kms_key_name} == {KEY}
    assert list(endpoint.private_service_connect_config.project_allowlist) == ["acme-clients"]
    log = endpoint.predict_request_response_logging_config
    assert (log.enabled, log.sampling_rate) == (True, 0.5)
    assert log.bigquery_destination.output_uri == "bq://acme.ct_predictions.requests"


def test_the_next_version_is_one_of_the_same_model_and_the_old_one_goes(place, vertex):
    place.deploy("one", "1")
    vertex.verbs.clear()

    found = place.deploy("two", "2")

    assert vertex.verbs == NEXT
    assert place.seen() == ("2", "2", ["2"], {"2": 100})
    assert found["previous"] == "1"
    assert [set(each.version_aliases) for each in vertex.models[MODEL]] == [{"v1", "default"}, {"v2", "champion"}]
    # The same again finds all of it done.
    vertex.verbs.clear()
    place.deploy("two", "2")
    assert vertex.verbs == []


def test_promote_and_rollback_deploy_the_version_that_is_uploaded_already(place, vertex):
    place.deploy("one", "1")
    place.deploy("two", "2")
    vertex.verbs.clear()

    promotion.rollback(place.location, "flights", promotion.Person("ada"))

    assert vertex.verbs == [":deployModel", ":traffic", ":undeployModel", ":mergeVersionAliases"]
    assert place.seen() == ("1", "1", ["1"], {"1": 100})
    promotion.promote(place.location, "flights", "2", promotion.Person("ada"))
    assert place.seen() == ("2", "2", ["2"], {"2": 100})
    assert len(vertex.models[MODEL]) == 2


def test_a_version_that_does_not_become_ready_is_taken_away_and_the_champion_stays(place, vertex):
    place.deploy("one", "1")
    vertex.broken["2"] = NOT_READY

    with pytest.raises(NotServedError, match=r"v2 ready: Model server never became ready(.|\n)*v1 answers as before"):
        place.deploy("two", "2")

    assert place.seen() == ("1", "1", ["1"], {"1": 100})
    vertex.broken.clear()
    place.deploy("two", "2")
    assert place.seen() == ("2", "2", ["2"], {"2": 100})
    assert len(vertex.models[MODEL]) == 2, "what was uploaded is not uploaded again"


REFUSALS = [
    ("models:upload", 403, ConfigurationError, "forbids .*models:upload(.|\n)*roles/aiplatform.user"),
    (":deployModel", 429, NotServedError, "a quota is used up(.|\n)*v1 answers as before"),
    (":deployModel", 403, ConfigurationError, "forbids"),
    (":deployModel", 400, ConfigurationError, r"refuses .* \(400\)"),
    ("endpoints/flights", 503, NotServedError, "is away"),  # the traffic: both are deployed, the old one answers
]


@pytest.mark.parametrize(("end", "status", "kind", "says"), REFUSALS, ids=lambda each: str(each)[:14])
def test_what_vertex_refuses_leaves_the_champion_and_is_gone_on_with(end, status, kind, says, place, vertex):
    place.deploy("one", "1")
    vertex.refusals[end] = [status]

    with pytest.raises(kind, match=says):
        place.deploy("two", "2")

    champion, served, _, traffic = place.seen()
    assert (champion, served, traffic) == ("1", "1", {"1": 100})
    vertex.verbs.clear()
    place.deploy("two", "2")
    assert place.seen() == ("2", "2", ["2"], {"2": 100})
    assert len(vertex.models[MODEL]) == 2
    assert vertex.verbs.count(":deployModel") == (0 if end == "endpoints/flights" else 1)


def test_replicas_that_the_settings_change_reach_the_version_that_is_deployed(tmp_path, vertex, capsys):
    Place(tmp_path, vertex).deploy("one", "1")
    vertex.verbs.clear()
    more = {"max_replicas": 4, "scale_at": {"cpu": 80}, "machine_type": "n1-standard-8"}

    changed = Place(tmp_path, vertex, vertex=more)
    changed.root = f"gs://data/serving{next(SERIAL)}"
    changed.deploy("one", "1")

    assert vertex.verbs == [":mutateDeployedModel"]
    resources = vertex.endpoints[ENDPOINT].deployed_models[0].dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (1, 4)
    assert [each.target for each in resources.autoscaling_metric_specs] == [80]
    assert resources.machine_spec.machine_type == "n1-standard-2"
    assert "v1 stays on the machines that it has" in capsys.readouterr().out
    vertex.verbs.clear()
    changed.deploy("one", "1")
    assert vertex.verbs == []


@pytest.mark.parametrize("name", ["private_projects", "encryption_key"])
def test_an_endpoint_that_was_made_open_is_not_taken_for_a_private_one(name, tmp_path, vertex):
    Place(tmp_path, vertex).deploy("one", "1")
    vertex.verbs.clear()
    closed = Place(tmp_path, vertex, vertex={name: WHOLE[name]})

    with pytest.raises(ConfigurationError, match=r"was made without (.|\n)*cannot be changed afterwards"):
        closed.deploy("two", "2")

    assert (closed.champion, ":deployModel" in vertex.verbs) == ("1", False)


def test_an_old_version_that_cannot_be_taken_away_goes_with_the_next_deployment(place, vertex):
    place.deploy("one", "1")
    vertex.refusals[":undeployModel"] = [503]

    place.deploy("two", "2")

    assert place.seen() == ("2", "2", ["1", "2"], {"2": 100})
    place.deploy("two", "2")
    assert place.seen() == ("2", "2", ["2"], {"2": 100})


@pytest.mark.parametrize("taken", ["model", "endpoint"])
def test_a_name_that_is_taken_is_refused_before_anything_is_sent(taken, place, vertex):
    other = Place(place.folder, vertex, vertex={"endpoint": "shared"})
    other.deploy("one", "1")
    if taken == "model":
        vertex.models[MODEL][0].labels["kfp-ct-model"] = "another"
    else:
        vertex.endpoints[f"{PARENT}/endpoints/shared"].labels["kfp-ct-model"] = "another"
    vertex.verbs.clear()

    with pytest.raises(ConfigurationError, match=r"is another model|is not of this model"):
        other.deploy("two", "2")
    assert [each for each in vertex.verbs if each != "models:upload"] == []


def test_what_is_not_blessed_and_what_vertex_cannot_read_is_not_sent(place, vertex, tmp_path):
    run = make_run(tmp_path / "bad", "bad", blessed=False)
    release = serving_folder.Release(run.model, run.blessing, "flights", "1")
    with pytest.raises(ModelNotBlessedError):
        place.target.serve(release, 3)
    place.root = str(tmp_path / "serving")
    with pytest.raises(ConfigurationError, match="where Vertex AI cannot read models"):
        place.deploy("one", "1")
    assert vertex.verbs == []


def test_a_deployment_that_was_killed_after_any_write_is_gone_on_with_and_nothing_is_doubled(tmp_path, storage):
    for writes in itertools.count(1):
        with vertex_listener.listening(ServingListener()) as vertex, pytest.MonkeyPatch.context() as patched:
            place = Place(tmp_path / str(writes), vertex)
            place.deploy("one", "1")
            kill_after(writes, patched)
            try:
                place.deploy("two", "2")
            except KilledError:
                assert place.champion == "1", "the champion moves last"
            else:
                break
            place.deploy("two", "2")

            assert place.seen() == ("2", "2", ["2"], {"2": 100}), writes
            assert len(vertex.models[MODEL]) == 2
            assert [vertex.verbs.count(verb) for verb in ("models:upload", ":deployModel")] == [2, 2]
    assert writes == len(NEXT) + 1


def test_traffic_that_somebody_else_changes_meanwhile_is_left_and_the_champion_stays(place, vertex):
    place.deploy("one", "1")

    def by_hand():
        endpoint = vertex.endpoints[ENDPOINT]
        endpoint.traffic_split, endpoint.etag = {"1": 60, "2": 40}, "by hand"

    vertex.meanwhile = by_hand
    with pytest.raises(ConfigurationError, match=r"changed meanwhile: v1 60 %, v2 40 %(.|\n)*fix: "):
        place.deploy("two", "2")

    assert place.seen() == ("1", "1", ["1", "2"], {"1": 60, "2": 40})


def test_a_deployment_that_does_not_end_in_time_is_said_to_go_on_there(tmp_path, vertex):
    place = Place(tmp_path, vertex)
    place.deploy("one", "1")
    place.serving["timeout_seconds"], vertex.looks = 1, 1_000
    vertex.slow = ":deployModel"

    with pytest.raises(NotServedError, match=r"in time\nit may go on there, without traffic; v1 answers as before"):
        place.deploy("two", "2")

    assert place.seen()[:2] == ("1", "1")
    vertex.finish()
    place.deploy("two", "2")
    assert place.seen() == ("2", "2", ["2"], {"2": 100})
    assert vertex.verbs.count(":deployModel") == 2


def test_the_evaluation_that_the_registry_keeps_is_attached_once(place, vertex):
    vertex.refusals[EVALUATION] = [403]
    place.deploy("one", "1")
    assert place.seen()[:2] == ("1", "1"), "numbers for people keep no model from its traffic"
    assert vertex.evaluations == {}

    place.deploy("one", "1")
    place.deploy("one", "1")

    ((name, (found,)),) = vertex.evaluations.items()
    assert (name, found.display_name) == (f"{MODEL}@1", "kfp-ct v1")
    assert found.metrics_schema_uri.endswith("/classification_metrics_1.0.0.yaml")
    assert (dict(found.metrics), dict(found.metadata)) == ({"auRoc": 0.7}, {"auc": 0.7, "rows": 100.0})


def test_models_and_doctor_know_the_endpoint(place, vertex):
    def doctor():
        parameters = {"model_name": "flights", "serving_root": place.root, "serving": place.serving}
        return [(each.state, each.text) for each in serving_checks.findings(parameters)]

    assert doctor() == [("ok", f"{ENDPOINT} is not there yet; deploy makes it")]
    place.deploy("one", "1")
    place.deploy("two", "2")
    assert [(each.version, each.champion, each.served) for each in listing.versions(place.location, "flights")] == [
        ("2", True, True),
        ("1", False, False),
    ]
    assert doctor() == [("ok", f"{ENDPOINT}: v2 answers; traffic v2 100 %")]
    vertex.endpoints[ENDPOINT].labels["kfp-ct-model"] = "another"
    ((state, text),) = doctor()
    assert (state, "is another model's" in text) == ("problem", True)


def test_labels_and_places_that_vertex_does_not_take_are_refused_in_the_settings(place):
    section = place.serving["vertex"]
    for wrong in ({"labels": {"Team": "x"}}, {"labels": {"team": "Flight Ops"}}, {"location": "Europe"}):
        with pytest.raises(ValidationError):
            Serving.model_validate({**place.serving, "vertex": {**section, **wrong}})


def test_reads_are_asked_again_while_the_service_is_away(place, vertex, monkeypatch):
    place.deploy("one", "1")
    sent, left = vertex_api.VertexApi._send, [2]

    def away(self, method, *rest):
        if method == "GET" and left[0]:
            left[0] -= 1
            raise vertex_api.UnavailableError("away")
        return sent(self, method, *rest)

    monkeypatch.setattr(vertex_api.VertexApi, "_send", away)
    assert place.target.served("flights") == "1"
    assert left == [0]
