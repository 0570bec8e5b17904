"""Runs tasks in containers of the real images, through Docker's own client.

kfp.local's Docker runner takes a container that has vanished for one that went well
(https://github.com/kubeflow/pipelines/issues/13332). Here a container is kept until its exit code is read, so that
one which ends at once, late, by a signal or for want of memory is never green.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import docker.errors
import docker.types
import requests

from kfp_ct.base.errors import UsageError
from kfp_ct.local.handover import Handover
from kfp_ct.local.task_command import TaskCommand, with_short_arguments

# Where the images have their sources; relative paths in settings are relative to it.
SOURCES = PurePosixPath("/app")
# What `ct images build` and `docker build --tag kfp-ct-…` call the images of this project.
_OURS = re.compile(r"kfp-ct-[a-z-]+([:@]|$)")
_VANISHED = 255
_PATIENCE_SECONDS, _ASKING_SECONDS = 600, 5


class Containers:
    """The containers of one run.

    Attributes:
        image: Name of the image by its content, which is what kfp's cache keys hold.
        version: What that content is called: the beginning of the image's id.
    """

    def __init__(
        self,
        reference: str,
        folders: Mapping[Path, PurePosixPath],
        writable: Path,
        handover: Handover | None = None,
    ) -> None:
        """Finds the image.

        Args:
            reference: The image tasks run in; empty if each has its own.
            folders: Folders tasks may read, and where they see them.
            writable: Folder of all local state, which tasks see under its own name and may change.
            handover: Hands artifacts on through an object store; tasks then see neither kind of folder.

        Raises:
            UsageError: No engine answers, or there is no such image.
        """
        try:
            # An engine that deletes or writes images at the time may take minutes to create a container.
            self._client = docker.from_env(timeout=_PATIENCE_SECONDS)
            found = self._client.images.get(reference) if reference else self._client.ping()
        except docker.errors.ImageNotFound as error:
            raise UsageError(
                f"there is no image {reference} on this machine\n"
                f"fix: docker build --target components --tag {reference} ."
            ) from error
        except docker.errors.DockerException as error:
            raise UsageError(
                f"no Docker engine answers: {error}\nfix: start it, or run without --containers"
            ) from error
        self.image = self.version = ""
        if reference:
            self._name_by_content(reference, found)
        self._handover = handover
        self._mounts = [] if handover else list(_mounts(folders, writable))
        self._running: set[Any] = set()

    def _name_by_content(self, reference: str, found: Any) -> None:
        repository = reference.partition("@")[0].rpartition(":")[0] or reference
        self.version = found.id.removeprefix("sha256:")[:16]
        found.tag(repository, self.version)
        self.image = f"{repository}:{self.version}"

    def run(self, task: TaskCommand, say: Callable[[str], None]) -> int:
        """Runs one task to its end; returns its exit code, never 0 for one that was not seen to end.

        Args:
            task: What it runs.
            say: Receives the lines it writes.
        """
        short = with_short_arguments(task, "python3 {script} --run")
        # As Kubernetes has it: a component's command takes the place of the image's.
        program = list(short.elements) if task.has_program and not self.image else []
        container: Any = None
        try:
            container = self._client.containers.create(
                self.image or task.image,
                list(short.elements)[len(program) :],
                **({"entrypoint": program} if program else {}),
                mounts=self._mounts,
                # What it writes belongs to the user who runs it.
                user=f"{os.getuid()}:{os.getgid()}",
                network_mode="host",
                environment={**self._of_store(task.image), **short.variables},
                init=True,
            )
            self._running.add(container)
            if self._handover:
                self._handover.bring(container, task.folder, task.inputs)
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                say(line)
            code = int(container.wait()["StatusCode"])
            if self._handover and code == 0:
                self._handover.keep(container, task.folder)
            return code
        except docker.errors.NotFound:
            say("the container was removed before its exit code could be read")
            return _VANISHED
        except (docker.errors.DockerException, requests.RequestException) as error:
            say(f"the engine fails: {error}")
            return _VANISHED
        finally:
            self._remove(container)

    def kill(self) -> None:
        """Ends the tasks that run."""
        for container in list(self._running):
            self._remove(container)

    def _of_store(self, image: str) -> dict[str, str]:
        return storage_variables(os.environ) if self.image or _OURS.match(image.rpartition("/")[2]) else {}

    def _remove(self, container: Any) -> None:
        if container is not None:
            self._running.discard(container)
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                container.remove(force=True)


def _mounts(folders: Mapping[Path, PurePosixPath], writable: Path) -> Iterator[Any]:
    yield docker.types.Mount(str(writable), str(writable), type="bind")
    for outside, inside in folders.items():
        yield docker.types.Mount(str(inside), str(outside), type="bind", read_only=True)


def storage_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns what steps in the project's own images find object stores by; other images get nothing of it."""
    return {
        name: value for name, value in environment.items() if name.startswith("AWS_") or name == "STORAGE_EMULATOR_HOST"
    }


def engine_answers() -> bool:
    """Whether a container engine answers on this machine."""
    try:
        with contextlib.closing(docker.from_env(timeout=_ASKING_SECONDS)) as client:
            return bool(client.ping())
    except (docker.errors.DockerException, requests.RequestException):
        return False


def folders_for(arguments: Mapping[str, Any], root: Path) -> dict[Path, PurePosixPath]:
    """Returns the folders of a run's local sources, and where a container is to see them."""
    found: dict[Path, PurePosixPath] = {}
    sources = arguments.get("sources", {})
    for source in sources.values() if isinstance(sources, Mapping) else ():
        uri = str(source.get("uri", "")) if isinstance(source, Mapping) else ""
        if not uri or "://" in uri:
            continue
        folder = Path(uri).parent
        # A pattern may have wildcards in its folders too.
        folder = Path(*(part for part in _until_wildcard(folder.parts)))
        if folder.is_absolute():
            found[folder] = PurePosixPath(folder)
        else:
            found[root / folder] = SOURCES / folder
    return {outside: inside for outside, inside in found.items() if outside.is_dir()}


def _until_wildcard(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if any(letter in part for letter in "*?["):
            return
        yield part


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
