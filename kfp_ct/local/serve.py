"""Runs the prediction service in the component environment and says how to ask it."""

import contextlib
import json
import shlex
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.project import environments
from kfp_ct.storage import locations, storage

# Importing TensorFlow on a cold disk is the longest part.
START_SECONDS = 120
# Inputs an example request shows; the others may be left out where they may be missing.
_SHOWN_INPUTS = 6
_LOG = "--request-log"
_INTEGERS = ("DT_INT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT8", "DT_UINT16", "DT_UINT32", "DT_UINT64")


def serve(root: str, host: str = "127.0.0.1", port: int = 8501, options: Sequence[str] = ()) -> int:
    """Serves the deployed models until it is told to stop (Ctrl-C, SIGTERM).

    Args:
        root: Folder, or place at s3:// or gs://, that deploy publishes to.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        options: Further options of the service, such as those of its request log.

    Returns:
        The exit code: 0 after it was told to stop.

    Raises:
        CtError: Nothing is deployed, the component environment is missing, or the service does not start.
    """
    python = environments.require_component_python()
    _check_deployed(root)
    command = [str(python), "-m", "kfp_ct.serving", "--root", root, "--host", host, "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options, "--until-stdin-closes"],
        stdin=subprocess.PIPE,  # closes when this process ends, however it ends
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches it once, from here
    )
    with _forwarding_signals(process) as told, contextlib.suppress(KeyboardInterrupt):
        url = _wait_for_url(process, told)
        if url:
            print(_greeting(url, root, asking=not any(option.startswith(_LOG) for option in options)), flush=True)
        process.wait()
    code = process.wait()
    return 0 if told or code == -signal.SIGTERM else code


def example_request(signature: dict[str, Any]) -> dict[str, Any]:
    """Returns a predict request that fits a signature of the metadata API; its values are made up."""
    inputs = dict(sorted(signature["inputs"].items()))
    if len(inputs) == 1 and not _may_be_missing(next(iter(inputs.values()))):
        return {"instances": [_example_value(next(iter(inputs.values())))]}
    required = {name for name, info in inputs.items() if not _may_be_missing(info)}
    optional = [name for name in inputs if name not in required][: max(0, _SHOWN_INPUTS - len(required))]
    shown = [name for name in inputs if name in required or name in optional]
    return {"instances": [{name: _example_value(inputs[name]) for name in shown}]}


def _check_deployed(root: str) -> None:
    if locations.is_remote(root):
        deployed = any(item.uri.endswith(".json") for item in storage.list_folder(root, deep=False))
    else:
        deployed = any(Path(root).glob("[!.]*/[0-9]*/saved_model.pb"))
    if not deployed:
        raise UsageError(
            f"nothing is deployed at {root} yet\nexpected: a model that passed every gate, published by a run\n"
            "fix: run `ct run <pipeline>` first (for the shipped example `make run`)"
        )


@contextlib.contextmanager
def _forwarding_signals(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Passes signals on to the service; yields the list of those that came."""
    told: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        told.append(number)
        process.terminate()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield told
    finally:
        if process.poll() is None:
            process.terminate()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_url(process: subprocess.Popen[str], told: list[int]) -> str:
    """Returns the URL that the service says it answers at; empty if it was told to stop before that."""
    assert process.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
    line = process.stdout.readline().strip()
    if line:
        url: str = json.loads(line)["url"]
        return url
    code = process.wait()
    if told:
        return ""
    # The service has said why on standard error.
    error = CtError(f"the prediction service did not start (exit code {code}); its message is above")
    error.exit_code = code if code > 0 else 1
    raise error


def _greeting(url: str, root: str, asking: bool) -> str:
    serving, waiting = _readiness(url)
    lines = [f"serving {name} v{version} at {url}/v1/models/{name}" for name, version in sorted(serving.items())]
    for name in waiting:
        lines.append(f"{name}: no version of it can be loaded; see {url}/v1/models/{name}")
    for name in sorted(serving)[:1]:
        lines += _try_it(url, name, _recorded(root, name, serving[name]), asking)
    return "\n".join([*lines, "New versions are picked up as they are deployed. Ctrl-C stops."])


def _recorded(root: str, name: str, version: int) -> dict[str, Any]:
    """Returns the request that deploy kept with the served version; empty if it kept none."""
    try:
        content = storage.read(locations.join(root, f"{name}.json"))
        state = json.loads(content.data) if content else {}
        return dict(state["example"]["request"]) if state["version"] == str(version) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _try_it(url: str, name: str, recorded: dict[str, Any], asking: bool) -> list[str]:
    """Returns a request for a model and its answer: the recorded one, else one with made-up values.

    Where requests are logged, nothing is asked: it would be no traffic.
    """
    try:
        metadata = _fetch(f"{url}/v1/models/{name}/metadata")["metadata"]["signature_def"]["signature_def"]
        body = json.dumps(recorded or example_request(metadata["serving_default"]))
        answer = [f"     {json.dumps(_fetch(f'{url}/v1/models/{name}:predict', body.encode()))}"] if asking else []
    except (KeyError, OSError):
        return [f"try: curl {url}/v1/models/{name}/metadata"]
    return [f"try: curl -d {shlex.quote(body)} {url}/v1/models/{name}:predict", *answer]


def _readiness(url: str) -> tuple[dict[str, int], list[str]]:
    try:
        ready = _fetch(f"{url}/readyz")
    except urllib.error.HTTPError as error:
        ready = json.load(error)
    return ready["serving"], ready["waiting"]


def _fetch(url: str, body: bytes | None = None) -> dict[str, Any]:
    # Straight to the service: a proxy of the environment does not know this machine's ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body), timeout=30) as response:  # noqa: S310 - our own http URL
        fetched: dict[str, Any] = json.load(response)
        return fetched


def _sizes(info: dict[str, Any]) -> list[int]:
    return [int(dim["size"]) for dim in info["tensor_shape"]["dim"]]


def _may_be_missing(info: dict[str, Any]) -> bool:
    return _sizes(info) in ([-1], [-1, 1]) and info["dtype"] in ("DT_STRING", "DT_INT64", "DT_FLOAT", "DT_DOUBLE")


def _example_value(info: dict[str, Any]) -> Any:
    if info["dtype"] == "DT_STRING":
        value: Any = "a"
    elif info["dtype"] == "DT_BOOL":
        value = True
    else:
        value = 1 if info["dtype"] in _INTEGERS else 1.0
    if _may_be_missing(info):
        return value
    for size in reversed(_sizes(info)[1:]):
        value = [value] * max(size, 1)
    return value
