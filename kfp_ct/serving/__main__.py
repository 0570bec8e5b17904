"""Starts the prediction service: `python -m kfp_ct.serving --root DIR`."""

import argparse
import atexit
import gc
import os
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.serving import listeners, options, structured_logs
from kfp_ct.serving.options import UsageError
from kfp_ct.serving.workers import Workers, worker_folder

if TYPE_CHECKING:
    from kfp_ct.serving.request_log import RequestLog

_MEGABYTE = 1 << 20
# How long a thread that converts or predicts may keep the one that accepts and answers from running.
_SWITCH_SECONDS = 0.0005
# Longer than clients keep an unused connection (httpx: 5 seconds): a request that is on its way when it is closed here
# gets no answer.
_KEEP_ALIVE_SECONDS = 75
# Exit codes: 2 is the user's to fix, as everywhere in this project.
USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    given = options.parser().parse_args(arguments)
    structured_logs.configure(as_json=given.json_logs)
    try:
        token = _checked(given)
        if given.workers > 1 and given.worker is None:
            return Workers(given, sys.argv[1:] if arguments is None else arguments).run(given.until_stdin_closes)
        listener = listeners.bind(given.host, given.port, shared=given.worker is not None)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    # Before TensorFlow is imported, or it is ignored. What matters comes as an exception; the rest is noise about GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning)
    return _serve(given, token, listener)


def _checked(given: argparse.Namespace) -> str | None:
    """Returns the token, which a command line would show to every user of a machine."""
    tls = (given.tls_certificate, given.tls_key)
    if None in tls and (*tls, given.tls_client_ca) != (None, None, None):
        raise UsageError("TLS needs --tls-certificate and --tls-key\n  fix: give both, or none of the options of TLS")
    for path in (*tls, given.tls_client_ca, given.token_file, given.features):
        if path is not None and not path.is_file():
            raise UsageError(f"{path} is not a file\n  fix: correct the path")
    _check_features(given.features)
    if given.token_file is None:
        return os.environ.get(options.TOKEN_VARIABLE) or None
    token = str(given.token_file.read_text().strip())
    if not token:
        raise UsageError(f"{given.token_file} holds no token\n  fix: write one into it")
    return token


def _check_features(path: Path | None) -> None:
    from kfp_ct.serving.errors import FeaturesNotReadableError
    from kfp_ct.serving.online_features import OnlineFeatures

    try:
        if path is not None:
            OnlineFeatures(path)
    except FeaturesNotReadableError as error:
        raise UsageError(str(error)) from None


def _serve(given: argparse.Namespace, token: str | None, listener: socket.socket) -> int:
    # Imported here: they take seconds, and a port that is taken should be said at once.
    import uvicorn

    from kfp_ct.serving.app import create_app
    from kfp_ct.serving.batching import Batching
    from kfp_ct.serving.limits import LOOPBACK_NAMES, Limits
    from kfp_ct.serving.online_features import OnlineFeatures
    from kfp_ct.serving.predictor import Predictor
    from kfp_ct.serving.process import server_class
    from kfp_ct.serving.saved_model import SavedModel
    from kfp_ct.serving.versions import Versions

    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what was imported stays: collecting after an unload need not walk it
    versions = Versions(*_models(given, SavedModel))
    versions.poll()  # the first version is there before the first request
    hosts = (*LOOPBACK_NAMES, given.host, *given.allowed_host)
    body_bytes = given.max_body_mb * _MEGABYTE
    limits = Limits(body_bytes, given.max_pending, given.threads, hosts, given.max_rows, given.max_seconds, token)
    batching = Batching(given.batching, given.batch_rows, given.batch_delay_ms)
    request_log = _request_log(given)
    predictor = Predictor(versions, limits, batching, request_log)
    if given.features is not None:
        predictor.features = OnlineFeatures(given.features, predictor.metrics.features_looked_up)
    config = uvicorn.Config(
        create_app(predictor),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=given.grace_seconds,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        **_tls(given),
    )
    server = server_class(uvicorn.Server, given, predictor, request_log.close if request_log else None)(config)
    stop = threading.Event()
    threading.Thread(target=versions.watch, args=(stop, given.poll_seconds), name="watch", daemon=True).start()
    if given.until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), name="stdin", daemon=True).start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn ended in good order and hands the signal on
    finally:
        stop.set()
    return 0


def _models(given: argparse.Namespace, load: Callable[[Path], Any]) -> tuple[Any, ...]:
    """Returns the folder of models, what loads one, and what brings it up to date where it mirrors an object store."""
    from kfp_ct.storage import locations

    if not locations.is_remote(given.root):
        return locations.local_path(given.root), load
    from kfp_ct.serving.model_store import ModelStore

    cache = worker_folder(given.model_cache, given.worker)
    folder = cache or Path(tempfile.mkdtemp(prefix="ct-models-"))
    folder.mkdir(parents=True, exist_ok=True)
    if cache is None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder, load, ModelStore(given.root, folder).refresh


def _tls(given: argparse.Namespace) -> dict[str, Any]:
    if given.tls_certificate is None:
        return {}
    tls = {"ssl_certfile": str(given.tls_certificate), "ssl_keyfile": str(given.tls_key)}
    if given.tls_client_ca is None:
        return tls
    return {**tls, "ssl_ca_certs": str(given.tls_client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}


def _request_log(given: argparse.Namespace) -> "RequestLog | None":
    from kfp_ct.serving.privacy import privacy
    from kfp_ct.serving.request_log import RequestLog, Settings

    key = os.environ.get(options.HASH_KEY_VARIABLE, "")
    if given.request_log is None:
        return None
    return RequestLog(
        Settings(
            _log_root(given.request_log),
            given.request_log_sample,
            given.request_log_max_mb * _MEGABYTE,
            given.request_log_rows,
            given.request_log_seconds,
            privacy=privacy(given.request_log_never, given.request_log_hashed, key),
        )
    )


def _log_root(text: str) -> Path | str:
    from kfp_ct.storage import locations

    return text if locations.is_remote(text) else locations.local_path(text)


def _stop_at_end_of_input(server: object) -> None:
    """Ends the server when the process that started it is gone, however that ended."""
    sys.stdin.buffer.read()
    server.should_exit = True  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
