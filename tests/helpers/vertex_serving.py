"""Vertex AI's models and endpoints on loopback, held to Google's client: requests and answers are its messages.

Each request is read into the message that google.cloud.aiplatform_v1 has for it, which refuses fields that are not
there, and what that client would have sent over REST is compared with what was sent.
"""

import json
import re
import urllib.parse

from google.api_core import path_template
from google.cloud import aiplatform_v1 as vertex
from google.cloud.aiplatform_v1.services.endpoint_service.transports import rest_base as endpoint_rest
from google.cloud.aiplatform_v1.services.model_service.transports import rest_base as model_rest
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import code_pb2

import vertex_limits as limits
from vertex_listener import Listener

ENDPOINTS, MODELS = (
    endpoint_rest._BaseEndpointServiceRestTransport,
    model_rest._BaseModelServiceRestTransport,
)
VERBS = {
    "models:upload": (MODELS, "UploadModel", vertex.UploadModelRequest, "parent"),
    "/evaluations:import": (MODELS, "ImportModelEvaluation", vertex.ImportModelEvaluationRequest, "parent"),
    ":mergeVersionAliases": (MODELS, "MergeVersionAliases", vertex.MergeVersionAliasesRequest, "name"),
    "/endpoints": (ENDPOINTS, "CreateEndpoint", vertex.CreateEndpointRequest, "parent"),
    ":deployModel": (ENDPOINTS, "DeployModel", vertex.DeployModelRequest, "endpoint"),
    ":mutateDeployedModel": (ENDPOINTS, "MutateDeployedModel", vertex.MutateDeployedModelRequest, "endpoint"),
    ":undeployModel": (ENDPOINTS, "UndeployModel", vertex.UndeployModelRequest, "endpoint"),
}


class ServingListener(Listener):
    """Keeps models by id (their versions in order) and endpoints by name.

    Attributes:
        refusals: The status to refuse with, and how often, by the end of the request's path.
        broken: Versions whose replicas do not become ready, and the code and message of the operation's error.
        looks: So many looks an operation goes on.
        slow: The verb whose operations take so many looks, others take none; by default all.
        meanwhile: What somebody else does just before the next update of an endpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, list[vertex.Model]] = {}
        self.endpoints: dict[str, vertex.Endpoint] = {}
        self.evaluations: dict[str, list[vertex.ModelEvaluation]] = {}
        self.operations: dict[str, list] = {}  # looks left, effect, operation
        self.refusals: dict[str, list[int]] = {}
        self.broken: dict[str, tuple[int, str]] = {}
        self.looks = 1
        self.slow = ""
        self.meanwhile = None
        self.verbs: list[str] = []

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, dict]:
        self.requests.append((method, path, query, body))
        name = path.removeprefix("/v1/")
        key = next(
            (end for end, left in self.refusals.items() if path.endswith(end) and left and method != "GET"), None
        )
        if key:
            status = self.refusals[key].pop(0)
            return status, {"error": {"code": status, "message": f"{key} refused", "status": "REFUSED"}}
        if method == "GET":
            return self._get(name, query)
        verb = next((end for end in VERBS if name.endswith(end)), "")
        if method == "PATCH":
            return self._update(name, query, body)
        self.verbs.append(verb)
        return self._post(verb, name, query, body)

    def _get(self, name: str, query: dict) -> tuple[int, dict]:
        if name.endswith("/operations"):
            # A page each, the newest last, as long lists have them.
            names = [each for each in self.operations if each.startswith(name)]
            at = int(query.get("pageToken", 0))
            there = [json_format.MessageToDict(self._look(each)) for each in names[at : at + 1]]
            return 200, {"operations": there, **({"nextPageToken": str(at + 1)} if at + 1 < len(names) else {})}
        if name in self.operations:
            return 200, json_format.MessageToDict(self._look(name))
        if name.endswith("/evaluations"):
            kept = self.evaluations.get(name.removesuffix("/evaluations"), [])
            shown = [type(each).to_dict(each, preserving_proto_field_name=False) for each in kept]
            return 200, {"modelEvaluations": shown}
        found = self._model(name) if "/models/" in name else self.endpoints.get(name)
        return (200, type(found).to_dict(found, preserving_proto_field_name=False)) if found else absent(name)

    def _model(self, name: str) -> vertex.Model | None:
        plain, _, alias = name.partition("@")
        versions = self.models.get(plain, [])
        if not alias:
            return versions[0] if versions else None
        return next((each for each in versions if alias == each.version_id or alias in each.version_aliases), None)

    def _post(self, verb: str, name: str, query: dict, body: dict) -> tuple[int, dict]:
        transport, method, kind, at = VERBS[verb]
        where = name.removesuffix(verb).rstrip("/") if verb != "models:upload" else name.removesuffix("/models:upload")
        if refused := limits.broken(body):
            return 400, {"error": {"code": 400, "message": refused, "status": "INVALID_ARGUMENT"}}
        request = kind.pb(kind())
        whole = {"endpoint": body, **query} if method == "CreateEndpoint" else body
        json_format.ParseDict({**whole, at: where}, request)
        hold(transport, method, request, ("POST", f"/v1/{name}", body, query))
        return getattr(self, f"_{re.sub('(?<!^)(?=[A-Z])', '_', method).lower()}")(kind.wrap(request))

    def _upload_model(self, request: vertex.UploadModelRequest) -> tuple[int, dict]:
        name = request.parent_model or f"{request.parent}/models/{request.model_id}"
        versions = self.models.setdefault(name, [])
        if versions and not request.parent_model:
            return 409, {"error": {"code": 409, "message": f"{name} exists", "status": "ALREADY_EXISTS"}}

        def done():
            made = vertex.Model(request.model)
            made.name, made.version_id = name, str(len(versions) + 1)
            made.version_aliases = [*made.version_aliases, *([] if versions else ["default"])]
            versions.append(made)
            return vertex.UploadModelResponse(model=name, model_version_id=made.version_id)

        return self._begin(name, done)

    def _merge_version_aliases(self, request: vertex.MergeVersionAliasesRequest) -> tuple[int, dict]:
        found = self._model(request.name)
        if found is None:
            return absent(request.name)
        for other in self.models[found.name]:
            other.version_aliases = [each for each in other.version_aliases if each not in request.version_aliases]
        found.version_aliases = [*found.version_aliases, *request.version_aliases]
        return 200, vertex.Model.to_dict(found, preserving_proto_field_name=False)

    def _import_model_evaluation(self, request: vertex.ImportModelEvaluationRequest) -> tuple[int, dict]:
        if self._model(request.parent) is None:
            return absent(request.parent)
        self.evaluations.setdefault(request.parent, []).append(request.model_evaluation)
        return 200, vertex.ModelEvaluation.to_dict(request.model_evaluation, preserving_proto_field_name=False)

    def _create_endpoint(self, request: vertex.CreateEndpointRequest) -> tuple[int, dict]:
        name = f"{request.parent}/endpoints/{request.endpoint_id}"
        if name in self.endpoints:
            return 409, {"error": {"code": 409, "message": f"{name} exists", "status": "ALREADY_EXISTS"}}

        def done():
            made = vertex.Endpoint(request.endpoint)
            made.name, made.etag = name, "1"
            self.endpoints[name] = made
            return made

        return self._begin(name, done)

    def _deploy_model(self, request: vertex.DeployModelRequest) -> tuple[int, dict]:
        endpoint, number = self.endpoints[request.endpoint], request.deployed_model.id
        if number in {each.id for each in endpoint.deployed_models}:
            return 409, {"error": {"code": 409, "message": f"{number} is deployed", "status": "ALREADY_EXISTS"}}
        if self._model(request.deployed_model.model) is None:
            return absent(request.deployed_model.model)

        def done():
            if number in self.broken:
                return self.broken[number]
            endpoint.deployed_models.append(request.deployed_model)
            return vertex.DeployModelResponse(deployed_model=request.deployed_model)

        return self._begin(request.endpoint, done)

    def _mutate_deployed_model(self, request: vertex.MutateDeployedModelRequest) -> tuple[int, dict]:
        endpoint, changed = self.endpoints[request.endpoint], request.deployed_model
        (kept,) = [each for each in endpoint.deployed_models if each.id == changed.id]

        def done():
            for path in request.update_mask.paths:
                section, _, field = path.partition(".")
                assert section == "dedicated_resources", path
                setattr(kept.dedicated_resources, field, getattr(changed.dedicated_resources, field))
            return vertex.MutateDeployedModelResponse(deployed_model=kept)

        return self._begin(request.endpoint, done)

    def _undeploy_model(self, request: vertex.UndeployModelRequest) -> tuple[int, dict]:
        endpoint = self.endpoints[request.endpoint]
        if endpoint.traffic_split.get(request.deployed_model_id):
            return 400, {"error": {"code": 400, "message": "it has traffic", "status": "INVALID_ARGUMENT"}}

        def done():
            kept = [each for each in endpoint.deployed_models if each.id != request.deployed_model_id]
            endpoint.deployed_models = kept
            return vertex.UndeployModelResponse()

        return self._begin(request.endpoint, done)

    def _update(self, name: str, query: dict, body: dict) -> tuple[int, dict]:
        request = vertex.UpdateEndpointRequest.pb(vertex.UpdateEndpointRequest())
        json_format.ParseDict({"endpoint": {**body, "name": name}, **query}, request)
        hold(ENDPOINTS, "UpdateEndpoint", request, ("PATCH", f"/v1/{name}", body, query))
        if self.meanwhile:
            self.meanwhile()
            self.meanwhile = None
        kept, sent = self.endpoints[name], vertex.UpdateEndpointRequest.wrap(request)
        there = {each.id for each in kept.deployed_models}
        if refused := limits.broken({"endpoint": body}) or limits.traffic(sent.endpoint.traffic_split, there):
            return 400, {"error": {"code": 400, "message": refused, "status": "INVALID_ARGUMENT"}}
        if sent.endpoint.etag and sent.endpoint.etag != kept.etag:
            return 409, {"error": {"code": 409, "message": "etag", "status": "ABORTED"}}
        for field in request.update_mask.paths:
            setattr(kept, field, getattr(sent.endpoint, field))
        kept.etag = str(int(kept.etag or 0) + 1)
        self.verbs.append(":traffic" if "traffic_split" in request.update_mask.paths else ":update")
        return 200, vertex.Endpoint.to_dict(kept, preserving_proto_field_name=False)

    def _begin(self, name: str, done) -> tuple[int, dict]:
        self.serial += 1
        operation = operations_pb2.Operation(name=f"{name}/operations/{self.serial}")
        looks = self.looks if self.slow in ("", self.verbs[-1]) else 1
        self.operations[operation.name] = [looks, done, operation]
        return 200, json_format.MessageToDict(operation)

    def finish(self) -> None:
        """Lets every operation end at its next look."""
        self.looks = 1
        for entry in self.operations.values():
            entry[0] = min(entry[0], 1)

    def _look(self, name: str) -> operations_pb2.Operation:
        entry = self.operations[name]
        entry[0] -= 1
        if entry[0] >= 0 or entry[2].done:
            return entry[2]
        found = entry[1]()
        entry[2].done = True
        if isinstance(found, tuple):
            entry[2].error.code, entry[2].error.message = found
        else:
            entry[2].response.Pack(type(found).pb(found))
        return entry[2]


def absent(name: str) -> tuple[int, dict]:
    return 404, {"error": {"code": 404, "message": f"{name} not found", "status": "NOT_FOUND"}}


def hold(transport, method: str, request, sent: tuple[str, str, dict, dict]) -> None:
    """Compares what was sent with what Google's client sends for a message, and that it fills what is required."""
    base = getattr(transport, f"_Base{method}")
    found = path_template.transcode(base._get_http_options(), request)
    query = json_format.MessageToDict(found["query_params"])
    assert (found["method"].upper(), urllib.parse.unquote(found["uri"])) == sent[:2]
    assert json_format.MessageToDict(found["body"]) == normal(found["body"], sent[2])
    assert query == {name: value for name, value in query.items() if name in sent[3]}


def normal(message, body: dict) -> dict:
    """Returns a body as its message has it; a field that the message does not know is refused."""
    return json_format.MessageToDict(json_format.Parse(json.dumps(body), type(message)()))


NOT_READY = (code_pb2.FAILED_PRECONDITION, "Model server never became ready")
