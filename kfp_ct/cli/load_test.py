"""`ct load-test`."""

import urllib.parse
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

_Address = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="Of the model, http://HOST:8501/v1/models/NAME, or of a Vertex AI endpoint; empty: nothing is driven.",
    ),
]
_Median = typer.Option(min=0, metavar="MS", help="Budget of the median latency, milliseconds.", show_default="none")
_Percentile = typer.Option(
    min=0, metavar="MS", help="Latency that 99 of 100 requests stay below, milliseconds.", show_default="none"
)


@exit_codes({0: "The service bears it, or no address was given.", 4: "It does not; what was measured says why."})
def load_test(
    address: _Address,
    requests: Annotated[
        str, typer.Option(help="Recorded requests: JSON lines, or a request log (a folder, gs://, s3://).")
    ],
    qps: Annotated[float, typer.Option(min=0.1, help="Requests a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="For so long.")] = 30.0,
    p50: Annotated[float | None, _Median] = None,
    p99: Annotated[float | None, _Percentile] = None,
    max_errors: Annotated[float, typer.Option(min=0, max=1, help="Share of the requests that may fail.")] = 0.0,
    report: Annotated[
        Path | None, typer.Option("--output", "-o", help="Report to write, JSON.", show_default="none")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Drive a served model at a steady rate, and judge it.

    Requests are sent at a steady rate, whether or not those before were answered; a latency counts from when its
    request was due. It says no where the rate, a budget (--p50, --p99, in milliseconds) or the share of failures is
    not kept, and where an answer has not one finite prediction for each row. An endpoint of Vertex AI gets an access
    token of the account here.
    """
    from kfp_ct.releasing import load_test as load
    from kfp_ct.releasing import recorded_requests

    if not address.strip():
        print("{}" if as_json else "nothing is driven: no address is named, so nothing is said of the service")
        return
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address!r} is no address\nexpected: such as http://HOST:8501/v1/models/NAME")
    plan = load.Plan(qps, seconds, p50, p99, max_errors)
    outcome = load.run(address, recorded_requests.read(requests), plan, _headers(address))
    if report:
        report.write_text(load.as_json(outcome, plan))
    if as_json:
        output.print_json(outcome)
    else:
        print(
            f"{outcome.answered} of {outcome.sent} requests answered, {outcome.qps:.4g} a second; latency median "
            f"{outcome.p50_ms:.3g} ms, p99 {outcome.p99_ms:.3g} ms"
        )
        print("\n".join(f"no: {each}" for each in outcome.problems) or f"it bears {qps:g} requests a second")
    if outcome.problems:
        raise typer.Exit(4)


def _headers(address: str) -> dict[str, str]:
    """Returns what an endpoint of Vertex AI wants: an access token of whoever runs this."""
    host = urllib.parse.urlsplit(address).hostname or ""
    if not host.endswith(("aiplatform.googleapis.com", "prediction.vertexai.goog")):
        return {}
    from kfp_ct.cloud import access_token

    return {"Authorization": f"Bearer {access_token.of_account()}"}
