"""The command line of the prediction service."""

import argparse
import os
from pathlib import Path

TOKEN_VARIABLE = "KFP_CT_SERVING_TOKEN"  # noqa: S105 - its name
HASH_KEY_VARIABLE = "KFP_CT_LOG_HASH_KEY"
# Which of several workers a process is: given by the process that starts them.
WORKER = "--worker"
_DESCRIPTION = "Serves the models below a folder over HTTP and gRPC, until it is told to stop."


class UsageError(Exception):
    """What the command line asks for cannot be done."""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m kfp_ct.serving", description=_DESCRIPTION)
    parser.add_argument(
        "--root",
        required=True,
        help="folder with <model>/<version>/saved_model.pb, or where deploy publishes to: s3://…, gs://…",
    )
    parser.add_argument("--model-cache", type=Path, help="folder for models of a bucket (default: a temporary one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, help="port for gRPC; 0 takes a free one (default: no gRPC)")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="how often to look for new versions")
    parser.add_argument("--max-body-mb", type=int, default=64, help="largest request (default: %(default)s)")
    parser.add_argument("--max-pending", type=int, default=256, help="requests that may wait (default: %(default)s)")
    parser.add_argument("--max-rows", type=_positive, default=1_000_000, help="rows a request (default: %(default)s)")
    parser.add_argument(
        "--max-seconds", type=float, default=60.0, help="for a prediction, waiting included (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="predictions that run at a time")
    parser.add_argument(
        "--workers", type=_positive, default=1,
        help="processes that answer, each with its own copy of the models (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(WORKER, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--grace-seconds", type=int, default=10, help="for requests that run when told to stop")
    parser.add_argument(
        "--drain-seconds", type=float, default=0.0,
        help="go on answering so long after SIGTERM, no longer ready (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--allowed-host", action="append", default=[], help="further name in a request's Host header; * for any"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    parser.add_argument(
        "--features", type=Path, help="file of `ct features materialize`: what requests leave out is looked up there"
    )
    parser.add_argument("--json-logs", action="store_true", help="log lines as JSON objects, one for every request too")
    _add_access_options(parser)
    _add_batching_options(parser)
    _add_log_options(parser)
    return parser


def _add_access_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("access", "who may ask, and how it is encrypted; for HTTP and gRPC alike")
    group.add_argument(
        "--token-file", type=Path,
        help=f"file with the token that callers must send as Authorization: Bearer TOKEN (default: ${TOKEN_VARIABLE})",
    )  # fmt: skip
    group.add_argument("--tls-certificate", type=Path, help="PEM file with the certificate chain")
    group.add_argument("--tls-key", type=Path, help="PEM file with its private key")
    group.add_argument("--tls-client-ca", type=Path, help="PEM file; callers must show a certificate that it signed")


def _add_batching_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("batching", "requests at the same time, answered by one call of the model")
    group.add_argument(
        "--batching", choices=("off", "on", "adaptive"), default="adaptive",
        help="wait for others never, always, or while the model is at work (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--batch-rows", type=_positive, default=512, help="rows a batch (default: %(default)s)")
    group.add_argument(
        "--batch-delay-ms", type=float, default=5.0, help="longest wait for others (default: %(default)s)"
    )


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("request log", "what was asked and answered, as Parquet files for monitoring")
    group.add_argument("--request-log", help="folder, s3:// or gs:// to log to; without it nothing is logged")
    group.add_argument(
        "--request-log-sample", type=_fraction, default=1.0, help="fraction of requests (default: %(default)s)"
    )
    group.add_argument(
        "--request-log-max-mb", type=_positive, default=1024, help="all files together (default: %(default)s)"
    )
    group.add_argument(
        "--request-log-never", action="append", default=[], metavar="NAME", help="input or output that is not logged"
    )
    group.add_argument(
        "--request-log-hashed", action="append", default=[], metavar="NAME",
        help=f"input or output of which a digest is logged, keyed by ${HASH_KEY_VARIABLE} (default: a random key)",
    )  # fmt: skip
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
