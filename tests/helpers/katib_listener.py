"""A suggestion service of Katib's on loopback, by Katib's own messages: it remembers as the one for Optuna does.

That one knows a trial by the texts of its values, and refuses one that it did not suggest.
"""

import contextlib
import random
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MESSAGES = Path(__file__).parents[1] / "material/katib/api.binpb"
INT, DOUBLE, DISCRETE, CATEGORICAL = 2, 1, 3, 4
SUCCEEDED = 2


def _classes() -> dict:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(MESSAGES.read_bytes()))
    found = pool.FindFileByName("api.proto")
    return {name: message_factory.GetMessageClass(each) for name, each in found.message_types_by_name.items()}


class Katib:
    """`asked` are the requests; `faults` are answers in place of its own, each used once."""

    def __init__(self) -> None:
        self.asked: list = []
        self.faults: list[grpc.StatusCode] = []
        self.suggested: list[dict[str, str]] = []
        self.told: dict[str, float] = {}
        self.most = 100
        self.messages = _classes()
        self._chance = random.Random(1)

    def validate(self, request, context):
        self.asked.append(request)
        if self.faults:
            context.abort(self.faults.pop(0), "of the listener")
        if request.experiment.spec.algorithm.algorithm_name not in ("tpe", "random"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown algorithm name")
        return self.messages["ValidateAlgorithmSettingsReply"]()

    def suggest(self, request, context):
        self.asked.append(request)
        if self.faults:
            context.abort(self.faults.pop(0), "of the listener")
        for trial in request.trials:
            texts = {each.name: each.value for each in trial.spec.parameter_assignments.assignments}
            if texts not in self.suggested:
                context.abort(grpc.StatusCode.UNKNOWN, "An unknown trial has been passed in the GetSuggestion request.")
            if trial.status.condition == SUCCEEDED:
                self.told[trial.name] = float(trial.status.observation.metrics[0].value)
        reply = self.messages["GetSuggestionsReply"]()
        for _ in range(min(request.current_request_number, self.most - len(self.suggested))):
            made = reply.parameter_assignments.add()
            for each in request.experiment.spec.parameter_specs.parameters:
                made.assignments.add(name=each.name, value=self._drawn(each))
            self.suggested.append({each.name: each.value for each in made.assignments})
        return reply

    def _drawn(self, each) -> str:
        space = each.feasible_space
        if each.parameter_type in (DISCRETE, CATEGORICAL):
            return self._chance.choice(list(space.list))
        if each.parameter_type == INT:
            return str(self._chance.randint(int(space.min), int(space.max)))
        return str(self._chance.uniform(float(space.min), float(space.max)))


@contextlib.contextmanager
def listening() -> Iterator[Katib]:
    katib = Katib()
    calls = {"GetSuggestions": katib.suggest, "ValidateAlgorithmSettings": katib.validate}
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=katib.messages[f"{name}Request"].FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )
        for name, call in calls.items()
    }
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("api.v1.beta1.Suggestion", handlers),))
    katib.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield katib
    finally:
        server.stop(None).wait()
