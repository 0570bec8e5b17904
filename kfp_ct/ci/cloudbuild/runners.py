"""Where a step runs: in a container of its image, or on this machine with the tool that the image stands for."""

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kfp_ct.ci.cloudbuild.config import Step

# Builder images and the tool that is their entrypoint.
_BUILDERS = {
    f"gcr.io/cloud-builders/{tool}": tool
    for tool in (
        "bazel",
        "curl",
        "docker",
        "gcloud",
        "git",
        "go",
        "gradle",
        "gsutil",
        "kubectl",
        "mvn",
        "npm",
        "wget",
        "yarn",
    )
}
_ENGINE_TOOLS = ("docker", "podman")


@dataclasses.dataclass(frozen=True)
class Command:
    """What starts a step: arguments, working folder, environment, and what ends it where a signal is not enough."""

    arguments: list[str]
    folder: Path
    environment: dict[str, str]
    stop: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Places:
    """Folders of a build: the scratch workspace and what else steps share."""

    root: Path

    @property
    def workspace(self) -> Path:
        """What steps see as /workspace."""
        return self.root / "workspace"

    @property
    def home(self) -> Path:
        """What steps in containers see as /builder/home."""
        return self.root / "home"

    def volume(self, name: str) -> Path:
        """A named volume."""
        return self.root / "volumes" / name

    def script(self, step: Step) -> Path:
        """Where a step's script is written."""
        return self.root / "scripts" / str(step.index)


class Runner(Protocol):
    """A way to run steps."""

    def unable(self, step: Step) -> str:
        """Returns why a step cannot run this way; empty if it can."""

    def command(self, step: Step, secrets: Mapping[str, str]) -> Command:
        """Returns what starts a step."""


@dataclasses.dataclass(frozen=True)
class HostRunner:
    """Runs steps on this machine, in the scratch workspace, with the tools found."""

    places: Places
    engine: str = ""  # the container engine that answers, if one does

    def unable(self, step: Step) -> str:
        """Returns why a step cannot run here; empty if it can."""
        if step.script:
            return ""
        tool = _tool(step)
        if not tool:
            return f"the command that {step.image} runs by itself is not known here"
        if Path(tool).name in _ENGINE_TOOLS and not self.engine:
            return "no container engine answers on this machine"
        if "/" not in tool and not shutil.which(tool, path=step.environment.get("PATH")):
            return f"{tool} is not installed on this machine"
        return ""

    def command(self, step: Step, secrets: Mapping[str, str]) -> Command:
        """Returns what starts a step."""
        # Beyond a container, what a step calls /workspace is the scratch copy.
        mapped = {"/workspace": self.places.workspace}
        mapped |= {path: self.places.volume(name) for name, path in step.volumes.items()}
        for folder in mapped.values():
            folder.mkdir(parents=True, exist_ok=True)
        if step.script:
            arguments = _write_script(self.places.script(step), _translated(step.script, mapped))
        else:
            given = (
                [step.entrypoint] if step.entrypoint else [_BUILDERS[_name(step)]] if _name(step) in _BUILDERS else []
            )
            arguments = [_translated(each, mapped) for each in [*given, *step.args]]
        own = {name: _translated(value, mapped) for name, value in step.environment.items()}
        folder = self.places.workspace / _translated(step.folder, mapped)
        folder.mkdir(parents=True, exist_ok=True)
        return Command(arguments, folder, {**os.environ, **own, **secrets})


@dataclasses.dataclass(frozen=True)
class ContainerRunner:
    """Runs steps in containers of their images, as Cloud Build does."""

    places: Places
    engine: str
    build_id: str
    images: Mapping[str, str]  # image named in the configuration → image to use here

    def unable(self, step: Step) -> str:
        """Returns why a step cannot run in a container; empty if it can."""
        image = self._image(step)
        if _answers([self.engine, "image", "inspect", image]) or _answers([self.engine, "pull", "--quiet", image]):
            return ""
        return f"the image {image} is not here and cannot be pulled"

    def command(self, step: Step, secrets: Mapping[str, str]) -> Command:
        """Returns what starts a step."""
        name = f"ct-{self.build_id}-{step.index}"
        mounts = {self.places.workspace: "/workspace", self.places.home: "/builder/home"}
        mounts |= {self.places.volume(volume): path for volume, path in step.volumes.items()}
        for folder in mounts:
            folder.mkdir(parents=True, exist_ok=True)
        # The host's network, so that registries and emulators on loopback are reached.
        arguments = [self.engine, "run", "--rm", "--name", name, "--network", "host"]
        arguments += ["--workdir", f"/workspace/{step.folder}".rstrip("/")]
        if step.folder.startswith("/"):
            arguments[-1] = step.folder
        socket = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
        if self.engine == "docker" and socket.is_socket():
            mounts[socket] = "/var/run/docker.sock"
        variables = {"HOME": "/builder/home", **step.environment, **secrets}
        for variable in variables:  # by name only: a value on the command line is seen by everybody
            arguments += ["--env", variable]
        entrypoint, rest = [step.entrypoint] if step.entrypoint else [], list(step.args)
        if step.script:
            script = self.places.script(step)
            _write_script(script, step.script)
            mounts[script] = "/builder/script"
            entrypoint, rest = (
                (["/builder/script"], []) if step.script.startswith("#!") else (["sh"], ["/builder/script"])
            )
        for source, target in mounts.items():
            arguments += ["--volume", f"{source}:{target}"]
        if entrypoint:
            arguments += ["--entrypoint", *entrypoint]
        # The engine's client reads HOME itself: only the container's is set.
        environment = {**os.environ, **{k: v for k, v in variables.items() if k != "HOME"}}
        arguments[arguments.index("HOME")] = "HOME=/builder/home"
        return Command([*arguments, self._image(step), *rest], Path.cwd(), environment, [self.engine, "kill", name])

    def _image(self, step: Step) -> str:
        return self.images.get(step.image, step.image)


def is_builder(step: Step) -> bool:
    """Whether the step's image only wraps a tool."""
    return _name(step) in _BUILDERS


def engine() -> str:
    """Returns the container engine that answers on this machine; empty if none does."""
    return next((each for each in _ENGINE_TOOLS if shutil.which(each) and _answers([each, "info"])), "")


def _answers(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _name(step: Step) -> str:
    folder, slash, last = step.image.partition("@")[0].rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _tool(step: Step) -> str:
    return step.entrypoint or _BUILDERS.get(_name(step), "") or (step.args[0] if step.args else "")


def _write_script(path: Path, text: str) -> list[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return [str(path)] if text.startswith("#!") else ["sh", str(path)]


def _translated(text: str, places: Mapping[str, Path]) -> str:
    for inside, outside in places.items():
        path = rf"(?<![\w./-]){re.escape(inside.rstrip('/'))}(?![\w.-])"
        text = re.sub(path, str(outside).replace("\\", "\\\\"), text)
    return text
