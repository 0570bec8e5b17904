"""Runs tasks as forks of a process that has already imported what they need.

Importing TensorFlow and its libraries costs 8 s of CPU, and a pipeline has ten tasks: without this, imports
are most of a small run. A task is a fork with its own environment, working directory and standard streams, and
still runs the command that kfp gives it. Forking is safe here because the server only imports: it starts no
TensorFlow session, no Beam worker and no thread of its own.

Runs in the component environment; standard library only. `client` is what stands in for `python3` in kfp's
command: it hands its arguments and streams to the server and waits for the exit code. `--run` runs `-m module …` in
this process: for arguments that stand in files.
"""

import contextlib
import gc
import importlib
import itertools
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

SOCKET_VARIABLE = "CT_ZYGOTE"
# What arguments begin with that stand in files, because the system takes none so long; another mark for each task.
MARK_VARIABLE = "CT_ARGUMENT_MARK"
# Names a file that receives a line for each server and task: its CPU seconds and its peak memory.
COSTS_VARIABLE = "CT_TASK_COSTS"
_STANDARD_INPUT = 0
# Keeps tasks from running what a module was before an edit.
_BYTECODE = "kfp_ct.base.bytecode"
# Keeps imports from loading what libraries use seldom.
_DEFERRED = "kfp_ct.base.deferred_imports"
# Between the modules of a server: a fork that has imported what stands before it serves at PATH.early.
EARLY, EARLY_SUFFIX = "--early", ".early"
# What follows is imported once standard input has ended, between tasks; the server of PATH.early has its own.
LATER, EARLY_LATER = "--later", "--early-later"


def serve(path: str, lifeline: int, arguments: list[str]) -> NoReturn:
    """Imports modules, then serves until the other end of `lifeline` closes, and ends its tasks with itself."""
    _guard_bytecode()
    _defer_what_is_seldom_used()
    rest, _, later_of_early = _parted(arguments, EARLY_LATER)
    modules, _, later = _parted(rest, LATER)
    first, early, others = _parted(modules, EARLY)
    _import(first)
    if early and os.fork() == 0:
        path, others, later = path + EARLY_SUFFIX, [], later_of_early
    _import(others)
    # The socket appears when the imports are done; the run waits for it.
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"{path}.partial")
    server.listen()
    Path(f"{path}.partial").rename(path)
    name = "imports of the service's server" if path.endswith(EARLY_SUFFIX) else "imports"
    _note_costs(name, resource.getrusage(resource.RUSAGE_SELF))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers of tasks
    _serve(server, lifeline, later, name)


def _serve(server: socket.socket, lifeline: int, later: list[str], name: str) -> NoReturn:
    with selectors.DefaultSelector() as selector:
        for each in (server.fileno(), lifeline, *([_STANDARD_INPUT] if later else [])):
            selector.register(each, selectors.EVENT_READ)
        while True:
            importing = bool(later) and _STANDARD_INPUT not in selector.get_map()
            ready = {key.fd for key, _ in selector.select(0 if importing else None)}
            if lifeline in ready:
                os.killpg(0, signal.SIGKILL)
            if _STANDARD_INPUT in ready:
                sys.path.insert(0, str(Path.cwd()))  # as tasks have it
                selector.unregister(_STANDARD_INPUT)
            if server.fileno() in ready:
                _accept(server)
            elif importing:
                before = resource.getrusage(resource.RUSAGE_SELF)
                _import([later.pop(0)])
                _note_costs(name, resource.getrusage(resource.RUSAGE_SELF), before)


def _parted(arguments: list[str], mark: str) -> tuple[list[str], bool, list[str]]:
    """Returns what stands before a mark, whether it is there, and what stands after it."""
    if mark not in arguments:
        return arguments, False, []
    at = arguments.index(mark)
    return arguments[:at], True, arguments[at + 1 :]


def _import(modules: list[str]) -> None:
    gc.disable()  # imports leave next to no garbage: looking for it took a quarter of their time
    for module in modules:
        # A component that needs what is not installed says so itself, better than this place could.
        with _without_package_search(), contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.enable()
    gc.freeze()  # what was imported stays: no task's garbage collector need walk it


def _guard_bytecode() -> None:
    # Where the library is not: an environment of a task's own packages, made for it.
    with contextlib.suppress(ImportError):
        importlib.import_module(_BYTECODE).never_keep_what_just_changed()


def _defer_what_is_seldom_used() -> None:
    with contextlib.suppress(ImportError):
        deferred = importlib.import_module(_DEFERRED)
        deferred.defer(deferred.SELDOM_USED)


def _without_package_search() -> contextlib.AbstractContextManager[None]:
    deferred = sys.modules.get(_DEFERRED)
    return deferred.without_package_search() if deferred else contextlib.nullcontext()


def _accept(server: socket.socket) -> None:
    connection, _ = server.accept()
    if os.fork() == 0:
        server.close()
        os._exit(_keep(connection))
    connection.close()


def _keep(connection: socket.socket) -> int:
    """Keeps one task: forks it, waits for it, tells the client its exit code; kills it if the client goes."""
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    request = json.loads(message)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        connection.close()
        _run(request, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    if request.get("tell_pid"):
        connection.sendall(json.dumps({"pid": child}).encode() + b"\n")
    threading.Thread(target=_kill_when_gone, args=(connection, child), daemon=True).start()
    _, status, costs = os.wait4(child, 0)
    name = _function_name(request["arguments"])
    _note_costs(name, costs)
    _note_costs(name, resource.getrusage(resource.RUSAGE_SELF))  # of the fork
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())
    return 0


def _function_name(arguments: list[str]) -> str:
    """Returns the name of the component's function that kfp's executor is to call; else the module's."""
    following = dict(itertools.pairwise(arguments))
    return following.get("--function_to_execute", following.get("-m", ""))


def _note_costs(name: str, costs: resource.struct_rusage, before: resource.struct_rusage | None = None) -> None:
    """Appends what a process and those it has waited for took, where somebody asks for it."""
    if path := os.environ.get(COSTS_VARIABLE):
        cpu = costs.ru_utime + costs.ru_stime - (before.ru_utime + before.ru_stime if before else 0)
        with Path(path).open("a") as file:
            file.write(json.dumps({"name": name, "cpu": cpu, "peak_kib": costs.ru_maxrss}) + "\n")


def _kill_when_gone(connection: socket.socket, child: int) -> None:
    with contextlib.suppress(OSError):
        if not connection.recv(1):
            os.kill(child, signal.SIGKILL)


def _run(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Becomes the task."""
    code = 1
    try:
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        code = _run_module(request["arguments"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: libraries' exit handlers of the parent are not this task's to run.
        os._exit(code)


def _run_module(arguments: list[str]) -> int:
    option, module, *rest = _with_files_read(arguments)
    if option != "-m":
        raise ValueError(f"expected `-m module`, got {arguments}")
    sys.argv = [module, *rest]
    # What python does at start with the current folder, and did not do here.
    sys.path.insert(0, str(Path.cwd()))
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _with_files_read(arguments: list[str]) -> list[str]:
    """Replaces arguments that name a file by what is in it."""
    mark = os.environ.pop(MARK_VARIABLE, "")
    return [Path(each.removeprefix(mark)).read_text() if mark and each.startswith(mark) else each for each in arguments]


def client(arguments: list[str]) -> int:
    """Stands in for `python3`: runs `-m module …` as a fork of the server and returns its exit code."""
    request = {"arguments": arguments, "environment": dict(os.environ), "cwd": str(Path.cwd())}
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        # The server is there before its first client is started; if it is not, its run is gone and so is this task.
        connection.connect(os.environ[SOCKET_VARIABLE])
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        answer = connection.recv(1024)
    if not answer:
        return 1
    code = int(json.loads(answer)["code"])
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1] == "--run":
        sys.path.pop(0)  # this file's folder, which `python -m` would not look into
        _guard_bytecode()
        sys.exit(_run_module(sys.argv[2:]))
    else:
        sys.exit(client(sys.argv[1:]))
