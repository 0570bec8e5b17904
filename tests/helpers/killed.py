"""Lets something run in a process that is killed by SIGKILL at a chosen point."""

import multiprocessing
import os
import signal
import sys

import cloudpickle

# A process that has run TensorFlow has threads, and a fork of it may crash: children come from a server without any.
CLEAN = multiprocessing.get_context("forkserver")
# What children would import one after the other: seconds each, and many times that under `kill_me_at`.
IMPORTED_ONCE = ("mlflow", "sqlalchemy", "alembic", "cloudpickle", "pydantic", "rich")


def call(pickled):
    cloudpickle.loads(pickled)()


def in_child(act):
    """Runs `act` in a forked process and returns that process."""
    # Beside TensorFlow some of ours would import it.
    ours = [] if "tensorflow" in sys.modules else ["kfp_ct"]
    imported = sorted(name for name in sys.modules if name.split(".")[0] in (*IMPORTED_ONCE, *ours))
    CLEAN.set_forkserver_preload(["kfp_ct.components.register.publish_mlflow", *imported])
    process = CLEAN.Process(target=call, args=(cloudpickle.dumps(act),))
    process.start()
    return process


def exit_code(process):
    """Waits for a process; negative for the signal that ended it."""
    process.join()
    return process.exitcode


def kill_me_at(function, event):
    """Arranges that this process is killed as `function` is called or has returned."""

    def hook(frame, what, _):
        if what == event and frame.f_code.co_name == function:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(hook)
