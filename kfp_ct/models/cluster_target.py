"""Serving on a cluster: an object there is pointed at a version, its rollout awaited, and undone where it fails.

Published → object changed → ready. What the object pointed at before is kept with it, so that whoever comes after a
kill between any two requests goes on from there. An object that somebody else points elsewhere is left alone.
"""

import dataclasses
import json
import time
from typing import Any, Protocol

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError, NotServedError
from kfp_ct.models import kubernetes_api, serving_folder
from kfp_ct.models.kubernetes_api import Cluster, ConflictError, Object, Patch, Resource, UnavailableError
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.serving_target import KUBERNETES, Served
from kfp_ct.models.settings import Serving

PREVIOUS = "kfp-ct/previous"
WAITING, READY, FAILED = "waiting", "ready", "failed"
# The autoscaler and the status change an object, too.
_TRIES = 8


@dataclasses.dataclass(frozen=True)
class Pointer:
    """What an object's pods serve: the place of a release, and its version."""

    uri: str
    version: str


@dataclasses.dataclass(frozen=True)
class Rollout:
    """How far a rollout is, and why."""

    state: str
    text: str = ""


class Workload(Protocol):
    """A kind of object that serves a model."""

    resource: Resource

    def location(self, root: str, model_name: str) -> str:
        """Returns how the object names a release that lies below a root."""

    def pointer(self, seen: Object) -> Pointer:
        """Returns what the object points at."""

    def changes(self, seen: Object, wanted: Pointer) -> Patch:
        """Returns the patch that points it elsewhere."""

    def look(self, seen: Object, wanted: Pointer) -> Rollout:
        """Returns how far the rollout is."""

    def completion(self, seen: Object) -> Patch | None:
        """Returns the patch that hands over all traffic after a canary; None where it has it."""

    def share(self, seen: Object, percent: int) -> Patch:
        """Returns the patch that gives the newest version a share of the traffic; empty where it has it.

        Raises:
            ConfigurationError: The object cannot split traffic.
        """


def open_target(chosen: Serving, name: str, serving_root: str) -> "ClusterTarget":
    """Opens a target on the cluster; calls nothing."""
    cluster = Cluster()
    if chosen.target == KUBERNETES:
        from kfp_ct.models.deployment_workload import DeploymentWorkload

        return ClusterTarget(cluster, DeploymentWorkload(chosen.namespace, name), chosen, serving_root)
    from kfp_ct.models.kserve_workload import KserveWorkload

    return ClusterTarget(cluster, KserveWorkload(cluster, chosen, name), chosen, serving_root)


class ClusterTarget:
    """One object of a cluster that serves a model."""

    def __init__(self, cluster: Cluster, workload: Workload, chosen: Serving, serving_root: str) -> None:
        self._cluster = cluster
        self._workload = workload
        self._chosen = chosen
        self._root = serving_root.rstrip("/")

    def check(self, release: Release, keep_versions: int) -> None:
        """Looks whether a release can be published and the object is there and can be pointed at it."""
        serving_folder.check(release, self._release_root(release), keep_versions)
        self._workload.pointer(self._get())

    def serve(self, release: Release, keep_versions: int) -> Served:
        """Publishes a blessed model and points the object at it; returns when it answers.

        Raises:
            ModelNotBlessedError: The verdict is not a yes, or is about another model.
            NotServedError: It did not become ready in time; the object points at what it did before.
            ConfigurationError: The object is not there, or may not be changed.
        """
        seen = self._get()
        before = self._workload.pointer(seen)
        root = self._release_root(release)
        serving_folder.publish(release, root, 1)  # one version in a place of its own: what is ready is that version
        wanted = Pointer(self._workload.location(root, release.model_name), release.version)
        if before != wanted:
            seen = self._point(seen, wanted, before, before)
        previous = _previous(seen)
        try:
            self._await(wanted)
            self._complete(wanted)
        except NotServedError as error:
            raise self._undone(error, wanted, previous) from error
        state = {"model": release.model_name, "version": release.version, "previous": _version(previous)}
        return Served(state, f"{self._workload.resource} ({wanted.uri})")

    def served(self, model_name: str) -> str:
        """Returns the version that answers: while a rollout goes on, the one before."""
        seen = self._get()
        current = self._workload.pointer(seen)
        if self._workload.completion(seen) is not None:
            return _version(_previous(seen))
        ready = self._workload.look(seen, current).state == READY
        return current.version if ready else _version(_previous(seen))

    def place(self, release: Release) -> str:
        """Publishes a blessed model that nothing points at yet; returns its fingerprint."""
        self._workload.share(self._get(), 1)  # says where it cannot split traffic
        serving_folder.publish(release, self._release_root(release), 1)
        return serving_folder.fingerprint(release)

    def share(self, model_name: str, version: str, percent: int) -> None:
        """Points the object at a version that is published, with a share of the traffic.

        Raises:
            NotServedError: The version does not become ready.
        """
        wanted, seen = self._wanted(model_name, version), self._get()
        before = self._workload.pointer(seen)
        if before != wanted:
            seen = self._point(seen, wanted, before, before)
        for _ in range(_TRIES):
            changes = self._workload.share(seen, percent)
            if not changes:
                break
            try:
                seen = self._cluster.patch(self._workload.resource, seen, changes)
            except ConflictError:
                seen = self._get()
                self._require_ours(seen, wanted)
        found = self._workload.look(seen, wanted)
        if found.state == FAILED:
            raise NotServedError(f"{self._workload.resource} does not get v{version} ready: {found.text}")

    def take_over(self, model_name: str, version: str) -> None:
        """Gives a version that is tried all traffic; returns when it has it.

        Raises:
            NotServedError: It is not ready in time.
        """
        wanted = self._wanted(model_name, version)
        self._require_ours(self._get(), wanted)
        self._hand_over(wanted)
        self._await(wanted)

    def give_back(self, model_name: str, version: str) -> None:
        """Points the object at what it pointed at before a version was tried; leaves it where it is elsewhere."""
        wanted, seen = self._wanted(model_name, version), self._get()
        previous = _previous(seen)
        if previous and self._workload.pointer(seen) == wanted:
            self._point(seen, previous, wanted, previous)

    def _wanted(self, model_name: str, version: str) -> Pointer:
        root = self._release_root(Release("", "", model_name, version))
        return Pointer(self._workload.location(root, model_name), version)

    def _release_root(self, release: Release) -> str:
        return f"{self._root}/releases/{release.model_name}-v{release.version}"

    def _get(self) -> Object:
        return self._cluster.get(self._workload.resource)

    def _point(self, seen: Object, wanted: Pointer, before: Pointer, remembered: Pointer) -> Object:
        """Points the object elsewhere; goes on where others changed other parts of it meanwhile."""
        for _ in range(_TRIES):
            changes = [*_remembering(seen, remembered), *self._workload.changes(seen, wanted)]
            try:
                return self._cluster.patch(self._workload.resource, seen, changes)
            except ConflictError:
                seen = self._get()
                if self._workload.pointer(seen) not in (before, wanted):
                    raise
        raise NotServedError(f"{self._workload.resource} never stood still for a change\nfix: see what changes it")

    def _await(self, wanted: Pointer) -> None:
        """Waits until the wanted version answers."""
        last = Rollout(WAITING, "not looked at")
        deadline = time.monotonic() + self._chosen.timeout_seconds
        while time.monotonic() < deadline:
            last = self._look(wanted, last)
            if last.state == READY:
                return
            if last.state == FAILED:
                raise NotServedError(f"{self._workload.resource} does not get v{wanted.version} ready: {last.text}")
            time.sleep(self._chosen.poll_seconds)
        late = f"ready in {self._chosen.timeout_seconds} s: {last.text}"
        raise NotServedError(f"{self._workload.resource} did not get v{wanted.version} {late}")

    def _look(self, wanted: Pointer, last: Rollout) -> Rollout:
        try:
            seen = self._get()
        except UnavailableError as error:  # API servers are replaced; the rollout goes on
            return Rollout(WAITING, str(error).splitlines()[0])
        self._require_ours(seen, wanted)
        found = self._workload.look(seen, wanted)
        if found != last:
            task_log.progress(f"{self._workload.resource}: {found.text or found.state}")
        return found

    def _require_ours(self, seen: Object, wanted: Pointer) -> None:
        other = self._workload.pointer(seen)
        if other != wanted:
            raise ConfigurationError(
                f"{self._workload.resource} was pointed at {other.uri} (v{other.version}) meanwhile\n"
                "expected: one deployment at a time; this one was left\nfix: see what deployed it, then run again"
            )

    def _complete(self, wanted: Pointer) -> None:
        """Holds the canary's share, then hands over all traffic."""
        if self._workload.completion(self._get()) is None:
            return
        until = time.monotonic() + self._chosen.canary_seconds
        last = Rollout(READY, f"v{wanted.version} has {self._chosen.canary_percent} % of the traffic")
        task_log.progress(last.text)
        while time.monotonic() < until:
            time.sleep(min(self._chosen.poll_seconds, max(0.0, until - time.monotonic())))
            last = self._look(wanted, last)
            if last.state == FAILED:
                raise NotServedError(f"{self._workload.resource}: the canary v{wanted.version} failed: {last.text}")
        self._hand_over(wanted)
        self._await(wanted)

    def _hand_over(self, wanted: Pointer) -> None:
        for _ in range(_TRIES):
            seen = self._get()
            self._require_ours(seen, wanted)
            changes = self._workload.completion(seen)
            if changes is None:
                return
            try:
                self._cluster.patch(self._workload.resource, seen, changes)
            except ConflictError:
                continue
        raise NotServedError(f"{self._workload.resource} never stood still for a change\nfix: see what changes it")

    def _undone(self, error: NotServedError, wanted: Pointer, previous: Pointer | None) -> NotServedError:
        """Points the object back, unless somebody else has it; says how that went."""
        resource = self._workload.resource
        try:
            seen = self._get()
            if previous and self._workload.pointer(seen) == wanted:
                self._point(seen, previous, wanted, previous)
        except ComponentError as failure:
            done = f"it could not be undone: {str(failure).splitlines()[0]}"
        else:
            done = _undone_text(previous)
        return NotServedError(
            f"{error}\n{done}\nexpected: pods that load v{wanted.version} and are ready\n"
            f"fix: kubectl --namespace {resource.namespace} describe pods, and their logs, say why; then run again"
        )


def _undone_text(previous: Pointer | None) -> str:
    if previous is None:
        return "not undone: what it pointed at before is not known"
    if not previous.uri:
        return "undone: it points at nothing, as before the first model"
    return f"undone: it points at {previous.uri} (v{previous.version}) again"


def _remembering(seen: Object, before: Pointer) -> Patch:
    annotations: dict[str, Any] = seen["metadata"].get("annotations") or {}
    value = json.dumps(dataclasses.asdict(before), sort_keys=True)
    if annotations:
        return [{"op": "add", "path": kubernetes_api.pointer("metadata", "annotations", PREVIOUS), "value": value}]
    return [{"op": "add", "path": "/metadata/annotations", "value": {PREVIOUS: value}}]


def _previous(seen: Object) -> Pointer | None:
    kept = (seen["metadata"].get("annotations") or {}).get(PREVIOUS, "")
    return Pointer(**json.loads(kept)) if kept else None


def _version(pointer: Pointer | None) -> str:
    return pointer.version if pointer else ""
