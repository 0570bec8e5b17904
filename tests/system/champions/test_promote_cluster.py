"""`promote`, `rollback` and the list of models where a Deployment or an InferenceService serves, with every request."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml

from kfp_ct.base.errors import ConfigurationError, NotServedError
from kfp_ct.champions import listing, promotion
from kfp_ct.champions.promotion import Person
from kfp_ct.models.kubernetes_api import ConflictError
from kubernetes_listener import NEVER, Cluster, Listener
from registered_models import place_in, three_versions
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
INFRA = ROOT / "infra" / "kubernetes"
ADA = Person("ada", "it answers better")
GET, PATCH = ("get", 200), ("patch", 200)
TARGETS = ("kubernetes", "kserve")
PLURAL = {"kubernetes": "deployments", "kserve": "inferenceservices"}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A registry whose third version is champion, and served by nothing on the cluster; to be copied."""
    return three_versions(tmp_path_factory.mktemp("three"))


def manifests(path):
    return [each for each in yaml.safe_load_all((INFRA / path).read_text()) if each]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster()
    for path, kind, plural in (
        ("base/prediction.yaml", "Deployment", "deployments"),
        ("kserve/inference-service.yaml", "InferenceService", "inferenceservices"),
    ):
        (found,) = [each for each in manifests(path) if each["kind"] == kind]
        cluster.add(plural, found)
    for path in ("base/tasks.yaml", "kserve/tasks.yaml"):
        for role in (each for each in manifests(path) if each["kind"] == "Role"):
            cluster.rules += [{**rule, "namespace": role["metadata"]["namespace"]} for rule in role["rules"]]
    with Listener(tmp_path, cluster) as listener:
        # The client's own default is set once, as it is imported.
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(listener.kubeconfig))
        yield cluster


@pytest.fixture(params=TARGETS)
def place(request, three, cluster, tmp_path):
    home = Path(shutil.copytree(three, tmp_path / "home"))
    serving = {"target": request.param, "timeout_seconds": 1, "poll_seconds": 0.01}
    return dataclasses.replace(place_in(home), serving_root=str(tmp_path / "published"), serving=serving)


def requests(cluster, place):
    """The requests for the object that serves, since the last time; nothing but it and KServe's pods is asked for."""
    found, cluster.requests = cluster.requests, []
    own = f"/{PLURAL[place.serving['target']]}/flights"
    assert {each.path.rpartition("/")[2] for each in found} <= {"flights", "flights-predictor"}
    return [(each.verb, each.status) for each in found if each.path.endswith(own)]


def now(place):
    """Returns the champion and what the list of models says is served."""
    listed = listing.versions(place, "flights")
    return [each.version for each in listed if each.champion], [each.version for each in listed if each.served]


def test_champion_and_object_move_together_and_back(cluster, place):
    assert now(place) == (["3"], [])
    requests(cluster, place)

    promotion.promote(place, "flights", "1", ADA)
    asked = requests(cluster, place)
    assert (asked.count(PATCH), set(asked)) == (1, {GET, PATCH})
    assert now(place) == (["1"], ["1"])

    promotion.promote(place, "flights", "2", ADA)
    promotion.rollback(place, "flights", ADA)
    assert requests(cluster, place).count(PATCH) == 2
    assert now(place) == (["1"], ["1"])


def test_what_does_not_get_ready_is_undone_and_the_champion_stays(cluster, place):
    promotion.promote(place, "flights", "1", ADA)
    requests(cluster, place)
    cluster.rollout = NEVER

    with pytest.raises(NotServedError, match=r"did not get v2 ready in 1 s(.|\n)*undone"):
        promotion.promote(place, "flights", "2", ADA)

    assert requests(cluster, place).count(PATCH) == 2, "there and back"
    assert place.reader.champion("flights").number == "1"


def test_a_right_that_is_missing_is_named_and_nothing_moves(cluster, place):
    cluster.rules = [{**rule, "verbs": ["get"]} for rule in cluster.rules]

    with pytest.raises(ConfigurationError, match=r"the cluster forbids to patch (.|\n)*resourceNames: \[flights\]"):
        promotion.promote(place, "flights", "1", ADA)

    assert ("patch", 403) in requests(cluster, place)
    assert now(place) == (["3"], [])


def test_another_who_moves_it_at_the_same_time_is_a_conflict(cluster, place):
    plural = PLURAL[place.serving["target"]]

    def elsewhere(request):
        if request.verb == "patch":
            found = cluster.get(plural, "flights")
            if plural == "deployments":
                found["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "s3://another/release"
            else:
                found["spec"]["predictor"]["model"]["storageUri"] = "s3://another/release"
            cluster.written(found)

    cluster.before_answer = elsewhere
    with pytest.raises(ConflictError, match=r"(?s)changed by somebody else meanwhile|points at"):
        promotion.promote(place, "flights", "1", ADA)

    assert ("patch", 409) in requests(cluster, place)
    assert place.reader.champion("flights").number == "3"
