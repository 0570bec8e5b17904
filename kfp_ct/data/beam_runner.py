"""Beam as every step uses it: the runner by name, and files as its workers find them."""

import contextlib
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from kfp_ct.base.errors import ComponentError
from kfp_ct.data import beam_once

# By name: Beam's default runner, and DirectRunner with it, first tries to download another one, Prism.
IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_DIRECT = ("DirectRunner", "directrunner")


def options(arguments: list[str]) -> PipelineOptions:
    """Returns Beam's options; without a runner, or with DirectRunner, the one that runs on this machine.

    Args:
        arguments: Beam options, `--name=value` each. `--direct_num_workers=2 --direct_running_mode=multi_processing`
            runs on two processes of this machine.
    """
    beam_once.remember()
    kept = [argument for argument in arguments if argument not in [f"--runner={name}" for name in _DIRECT]]
    named = any(argument.split("=")[0] == "--runner" for argument in kept)
    return PipelineOptions([*kept, *([] if named else [f"--runner={IN_PROCESS}"])])


def pipeline(arguments: list[str]) -> beam.Pipeline:
    """Returns a pipeline that runs as the arguments say."""
    return beam.Pipeline(options=options(arguments))


@contextlib.contextmanager
def report_beam_failure(doing: str, advice: str) -> Iterator[None]:
    """Says in one line why a pipeline failed.

    Args:
        doing: What the pipeline does, as in "scores".
        advice: The lines after the first: what was expected, and what fixes it.

    Raises:
        ComponentError: It failed.
    """
    try:
        yield
    except ComponentError:
        raise
    except Exception as error:  # what Beam raises depends on the runner
        # A worker's error is a whole traceback, whose end says what is wrong.
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ComponentError(f"the Beam pipeline that {doing} failed: {last}\n{advice}") from error
