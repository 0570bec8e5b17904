"""Begins, advances and ends releases; every command may be killed anywhere, and the next one goes on.

What a step does is written first (`release_state`); what follows from it is done after, as far as it is not yet done.
"""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any, Protocol

from kfp_ct.base.errors import UsageError
from kfp_ct.models import release_state, serving_folder
from kfp_ct.models.release_state import BACKED_OUT, BACKING_OUT, PROMOTED, PROMOTING, RUNNING, Kept, State
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.settings import ReleasePolicy

# What the judge says of a step.
HOLD, ADVANCE, PROMOTE, BACK_OUT = "hold", "advance", "promote", "back_out"


class Traffic(Protocol):
    """What gives a candidate its traffic; every method may be called again for what it has done."""

    @property
    def by_time(self) -> bool:
        """Whether the request log says nothing of shares, since the service does not split."""

    def served(self, model_name: str) -> str:
        """Returns the version that answers; empty for none."""

    def completed(self, policy: ReleasePolicy) -> ReleasePolicy:
        """Returns a policy with what its judge has to know of what serves."""

    def place(self, release: Release) -> str:
        """Puts a candidate there without traffic; returns its fingerprint."""

    def split(self, state: State) -> None:
        """Gives the candidate the share that a running release says."""

    def promote(self, state: State) -> None:
        """Makes the candidate the version that answers."""

    def withdraw(self, state: State) -> None:
        """Takes the candidate's traffic, and then the candidate, away."""


class FolderTraffic:
    """A folder or bucket that prediction services watch: they split by the release's own object."""

    by_time = False

    def __init__(self, serving_root: str, keep_versions: int = 3) -> None:
        """Publishes below a root."""
        self._root, self._keep = serving_root, keep_versions

    def served(self, model_name: str) -> str:
        """Returns the version that answers."""
        return serving_folder.served(self._root, model_name)

    def completed(self, policy: ReleasePolicy) -> ReleasePolicy:
        """Returns the policy as it is: the services' log says all."""
        return policy

    def place(self, release: Release) -> str:
        """Puts a candidate where services look for it."""
        return serving_folder.publish_candidate(release, self._root)

    def split(self, state: State) -> None:
        """Does nothing: the object that says the share is what services read."""

    def promote(self, state: State) -> None:
        """Moves the candidate among the versions."""
        found = serving_folder.Served(state.model, state.candidate, state.fingerprint, state.example)
        serving_folder.promote_candidate(found, self._root, self._keep)

    def withdraw(self, state: State) -> None:
        """Removes the candidate: services have left it, since the object says so."""
        serving_folder.withdraw_candidate(state.model, state.candidate, self._root)


@dataclasses.dataclass(frozen=True)
class Releases:
    """The releases of one serving root.

    Attributes:
        root: Where models are published.
        traffic: What splits it.
        promoted: What follows where a candidate has become the live version: the alias champion moves.
        backed_out: What follows where it was backed out: its version is marked.
    """

    root: str
    traffic: Traffic
    promoted: Callable[[State], None]
    backed_out: Callable[[State], None]

    def start(self, release: Release, policy: ReleasePolicy, now: datetime.datetime, by: str = "") -> State | None:
        """Begins a release; goes on with one of the same candidate; ends one of another.

        Returns:
            The release; None where nothing is served yet or the version is served already, so that there is nothing
            to compare with.

        Raises:
            ModelNotBlessedError: The verdict is not a yes, or is about another model.
            ConfigurationError: The place cannot be used.
        """
        kept = self.finish(release.model_name)
        if kept and kept.state.state == RUNNING and kept.state.candidate == release.version:
            return kept.state
        live = self.traffic.served(release.model_name)
        if live in ("", release.version):
            return None
        if kept and kept.state.state == RUNNING:
            kept = self.abort(release.model_name, f"v{release.version} is released instead", now)
        fingerprint, policy = self.traffic.place(release), self.traffic.completed(policy)
        at = now.isoformat()
        state = State(
            f"{release.version}-{now:%Y%m%dT%H%M%S}", release.model_name, live, release.version, RUNNING,
            policy.steps[0], policy.shadow, policy.key, 0, at, at, policy.model_dump(mode="json"), fingerprint,
            serving_folder.example(release), by=by, by_time=self.traffic.by_time,
        )  # fmt: skip
        kept = release_state.write(self.root, state, kept)
        self.traffic.split(kept.state)
        return kept.state

    def running(self, model: str) -> Kept | None:
        """Returns a model's release with all that was decided done; None where none runs."""
        kept = self.finish(model)
        return kept if kept and kept.state.state == RUNNING else None

    def apply(self, kept: Kept, look: dict[str, Any], now: datetime.datetime) -> State:
        """Does what a look at a running release says: `verdict` (hold, advance, promote or back_out) and `reason`."""
        state, verdict, reason = kept.state, look["verdict"], look["reason"]
        if verdict == HOLD:
            return release_state.write(self.root, dataclasses.replace(state, look=look), kept).state
        if verdict == ADVANCE:
            after = state.concluded(RUNNING, reason, now, look)
            number = state.step + 1
            after = dataclasses.replace(
                after, step=number, percent=state.rules.steps[number], since=now.isoformat(), look={}, reason=""
            )
        else:
            after = state.concluded(PROMOTING if verdict == PROMOTE else BACKING_OUT, reason, now, look)
        written = release_state.write(self.root, after, kept)
        finished = self.finish(state.model)
        return (finished or written).state

    def abort(self, model: str, reason: str, now: datetime.datetime) -> Kept:
        """Backs a running release out by someone's word.

        Raises:
            UsageError: None runs.
        """
        kept = self.running(model)
        if kept is None:
            raise UsageError(f"no release of {model} runs\nfix: see ct release status {model}")
        release_state.write(self.root, kept.state.concluded(BACKING_OUT, reason, now, kept.state.look), kept)
        finished = self.finish(model)
        assert finished is not None  # noqa: S101 - for mypy: it was written
        return finished

    def finish(self, model: str) -> Kept | None:
        """Does what was decided and is not yet done; returns the release that runs, or the last one."""
        kept = release_state.read(self.root, model)
        if kept is None or kept.state.state in (PROMOTED, BACKED_OUT):
            if kept and kept.state.state == BACKED_OUT:
                self.traffic.withdraw(kept.state)
            return kept
        if kept.state.state == RUNNING:
            self.traffic.split(kept.state)
            return kept
        promoting = kept.state.state == PROMOTING
        if promoting:
            self.traffic.promote(kept.state)
            self.promoted(kept.state)
        else:
            self.backed_out(kept.state)
        ended = dataclasses.replace(kept.state, state=PROMOTED if promoting else BACKED_OUT)
        release_state.archive(self.root, ended)
        kept = release_state.write(self.root, ended, kept)
        if not promoting:
            self.traffic.withdraw(ended)
        return kept
