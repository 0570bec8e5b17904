"""Starts the prediction service: `python -m serving --root DIR`."""

import argparse
import atexit
import gc
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_ct.serving.request_log import RequestLog

_MEGABYTE = 1 << 20
# Exit codes: 2 is the user's to fix, as everywhere in this project.
USER_ERROR = 2
TOKEN_VARIABLE = "KFP_CT_SERVING_TOKEN"  # noqa: S105 - its name


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        listener = _bind(options.host, options.port)
    except OSError as error:
        print(
            f"error: cannot listen on {options.host}:{options.port}: {error.strerror or error}\n"
            "  expected: a free port and an address of this machine\n"
            "  fix: stop what uses it, or choose another with --port",
            file=sys.stderr,
        )
        return USER_ERROR
    # Before TensorFlow is imported, or it is ignored. What matters comes as an exception; the rest is noise about GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning)
    return _serve(options, listener)


def _serve(options: argparse.Namespace, listener: socket.socket) -> int:
    # Imported here: they take seconds, and a port that is taken should be said at once.
    import uvicorn

    from kfp_ct.serving.app import create_app
    from kfp_ct.serving.batching import Batching
    from kfp_ct.serving.limits import LOOPBACK_NAMES, Limits
    from kfp_ct.serving.predictor import Predictor
    from kfp_ct.serving.saved_model import SavedModel
    from kfp_ct.serving.versions import Versions

    gc.freeze()  # what was imported stays: collecting after an unload need not walk it
    versions = Versions(*_models(options, SavedModel))
    versions.poll()  # the first version is there before the first request
    hosts = (*LOOPBACK_NAMES, options.host, *options.allowed_host)
    limits = Limits(
        options.max_body_mb * _MEGABYTE,
        options.max_pending,
        options.threads,
        hosts,
        options.max_rows,
        options.max_seconds,
        _token(options),
    )
    batching = Batching(options.batching, options.batch_rows, options.batch_delay_ms)
    request_log = _request_log(options)
    config = uvicorn.Config(
        create_app(Predictor(versions, limits, batching, request_log)),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=options.grace_seconds,
    )
    server = _announcing(uvicorn.Server, request_log.close if request_log else None)(config)
    stop = threading.Event()
    threading.Thread(target=versions.watch, args=(stop, options.poll_seconds), name="watch", daemon=True).start()
    if options.until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), name="stdin", daemon=True).start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn ended in good order and hands the signal on
    finally:
        stop.set()
    return 0


def _request_log(options: argparse.Namespace) -> "RequestLog | None":
    from kfp_ct.serving.request_log import RequestLog, Settings

    if options.request_log is None:
        return None
    return RequestLog(
        Settings(
            options.request_log.absolute(),
            options.request_log_sample,
            options.request_log_max_mb * _MEGABYTE,
            options.request_log_rows,
            options.request_log_seconds,
        )
    )


def _token(options: argparse.Namespace) -> str | None:
    """Returns the token of a file or of the environment; a command line would show it to every user of a machine."""
    if options.token_file is not None:
        return str(options.token_file.read_text().strip())
    return os.environ.get(TOKEN_VARIABLE) or None


def _models(options: argparse.Namespace, load: Callable[[Path], Any]) -> tuple[Any, ...]:
    """Returns the folder of models, what loads one, and what brings it up to date where it mirrors an object store."""
    from kfp_ct.storage import locations

    if not locations.is_remote(options.root):
        return locations.local_path(options.root), load
    from kfp_ct.serving.model_store import ModelStore

    folder = options.model_cache or Path(tempfile.mkdtemp(prefix="ct-models-"))
    folder.mkdir(parents=True, exist_ok=True)
    if options.model_cache is None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder, load, ModelStore(options.root, folder).refresh


def _announcing(base: type[Any], stopped: Callable[[], None] | None) -> type[Any]:
    """Returns the server class that says on standard output, as one JSON line, from when on it answers and where.

    It calls `stopped` after the last answer: uvicorn hands a signal on, which ends the process before `run` returns.
    """

    class AnnouncingServer(base):  # uvicorn is imported only after the port is taken
        async def startup(self, sockets: list[socket.socket]) -> None:
            await super().startup(sockets)
            print(json.dumps({"url": _url(sockets[0])}), flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            if stopped is not None:
                stopped()

    return AnnouncingServer


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - named, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    """Takes the port; connections are accepted only when the models are loaded."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # The protocol is named because asyncio turns Nagle's delay off (40 ms an answer) only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _stop_at_end_of_input(server: object) -> None:
    """Ends the server when the process that started it is gone, however that ended."""
    sys.stdin.buffer.read()
    server.should_exit = True  # type: ignore[attr-defined]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument(
        "--root",
        required=True,
        help="folder with <model>/<version>/saved_model.pb, or where deploy publishes to: s3://…, gs://…",
    )
    parser.add_argument("--model-cache", type=Path, help="folder for models of a bucket (default: a temporary one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="how often to look for new versions")
    parser.add_argument("--max-body-mb", type=int, default=64, help="largest request (default: %(default)s)")
    parser.add_argument("--max-pending", type=int, default=256, help="requests that may wait (default: %(default)s)")
    parser.add_argument("--max-rows", type=_positive, default=1_000_000, help="rows a request (default: %(default)s)")
    parser.add_argument(
        "--max-seconds", type=float, default=60.0, help="for a prediction, waiting included (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="predictions that run at a time")
    parser.add_argument("--grace-seconds", type=int, default=10, help="for requests that run when told to stop")
    parser.add_argument(
        "--allowed-host", action="append", default=[], help="further name in a request's Host header; * for any"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    parser.add_argument(
        "--token-file", type=Path, help="file with the token that callers must send as Authorization: Bearer TOKEN"
    )
    _add_batching_options(parser)
    _add_log_options(parser)
    return parser


def _add_batching_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("batching", "requests at the same time, answered by one call of the model")
    group.add_argument(
        "--batching", choices=("off", "on", "adaptive"), default="adaptive",
        help="wait for others never, always, or while the model is at work (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--batch-rows", type=_positive, default=128, help="rows a batch (default: %(default)s)")
    group.add_argument(
        "--batch-delay-ms", type=float, default=5.0, help="longest wait for others (default: %(default)s)"
    )


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("request log", "what was asked and answered, as Parquet files for monitoring")
    group.add_argument("--request-log", type=Path, help="folder to log to; without it nothing is logged")
    group.add_argument(
        "--request-log-sample", type=_fraction, default=1.0, help="fraction of requests (default: %(default)s)"
    )
    group.add_argument(
        "--request-log-max-mb", type=_positive, default=1024, help="all files together (default: %(default)s)"
    )
    group.add_argument("--request-log-rows", type=_positive, default=20_000, help="rows a file (default: %(default)s)")
    group.add_argument(
        "--request-log-seconds", type=_positive, default=60, help="until a file is written (default: %(default)s)"
    )


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
