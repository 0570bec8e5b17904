"""A stand-in of a Kubernetes API server on loopback, and of the controllers behind it; it is not Kubernetes.

Of the real API it keeps: objects by path; a new `resourceVersion` with every write, a new `generation` where the spec
changed; JSON patches (add, remove, replace, test) by their content type, others 415; 409 Conflict where a patch names a
resource version that is not the present one; 404 and 403 with Status bodies as the API server words them; RBAC by
verb, group, plural and name of the bearer token's account. Of the controllers: a Deployment's status is behind its
generation for one look, then pods come up one look after another, or never, or the progress deadline is over;
KServe makes a revision (with Knative) whose `observedGeneration` is not the InferenceService's, or a Deployment.
"""

import copy
import dataclasses
import http.server
import json
import re
import threading

import yaml

READY, NEVER, DEADLINE, BROKEN = "ready", "never", "deadline", "broken"
PATH = re.compile(
    r"/apis/(?P<group>[^/]+)/(?P<version>[^/]+)/namespaces/(?P<ns>[^/]+)/(?P<plural>[^/]+)/(?P<name>[^/]+)"
)
SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
ACCOUNT = "system:serviceaccount:kubeflow:ct-tasks"


@dataclasses.dataclass
class Request:
    verb: str
    path: str
    content_type: str = ""
    body: object = None
    status: int = 0


class Cluster:
    """Objects, rules, and how rollouts go."""

    def __init__(self):
        self.objects = {}
        self.rules = []
        self.requests = []
        self.rollout = READY
        self.version = 1000
        self.before_answer = lambda request: None  # called with each request, before it is answered
        self.lock = threading.RLock()

    def add(self, plural, manifest):
        group, version = manifest["apiVersion"].split("/")
        meta = manifest["metadata"]
        manifest = copy.deepcopy(manifest)
        manifest["metadata"] |= {"generation": 1}
        self.objects[(group, version, meta["namespace"], plural, meta["name"])] = manifest
        self.written(manifest)
        self.reconcile(manifest, first=True)

    def written(self, found):
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)

    def get(self, plural, name):
        (found,) = [each for key, each in self.objects.items() if key[3:] == (plural, name)]
        return found

    def allows(self, verb, key):
        group, _, namespace, plural, name = key
        return any(
            verb in rule["verbs"] and group in rule["apiGroups"] and plural in rule["resources"]
            and name in rule["resourceNames"] and namespace == rule["namespace"]
            for rule in self.rules
        )  # fmt: skip

    def reconcile(self, found, first=False):
        """What the controllers do between two looks."""
        if found["kind"] == "Deployment":
            self.roll(found, first)
        elif found["kind"] == "InferenceService":
            self.serve(found, first)

    def roll(self, found, first=False):
        wanted, status = found["spec"].get("replicas", 1), found.setdefault("status", {})
        generation = found["metadata"]["generation"]
        if first:
            found["status"] = {
                "observedGeneration": generation, "replicas": wanted, "updatedReplicas": wanted,
                "availableReplicas": wanted, "conditions": [],
            }  # fmt: skip
        elif status["observedGeneration"] < generation:
            status.update(observedGeneration=generation, updatedReplicas=0, conditions=[])
        elif self.rollout == READY and status["updatedReplicas"] < wanted:
            status.update(updatedReplicas=status["updatedReplicas"] + 1, replicas=wanted + 1)
        elif self.rollout == READY:
            status.update(replicas=wanted, availableReplicas=wanted)
        elif self.rollout == NEVER:
            status.update(updatedReplicas=1, replicas=wanted + 1, availableReplicas=wanted)
        elif self.rollout == DEADLINE:
            status["conditions"] = [{
                "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "message": f'ReplicaSet "{found["metadata"]["name"]}-77" has timed out progressing.',
            }]  # fmt: skip

    def serve(self, found, first=False):
        status = found.setdefault("status", {"components": {"predictor": {}}, "conditions": []})
        status["deploymentMode"] = (
            found["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode", "Serverless")
        )
        if status["deploymentMode"] == "Serverless":
            self.serve_by_revisions(found, status, first)
        else:
            self.serve_by_deployment(found, status)

    def serve_by_revisions(self, found, status, first):
        part = status["components"]["predictor"]
        template = json.dumps([found["spec"]["predictor"]["model"], found["metadata"].get("annotations")])
        if template != status.get("_made"):
            if not first and not status.get("_due"):
                status["_due"] = True  # KServe comes by one look later; until then the status is of before
                return
            number = status.get("_number", 0) + 1
            status.update(_made=template, _number=number, _due=False, observedGeneration=number)
            part["latestCreatedRevision"] = f"flights-predictor-{number:05}"
            status["modelStatus"] = {"transitionStatus": "InProgress"}
            if not first:
                return
        if self.rollout == BROKEN and not first and part["latestReadyRevision"] != part["latestCreatedRevision"]:
            status["modelStatus"] = {
                "transitionStatus": "BlockedByFailedLoad",
                "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "NoSuchKey: s3://…/7/saved_model.pb"},
            }
            return
        if self.rollout != READY and not first:
            return
        part["latestReadyRevision"] = part["latestCreatedRevision"]
        status["conditions"] = [{"type": "Ready", "status": "True"}]
        status["modelStatus"] = {"transitionStatus": "UpToDate"}
        if found["spec"]["predictor"].get("canaryTrafficPercent", 100) == 100:
            part["latestRolledoutRevision"] = part["latestReadyRevision"]

    def serve_by_deployment(self, found, status):
        meta, uri = found["metadata"], found["spec"]["predictor"]["model"].get("storageUri", "")
        key = ("apps", "v1", meta["namespace"], "deployments", f"{meta['name']}-predictor")
        # Available all through a rollout: the old pods answer.
        status["conditions"] = [{"type": "Ready", "status": "True"}]
        if key not in self.objects:
            template = {"metadata": {"annotations": {SOURCE: uri}}, "spec": {"containers": []}}
            self.add("deployments", {
                "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1, "template": template},
                "metadata": {"name": key[4], "namespace": key[2]},
            })  # fmt: skip
        made = self.objects[key]
        annotations = made["spec"]["template"]["metadata"]["annotations"]
        if annotations[SOURCE] != uri:
            annotations[SOURCE] = uri
            made["metadata"]["generation"] += 1
            self.written(made)


def patched(document, patch):
    """Applies a JSON patch (RFC 6902), as far as it is used here."""
    document = copy.deepcopy(document)
    for change in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in change["path"].split("/")[1:]]
        place = document
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        last = int(last) if isinstance(place, list) else last
        there = last in place if isinstance(place, dict) else last < len(place)
        if change["op"] != "add" and not there:
            raise KeyError(change["path"])
        if change["op"] == "test":
            if place[last] != change["value"]:
                raise KeyError(change["path"])
        elif change["op"] == "remove":
            del place[last]
        else:
            place[last] = change["value"]
    return document


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.respond("get", lambda cluster, key, body: cluster.objects[key])

    def do_PATCH(self):
        self.respond("patch", self.patch)

    def patch(self, cluster, key, body):
        if self.headers["Content-Type"] != "application/json-patch+json":
            return self.status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        found = cluster.objects[key]
        try:
            wanted = patched(found, body)
        except (KeyError, IndexError, TypeError) as error:
            return self.status(
                422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
            )
        if wanted["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            group, _, _, plural, name = key
            return self.status(
                409, "Conflict",
                f'Operation cannot be fulfilled on {plural}.{group} "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )  # fmt: skip
        if wanted["spec"] != found["spec"]:
            wanted["metadata"]["generation"] += 1
        cluster.written(wanted)
        cluster.objects[key] = wanted
        return wanted

    def respond(self, verb, act):
        cluster = self.server.cluster
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        request = Request(verb, self.path, self.headers.get("Content-Type", "") if body is not None else "", body)
        with cluster.lock:
            cluster.requests.append(request)
            cluster.before_answer(request)
            answer = self.answer(cluster, verb, act, body)
            request.status = answer.get("code", 200) if answer.get("kind") == "Status" else 200
        content = json.dumps(answer).encode()
        self.send_response(request.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, cluster, verb, act, body):
        match = PATH.fullmatch(self.path)
        key = (match["group"], match["version"], match["ns"], match["plural"], match["name"])
        group, _, namespace, plural, name = key
        if self.headers.get("Authorization") != "Bearer a-token":
            return self.status(401, "Unauthorized", "Unauthorized")
        if not cluster.allows(verb, key):
            return self.status(
                403, "Forbidden",
                f'{plural}.{group} "{name}" is forbidden: User "{ACCOUNT}" cannot {verb} resource "{plural}" '
                f'in API group "{group}" in the namespace "{namespace}"',
            )  # fmt: skip
        if key not in cluster.objects:
            return self.status(404, "NotFound", f'{plural}.{group} "{name}" not found')
        if verb == "get":
            for each in list(cluster.objects.values()):
                cluster.reconcile(each)
        return act(cluster, key, body)

    def status(self, code, reason, message):
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }

    def log_message(self, *arguments):
        pass


class Listener:
    """Serves a cluster on loopback; `kubeconfig` is what the official client finds it by."""

    def __init__(self, folder, cluster):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.cluster = cluster
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "a-token"}}],
        }))  # fmt: skip

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
