"""Pulls messages from a subscription of Pub/Sub; `PUBSUB_EMULATOR_HOST` names an emulator, as for every client."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.watch import inbox, messages, receive, service_watch, watch
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.messages import Message
from kfp_ct.watch.service_watch import ServiceWatch
from kfp_ct.watch.watch import Watch

_SUBSCRIPTION = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
# Messages decided on at once, and how long to wait for more once some have arrived: files are written together.
_MOST = 1000
_GATHER_SECONDS = 1.0


class Subscription:
    """A subscription that messages are pulled from."""

    def __init__(self, name: str, seconds: float) -> None:
        """Opens the subscription; nothing is pulled yet.

        Args:
            name: projects/…/subscriptions/….
            seconds: How long a turn waits for messages.

        Raises:
            UsageError: The name is not that of a subscription.
        """
        if not _SUBSCRIPTION.fullmatch(name):
            raise UsageError(f"--pubsub {name!r}\nexpected: projects/PROJECT/subscriptions/SUBSCRIPTION")
        import google.cloud.pubsub_v1 as pubsub_v1  # it takes a second to import

        with _readable_errors(name):
            self._client = pubsub_v1.SubscriberClient()
        self._name, self._seconds = name, seconds

    def turn(self, watched: Watch, console: Console) -> Decision:
        """Pulls messages, decides, acknowledges them, and runs the pipeline if that is the decision.

        A message is acknowledged once it, its answer and the decision are on disk: if it is lost before, Pub/Sub
        delivers it again, and a message that is delivered again gets the same answer. Without messages it looks all
        the same, since a run that was held back may be due.

        Raises:
            CtError: Pub/Sub does not answer, or the run could not begin or failed.
        """
        received = self._batch()
        if not received:
            return watch.step(watched, console)
        answers, recorded = receive.receive(watched, list(received.values()))
        self._acknowledge(received)
        for number, given in answers.items():
            if given.decision == inbox.REFUSED:
                console.print(f"refused: {number}: {given.reasons[0]}", markup=False, soft_wrap=True)
        if recorded is None:
            return Decision(False, holds=tuple(dict.fromkeys(r for each in answers.values() for r in each.reasons)))
        watch.run_pipeline(watched, recorded, console)
        return recorded.decision

    def service_turn(self, watched: ServiceWatch, console: Console) -> Decision:
        """Pulls messages, stores and acknowledges them, and looks: the run is the service's.

        Triggers are looked at also where Pub/Sub does not answer.

        Raises:
            CtError: Pub/Sub, the store or the service does not answer, or the run is refused.
        """
        try:
            received = self._batch()
        except CtError:
            service_watch.step(watched, console)
            raise
        for number, problem in service_watch.take(watched, received.values()).items():
            console.print(f"refused: {number}: {problem}", markup=False, soft_wrap=True)
        if received:
            self._acknowledge(received)
        return service_watch.step(watched, console)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _acknowledge(self, received: Mapping[str, Message]) -> None:
        with _readable_errors(self._name):
            self._client.acknowledge(request={"subscription": self._name, "ack_ids": list(received)})

    def _batch(self) -> dict[str, Message]:
        found: dict[str, Message] = {}
        seconds = self._seconds
        while len(found) < _MOST:
            received = self._pull(_MOST - len(found), seconds)
            if not received:
                break
            found |= received
            seconds = _GATHER_SECONDS
        return found

    def _pull(self, most: int, seconds: float) -> dict[str, Message]:
        from google.api_core.exceptions import DeadlineExceeded

        request = {"subscription": self._name, "max_messages": most}
        try:
            with _readable_errors(self._name):
                response = self._client.pull(request=request, timeout=seconds, retry=None)
        except DeadlineExceeded:
            return {}
        return {each.ack_id: _message(each.message) for each in response.received_messages}


def _message(message: Any) -> Message:
    published = message.publish_time.isoformat() if message.publish_time else ""
    return messages.from_pubsub(message.message_id, message.data, dict(message.attributes), published)


@contextlib.contextmanager
def _readable_errors(name: str) -> Iterator[None]:
    """Turns errors of Pub/Sub into messages that say how to fix them."""
    from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, NotFound, PermissionDenied
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except DeadlineExceeded:
        raise
    except NotFound as error:
        raise UsageError(
            f"the subscription {name} does not exist\nfix: gcloud pubsub subscriptions create … --topic …"
        ) from error
    except (PermissionDenied, GoogleAuthError) as error:
        raise UsageError(
            f"{name} may not be read: {str(error).splitlines()[0]}\n"
            "expected: credentials with the role Pub/Sub Subscriber\n"
            "fix: grant the role to the service account that runs this, or run gcloud auth application-default login"
        ) from error
    except GoogleAPICallError as error:
        raise CtError(f"Pub/Sub does not answer for {name}: {str(error).splitlines()[0]}") from error
