"""The endpoint as one process: the application, what looks after runs, what fires schedules."""

import contextlib
import fcntl
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from kfp_ct.base.errors import UsageError
from kfp_ct.data import layouts
from kfp_ct.endpoint.api import (
    routes_definitions,
    routes_logs,
    routes_pipelines,
    routes_records,
    routes_runs,
    routes_triggers,
)
from kfp_ct.endpoint.api.context import Context
from kfp_ct.endpoint.api.guard import Guard
from kfp_ct.endpoint.background import executor, retention, scheduler, triggers
from kfp_ct.endpoint.header_timeout import TimedHeaders
from kfp_ct.endpoint.mlflow_ui import MlflowUi
from kfp_ct.endpoint.store import faults
from kfp_ct.endpoint.store.database import Database
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.ui import (
    experiments_page,
    login_page,
    model_card_page,
    models_page,
    pipeline_page,
    pipelines_page,
    response,
    run_comparison_page,
    run_page,
    runs_page,
    schedule_page,
    schedules_page,
    start_page,
    static_files,
    task_page,
    triggers_page,
    version_comparison_page,
    version_page,
)
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs.endpoint_state import DATABASE, FOLDER

_log = logging.getLogger(__name__)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
LOCK, ADDRESS = "lock", "address.json"
# In the order in which addresses are tried: /runs/new before /runs/<id>.
_PAGES = (
    static_files, login_page, start_page, run_comparison_page, version_comparison_page, runs_page, run_page, task_page,
    model_card_page, pipelines_page, pipeline_page, version_page, schedules_page, schedule_page, triggers_page,
    experiments_page, models_page,
)  # fmt: skip


def application(context: Context) -> FastAPI:
    """Makes the application over an open state."""
    app = FastAPI(title="Kubeflow Pipelines v2beta1, on this machine", docs_url=None, redoc_url=None)
    app.state.context = context
    app.include_router(routes_pipelines.router)
    app.include_router(routes_runs.router)
    app.include_router(routes_logs.router, include_in_schema=False)
    app.include_router(routes_triggers.router, include_in_schema=False)
    app.include_router(routes_definitions.router, include_in_schema=False)
    app.include_router(routes_records.router, include_in_schema=False)
    for module in _PAGES:
        app.include_router(module.router, include_in_schema=False)
    app.add_exception_handler(Fault, _refused)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(RecursionError, _too_deep)
    app.add_exception_handler(UnicodeEncodeError, _not_text)
    app.add_exception_handler(OperationalError, _unavailable)
    app.add_exception_handler(OSError, _unwritable)
    app.add_exception_handler(Exception, _broken)
    return app


def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Fault)  # noqa: S101 - registered for nothing else
    if not request.url.path.startswith("/apis/"):
        return response.refusal(fault)
    return JSONResponse(fault.body, fault.status)


def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    said = [f"{'.'.join(map(str, each['loc'][1:])) or 'the request'}: {each['msg']}" for each in error.errors()]
    return _refused(request, faults.invalid("; ".join(said)))


def _too_deep(request: Request, error: Exception) -> Response:
    return _refused(request, faults.invalid("the request nests too deeply"))


def _not_text(request: Request, error: Exception) -> Response:
    return _refused(request, faults.invalid("the request holds characters that are not valid UTF-8"))


def _unavailable(request: Request, error: Exception) -> Response:
    """The database is locked by another program, its disk is full, or its file is gone."""
    _log.error("the database failed: %s", error)
    return _refused(request, Fault(faults.UNAVAILABLE, f"the endpoint's database does not take it: {error.args[0]}"))


def _unwritable(request: Request, error: Exception) -> Response:
    """The disk of the home is full, read-only or gone."""
    assert isinstance(error, OSError)  # noqa: S101 - registered for nothing else
    _log.error("a file cannot be used: %s", error)
    return _refused(request, Fault(faults.UNAVAILABLE, f"the endpoint's disk does not take it: {error.strerror}"))


def _broken(request: Request, error: Exception) -> Response:
    return _refused(request, Fault(faults.INTERNAL, f"{type(error).__name__}: the endpoint's log has the traceback"))


def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code = faults.NOT_FOUND if error.status_code == 404 else faults.INVALID
    if not request.url.path.startswith("/apis/"):
        return response.refusal(Fault(code, str(error.detail)))
    return JSONResponse(Fault(code, str(error.detail)).body, error.status_code)


def serve(workspace: Workspace, host: str, port: int, parallel: int, names: list[str], token: str) -> None:
    """Serves until it is interrupted.

    Args:
        workspace: Where projects and local state are.
        host: Address to listen on.
        port: Port; 0 for one that is free.
        parallel: How many runs go on at once.
        names: Further names under which the endpoint may be asked for.
        token: What callers have to know; made up where the address is not loopback and none is given.

    Raises:
        UsageError: Another endpoint serves this state, or the address cannot be had.
    """
    folder = workspace.home / FOLDER
    with _private(folder, workspace.runs), _only_one(folder / LOCK):
        token = token or ("" if _is_loopback(host) else _kept_token(folder / "token"))
        database = Database(folder / DATABASE)
        mlflow = MlflowUi(workspace.home / "registry" / "mlflow.db", folder / "mlflow.log")
        context = Context(workspace, database, mlflow, token)
        guarded = Guard(application(context), [*LOOPBACK, host, *names], token)
        config = uvicorn.Config(
            guarded, host=host, port=port, http=TimedHeaders, log_level="warning", access_log=False, lifespan="off"
        )
        listening = _listen(config)
        server = _Server(config, folder / ADDRESS, is_open=not token)
        stop = threading.Event()
        processes = executor.Executor(workspace, database, parallel)
        threads = [
            threading.Thread(target=executor.keep_stepping, args=(processes, stop, context.wake)),
            threading.Thread(target=scheduler.keep_stepping, args=(workspace, database, stop, context.wake)),
            threading.Thread(target=triggers.keep_stepping, args=(context, stop)),
            threading.Thread(target=retention.keep_stepping, args=(workspace, stop)),
        ]
        try:
            for thread in threads:
                thread.start()
            server.run([listening])
        finally:
            stop.set()
            context.wake.set()
            for thread in threads:
                thread.join()
            database.close()
            mlflow.stop()
            (folder / ADDRESS).unlink(missing_ok=True)
        if going := processes.children():
            print(f"{going} runs go on; the next `ct up` finds them again")


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, address: Path, is_open: bool) -> None:
        super().__init__(config)
        self._address = address
        self._open = is_open

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        url = f"http://{self.config.host}:{port}"
        layouts.write_text(self._address, json.dumps({"url": url, "process": os.getpid()}))
        print(f"Kubeflow Pipelines API and UI: {url}\n  kfp.Client(host={url!r}); end with Ctrl-C", flush=True)
        if self._open:
            print("  any user of this machine may call it; --token demands one", flush=True)


def _listen(config: uvicorn.Config) -> socket.socket:
    """Binds the address.

    Raises:
        UsageError: It is in use, or is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"{config.host}:{config.port} cannot be listened on: {error.strerror}\nfix: choose another --port or --host"
        ) from error
    return listening


@contextlib.contextmanager
def _private(*state: Path) -> Iterator[None]:
    """Keeps what the endpoint and its runs write from other users of this machine: it has parameters and a token.

    Raises:
        UsageError: A folder cannot be made.
    """
    before = os.umask(0o077)
    try:
        for folder in state:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
            except OSError as error:
                raise UsageError(
                    f"{folder} cannot be used: {error.strerror}\nexpected: a folder that this user owns\n"
                    "fix: choose another --home"
                ) from error
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            address = lock.parent / ADDRESS
            where = json.loads(address.read_text())["url"] if address.exists() else "it is starting"
            raise UsageError(
                f"an endpoint serves {lock.parent.parent} already: {where}\n"
                "fix: use it, or end it, or choose another --home"
            ) from error
        yield
    finally:
        os.close(descriptor)


def _is_loopback(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")


def _kept_token(path: Path) -> str:
    """Returns the token of this endpoint, made up once and readable by its owner alone."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    print(f"callers need the token in {path}")
    return path.read_text().strip()
