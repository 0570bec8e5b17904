"""Deploys a version: pipeline, version, experiment, run; every step does nothing where it has been done."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from kfp_ct.deploy import code_packages, progress, version
from kfp_ct.deploy.version import Version


class Target(progress.Service, Protocol):
    """A service that pipelines are deployed to."""

    def pipeline(self, name: str) -> str | None:
        """Returns the id of a pipeline; None if there is none of that name."""

    def version(self, pipeline_id: str, name: str) -> Any:
        """Returns the version of a name; None if there is none."""

    def latest(self, pipeline_id: str) -> Any:
        """Returns the version that was uploaded last; None if there is none."""

    def create_pipeline(self, wanted: Version) -> str:
        """Creates the pipeline; returns its id."""

    def upload(self, wanted: Version, pipeline_id: str) -> tuple[str, bool]:
        """Uploads the version unless it is there; returns its id, and whether it was uploaded."""

    def experiment(self, name: str) -> str:
        """Returns the id of an experiment, which is created if it is not there."""

    def run(self, wanted: Version, done: "Deployed", cause: str) -> str:
        """Starts a run of what was deployed; returns its id."""

    def page(self, run_id: str) -> str:
        """Returns where a person sees a run."""


@dataclasses.dataclass
class Deployed:
    """What is there after deploying, and what of it is new."""

    pipeline: str
    version: str
    content: str
    pipeline_id: str = ""
    version_id: str = ""
    experiment_id: str = ""
    created_pipeline: bool = False
    created_version: bool = False
    run_id: str = ""
    run_state: str = ""
    schedules: list[dict[str, str]] = dataclasses.field(default_factory=list)


def deploy(target: Target, wanted: Version, experiment: str, say: Callable[[str], None]) -> Deployed:
    """Puts a version on a service.

    Raises:
        CtError: The service refuses, or has other content under that name.
    """
    code_packages.upload(wanted.compiled, list(wanted.code), say)  # before anything that fetches it is there
    done = Deployed(wanted.pipeline, wanted.name, wanted.content)
    found = target.pipeline(wanted.pipeline)
    done.created_pipeline = found is None
    done.pipeline_id = found or target.create_pipeline(wanted)
    done.version_id, done.created_version = target.upload(wanted, done.pipeline_id)
    done.experiment_id = target.experiment(experiment)
    new = "new pipeline, " if done.created_pipeline else ""
    how = f"{new}uploaded" if done.created_version else "is there already, unchanged"
    say(f"{wanted.pipeline} {wanted.name}: {how}")
    return done


def preview(target: Target, wanted: Version) -> list[str]:
    """Says what `deploy` would do, and does nothing."""
    found = target.pipeline(wanted.pipeline)
    if found is None:
        return [f"create the pipeline {wanted.pipeline}", f"upload the version {wanted.name}"]
    there = target.version(found, wanted.name)
    if there is None:
        return [f"upload the version {wanted.name} of {wanted.pipeline}"]
    version.refuse_other(wanted, there)
    return [f"nothing: {wanted.pipeline} {wanted.name} is there already, unchanged"]


def start(
    target: Target, wanted: Version, done: Deployed, say: Callable[[str], None],
    waiting: progress.Waiting | None = None, cause: str = "on demand",
) -> None:  # fmt: skip
    """Starts a run of what was deployed, and waits for its end if it is said how.

    Raises:
        RunFailedError: The run failed.
        RunTimeoutError: It had no end in time.
    """
    done.run_id = target.run(wanted, done, cause)
    done.run_state = "PENDING"
    say(f"run {done.run_id}: {target.page(done.run_id)}")
    if waiting:
        done.run_state = progress.follow(target, done.run_id, say, waiting).state
