"""The programs that make a cluster: run, asked, and named where they are missing."""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

_HOW = {
    "docker": "install Docker (Debian: apt-get install docker.io) and start its daemon",
    "kind": "install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "minikube": "install minikube: https://minikube.sigs.k8s.io/docs/start/",
    "kubectl": "install kubectl: https://kubernetes.io/docs/tasks/tools/",
}
# Bytes: of 12 GB a system has some for itself.
_MEMORY = 11e9


class StepError(Exception):
    """A step cannot go on; `fix` says what mends it."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.fix = fix


@dataclasses.dataclass(frozen=True)
class Tools:
    """Runs programs; kubectl always for one cluster."""

    root: Path
    context: str

    def run(self, *command: str, given: str = "") -> str:
        """Runs a program to its end; returns what it says.

        Raises:
            StepError: It failed.
        """
        shown = " ".join(command[:6])
        print(f"  $ {shown}{' …' if len(command) > 6 else ''}", flush=True)
        done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=self.root, check=False)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-5:]
            raise StepError(f"{shown} failed: {' / '.join(last)}", "mend that; make kind goes on from here")
        return done.stdout

    def ask(self, *command: str) -> str | None:
        """Returns what a program says; None where it fails."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.root, check=False)
        return done.stdout if done.returncode == 0 else None

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Runs kubectl."""
        return self.run("kubectl", "--context", self.context, *arguments, given=given)

    def ask_kubectl(self, *arguments: str) -> str | None:
        """Returns what kubectl says; None where it fails."""
        return self.ask("kubectl", "--context", self.context, *arguments)

    def ct(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Runs this repository's ct, which shows itself how far it is.

        Args:
            arguments: The command.
            environment: Variables that it has beside those of this process.

        Raises:
            StepError: It failed.
        """
        print(f"  $ ct {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", "kfp_ct.cli.main", *arguments]
        done = subprocess.run(command, cwd=self.root, env={**os.environ, **(environment or {})}, check=False)
        if done.returncode:
            raise StepError(f"ct {arguments[0]} ended with {done.returncode}", "see above; make kind goes on from here")

    @contextlib.contextmanager
    def forwarded(self, namespace: str, service: str, port: int) -> Iterator[str]:
        """Lends the address of a service of the cluster on this machine."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            here = free.getsockname()[1]
        process = subprocess.Popen(
            ["kubectl", "--context", self.context, "--namespace", namespace, "port-forward", f"service/{service}",
             f"{here}:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            _until_open(process, here, f"service/{service} in {namespace}")
            yield f"http://127.0.0.1:{here}"
        finally:
            process.terminate()
            process.wait(10)


def require(*names: str) -> None:
    """Demands that programs are installed, and Docker's daemon is up.

    Raises:
        StepError: It names all that is missing.
    """
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise StepError(f"not installed: {', '.join(missing)}", "; ".join(_HOW[name] for name in missing))
    if "docker" in names:
        up = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
        if up.returncode:
            raise StepError("Docker's daemon does not answer", "start it: systemctl start docker, or dockerd")


def warn_of_little_memory() -> None:
    """Says that Docker has less memory than the pods ask for; they wait for room for ever then."""
    said = subprocess.run(["docker", "info", "--format", "{{.MemTotal}}"], capture_output=True, text=True, check=False)
    total = int(said.stdout) if said.stdout.strip().isdigit() else 0
    if 0 < total < _MEMORY:
        print(
            f"warning: Docker has {total / 1e9:.1f} GB of memory, 12 GB are wanted: pods may find no room\n"
            "  fix: give it more, or free some",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def ask_json(url: str, body: bytes | None = None) -> str:
    """Returns the answer to a request.

    Raises:
        StepError: It is none.
    """
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own service
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError) as error:
        raise StepError(f"{url} does not answer: {error}", "kubectl --namespace serving describe pods") from error


def _until_open(process: "subprocess.Popen[str]", port: int, what: str) -> None:
    for _ in range(150):
        if process.poll() is not None:
            raise StepError(f"{what} cannot be reached: {process.stderr.read().strip() if process.stderr else ''}",
                            "see whether its pods are ready: kubectl get pods --all-namespaces")  # fmt: skip
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise StepError(f"{what} cannot be reached on this machine", "kubectl port-forward says why")


if __name__ == "__main__":
    try:
        require(*sys.argv[1:])
    except StepError as missing:
        sys.exit(f"error: {missing}\n  fix: {missing.fix}")
