"""Vertex AI Vizier's REST API on loopback, of the client library's own messages, with faults."""

import contextlib
import http.server
import json
import random
import threading
import urllib.parse
from collections.abc import Callable, Iterator

from google.cloud import aiplatform_v1 as api
from google.longrunning import operations_pb2
from google.protobuf import json_format

LOSE_ANSWER = 0  # a fault: it is done, and the client does not hear so


def _fault(code: int, status: str) -> dict:
    return {"error": {"code": code, "message": f"{status.lower()} of the listener", "status": status}}


STATUSES = {
    403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 400: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
}  # fmt: skip


class Vizier:
    """`asked` are (verb, body); `faults` are answers in place of its own, by verb, each used once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.faults: dict[str, list[int]] = {}
        self.studies: dict[str, api.Study] = {}
        self.trials: dict[str, api.Trial] = {}
        self.waiting: dict[str, operations_pb2.Operation] = {}
        self.before: Callable[[str], None] = lambda verb: None
        self._chance = random.Random(1)
        self._lock = threading.Lock()

    def count(self, verb: str) -> int:
        return sum(each == verb for each, _ in self.asked)

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict] | None:
        name, _, verb = path.removeprefix("/v1/").partition(":")
        last = name.split("/")[-2] if len(name.split("/")) % 2 == 0 else name.split("/")[-1]
        verb = verb or {"GET": "get", "POST": "create"}[method] + " " + last
        with self._lock:
            self.asked.append((verb, body))
            self.before(verb)
            fault = self.faults[verb].pop(0) if self.faults.get(verb) else None
            if fault:
                return fault, _fault(fault, STATUSES[fault])
            made = self._answer(verb, name, body)
            return None if fault == LOSE_ANSWER else made

    def _answer(self, verb: str, name: str, body: dict) -> tuple[int, dict]:
        if verb == "lookup":
            found = [each for each in self.studies.values() if each.display_name == body["displayName"]]
            return (200, _json(found[0])) if found else (404, _fault(404, "NOT_FOUND"))
        if verb == "create studies":
            study = api.Study.from_json(json.dumps(body), ignore_unknown_fields=False)
            if any(each.display_name == study.display_name for each in self.studies.values()):
                return 409, _fault(409, "ALREADY_EXISTS")
            study.name = f"{name}/{len(self.studies) + 1}"
            self.studies[study.name] = study
            return 200, _json(study)
        if verb == "get trials" and name.endswith("/trials"):
            return 200, {"trials": [_json(each) for each in self.trials.values()]}
        if verb == "suggest":
            return 200, self._suggest(name.removesuffix("/trials"), body)
        if verb == "get operations":
            return 200, json_format.MessageToDict(self._done(name))
        if verb == "complete":
            return self._complete(name, body)
        return 200, _json(self.trials[name])

    def _suggest(self, study: str, body: dict) -> dict:
        mine = [t for t in self.trials.values() if t.client_id == body["clientId"] and t.state.name == "ACTIVE"]
        if not mine:
            trial = api.Trial(name=f"{study}/trials/{len(self.trials) + 1}", state="ACTIVE", client_id=body["clientId"])
            for each in self.studies[study].study_spec.parameters:
                trial.parameters.append(api.Trial.Parameter(parameter_id=each.parameter_id, value=self._drawn(each)))
            self.trials[trial.name] = trial
            mine = [trial]
        operation = operations_pb2.Operation(name=f"{study}/operations/{len(self.waiting) + 1}")
        self.waiting[operation.name] = operation
        operation.response.Pack(api.SuggestTrialsResponse(trials=mine[:1])._pb)
        return {"name": operation.name}

    def _drawn(self, each: api.StudySpec.ParameterSpec) -> float | str:
        kind = each._pb.WhichOneof("parameter_value_spec")
        spec = getattr(each, kind)
        if kind in ("categorical_value_spec", "discrete_value_spec"):
            return self._chance.choice(list(spec.values))
        drawn = self._chance.uniform(spec.min_value, spec.max_value)
        return float(round(drawn)) if kind == "integer_value_spec" else drawn

    def _done(self, name: str) -> operations_pb2.Operation:
        operation = self.waiting[name]
        ready, operation.done = operation.done, True  # the second look finds it done
        return operation if ready else operations_pb2.Operation(name=name)

    def _complete(self, name: str, body: dict) -> tuple[int, dict]:
        trial = self.trials[name]
        if trial.state.name != "ACTIVE":
            return 400, _fault(400, "FAILED_PRECONDITION")
        request = api.CompleteTrialRequest.from_json(json.dumps(body), ignore_unknown_fields=False)
        trial.state = "INFEASIBLE" if request.trial_infeasible else "SUCCEEDED"
        trial.infeasible_reason = request.infeasible_reason
        trial.final_measurement = request.final_measurement
        return 200, _json(trial)


def _json(message: object) -> dict:
    return json.loads(type(message).to_json(message, use_integers_for_enums=False))


@contextlib.contextmanager
def listening() -> Iterator[Vizier]:
    vizier = Vizier()

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
            answer = vizier.answer(self.command, path, json.loads(text or b"{}"))
            if answer is None:
                self.close_connection = True
                return
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    vizier.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vizier
    finally:
        server.shutdown()
        server.server_close()
