"""A release on KServe: its `canaryTrafficPercent` is the candidate's share, its storageUri the candidate."""

from kfp_ct.models import cluster_target
from kfp_ct.models.cluster_target import ClusterTarget
from kfp_ct.models.release_state import State
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.settings import ReleasePolicy, Serving


class ClusterTraffic:
    """One InferenceService."""

    by_time = True

    def __init__(self, chosen: Serving, name: str, serving_root: str) -> None:
        """Calls nothing."""
        self._chosen, self._name, self._root = chosen, name, serving_root

    def served(self, model_name: str) -> str:
        """Returns the version that answers, while a candidate is tried the one before."""
        return self._target(100).served(model_name)

    def completed(self, policy: ReleasePolicy) -> ReleasePolicy:
        """Returns the policy as it is: the services' log says all."""
        return policy

    def place(self, release: Release) -> str:
        """Publishes a candidate; the InferenceService is left as it is."""
        return self._target(100).place(release)

    def split(self, state: State) -> None:
        """Points the InferenceService at the candidate, with its share."""
        self._target(state.percent).share(state.model, state.candidate, state.percent)

    def promote(self, state: State) -> None:
        """Gives the candidate all traffic; returns when it has it."""
        self._target(100).take_over(state.model, state.candidate)

    def withdraw(self, state: State) -> None:
        """Points the InferenceService back, unless it points elsewhere already."""
        self._target(100).give_back(state.model, state.candidate)

    def _target(self, percent: int) -> ClusterTarget:
        chosen = self._chosen.model_copy(update={"release": None, "canary_percent": percent})
        return cluster_target.open_target(chosen, self._name, self._root)
