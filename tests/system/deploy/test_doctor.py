"""ct doctor: what runs need is looked at one by one, with the fix; what cannot be looked at is said to be so."""

import contextlib
import http.server
import threading

import pytest

import cluster_listener
import kfp_stand_in
from ct_command import ct
from kfp_ct.base.errors import CtError
from kfp_ct.deploy import kfp_api, kfp_target, target, version
from kfp_ct.deploy.doctor import doctor, place_checks
from kfp_ct.project import settings
from kfp_ct.project.workspace import find_workspace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
CONTAINER = {"name": "main", "ready": False, "restartCount": 0, "image": "r/c", "imageID": ""}
PLACES = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ALLOW_HTTP")


@pytest.fixture
def kfp_service():
    with kfp_stand_in.serving() as service:
        yield service


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    with cluster_listener.listening(tmp_path, monkeypatch) as cluster:
        cluster.put("services", "kubeflow", "ml-pipeline", spec={"ports": [{"port": 8888}]})
        env = [{
            "name": "CRON_SCHEDULE_TIMEZONE",
            "valueFrom": {"configMapKeyRef": {"name": "pipeline-install-config", "key": "cronScheduleTimezone"}},
        }]  # fmt: skip
        template = {"spec": {"containers": [{"name": "c", "env": env}]}}
        cluster.put(
            "deployments", "kubeflow", "ml-pipeline-scheduledworkflow",
            spec={"selector": {"matchLabels": {"a": "b"}}, "template": template},
        )  # fmt: skip
        cluster.put("configmaps", "kubeflow", "pipeline-install-config", data={"cronScheduleTimezone": "UTC"})
        cluster.put("secrets", "kubeflow", "object-store", data=dict.fromkeys(KEYS, "eA=="))
        cluster.put("configmaps", "kubeflow", "object-store", data=dict.fromkeys(PLACES, "x"))
        cluster.put("serviceaccounts", "kubeflow", "ct-tasks")
        cluster.put(
            "persistentvolumeclaims", "kubeflow", "ct-data",
            spec={"accessModes": ["ReadWriteOnce"]}, status={"phase": "Bound"},
        )  # fmt: skip
        yield cluster


def examined(service, environment="kind", **sections):
    chosen = settings.load(find_workspace(), "flights", environment, {})
    for name, section in sections.items():
        chosen.targets[name] = {**chosen.targets.get(name, {}), **section}
    connected = kfp_target.KfpTarget(kfp_api.connect(service.url), service.url)
    return {each.what: each for each in doctor.examine(find_workspace(), chosen, connected, target.KFP)}


def test_everything_that_is_there_is_a_line(kfp_service, cluster):
    found = examined(kfp_service)
    said = {what: each.text for what, each in found.items() if each.state == "ok"}
    assert said["service"] == f"{kfp_service.url} is Kubeflow Pipelines 2.17.0"
    assert said["settings"] == "pipelines/flights/settings/kind.yaml fit the pipeline and the target"
    assert said["secret object-store"] == "is there with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    assert said["config map object-store"] == "is there with AWS_ALLOW_HTTP, AWS_ENDPOINT_URL, AWS_REGION"
    assert said["service account ct-tasks"] == "is there"
    assert said["time zone of schedules"] == "UTC"
    assert found["MLflow"].text == "mlflow.mlflow is no name here; a name of the cluster's is known to pods only"
    assert found["bucket s3://mlpipeline"].state == "not looked"
    assert not [each for each in found.values() if each.state == "problem"]
    assert examined(kfp_service, "prod")["claim ct-data"].text == "Bound, ReadWriteOnce (pods of one node at a time)"


def test_what_is_missing_is_a_problem_with_its_fix(kfp_service, cluster):
    del cluster.objects["serviceaccounts", "kubeflow", "ct-tasks"]
    del cluster.objects["persistentvolumeclaims", "kubeflow", "ct-data"]
    cluster.put("secrets", "kubeflow", "object-store", data={KEYS[0]: "eA=="})
    cluster.put("configmaps", "kubeflow", "pipeline-install-config", data={"cronScheduleTimezone": "Europe/Berlin"})
    found = examined(kfp_service)
    problems = {what: (each.text, each.fix) for what, each in found.items() if each.state == "problem"}
    assert problems == {
        "secret object-store": ("has no entry AWS_SECRET_ACCESS_KEY", "add it, or name another key"),
        "service account ct-tasks": (
            "is not in the namespace kubeflow", "make it; what is there: kubectl -n kubeflow get serviceaccount",
        ),
        "time zone of schedules": (
            "the service reads cron in Europe/Berlin, the settings say UTC", "kfp: {time_zone: Europe/Berlin}",
        ),
    }  # fmt: skip
    assert examined(kfp_service, "prod")["claim ct-data"].text == "is not in the namespace kubeflow"


def limited(cluster, hard, used=(), **defaults):
    cluster.put("resourcequotas", "kubeflow", "team", spec={"hard": hard}, status={"hard": hard, "used": dict(used)})
    if defaults:
        cluster.put("limitranges", "kubeflow", "usual", spec={"limits": [{"type": "Container", **defaults}]})


def test_pods_that_no_quota_has_room_for_are_named(kfp_service, cluster):
    assert examined(kfp_service)["quotas"].text == "there are none in kubeflow"
    limited(cluster, {"requests.memory": "8Gi", "pods": "50", "cpu": "4"}, {"requests.memory": "1Gi", "cpu": "3500m"})
    assert examined(kfp_service)["quotas"].text == "each task fits team"

    limited(cluster, {"memory": "1536Mi"})
    assert examined(kfp_service)["quota team"].text.endswith("asks for requests.memory 2Gi, the quota is 1536Mi")
    limited(cluster, {"requests.memory": "8Gi"}, {"requests.memory": "7Gi"})
    assert examined(kfp_service)["quota team"].text.endswith("requests.memory 2Gi; 7Gi of 8Gi are used now")
    limited(cluster, {"requests.nvidia.com/gpu": "0"})
    gpu = {"tasks": {"train": {"accelerator": {"type": "nvidia.com/gpu"}}}}
    assert "train asks for requests.nvidia.com/gpu 1" in examined(kfp_service, kubernetes=gpu)["quota team"].text


def test_a_quota_of_limits_wants_limits_or_defaults(kfp_service, cluster):
    limited(cluster, {"limits.memory": "16Gi"})
    found = examined(kfp_service)["quota team"]
    assert found.text.startswith("bounds limits.memory, so pods that set none are refused: deploy, ")
    assert "train" not in found.text  # it has a limit
    assert found.fix == "kubernetes: {all: {memory_limit: …}}, or a LimitRange with defaults"
    limited(cluster, {"limits.memory": "16Gi"}, default={"memory": "3Gi"})
    assert examined(kfp_service)["quotas"].text == "each task fits team"


def test_what_may_not_be_looked_at_is_no_problem(kfp_service, cluster):
    cluster.forbidden = {"secrets", "resourcequotas"}
    found = examined(kfp_service)
    secret = found["secret object-store"]
    assert (secret.state, secret.text.split(":")[0]) == ("not looked", "this account may not look (403)")
    assert found["quotas"].state == "not looked"


def test_another_cluster_and_none_are_not_asked_for_objects(kfp_service, cluster, monkeypatch):
    del cluster.objects["services", "kubeflow", "ml-pipeline"]
    found = examined(kfp_service)
    assert "has no service ml-pipeline in kubeflow: it is another one" in found["cluster"].text
    assert "secret object-store" not in found
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert examined(kfp_service)["cluster"].text.endswith("no kubeconfig, and not in a pod")


def test_settings_that_cannot_work_and_a_service_that_is_none_are_told(kfp_service, cluster):
    kfp_service.health = {"status": "ok"}
    found = examined(kfp_service, "local")
    assert "it is not Kubeflow Pipelines' API" in found["service"].text
    assert found["settings"].state == "problem"
    assert "registry_uri is sqlite:" in found["settings"].text


def test_several_users_need_a_namespace(kfp_service, cluster):
    kfp_service.health = {**kfp_stand_in.HEALTHY, "multi_user": True}
    assert examined(kfp_service)["namespace"].fix == "kfp: {namespace: YOURS}"


@contextlib.contextmanager
def answering(status, text):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "state", "said"),
    [
        pytest.param(200, "3.17.2", "ok", "release 3.17.2", id="there"),
        pytest.param(403, "Invalid Host header", "problem", "start it with --allowed-hosts {host}", id="host-header"),
        pytest.param(401, "who are you", "problem", "give the tasks credentials", id="credentials"),
        pytest.param(404, "not here", "problem", "it is no MLflow server", id="another"),
    ],
)
def test_mlflow_is_asked_for_its_release(status, text, state, said):
    with answering(status, text) as host:
        chosen = settings.Settings("p", "e", "p.t", {"registry_uri": f"http://{host}"})
        (found,) = place_checks.findings(chosen, ())
    assert found.state == state
    assert said.format(host=host) in str(found)


def test_images_are_looked_for_in_their_registry():
    locked = {"components": "r/c@sha256:1", "serving": "r/s@sha256:2", "gpu": "r/g@sha256:3"}

    def absent(references):
        if "gpu" in locked and references == [locked["gpu"]]:
            raise CtError("r does not answer")
        return [each for each in references if each == locked["serving"]]

    found = {each.what: each.state for each in doctor.images(locked, absent)}
    assert found == {"image components": "ok", "image serving": "problem", "image gpu": "not looked"}


def test_deploying_names_what_is_missing_and_nothing_where_it_cannot_look(kfp_service, cluster, monkeypatch):
    chosen = settings.load(find_workspace(), "flights", "kind", {})
    compiled = version.for_target(find_workspace(), chosen, target.KFP)
    assert doctor.before_deploying(chosen, compiled, target.KFP) == []
    del cluster.objects["secrets", "kubeflow", "object-store"]
    (line,) = doctor.before_deploying(chosen, compiled, target.KFP)
    assert "secret object-store: is not in the namespace kubeflow" in line
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert doctor.before_deploying(chosen, compiled, target.KFP) == []


def test_a_pod_that_cannot_start_is_named_while_waiting(kfp_service, cluster):
    waits = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "r/c"'}
    cluster.put(
        "pods", "kubeflow", "flights-x7k2p-impl-1",
        metadata={
            "labels": {"pipeline/runid": "run-1"},
            "annotations": {"workflows.argoproj.io/node-name": "flights-x7k2p.root(0).train(0).executor(0)"},
        },
        spec={"containers": [{"name": "main"}]},
        status={"containerStatuses": [{**CONTAINER, "state": {"waiting": waits}}]},
    )  # fmt: skip
    connected = kfp_target.KfpTarget(kfp_api.connect(kfp_service.url), kfp_service.url)
    assert connected.stalled("run-1", ["train"]) == [
        'waiting: train: pod flights-x7k2p-impl-1: ImagePullBackOff: Back-off pulling image "r/c"'
    ]
    assert "kubectl -n kubeflow get pods" in connected.stalled("run-2", ["train"])[0]


def test_the_command_fails_where_something_is_missing(kfp_service, cluster, tmp_path):
    done = ct(tmp_path, "doctor", "flights", "--settings", "kind", "--host", kfp_service.url)
    assert done.code == 0, done.err
    assert "        ok  secret object-store: is there" in done.out
    del cluster.objects["secrets", "kubeflow", "object-store"]
    missing = ct(tmp_path, "doctor", "flights", "--settings", "kind", "--host", kfp_service.url, "--json")
    assert missing.code == 7
    assert "1 of " in missing.err
    assert [each["what"] for each in missing.record if each["state"] == "problem"] == ["secret object-store"]
