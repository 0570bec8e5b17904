"""`make kind`: its steps in order, resumed after a failure, what is missing named; against stand-ins of its programs.

kind, minikube, docker and ct are stand-ins that record how they are called and refuse what is out of order; they are no
cluster. `kubectl kustomize` of our own manifests is the real one, and so are the packages and images' contexts.
"""

import base64
import contextlib
import http.server
import json
import os
import shutil
import stat
import threading

import pytest
import yaml

import interpreters
import seaweedfs
from kfp_ct.storage import storage
from kind import main, steps, tools
from kind.steps import Place
from kind.tools import StepError, Tools, require
from repository import ROOT

# Records a call in `calls`, keeps state in `state.json`, and says what it would not do without what comes before.
# Six hundred are started: it imports what it cannot do without.
STANDIN = """#!{python} -IS
import json, os, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
given = "" if sys.stdin.isatty() or name == "docker" and "cp" not in arguments else sys.stdin.read()
with open({home!r} + "/calls", "a") as calls:
    calls.write(json.dumps([name, *arguments, *([given] if given else [])]) + "\\n")
path = {home!r} + "/state.json"
with open(path) as file:
    state = json.load(file)
if state["broken"] and state["broken"] in " ".join([name, *arguments]):
    print("Error: out of luck", file=sys.stderr)
    sys.exit(1)

def need(what, why):
    if not state.get(what):
        print(f"out of order: {{why}}", file=sys.stderr)
        sys.exit(3)

def done(**changes):
    with open(path, "w") as file:
        json.dump({{**state, **changes}}, file)

def forward(service, port):
    import socket, threading
    def copy(source, sink):
        while some := source.recv(65536):
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)
    listening = socket.create_server(("127.0.0.1", port))
    while True:
        client, there = listening.accept()[0], socket.create_connection(("127.0.0.1", service))
        for pair in ((client, there), (there, client)):
            threading.Thread(target=copy, args=pair, daemon=True).start()

def docker():
    if arguments[0] == "info":
        print(state["memory"] if "--format" in arguments else "up")
    elif arguments[0] == "inspect":
        need("registry", "no such container")
        print(json.dumps({{"bridge": {{}}, **({{"kind": {{}}}} if state.get("connected") else {{}})}})
              if "Networks" in " ".join(arguments) else "true")
    elif arguments[0] == "run":
        done(registry=True)
    elif arguments[:2] == ["network", "connect"]:
        need("cluster", "the network is the cluster's"); done(connected=True)
    elif arguments[0] == "exec":
        need("cluster", "no node")
    elif arguments[:2] == ["image", "inspect"]:
        reference = arguments[-1]
        need(reference, "no such image")
        print(json.dumps([reference.rpartition(":")[0] + "@sha256:" + "d" * 64]))
    elif arguments[0] == "build":
        need("author", "FROM the author's image")
        done(**{{arguments[arguments.index("--tag") + 1]: True}})
        with open(arguments[-1] + "/Dockerfile") as file:
            assert file.read().count("FROM ${{AUTHOR}}") == 1
    elif arguments[0] == "push":
        need("registry", "nowhere to push to"); need(arguments[1], "not built")

def kind():
    if arguments[:2] == ["get", "clusters"]:
        print("kfp-ct" if state.get("cluster") else "")
    elif arguments[0] == "create":
        done(cluster=True)
    elif arguments[0] == "delete":
        done(cluster=False)

def minikube():
    done(cluster=arguments[0] == "start")

def kubectl():
    need("cluster", "no cluster")
    assert arguments[0] == "--context" and arguments[1] in ("kind-kfp-ct", "kfp-ct"), arguments
    rest = arguments[2:]
    if "port-forward" in rest:
        forward(state["services"][rest[-2]], int(rest[-1].partition(":")[0]))
    if rest[0] == "kustomize" and rest[1].startswith("github.com/kubeflow/pipelines/"):
        print(f"# manifests of {{rest[1]}}")
    elif rest[0] == "kustomize":
        os.execv({kubectl!r}, ["kubectl", *rest])
    elif rest[0] == "apply" and "env/platform-agnostic" in given:
        need("crds", "definitions come first"); done(kfp=True)
    elif rest[0] == "apply" and "cluster-scoped-resources" in given:
        done(crds=True)
    elif rest[0] == "apply" and rest[-1].endswith("namespaces.yaml"):
        done(namespaces=True)
    elif rest[0] == "apply" and '"kind": "Secret"' in given:
        need("namespaces", "no namespace"); done(secrets=state.get("secrets", 0) + 1)
    elif rest[0] == "apply":
        need("secrets", "pods name secrets"); need("kfp", "KFP's namespace"); done(ours=True)
    elif "secret" in rest:
        need("kfp", "KFP makes it"); print(json.dumps({{"data": state["keys"]}}))
    elif "deployments,pods" in rest:
        print(json.dumps({{"items": state["workloads"]}}))
    elif "job" in rest and "get" in rest:
        need("ours", "not found")
        print(json.dumps({{"spec": {{"template": {{"spec": {{"containers": [{{"image": "another"}}]}}}}}},
                           "status": {{"conditions": state["job"]}}}}))

{{"docker": docker, "kind": kind, "minikube": minikube, "kubectl": kubectl}}[name]()
"""
READY = {"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replicas": 1}, "status": {"availableReplicas": 1}}
COMPLETE = [{"type": "Complete", "status": "True"}]
DIGEST = "sha256:" + "c" * 64
KEYS = {"accesskey": "YQ==", "secretkey": "Yg=="}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A machine with stand-ins, and a place whose files are the repository's."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    (tmp_path / "bin").mkdir()
    for name in ("docker", "kind", "minikube", "kubectl"):
        path = tmp_path / "bin" / name
        path.write_text(STANDIN.format(python=interpreters.REAL, home=str(tmp_path), kubectl=kubectl))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    remember(tmp_path, broken="", workloads=[READY], job=COMPLETE, memory=16_000_000_000, keys=KEYS)
    root = tmp_path / "repository"
    shutil.copytree(ROOT / "infra", root / "infra", ignore=shutil.ignore_patterns("__pycache__", "kfp.lock"))
    (root / ".ct" / "data" / "nycflights13").mkdir(parents=True)
    (root / ".ct" / "data" / "nycflights13" / "weather.csv").write_text("origin\n")

    def ct(self, *arguments, environment=None):
        with (tmp_path / "calls").open("a") as calls:
            calls.write(json.dumps(["ct", *arguments]) + "\n")
        if arguments[0] == "deploy":
            upload_user_code(monkeypatch, environment)
        if arguments[:2] == ("images", "build"):
            lock = {"images": {name: f"localhost:5001/kfp-ct-{name}@{DIGEST}" for name in ("author", "serving")}}
            (root / ".ct" / "kind" / "images.lock").write_text(yaml.safe_dump(lock))
            remember(tmp_path, author=True)

    monkeypatch.setattr(Tools, "ct", ct)
    return tmp_path


def remember(home, **changes):
    path = home / "state.json"
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changes}))


def upload_user_code(monkeypatch, environment):
    """What `ct deploy` does first, with the variables that it was given."""
    with monkeypatch.context() as variables:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            variables.delenv(name)
        for name, value in environment.items():
            variables.setenv(name, value)
        assert storage.create("s3://mlpipeline/ct/code/1.zip", b"zip")


@contextlib.contextmanager
def answering(found):
    """A prediction service with one version, or none."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({"model_version_status": found})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            self.answer({"predictions": [[0.25] for _ in asked]})

        def answer(self, value):
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def port_of(url):
    return int(url.rpartition(":")[2])


@pytest.fixture
def whole(here, monkeypatch):
    """`make kind` on the stand-ins, with the real object store behind the port that is forwarded."""
    monkeypatch.setattr(main, "ROOT", here / "repository")

    def run_all(status, store="http://127.0.0.1:9", **changes):
        with answering(status) as service:
            ports = {
                "service/ml-pipeline": service,
                "service/minio-service": port_of(store),
                "service/flights": service,
            }
            remember(here, services=ports, **changes)
            return main.main([])

    return run_all


AVAILABLE = [{"version": "7", "state": "AVAILABLE"}]


def test_the_whole_command_uploads_deploys_waits_and_asks_the_model(whole, here, capsys):
    with seaweedfs.running("mlpipeline") as store:
        keys = {
            name: base64.b64encode(value.encode()).decode()
            for name, value in zip(("accesskey", "secretkey"), seaweedfs.OWNER, strict=True)
        }
        assert whole(AVAILABLE, store.url, keys=keys) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "flights v7 answers [[0.25]] at service/flights in the namespace serving" in said.out
    assert "port-forward service/ml-pipeline-ui 8080:80" in said.out
    assert said.err == ""
    (deploy,) = [each for each in calls(here) if each[:2] == ["ct", "deploy"]]
    assert deploy[2:7] == ["flights", "--target", "kfp", "--settings", "kind"]
    assert deploy[-1] == "--wait"


def test_a_model_that_does_not_answer_is_a_failure_and_little_memory_is_told(whole, monkeypatch, capsys):
    monkeypatch.setattr(main.steps, "object_store", lambda tools, store: {})
    monkeypatch.setattr(Tools, "ct", lambda self, *arguments, environment=None: None)
    monkeypatch.setattr(main, "STEPS", ())
    assert whole([{"version": "7", "state": "LOADING"}], memory=8_000_000_000, cluster=True) == 1
    said = capsys.readouterr().err
    assert "warning: Docker has 8.0 GB of memory, 12 GB are wanted" in said
    assert "error: the prediction service has no version that answers\n  fix: ct models flights" in said


def place(home, maker="kind"):
    return Place(home / "repository", home / "repository" / ".ct" / "kind", maker, patience=2, every=0.05)


def run(home, maker="kind"):
    where = place(home, maker)
    for step in main.STEPS:
        step(where, Tools(where.root, where.context))


def calls(home):
    return [json.loads(line) for line in (home / "calls").read_text().splitlines()]


def made(home):
    """What was made or changed, in order."""
    changing = ("run", "create", "start", "connect", "cp", "build", "push", "apply", "images")
    return [each for each in calls(home) if any(word in each[:6] for word in changing)]


@pytest.mark.parametrize(("maker", "context"), [("kind", "kind-kfp-ct"), ("minikube", "kfp-ct")])
def test_the_steps_come_in_the_order_that_each_needs(maker, context, here):
    run(here, maker)

    assert {each[2] for each in calls(here) if each[0] == "kubectl"} == {context}
    state = json.loads((here / "state.json").read_text())
    assert (state["ours"], state["secrets"], state["kfp"]) == (True, 3, True)
    (registry,) = [each for each in calls(here) if each[:2] == ["docker", "run"]]
    assert "127.0.0.1:5001:5000" in registry, "on loopback only"
    versions = [each[4] for each in calls(here) if each[0] == "kubectl" and each[3] == "kustomize"]
    assert [each.rpartition("=")[2] for each in versions if "github.com" in each] == [steps.KFP_VERSION] * 2


def test_what_is_applied_has_the_images_that_were_pushed(here):
    run(here)

    applied = [each[-1] for each in calls(here) if each[0] == "kubectl" and each[3] == "apply"][-1]
    images = {
        container["image"]
        for each in yaml.safe_load_all(applied) if each and each["kind"] in ("Deployment", "Job")
        for container in each["spec"]["template"]["spec"]["containers"]
    }  # fmt: skip
    assert images == {
        f"localhost:5001/kfp-ct-author@{DIGEST}",
        f"localhost:5001/kfp-ct-serving@{DIGEST}",
        f"localhost:5001/kfp-ct-mlflow@sha256:{'d' * 64}",
        f"localhost:5001/kfp-ct-example-data@sha256:{'d' * 64}",
    }
    context = here / "repository" / ".ct" / "kind" / "context" / "example-data"
    assert {path.name for path in context.iterdir()} == {"Dockerfile", "load.py", "nycflights13"}


def test_keys_are_in_no_command_line(here):
    run(here)
    secrets = [each for each in calls(here) if each[0] == "kubectl" and '"kind": "Secret"' in each[-1]]
    assert len(secrets) == 3
    for call in secrets:
        assert call[3:-1] == ["apply", "--filename", "-"], "they pass by standard input"


@pytest.mark.parametrize("broken", ["docker network connect", "docker push", "get secret", "kind create cluster"])
def test_after_a_failure_it_goes_on_where_it_stopped(broken, here):
    remember(here, broken=broken)
    with pytest.raises(StepError, match="out of luck"):
        run(here)
    before = made(here)

    remember(here, broken="")
    run(here)

    again = made(here)[len(before) :]
    assert not [each for each in again if each[:2] == ["docker", "run"]], "the registry is there"
    if broken != "kind create cluster":
        assert not [each for each in again if each[:2] == ["kind", "create"]]
    assert json.loads((here / "state.json").read_text())["ours"]


def test_a_second_time_nothing_is_made_anew(here):
    run(here)
    before = len(calls(here))
    run(here)
    again = calls(here)[before:]
    assert not [each for each in again if each[:2] in (["docker", "run"], ["kind", "create"], ["docker", "build"])]


def test_manifests_of_kfp_that_changed_are_refused(here):
    run(here)
    lock = here / "repository" / "infra" / "kind" / "kfp.lock"
    known = yaml.safe_load(lock.read_text())
    assert set(known) == {f"{steps.KFP_VERSION}/cluster-scoped-resources", f"{steps.KFP_VERSION}/env/platform-agnostic"}
    lock.write_text(yaml.safe_dump(dict.fromkeys(known, "0" * 64)))

    with pytest.raises(StepError, match="are not those that"):
        run(here)


STUCK = {
    "kind": "Pod", "metadata": {"name": "mlflow-1"},
    "status": {"containerStatuses": [
        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
    ]},
}  # fmt: skip
UNSCHEDULED = {
    "kind": "Pod", "metadata": {"name": "x-1"},
    "status": {"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient memory"},
    ]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "reason"), [(STUCK, "ImagePullBackOff no such image"), (UNSCHEDULED, "Unschedulable Insufficient memory")]
)
def test_waiting_says_what_it_waits_for(pod, reason, here, capsys):
    remember(here, workloads=[{**READY, "status": {}}, pod])

    with pytest.raises(StepError, match=reason):
        run(here)
    assert f"waiting for the Deployments of kubeflow: x; {pod['metadata']['name']}: {reason}" in capsys.readouterr().out


def test_a_job_that_failed_is_named_with_where_its_log_is(here):
    remember(here, job=[{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}])

    with pytest.raises(StepError, match="ct-example-data failed: BackoffLimitExceeded") as error:
        run(here)
    assert error.value.fix == "kubectl --namespace kubeflow logs job/ct-example-data"


def test_what_is_missing_is_named_all_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepError, match="not installed: docker, kind, kubectl") as error:
        require("docker", "kind", "kubectl")
    for word in ("docker.io", "kind.sigs.k8s.io", "kubernetes.io"):
        assert word in error.value.fix


def test_the_command_says_so_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main.main([]) == 1
    assert "error: not installed: docker, kind, kubectl\n  fix: install Docker" in capsys.readouterr().err


def test_down_removes_the_cluster_and_the_registry(here, monkeypatch):
    run(here)
    monkeypatch.setattr(main, "ROOT", here / "repository")
    assert main.main(["--down"]) == 0
    assert [each[:3] for each in calls(here)][-3:] == [
        ["kind", "delete", "cluster"], ["docker", "inspect", "kfp-ct-registry"], ["docker", "rm", "--force"],
    ]  # fmt: skip


def test_a_node_takes_images_of_the_loopback_registry(here):
    run(here)
    config = yaml.safe_load((ROOT / "infra" / "kind" / "cluster.yaml").read_text())
    assert 'config_path = "/etc/containerd/certs.d"' in config["containerdConfigPatches"][0]
    (copy,) = [each for each in calls(here) if each[:2] == ["docker", "exec"] and "cp" in each]
    assert copy[-2:] == ["/etc/containerd/certs.d/localhost:5001/hosts.toml", '[host."http://kfp-ct-registry:5000"]\n']
    assert tools._HOW.keys() >= {"kind", "minikube"}
