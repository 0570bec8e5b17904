"""Serving on a Vertex AI endpoint: a version is uploaded, deployed, then given traffic; undone where it fails.

Published → uploaded → deployed and ready → traffic moved → the others undeployed → alias champion there. Each step
looks whether it has been done, so whoever comes after a kill between any two requests goes on from there.
"""

import contextlib
import time
from collections.abc import Iterator

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError, NotServedError
from kfp_ct.models import blessing, serving_folder, vertex_endpoint, vertex_evaluation, vertex_log_settings
from kfp_ct.models.release_state import State
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.serving_target import Served
from kfp_ct.models.settings import ReleasePolicy, Serving
from kfp_ct.models.vertex_api import Resource, UnavailableError, VertexApi
from kfp_ct.models.vertex_endpoint import PREVIOUS, VertexEndpoint
from kfp_ct.models.vertex_model import VertexModel, settings_of
from kfp_ct.storage import locations


class VertexTarget:
    """The endpoint that serves one model; a release's traffic, too."""

    by_time = True  # the request log says nothing of shares: Vertex AI splits

    def __init__(self, chosen: Serving, model_name: str, serving_root: str) -> None:
        """Calls nothing."""
        section = settings_of(chosen)
        api = VertexApi(section, chosen.poll_seconds)
        self._api = api
        self._chosen, self._root = chosen, serving_root.rstrip("/")
        self._model = VertexModel(api, section, model_name)
        self.endpoint = VertexEndpoint(api, section, self._model.name, self._model.labels())

    def check(self, release: Release, keep_versions: int) -> None:
        """Looks whether a release can be published and the endpoint is this model's, or is not there yet."""
        if not self._root.startswith(locations.GS):
            raise ConfigurationError(
                f"serving_root is {self._root!r}, where Vertex AI cannot read models\nexpected: gs://bucket/folder\n"
                "fix: correct serving_root in the settings file"
            )
        serving_folder.check(release, self._release_root(release), keep_versions)
        self.endpoint.get()

    def serve(self, release: Release, keep_versions: int) -> Served:
        """Has a blessed model served; returns when it has all traffic.

        Raises:
            ModelNotBlessedError: The verdict is not a yes, or is about another model.
            NotServedError: It did not become ready in time; what answered before answers on.
            ConfigurationError: Something of these names is another's, or may not be changed.
        """
        self._bring(release)
        before = self._take(release.version)
        state = {"model": release.model_name, "version": release.version, "previous": before}
        return Served(state, f"the endpoint {self.endpoint.name}")

    def served(self, model_name: str) -> str:
        """Returns the version that answers; while a candidate is tried, the one before."""
        seen = self.endpoint.get()
        return vertex_endpoint.live(seen) if seen else ""

    def completed(self, policy: ReleasePolicy) -> ReleasePolicy:
        """Returns a policy whose judge knows which rows of Vertex AI's log are this endpoint's, and their share."""
        if not vertex_log_settings.is_table(policy.judge.request_log):
            return policy
        section = settings_of(self._chosen)
        known = {"endpoint": self.endpoint.id, "location": section.location, "sample": section.bigquery_log_sample}
        judge = policy.judge.model_copy(update={"log": policy.judge.log.model_copy(update=known)})
        return policy.model_copy(update={"judge": judge})

    def place(self, release: Release) -> str:
        """Deploys a candidate without traffic; returns the fingerprint of its files."""
        return self._bring(release)

    def split(self, state: State) -> None:
        """Gives the candidate the share that a running release says; whatever else moved the traffic is printed."""
        with _of_the_endpoint():
            seen = vertex_endpoint.traffic(self.endpoint.get() or {})
            percents = {0, state.percent, *(step["percent"] for step in state.steps)}
            if seen not in [_shares(state, percent) for percent in percents]:
                task_log.progress(
                    f"{self.endpoint.name}: the traffic was moved by another to {vertex_endpoint.shown(seen)}; the "
                    f"release of {state.model} gives {vertex_endpoint.shown(_shares(state, state.percent))} again"
                )
            self.endpoint.split(_shares(state, state.percent), state.live)

    def promote(self, state: State) -> None:
        """Gives the candidate all traffic, and takes the version before away."""
        with _of_the_endpoint():
            self._take(state.candidate)

    def withdraw(self, state: State) -> None:
        """Gives the live version all traffic again, and takes the candidate away."""
        with _of_the_endpoint():
            seen = self.endpoint.get() or {}
            if vertex_endpoint.live(seen) != state.live:
                return  # another deployment has followed
            if vertex_endpoint.traffic(seen).get(state.candidate):
                self.endpoint.split({state.live: 100}, state.live)
            self.endpoint.undeploy(state.candidate, self._deadline())

    def _bring(self, release: Release) -> str:
        """Publishes, uploads and deploys a version, as far as it is not yet done; returns its fingerprint."""
        blessing.require(release.blessing_path, release.model_path)
        self.check(release, 1)
        root, deadline = self._release_root(release), self._deadline()
        serving_folder.publish(release, root, 1)
        fingerprint = serving_folder.fingerprint(release)
        folder = f"{root}/{release.model_name}/{release.version}"
        model = self._model.upload(release, fingerprint, (root, folder), deadline)
        self._attach_evaluation(release, model)
        self.endpoint.ensure(deadline)
        try:
            self.endpoint.deploy(model, release.version, deadline)
        except NotServedError as error:
            raise self._undone(error, release.version) from error
        return fingerprint

    def _attach_evaluation(self, release: Release, model: str) -> None:
        metrics = vertex_evaluation.kept_metrics(release.registry_uri, release.model_name, release.version)
        vertex_evaluation.attach(self._api, model, release.version, metrics)

    def _take(self, number: str) -> str:
        """Gives a version that is ready all traffic; returns the version before."""
        self.endpoint.split({number: 100}, number)
        task_log.progress(f"{self.endpoint.name}: v{number} has all traffic")
        self.endpoint.undeploy_others(number, self._deadline())
        self._model.set_champion(number)
        return _previous(self.endpoint.get() or {})

    def _undone(self, error: NotServedError, number: str) -> NotServedError:
        """Takes a version away that did not become ready; says how that went."""
        done = self._taken_away(error, number)
        answers = ""
        with contextlib.suppress(ComponentError):
            answers = self.served("")
        stays = f"v{answers} answers as before" if answers else "nothing is served"
        return NotServedError(
            f"{self.endpoint.name} does not get v{number} ready: {error}\n{done}; {stays}\n"
            "expected: replicas that load the version and answer at /readyz\n"
            "fix: the endpoint's log in Cloud Logging says why; then run again, which goes on"
        )

    def _taken_away(self, error: NotServedError, number: str) -> str:
        if isinstance(error, UnavailableError):  # not known to have failed: the next deployment waits for its end
            return "it may go on there, without traffic"
        try:
            self.endpoint.undeploy(number, self._deadline())
        except ComponentError as failure:
            return f"it could not be taken away: {str(failure).partition(chr(10))[0]}"
        return "it was taken away"

    def _release_root(self, release: Release) -> str:
        return f"{self._root}/releases/{release.model_name}-v{release.version}"

    def _deadline(self) -> float:
        return time.monotonic() + self._chosen.timeout_seconds


@contextlib.contextmanager
def _of_the_endpoint() -> Iterator[None]:
    """Turns what Vertex AI does not do for now into an error that says nothing of a candidate, which is ready."""
    try:
        yield
    except NotServedError as error:
        raise ComponentError(str(error)) from error


def _shares(state: State, percent: int) -> dict[str, int]:
    shares = {state.candidate: percent, state.live: 100 - percent}
    return {number: share for number, share in shares.items() if share}


def _previous(seen: Resource) -> str:
    return str((seen.get("labels") or {}).get(PREVIOUS, ""))
