"""Vertex AI Vizier over REST, as far as a search needs it: a study, its trials, suggestions and how trials ended.

What may be asked twice is asked again while the service is away or out of quota: a study has one name, a client that
asks for a suggestion again gets the trial that it has, and a trial that has ended is left as it is.
"""

import dataclasses
import functools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.tune.search_space import Parameter
from kfp_ct.components.tune.settings import Vizier

ACTIVE, SUCCEEDED, INFEASIBLE = "ACTIVE", "SUCCEEDED", "INFEASIBLE"
# What an operation's codes, those of gRPC, are as answers: quota, unavailable, permission, unauthenticated, argument.
_HTTP = {8: 429, 14: 503, 7: 403, 16: 401, 3: 400}
_OPEN = (ACTIVE, "REQUESTED", "STOPPING")


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a service that is away or out of quota is asked again, in seconds."""

    first: float = 2.0
    most: float = 60.0
    whole: float = 900.0


@dataclasses.dataclass(frozen=True)
class VizierTrial:
    """A trial of the study: its resource name, its state, its values, its score, and why it is infeasible."""

    name: str
    state: str
    values: Mapping[str, Any]
    score: float | None = None
    why: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nobody has said how it ended."""
        return self.state in _OPEN


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is searched for: the metric, and whether more of it is better."""

    metric: str
    maximize: bool


class _NotReadyError(Exception):
    """A suggestion is not there yet."""


class Study:
    """A study of Vizier's; it is made when there is none of its name."""

    def __init__(self, settings: Vizier, name: str, patience: Patience | None = None) -> None:
        """Connects; nothing is sent.

        Args:
            settings: Project, location, and how to search.
            name: The study's display name.
            patience: How long to ask again.

        Raises:
            ConfigurationError: There are no credentials.
        """
        self._settings, self._display_name = settings, name
        self._patience = patience or Patience()
        self._parent = f"projects/{settings.project}/locations/{settings.location}"
        self._endpoint = settings.api_endpoint or f"https://{settings.location}-aiplatform.googleapis.com"
        credentials = _credentials(self._endpoint)
        self._client, self._session = _client(self._endpoint, credentials), _session(credentials)
        self._name = ""
        self._metric = ""

    def open(self, goal: Goal, parameters: Sequence[Parameter]) -> list[VizierTrial]:
        """Finds or makes the study; returns the trials that it has.

        Raises:
            ComponentError: The service refuses, or does not answer.
        """
        from google.api_core import exceptions

        self._metric = goal.metric
        try:
            study = self._lookup()
        except exceptions.NotFound:
            study = self._create(goal, parameters)
        self._name = study.name
        listed = self._ask("list the trials", lambda retry: list(self._client.list_trials(self._of(), retry=retry)))
        return [self._read(each) for each in listed]

    def suggest(self, client: str) -> VizierTrial | None:
        """Returns the next trial; None if the space has no more.

        Args:
            client: Who asks; asked again by the same one before the trial has ended, it is the same trial.
        """
        request = {"parent": self._name, "suggestion_count": 1, "client_id": client}

        def ask(retry: Any) -> Any:
            return retry(self._ended)(self._client.suggest_trials(request, retry=retry).operation.name)

        trials = self._ask("suggest a trial", ask).trials
        return self._read(trials[0]) if trials else None

    def _ended(self, operation: str) -> Any:
        """Returns what a suggestion's operation came to.

        The library's own look at an operation goes to an address that is not published, `/ui/`.

        Raises:
            _NotReadyError: It has not ended yet.
        """
        from google.api_core import exceptions
        from google.cloud import aiplatform_v1

        answer = self._session.get(f"{self._endpoint}/v1/{operation}", timeout=60)
        if answer.status_code != 200:
            raise exceptions.from_http_response(answer)  # type: ignore[no-untyped-call]
        found = answer.json()
        if not found.get("done"):
            raise _NotReadyError
        if "error" in found:
            code, said = found["error"].get("code"), found["error"].get("message", "")
            raise exceptions.from_http_status(_HTTP.get(code, 500), said)  # type: ignore[no-untyped-call]
        response = {name: value for name, value in found.get("response", {}).items() if name != "@type"}
        return aiplatform_v1.SuggestTrialsResponse.from_json(json.dumps(response), ignore_unknown_fields=True)

    def complete(self, trial: str, score: float | None, why: str = "") -> None:
        """Says how a trial ended; without a score it was infeasible. One that has ended is left as it is."""
        from google.api_core import exceptions

        request: dict[str, Any] = {"name": trial}
        if score is None:
            request |= {"trial_infeasible": True, "infeasible_reason": why[:500]}
        else:
            request["final_measurement"] = {"metrics": [{"metric_id": self._metric, "value": score}]}
        try:
            self._ask(
                "complete a trial",
                lambda retry: self._client.complete_trial(request, retry=retry),
                exceptions.BadRequest,
            )
        except exceptions.BadRequest as error:
            # The answer to an earlier request was lost.
            found = self._ask("get a trial", lambda retry: self._client.get_trial(name=trial, retry=retry))
            if self._read(found).is_open:
                raise _refused("complete a trial", error) from error

    def _of(self) -> dict[str, Any]:
        return {"parent": self._name}

    def _lookup(self) -> Any:
        from google.api_core import exceptions

        request = {"parent": self._parent, "display_name": self._display_name}
        ask = functools.partial(self._client.lookup_study, request)
        return self._ask("look a study up", lambda retry: ask(retry=retry), exceptions.NotFound)

    def _create(self, goal: Goal, parameters: Sequence[Parameter]) -> Any:
        from google.api_core import exceptions
        from google.cloud import aiplatform_v1

        spec = {
            "metrics": [{"metricId": goal.metric, "goal": "MAXIMIZE" if goal.maximize else "MINIMIZE"}],
            "parameters": [{"parameterId": each.name, **each.spec} for each in parameters],
            "algorithm": self._settings.algorithm.upper() if self._settings.algorithm else "ALGORITHM_UNSPECIFIED",
        }
        message = aiplatform_v1.Study.from_json(json.dumps({"displayName": self._display_name, "studySpec": spec}))
        try:
            made = self._ask(
                "create a study",
                lambda retry: self._client.create_study(parent=self._parent, study=message, retry=retry),
                exceptions.Conflict,
            )
        except exceptions.Conflict:
            return self._lookup()  # made by a request whose answer was lost
        task_log.progress(f"Vizier's study {made.name}")
        return made

    def _read(self, trial: Any) -> VizierTrial:
        values = {each.parameter_id: each.value for each in trial.parameters}
        metrics = {each.metric_id: each.value for each in trial.final_measurement.metrics}
        return VizierTrial(trial.name, trial.state.name, values, metrics.get(self._metric), trial.infeasible_reason)

    def _ask(self, doing: str, call: Callable[[Any], Any], *handled: type[Exception]) -> Any:
        """Asks again while that may help; what callers handle is raised as it came, other refusals in words."""
        import requests
        from google.api_core import exceptions, retry
        from google.auth import exceptions as auth

        again = (
            exceptions.ServiceUnavailable, exceptions.TooManyRequests, exceptions.InternalServerError,
            exceptions.BadGateway, exceptions.GatewayTimeout, requests.ConnectionError, auth.TransportError,
            _NotReadyError,
        )  # fmt: skip
        patience = retry.Retry(
            retry.if_exception_type(*again), initial=self._patience.first, maximum=self._patience.most,
            timeout=self._patience.whole,
            on_error=functools.partial(_note, doing),
        )  # fmt: skip
        try:
            return call(patience)
        except handled:
            raise
        except (exceptions.GoogleAPIError, auth.GoogleAuthError, requests.ConnectionError) as error:
            raise _refused(doing, error) from error


def _client(endpoint: str, credentials: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Python versions to come
        from google.cloud.aiplatform_v1.services.vizier_service import VizierServiceClient
    return VizierServiceClient(transport="rest", credentials=credentials, client_options={"api_endpoint": endpoint})


def _session(credentials: Any) -> Any:
    from google.auth.transport import requests

    return requests.AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _credentials(endpoint: str) -> Any:
    import google.auth
    from google.auth import credentials, exceptions

    if endpoint.startswith("http://"):
        return getattr(credentials, "AnonymousCredentials")()  # noqa: B009 - it has no types
    try:
        return google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0]
    except exceptions.DefaultCredentialsError as error:
        raise ConfigurationError(
            f"tuning.vizier: there are no credentials for {endpoint}: {_first(error)}\n"
            "expected: a service account of the task, or `gcloud auth application-default login`\n"
            "fix: give them, or leave tuning.vizier out"
        ) from error


def _refused(doing: str, error: Exception) -> ComponentError:
    from google.api_core import exceptions

    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return ConfigurationError(
            f"Vertex AI Vizier does not {doing}: {_first(error)}\n"
            "expected: an account with the role Vertex AI User (roles/aiplatform.user) in the project\n"
            "fix: grant it to the service account that the step runs as"
        )
    if isinstance(error, exceptions.InvalidArgument | exceptions.BadRequest):
        return ConfigurationError(f"Vertex AI Vizier does not {doing}: {_first(error)}\nfix: correct tuning.vizier")
    return ComponentError(
        f"Vertex AI Vizier does not {doing}: {_first(error)}\nexpected: an answer\n"
        "fix: run again; the study goes on where it stopped"
    )


def _note(doing: str, error: Exception) -> None:
    if not isinstance(error, _NotReadyError):
        task_log.progress(f"Vizier does not {doing}: {_first(error)}; it is asked again")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
