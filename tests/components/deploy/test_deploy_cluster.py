"""Deploying to a Deployment and to KServe, through the official client, against a stand-in of the API on loopback.

Objects, RBAC rules and manifests are those of infra/kubernetes; every request is recorded.
"""

import datetime
import functools
import os
import signal

import pytest
import yaml

from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError, NotServedError
from kfp_ct.components.deploy import work
from kfp_ct.components.register import work as registering
from kfp_ct.models import (
    champion_alias,
    cluster_target,
    kubernetes_api,
    registry,
    release_target,
    serving_folder,
    serving_target,
)
from kubernetes_listener import BROKEN, DEADLINE, NEVER, READY, Cluster, Listener
from release_artifacts import make_run
from repository import ROOT

INFRA = ROOT / "infra" / "kubernetes"
DEPLOYMENT = "/apis/apps/v1/namespaces/serving/deployments/flights"
SERVICE = "/apis/serving.kserve.io/v1beta1/namespaces/serving/inferenceservices/flights"
PREDICTOR = "/apis/apps/v1/namespaces/serving/deployments/flights-predictor"
GET, PATCH = ("get", 200), ("patch", 200)


def manifests(path):
    return [each for each in yaml.safe_load_all((INFRA / path).read_text()) if each]


def one(path, kind):
    (found,) = [each for each in manifests(path) if each["kind"] == kind]
    return found


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster()
    deployment = one("base/prediction.yaml", "Deployment")
    deployment["spec"]["replicas"] = 2  # the autoscaler's word
    cluster.add("deployments", deployment)
    cluster.add("inferenceservices", one("kserve/inference-service.yaml", "InferenceService"))
    for path in ("base/tasks.yaml", "kserve/tasks.yaml"):
        for role in (each for each in manifests(path) if each["kind"] == "Role"):
            cluster.rules += [{**rule, "namespace": role["metadata"]["namespace"]} for rule in role["rules"]]
    with Listener(tmp_path, cluster) as listener:
        monkeypatch.setenv("KUBECONFIG", str(listener.kubeconfig))
        # The client's own default is set once, as it is imported.
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(listener.kubeconfig))
        yield cluster


@pytest.fixture
def registry_uri(tmp_path):
    return f"sqlite:///{tmp_path}/registry.db"


SETTINGS = {"target": "kubernetes", "timeout_seconds": 1, "poll_seconds": 0.01}
KSERVE = {**SETTINGS, "target": "kserve"}


def deploy(tmp_path, content="one", settings=SETTINGS, registry_uri="", version="1", blessed=True):
    root = tmp_path / f"run-{content}"
    run = make_run(root, content, blessed=blessed) if not root.exists() else _again(root)
    if registry_uri:
        version = registering.register(run.candidate(f"key {content}"), registry_uri, "flights", False).version
    release = serving_folder.Release(run.model, run.blessing, "flights", version)
    destination = work.Destination(str(tmp_path / "serving"), settings, registry_uri)
    return work.deploy(release, destination, 3, str(root / "deployment"))


def _again(root):
    from release_artifacts import Run

    return Run(root)


def champion(registry_uri):
    found = registry.open_reader(registry_uri).champion("flights")
    return found.number if found else ""


def served_by(cluster):
    spec = cluster.get("deployments", "flights")["spec"]["template"]
    (root,) = [
        each.get("value", "") for each in spec["spec"]["containers"][0]["env"] if each["name"] == "CT_MODEL_ROOT"
    ]
    return root, spec["metadata"].get("annotations", {}).get("kfp-ct/model-version", "")


def asked(cluster, path):
    return [(each.verb, each.status) for each in cluster.requests if each.path == path]


def uri(tmp_path, version):
    return f"{tmp_path}/serving/releases/flights-v{version}"


def test_a_deployment_is_pointed_at_the_version_and_its_rollout_awaited(cluster, tmp_path):
    before = cluster.get("deployments", "flights")["metadata"]["resourceVersion"]

    assert deploy(tmp_path) == {"model": "flights", "version": "1", "previous": ""}

    assert served_by(cluster) == (uri(tmp_path, 1), "1")
    assert (tmp_path / "serving/releases/flights-v1/flights/1/saved_model.pb").read_text() == "graph one"
    # Read; patched; looked at until two new pods came up and the old ones went; asked once whether a canary is held.
    assert asked(cluster, DEPLOYMENT) == [GET, PATCH, *[GET] * 4, GET]
    assert {each.path for each in cluster.requests} == {DEPLOYMENT}, "nothing but this is asked for"
    (patch,) = [each for each in cluster.requests if each.verb == "patch"]
    assert patch.content_type == "application/json-patch+json"
    assert patch.body[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": before}
    # Everything else of the object stays as infra/kubernetes made it.
    spec = cluster.get("deployments", "flights")["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["containers"][0]["env"]] == ["CT_MODEL_ROOT", "HOME"]


def test_the_champion_moves_when_the_version_answers(cluster, tmp_path, registry_uri):
    seen = []
    cluster.before_answer = lambda request: seen.append((request.verb, champion(registry_uri)))

    deploy(tmp_path, registry_uri=registry_uri)

    assert {alias for _, alias in seen} == {""}, "no request was made after the alias had moved"
    assert champion(registry_uri) == "1"


def test_a_second_version_knows_the_one_before(cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", registry_uri=registry_uri)
    assert deploy(tmp_path, "two", registry_uri=registry_uri)["previous"] == "1"
    assert champion(registry_uri) == "2"


def test_what_is_served_already_is_left_so(cluster, tmp_path):
    deploy(tmp_path)
    cluster.requests.clear()

    deploy(tmp_path)

    assert asked(cluster, DEPLOYMENT) == [GET, GET, GET]


@pytest.mark.parametrize(
    ("rollout", "complaint"),
    [(NEVER, "did not get v2 ready in 1 s: 1 of 2 pods are new"), (DEADLINE, "timed out progressing")],
)
def test_a_version_that_does_not_become_ready_is_undone_and_the_champion_stays(
    rollout, complaint, cluster, tmp_path, registry_uri
):
    deploy(tmp_path, "one", registry_uri=registry_uri)
    cluster.rollout = rollout
    cluster.requests.clear()

    with pytest.raises(NotServedError, match=complaint) as error:
        deploy(tmp_path, "two", registry_uri=registry_uri)

    assert "undone: it points at" in str(error.value)
    assert "kubectl --namespace serving describe pods" in str(error.value)
    assert served_by(cluster) == (uri(tmp_path, 1), "1")
    assert champion(registry_uri) == "1"
    assert [each for each in asked(cluster, DEPLOYMENT) if each[0] == "patch"] == [PATCH, PATCH]
    assert asked(cluster, DEPLOYMENT)[-2:] == [GET, PATCH]

    cluster.rollout = READY
    target = serving_target.open_target(SETTINGS, str(tmp_path / "serving"), "flights")
    assert target.served("flights") == "1", "also while the undoing is rolled out"
    assert deploy(tmp_path, "two", registry_uri=registry_uri)["previous"] == "1"


@pytest.mark.parametrize("settings", [SETTINGS, KSERVE], ids=["kubernetes", "kserve"])
def test_a_first_version_that_does_not_become_ready_leaves_nothing_pointed_at(
    settings, cluster, tmp_path, registry_uri
):
    cluster.rollout = NEVER

    with pytest.raises(NotServedError, match="undone: it points at nothing, as before the first model"):
        deploy(tmp_path, settings=settings, registry_uri=registry_uri)

    target = serving_target.open_target(settings, str(tmp_path / "serving"), "flights")
    assert target.served("flights") == champion(registry_uri) == ""
    assert served_by(cluster)[0] == ""
    assert "storageUri" not in cluster.get("inferenceservices", "flights")["spec"]["predictor"]["model"]


def test_a_deployment_of_no_pods_serves_nothing(cluster, tmp_path):
    cluster.get("deployments", "flights")["spec"]["replicas"] = 0

    with pytest.raises(NotServedError, match="0 replicas"):
        deploy(tmp_path)


def test_a_change_of_other_parts_meanwhile_is_no_conflict(cluster, tmp_path):
    def autoscale(request):
        if request.verb == "patch" and not scaled:
            scaled.append(cluster.get("deployments", "flights")["spec"].update(replicas=3))
            cluster.written(cluster.get("deployments", "flights"))

    scaled = []
    cluster.before_answer = autoscale
    deploy(tmp_path)

    assert asked(cluster, DEPLOYMENT)[:4] == [GET, ("patch", 409), GET, PATCH]
    assert cluster.get("deployments", "flights")["spec"]["replicas"] == 3


def point_elsewhere(cluster):
    found = cluster.get("deployments", "flights")
    found["spec"]["template"]["metadata"].setdefault("annotations", {})["kfp-ct/model-version"] = "9"
    cluster.written(found)


def test_another_deployment_at_the_same_time_is_a_conflict(cluster, tmp_path, registry_uri):
    cluster.before_answer = lambda request: point_elsewhere(cluster) if request.verb == "patch" else None

    with pytest.raises(ConfigurationError, match="changed by somebody else meanwhile: Operation cannot be fulfilled"):
        deploy(tmp_path, registry_uri=registry_uri)

    assert asked(cluster, DEPLOYMENT) == [GET, ("patch", 409), GET]
    assert served_by(cluster)[1] == "9"
    assert champion(registry_uri) == ""


def test_one_that_is_overtaken_while_it_waits_leaves_the_other_alone(cluster, tmp_path, registry_uri):
    def overtake(request):
        if request.verb == "get" and any(each.verb == "patch" for each in cluster.requests):
            point_elsewhere(cluster)

    cluster.before_answer = overtake
    with pytest.raises(ConfigurationError, match=r"pointed at .* \(v9\) meanwhile"):
        deploy(tmp_path, registry_uri=registry_uri)

    assert asked(cluster, DEPLOYMENT) == [GET, PATCH, GET]
    assert champion(registry_uri) == ""


@pytest.mark.parametrize("verb", ["get", "patch"])
@pytest.mark.parametrize(("settings", "what"), [(SETTINGS, "deployments"), (KSERVE, "inferenceservices")])
def test_a_right_that_is_missing_is_named_with_the_rule_to_add(settings, what, verb, cluster, tmp_path):
    for rule in cluster.rules:
        rule["verbs"] = [each for each in rule["verbs"] if each != verb]

    with pytest.raises(ConfigurationError) as error:
        deploy(tmp_path, settings=settings)

    group = {"deployments": "apps", "inferenceservices": "serving.kserve.io"}[what]
    assert f"forbids to {verb} {what}.{group}/flights in the namespace serving" in str(error.value)
    assert f'cannot {verb} resource "{what}"' in str(error.value)
    rule = f"{{apiGroups: [{group}], resources: [{what}], resourceNames: [flights], verbs: [get, patch]}}"
    assert rule in str(error.value)
    assert yaml.safe_load(rule) in [
        rule for path in ("base/tasks.yaml", "kserve/tasks.yaml") for rule in one(path, "Role")["rules"]
    ], "the rule that is named is the one that infra/kubernetes gives"


@pytest.mark.parametrize("settings", [SETTINGS, KSERVE], ids=["kubernetes", "kserve"])
def test_an_object_that_is_not_there_is_named_with_what_makes_it(settings, cluster, tmp_path):
    cluster.objects.clear()

    with pytest.raises(ConfigurationError, match=r"(?s)not found.*fix: kubectl apply --kustomize infra/kubernetes"):
        deploy(tmp_path, settings=settings)

    assert not (tmp_path / "serving").exists(), "nothing was published"


def test_credentials_that_are_refused_are_named(cluster, tmp_path, monkeypatch):
    config = tmp_path / "kubeconfig"
    config.write_text(config.read_text().replace("a-token", "another"))

    with pytest.raises(ConfigurationError, match="401 Unauthorized"):
        deploy(tmp_path)


def test_without_a_cluster_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))

    with pytest.raises(ConfigurationError, match="no Kubernetes cluster is known here"):
        deploy(tmp_path)


def test_a_cluster_that_is_away_while_it_rolls_out_is_waited_for(cluster, tmp_path, monkeypatch):
    real, looks = kubernetes_api.Cluster.get, []

    def flaky(self, resource):
        looks.append(resource)
        if len(looks) in (3, 4):
            raise kubernetes_api.UnavailableError("the Kubernetes cluster does not answer")
        return real(self, resource)

    monkeypatch.setattr(kubernetes_api.Cluster, "get", flaky)
    deploy(tmp_path)
    assert served_by(cluster)[1] == "1"


def test_another_container_than_ours_is_refused(cluster, tmp_path):
    cluster.get("deployments", "flights")["spec"]["template"]["spec"]["containers"][0]["env"] = []

    with pytest.raises(ConfigurationError, match=r"no container of .* has the variable CT_MODEL_ROOT"):
        deploy(tmp_path)


@pytest.mark.parametrize("settings", [SETTINGS, KSERVE], ids=["kubernetes", "kserve"])
def test_nothing_unblessed_reaches_the_cluster(settings, cluster, tmp_path):
    with pytest.raises(ModelNotBlessedError):
        deploy(tmp_path, settings=settings, blessed=False)
    assert not [each for each in cluster.requests if each.verb == "patch"]


def test_kserve_is_ready_when_a_new_revision_is(cluster, tmp_path):
    assert deploy(tmp_path, settings=KSERVE) == {"model": "flights", "version": "1", "previous": ""}

    spec = cluster.get("inferenceservices", "flights")["spec"]["predictor"]
    assert spec["model"]["storageUri"] == f"{uri(tmp_path, 1)}/flights"
    assert (tmp_path / "serving/releases/flights-v1/flights/1/saved_model.pb").is_file()
    # The status is that of the revision before, for a look: it is not taken for the new one's.
    assert asked(cluster, SERVICE) == [GET, PATCH, *[GET] * 3, GET]
    assert {each.path for each in cluster.requests} == {SERVICE}
    assert {each.content_type for each in cluster.requests if each.verb == "patch"} == {"application/json-patch+json"}


def test_kserve_gives_a_canary_its_share_then_all(cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", settings=KSERVE, registry_uri=registry_uri)
    cluster.requests.clear()
    canary = {**KSERVE, "canary_percent": 10, "canary_seconds": 1}

    assert deploy(tmp_path, "two", settings=canary, registry_uri=registry_uri)["previous"] == "1"

    shares = [
        change.get("value", change["op"])
        for each in cluster.requests if each.verb == "patch"
        for change in each.body if change["path"] == "/spec/predictor/canaryTrafficPercent"
    ]  # fmt: skip
    assert shares == [10, "remove"]
    status = cluster.get("inferenceservices", "flights")["status"]["components"]["predictor"]
    assert status["latestRolledoutRevision"] == status["latestReadyRevision"]
    assert champion(registry_uri) == "2"


def test_a_canary_that_fails_is_undone(cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", settings=KSERVE, registry_uri=registry_uri)

    def break_it(request):
        found = cluster.get("inferenceservices", "flights")
        part = found["status"]["components"]["predictor"]
        if "canaryTrafficPercent" in found["spec"]["predictor"] and part["latestReadyRevision"].endswith("2"):
            cluster.rollout = BROKEN
            part["latestReadyRevision"] = "flights-predictor-00001"

    cluster.before_answer = break_it
    # It is ready once, with its share of the traffic, and breaks then.
    with pytest.raises(NotServedError, match="NoSuchKey"):
        deploy(tmp_path, "two", settings={**KSERVE, "canary_percent": 10}, registry_uri=registry_uri)

    spec = cluster.get("inferenceservices", "flights")["spec"]["predictor"]
    assert spec["model"]["storageUri"] == f"{uri(tmp_path, 1)}/flights"
    assert champion(registry_uri) == "1"


@pytest.mark.parametrize(("rollout", "complaint"), [(BROKEN, "NoSuchKey"), (NEVER, "did not get v2 ready in 1 s")])
def test_kserve_that_does_not_get_ready_is_undone(rollout, complaint, cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", settings=KSERVE, registry_uri=registry_uri)
    cluster.rollout = rollout

    with pytest.raises(NotServedError, match=complaint):
        deploy(tmp_path, "two", settings=KSERVE, registry_uri=registry_uri)

    assert cluster.get("inferenceservices", "flights")["spec"]["predictor"]["model"]["storageUri"].endswith(
        "v1/flights"
    )
    assert champion(registry_uri) == "1"


@pytest.fixture
def without_knative(cluster):
    found = cluster.get("inferenceservices", "flights")
    found["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "RawDeployment"}
    found.pop("status")
    cluster.reconcile(found, first=True)
    return cluster


def test_kserve_without_knative_is_ready_when_the_pods_of_its_deployment_are(without_knative, tmp_path):
    deploy(tmp_path, settings=KSERVE)

    assert {each.path for each in without_knative.requests} == {SERVICE, PREDICTOR}
    assert {each.verb for each in without_knative.requests if each.path == PREDICTOR} == {"get"}


def test_kserve_without_knative_says_ready_while_only_the_old_pods_are(without_knative, tmp_path):
    deploy(tmp_path, "one", settings=KSERVE)
    without_knative.rollout = NEVER

    with pytest.raises(NotServedError, match="did not get v2 ready"):
        deploy(tmp_path, "two", settings=KSERVE, version="2")


def test_kserve_without_knative_cannot_split_traffic(without_knative, tmp_path):
    with pytest.raises(ConfigurationError, match="runs without Knative, which is what splits traffic"):
        deploy(tmp_path, settings={**KSERVE, "canary_percent": 10})


@pytest.mark.parametrize("settings", [SETTINGS, KSERVE], ids=["kubernetes", "kserve"])
def test_killed_between_any_two_requests_the_next_run_finishes(settings, cluster, tmp_path, registry_uri):
    """A process is killed as the API has answered its nth request, for each n; the same step again ends well."""
    deploy(tmp_path, "one", settings=settings, registry_uri=registry_uri)
    number, finished = 2, False
    while not finished:
        content = f"model {number}"
        cluster.requests.clear()
        finished = not killed_after(number - 1, functools.partial(deploy, tmp_path, content, settings, registry_uri))
        assert champion(registry_uri) == str(number - 1 if not finished else number)

        assert deploy(tmp_path, content, settings, registry_uri) == {
            "model": "flights", "version": str(number), "previous": str(number - 1),
        }  # fmt: skip
        assert champion(registry_uri) == str(number)
        number += 1
    assert number > 6, "there were more places to be killed at than that"


def killed_after(answers, act):
    """Runs something in a child that is killed after so many answers of the API; returns whether it came to that."""
    pid = os.fork()
    if pid == 0:
        real, seen = kubernetes_api.Cluster, []

        def counted(method):
            def call(*arguments):
                answer = method(*arguments)
                seen.append(answer)
                if len(seen) == answers:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return call

        real.get, real.patch = counted(real.get), counted(real.patch)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_an_alias_that_could_not_be_moved_is_moved_by_the_next_run(cluster, tmp_path, registry_uri, monkeypatch):
    def down(*arguments):
        raise ConfigurationError("the registry does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(champion_alias, "make_champion", down)
        with pytest.raises(ConfigurationError):
            deploy(tmp_path, registry_uri=registry_uri)
    assert champion(registry_uri) == ""

    deploy(tmp_path, registry_uri=registry_uri)
    assert champion(registry_uri) == "1"


def test_every_look_is_bounded_in_time():
    assert cluster_target._TRIES < 20
    assert kubernetes_api._SECONDS <= 60


RELEASE = {**KSERVE, "release": {"canary": [1, 10], "judge": {"request_log": "log"}}}
NOW = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)


def released(tmp_path, registry_uri, verdict=""):
    """Opens the releases; does what a look says."""
    found = release_target.open_releases(RELEASE, str(tmp_path / "serving"), "flights", registry_uri)
    if verdict:
        found.apply(found.running("flights"), {"verdict": verdict, "reason": "so", "criteria": []}, NOW)
    return found


def share(cluster):
    spec = cluster.get("inferenceservices", "flights")["spec"]["predictor"]
    return spec["model"]["storageUri"].rpartition("/releases/")[2], spec.get("canaryTrafficPercent")


def test_a_release_drives_kserves_canary_percent(cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", settings=KSERVE, registry_uri=registry_uri)
    found = deploy(tmp_path, "two", settings=RELEASE, registry_uri=registry_uri)

    assert (found["version"], found["candidate"]) == ("1", "2")
    assert (share(cluster), champion(registry_uri)) == (("flights-v2/flights", 1), "1")
    assert serving_target.open_target(RELEASE, str(tmp_path / "serving"), "flights").served("flights") == "1"
    released(tmp_path, registry_uri, "advance")
    assert share(cluster) == ("flights-v2/flights", 10)
    released(tmp_path, registry_uri, "promote")
    assert (share(cluster), champion(registry_uri)) == (("flights-v2/flights", None), "2")
    status = cluster.get("inferenceservices", "flights")["status"]["components"]["predictor"]
    assert status["latestRolledoutRevision"] == status["latestReadyRevision"]


def test_a_release_that_is_backed_out_points_kserve_back(cluster, tmp_path, registry_uri):
    deploy(tmp_path, "one", settings=KSERVE, registry_uri=registry_uri)
    deploy(tmp_path, "two", settings=RELEASE, registry_uri=registry_uri)
    released(tmp_path, registry_uri, "back_out")

    assert (share(cluster), champion(registry_uri)) == (("flights-v1/flights", None), "1")
    cluster.requests.clear()
    assert released(tmp_path, registry_uri).running("flights") is None
    assert {each.verb for each in cluster.requests} == {"get"}


def test_a_release_needs_what_splits_traffic(without_knative, tmp_path):
    deploy(tmp_path, "one", settings=KSERVE)
    with pytest.raises(ConfigurationError, match="runs without Knative"):
        deploy(tmp_path, "two", settings=RELEASE, version="2")
    with pytest.raises(ValueError, match="has one version at a time"):
        deploy(tmp_path, "two", settings={**RELEASE, "target": "kubernetes"}, version="2")
