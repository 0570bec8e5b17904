"""The command `ct`: finds the command, and turns what it raises into a message and an exit code."""

import errno
import gc
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from kfp_ct.base import bytecode, errors, redaction
from kfp_ct.cli import exit_codes, groups, late_client, output, version

ENVIRONMENT = {
    "CT_HOME": "Folder of all local state: runs, cache, registry, served models. Default: .ct in the repository.",
    "CT_COMPONENT_PYTHON": "Python of the component environment. Default: that of .venv-components.",
    "CT_TOKEN": "Token that `ct up` requires, and that `ct deploy --auth token` sends.",
    "CT_COOKIE": "Session cookie that `ct deploy --auth dex` sends.",
    "KF_PIPELINES_ENDPOINT": "Address of Kubeflow Pipelines, where settings and --host name none.",
    "NO_COLOR, COLUMNS": "Output without colours; its width.",
}


# No space, over quota, a file larger than allowed, a disk that is read-only.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# The Kubernetes client, which kfp imports, imports it where it is installed: that costs a second, for a check of
# manifests that no command asks the client for.
UNUSED = "kubernetes_validate"
# Objects made before Python looks for garbage: a command imports and reads syntax trees, which is none, and at Python's
# 700 objects the looking is a tenth of a short command.
_GARBAGE = 50_000


class Root(groups.LazyGroup):
    """The command itself: its help ends with environment variables and all exit codes."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the environment variables and the exit codes."""
        groups.write_section(formatter, "Environment variables", ENVIRONMENT)
        groups.write_section(formatter, "Exit codes", exit_codes.MEANINGS)


app = typer.Typer(cls=Root, rich_markup_mode=groups.MARKUP, context_settings=groups.CONTEXT)


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=version.show, is_eager=True, help="Show versions and the environments in use."
        ),
    ] = False,
) -> None:
    """Continuous training of TensorFlow models on Kubeflow Pipelines: run, build, deliver, serve, watch."""


def main() -> None:
    """Runs the command line of this process and ends it with the exit code."""
    gc.set_threshold(_GARBAGE)
    redaction.guard_streams()
    bytecode.never_keep_what_just_changed()
    # How Python is told that there is no such module.
    sys.modules.setdefault(UNUSED, None)  # type: ignore[arg-type]
    late_client.install()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        output.discard_output()
        code = exit_codes.CLOSED_PIPE
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs a command line; a user's mistake is one message on standard error and an exit code, never a traceback.

    Returns:
        The exit code (see `exit_codes.MEANINGS`).
    """
    try:
        return typer.main.get_command(app)(list(arguments), prog_name="ct", standalone_mode=False) or 0
    except typer.TyperException as error:
        return _refuse(error)
    except errors.CtError as error:
        _show(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        return _refuse_import(error)
    except OSError as error:
        return _refuse_disk(error)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def _refuse(error: Any) -> int:
    """Shows what is wrong with the command line, and where its help is."""
    context = getattr(error, "ctx", None)
    _show(f"{error.format_message()}\nfix: see `{context.command_path if context else 'ct'} --help`")
    return int(error.exit_code)


def _refuse_disk(error: OSError) -> int:
    """Says that a disk takes no more.

    Raises:
        OSError: It is another error, which is a defect.
    """
    if error.errno not in DISK_FULL:
        raise error
    where = f"{error.filename}: " if error.filename else ""
    _show(
        f"{where}{error.strerror}\nexpected: room for what a command writes\nfix: make room, or choose another --home"
    )
    return errors.CtError.exit_code


def _refuse_import(error: ModuleNotFoundError) -> int:
    """Says which package is missing: `pip install kfp-ct` brings what starts `ct`, and no more.

    Raises:
        ModuleNotFoundError: It is a module of the library's own, which is a defect.
    """
    missing = (error.name or "").partition(".")[0]
    if missing in ("", "kfp_ct"):
        raise error
    _show(
        f"the package {missing} is not installed beside this ct, in {sys.prefix}\n"
        "expected: the author environment of a repository\n"
        "fix: run `make setup` there and use its .venv/bin/ct; `ct init DIR` makes a repository"
    )
    return errors.UsageError.exit_code


def _show(message: str) -> None:
    first, *rest = message.splitlines()
    print("\n".join([f"error: {first}", *(f"  {line}" for line in rest)]), file=sys.stderr)


if __name__ == "__main__":
    main()
