"""A real container engine for tests: the one that answers, else Debian's dockerd started for the session."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import docker
import kfp
import pytest

from repository import ROOT

IMAGE = "ct-test-tools:latest"
# Enough of this machine to run a shell in a container.
TOOLS = (
    "sh",
    "sleep",
    "cat",
    "ls",
    "touch",
    "mkdir",
    "true",
    "false",
    "env",
    "id",
    "tail",
    "echo",
    "mktemp",
    "dirname",
)
PYTHON = "ct-test-python:latest"
# What an image has of this repository.
_SOURCES = """
import hashlib, json, pathlib
paths = [path for folder in ("kfp_ct", "pipelines") for path in pathlib.Path(folder).rglob("*.py")]
print(json.dumps({str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}))
"""


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Yields DOCKER_HOST of an engine that has IMAGE; skips where none answers and none can be started."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if _answers(host):
        _import_tools(host)
        yield host
        return
    if os.getuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("no container engine answers, and none can be started here (it takes root and dockerd)")
    host = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--host", host, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid"), "--iptables=false", "--bridge=none"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not _answers(host):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text().splitlines()[-1:]}")
            time.sleep(0.2)
        _import_tools(host)
        yield host
    finally:
        process.terminate()
        process.wait(30)
        # The engine leaves its network namespace mounted, and pytest could not remove the folder.
        for mounted in (folder / "exec" / "netns").glob("*"):
            subprocess.run(["umount", "--lazy", mounted], check=False, capture_output=True)


def require_shared(host: str, folder: Path) -> None:
    """Skips where the engine does not see this file system: inside a build step, whose engine is the machine's."""
    # Of a name that is nowhere else: a folder of the same name may be there as well.
    marker = folder / uuid.uuid4().hex
    marker.touch()
    with contextlib.closing(docker.DockerClient(host)) as client:
        mount = docker.types.Mount("/seen", str(marker), type="bind")
        try:
            client.containers.create(IMAGE, ["true"], mounts=[mount]).remove()
        except docker.errors.APIError as error:
            pytest.skip(f"the engine does not see the files of these tests: {error.explanation}")


def require_image(host: str, reference: str) -> str:
    """Skips where the engine has no such image."""
    with contextlib.closing(docker.DockerClient(host)) as client:
        try:
            client.images.get(reference)
        except docker.errors.ImageNotFound:
            pytest.skip(f"there is no image {reference} here: docker build makes it")
    return reference


def require_sources(host: str, reference: str) -> str:
    """Skips where the engine has no such image, or one of other sources than these."""
    require_image(host, reference)
    with contextlib.closing(docker.DockerClient(host)) as client:
        said = client.containers.run(reference, ["python3", "-c", _SOURCES], remove=True, working_dir="/app")
    there = json.loads(said)
    here = {name: ROOT / name for name in there}
    if not there or any(
        not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != there[name]
        for name, path in here.items()
    ):
        target = reference.partition(":")[0].removeprefix("kfp-ct-")
        pytest.skip(f"{reference} has other sources than these: docker build --target {target} --tag {reference} .")
    return reference


def _answers(host: str) -> bool:
    with contextlib.suppress(docker.errors.DockerException), contextlib.closing(docker.DockerClient(host)) as client:
        return bool(client.ping())
    return False


def import_python(host: str) -> str:
    """Gives an engine an image of this machine's shell, Python and kfp, as much as kfp's executor needs; its name."""
    library, packages = Path(sysconfig.get_path("stdlib")), Path(kfp.__file__).parent
    # The interpreter itself: what runs the tests may be started by a script.
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}").resolve()
    extensions = set(library.glob("lib-dynload/*.so"))
    files = _with_libraries({python, *extensions}) - extensions
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in sorted(files - set(_add_tools(archive))):
            archive.add(file.resolve(), str(file).lstrip("/"))
        archive.add(library, str(library).lstrip("/"), filter=_needed)
        archive.add(packages, f"{library}/site-packages/kfp".lstrip("/"), filter=_needed)
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(python)
        archive.addfile(link)
    with contextlib.closing(docker.DockerClient(host, timeout=600)) as client:
        client.api.import_image_from_data(stream.getvalue(), repository=PYTHON.partition(":")[0], tag="latest")
    return PYTHON


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    unneeded = {"site-packages", "test", "tests", "__pycache__", "idlelib", "ensurepip", "lib2to3", "tkinter"}
    parts = Path(member.name).parts
    last = parts[-1]
    return None if (last in unneeded or last.startswith("config-")) and "kfp" not in parts else member


def _with_libraries(files: Iterable[Path]) -> set[Path]:
    found = set(files)
    for file in list(found):
        listed = subprocess.run(["ldd", file], capture_output=True, text=True).stdout
        found |= {Path(part) for part in listed.split() if part.startswith("/")}
    return found


def _import_tools(host: str) -> None:
    """Makes IMAGE; one of the same files stays, whose digest other tests may be building on."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        _add_tools(archive)
    content = hashlib.sha256(stream.getvalue()).hexdigest()
    with contextlib.closing(docker.DockerClient(host)) as client:
        with contextlib.suppress(docker.errors.ImageNotFound):
            if client.images.get(IMAGE).labels.get("content") == content:
                return
        name, _, tag = IMAGE.partition(":")
        client.api.import_image_from_data(
            stream.getvalue(), repository=name, tag=tag, changes=[f"LABEL content={content}"]
        )


def _add_tools(archive: tarfile.TarFile) -> set[Path]:
    """Adds a shell's tools to an image's files; returns which."""
    shells = tarfile.TarInfo("bin")
    shells.type, shells.linkname = tarfile.SYMTYPE, "usr/bin"
    archive.addfile(shells)
    files = _with_libraries({Path(found).resolve() for tool in TOOLS if (found := shutil.which(tool))})
    for file in sorted(files):
        archive.add(file.resolve(), str(file).lstrip("/"))
    for tool in TOOLS:
        link = tarfile.TarInfo(f"usr/bin/{tool}")
        if not (found := shutil.which(tool)) or Path(found).resolve() == Path("/usr/bin", tool):
            continue
        link.type, link.linkname = tarfile.SYMTYPE, str(Path(found).resolve())
        archive.addfile(link)
    folder = tarfile.TarInfo("tmp")
    folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
    archive.addfile(folder)
    return files
