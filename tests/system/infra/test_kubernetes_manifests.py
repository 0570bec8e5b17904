"""infra/kubernetes is built by kustomize, is what Kubernetes takes, and keeps the policy; the policy says no, too."""

import copy
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

import manifest_policy
from kfp_ct.serving.options import parser
from repository import ROOT

FOLDER = ROOT / "infra" / "kubernetes"
OVERLAYS = ("kind", "cluster")
# Of KServe's own definitions the validator knows nothing.
CUSTOM = {"InferenceService"}


def build(path):
    done = subprocess.run(["kubectl", "kustomize", FOLDER / path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(scope="module")
def built():
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    return {name: build(name if name == "kserve" else f"overlays/{name}") for name in (*OVERLAYS, "kserve")}


def one(manifests, kind, name):
    (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("overlay", [*OVERLAYS, "kserve"])
def test_kubernetes_takes_them(overlay, built):
    known = [each for each in built[overlay] if each["kind"] not in CUSTOM]
    assert len(known) >= 3
    for manifest in known:
        kubernetes_validate.validate(manifest, "1.36", strict=True)


@pytest.mark.parametrize("overlay", [*OVERLAYS, "kserve"])
def test_they_keep_the_policy(overlay, built):
    assert manifest_policy.violations(built[overlay]) == []


def test_the_base_alone_says_that_images_are_missing():
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    found = manifest_policy.violations(build("base"))
    assert found
    assert all("no overlay says where" in line for line in found)


def test_every_name_that_pods_refer_to_is_there(built):
    """Config maps are here; secrets and claims that are not are in the documentation."""
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for manifests in built.values():
        maps = {
            (each["metadata"]["namespace"], each["metadata"]["name"])
            for each in manifests
            if each["kind"] == "ConfigMap"
        }
        for each in manifests:
            if each["kind"] not in ("Deployment", "StatefulSet", "Job"):
                continue
            made = {one["metadata"]["name"] for one in manifests if one["kind"] == "PersistentVolumeClaim"}
            for volume in manifest_policy.pod_spec(each).get("volumes", []):
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                assert not claim or claim in made or f"the claim `{claim}`" in page
            for container in manifest_policy.pod_spec(each)["containers"]:
                for source in container.get("envFrom", []):
                    if "configMapRef" in source:
                        assert (each["metadata"]["namespace"], source["configMapRef"]["name"]) in maps
                    else:
                        assert f"`{source['secretRef']['name']}`" in page


def test_the_watch_understands_its_arguments_and_has_no_rights(built):
    import typer

    from kfp_ct.cli.watch import watch

    app = typer.Typer()
    app.command()(watch)
    command = typer.main.get_command(app)
    for overlay, state in (("kind", ""), ("cluster", "/mnt/ct/watch/flights.json")):
        pod = manifest_policy.pod_spec(one(built[overlay], "Deployment", "ct-watch"))
        name, *given = pod["containers"][0]["args"]
        assert name == "watch"
        parsed = command.make_context(name, given).params
        assert (parsed["target"], parsed["state"], parsed["environment"]) == ("kfp", state, "prod" if state else "kind")
        assert str(parsed["alive"]) in str(pod["containers"][0]["livenessProbe"])
        assert pod["automountServiceAccountToken"] is False
        subjects = [s["name"] for each in built[overlay] for s in each.get("subjects", [])]
        assert "ct-watch" not in subjects


def test_the_prediction_service_understands_its_arguments(built):
    for overlay in OVERLAYS:
        container = manifest_policy.pod_spec(one(built[overlay], "Deployment", "flights"))["containers"][0]
        options = parser().parse_args(container["args"])
        assert (options.host, options.port) == ("0.0.0.0", 8501)
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_monitoring_reads_what_the_prediction_service_logs(built):
    (logged,) = [
        each["data"]["CT_REQUEST_LOG"]
        for each in built["kind"]
        if each["kind"] == "ConfigMap" and each["metadata"]["namespace"] == "serving"
    ]
    monitored = yaml.safe_load((ROOT / "pipelines/flights/settings/monitoring-kind.yaml").read_text())
    assert monitored["parameters"]["request_log"] == logged
    container = manifest_policy.pod_spec(one(built["kind"], "Deployment", "flights"))["containers"][0]
    assert container["args"][-2:] == ["--request-log", "$(CT_REQUEST_LOG)"]


def test_the_old_version_answers_until_the_new_one_does(built):
    rollout = one(built["cluster"], "Deployment", "flights")["spec"]["strategy"]["rollingUpdate"]
    assert rollout == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in one(built["cluster"], "Deployment", "flights")["spec"]


def test_what_deploy_has_set_stays_when_they_are_applied_again(built):
    """kubectl apply leaves alone what a manifest does not name."""
    template = one(built["cluster"], "Deployment", "flights")["spec"]["template"]
    assert {"name": "CT_MODEL_ROOT"} in template["spec"]["containers"][0]["env"]
    assert "annotations" not in template["metadata"]
    assert "storageUri" not in one(built["kserve"], "InferenceService", "flights")["spec"]["predictor"]["model"]


def test_mlflow_is_asked_by_the_name_that_settings_have(built):
    arguments = manifest_policy.pod_spec(one(built["kind"], "Deployment", "mlflow"))["containers"][0]["args"]
    (hosts,) = [each.partition("=")[2].split(",") for each in arguments if each.startswith("--allowed-hosts=")]
    assert "mlflow.mlflow:5000" in hosts


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_mlflows_artifacts_are_in_the_object_store(overlay, built):
    container = manifest_policy.pod_spec(one(built[overlay], "Deployment", "mlflow"))["containers"][0]
    (named,) = [each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each]
    assert "--serve-artifacts" in container["args"]
    beside = [each for each in built[overlay] if each["metadata"].get("namespace") == "mlflow"]
    stored = one(beside, "ConfigMap", named)["data"]
    assert stored["MLFLOW_ARTIFACTS_DESTINATION"].startswith("s3://")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_servers_can_write_their_volumes(overlay, built):
    servers = [each for each in built[overlay] if each["kind"] in ("Deployment", "StatefulSet")]
    claiming = [each for each in servers if "persistentVolumeClaim" in str(each) or "volumeClaimTemplates" in str(each)]
    assert claiming
    for each in claiming:
        assert manifest_policy.pod_spec(each)["securityContext"].get("fsGroup"), each["metadata"]["name"]


def test_mlflows_database_is_postgres_on_a_cluster(built):
    container = manifest_policy.pod_spec(one(built["cluster"], "Deployment", "mlflow"))["containers"][0]
    (uri,) = [each for each in container["env"] if each["name"] == "MLFLOW_BACKEND_STORE_URI"]
    assert uri["valueFrom"]["secretKeyRef"] == {"name": "mlflow-database", "key": "uri"}
    assert not [each for each in built["cluster"] if each["kind"] == "PersistentVolumeClaim"]
    assert "sqlite" not in str(one(built["cluster"], "Deployment", "mlflow"))


def test_tasks_may_change_exactly_what_they_deploy_to(built):
    assert one(built["cluster"], "Role", "ct-deploy")["rules"] == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["flights"], "verbs": ["get", "patch"]}
    ]


GOOD = {
    "kind": "Deployment",
    "metadata": {"name": "x"},
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "x",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "c",
                        "image": "r/i@sha256:1",
                        "resources": {
                            "requests": {"cpu": "1", "memory": "1Gi"},
                            "limits": {"cpu": "1", "memory": "1Gi"},
                        },
                        "livenessProbe": {"httpGet": {}},
                        "readinessProbe": {"httpGet": {}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            }
        }
    },
}


def broken(change):
    manifest = copy.deepcopy(GOOD)
    pod = manifest["spec"]["template"]["spec"]
    change(pod, pod["containers"][0])
    return manifest


BROKEN = {
    "may run as root": lambda pod, c: pod["securityContext"].pop("runAsNonRoot"),
    "runs as root": lambda pod, c: c["securityContext"].update(runAsUser=0),
    "can write to its image's files": lambda pod, c: c["securityContext"].pop("readOnlyRootFilesystem"),
    "may gain rights": lambda pod, c: c["securityContext"].pop("allowPrivilegeEscalation"),
    "keeps capabilities": lambda pod, c: c["securityContext"].pop("capabilities"),
    "the image r/i:latest changes": lambda pod, c: c.update(image="r/i:latest"),
    "the image localhost:5000/i changes": lambda pod, c: c.update(image="localhost:5000/i"),
    "no overlay says where": lambda pod, c: c.update(image="kfp-ct-x:unset"),
    "has no limits of memory": lambda pod, c: c["resources"]["limits"].pop("memory"),
    "has no requests of cpu and memory": lambda pod, c: c["resources"].pop("requests"),
    "has no livenessProbe": lambda pod, c: c.pop("livenessProbe"),
    "has no readinessProbe": lambda pod, c: c.pop("readinessProbe"),
    "default service account": lambda pod, c: pod.pop("serviceAccountName"),
    "has no seccomp profile": lambda pod, c: pod["securityContext"].pop("seccompProfile"),
    "mounts the node's folder": lambda pod, c: pod.update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "may fill the node's disk": lambda pod, c: pod.update(volumes=[{"name": "v", "emptyDir": {}}]),
    "shares the node's network": lambda pod, c: pod.update(hostNetwork=True),
    "holds a secret": lambda pod, c: c.update(env=[{"name": "DB_PASSWORD", "value": "x"}]),
}


def test_the_policy_lets_a_good_object_through():
    assert manifest_policy.violations([GOOD]) == []


@pytest.mark.parametrize("complaint", BROKEN)
def test_the_policy_says_no(complaint):
    (found,) = manifest_policy.violations([broken(BROKEN[complaint])])
    assert complaint in found


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, "wildcard"),
        ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, "wildcard"),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, "wildcard"),
        ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, "all secrets of the namespace"),
    ],
)
def test_the_policy_refuses_rights_that_are_too_wide(rule, complaint):
    (found,) = manifest_policy.violations([{"kind": "Role", "metadata": {"name": "r"}, "rules": [rule]}])
    assert complaint in found


def test_the_policy_refuses_nothing_to_look_at():
    assert manifest_policy.violations([]) == ["there is no object to look at"]


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "Secret"])
def test_the_policy_refuses_kinds(kind):
    assert len(manifest_policy.violations([{"kind": kind, "metadata": {"name": "x"}}])) == 1
