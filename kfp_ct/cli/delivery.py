"""`ct delivery`: a package on its way from environment to environment."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.deploy import NOWHERE
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family

_Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Where the commit was delivered: gs://bucket/pipelines/flights/COMMIT.")
]


@exit_codes({2: "Nothing was delivered, it is not what was built, or it has not passed the stage before."})
def fetch(
    folder: _Folder,
    commit: Annotated[str, typer.Option(help="Commit that it has to be of: $COMMIT_SHA.")],
    to: Annotated[Path, typer.Option(help="Folder to make.")] = Path("delivered"),
    after: Annotated[
        str, typer.Option(metavar="STAGE", help="Stage that this package has passed.", show_default="none is needed")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Download what was delivered of a commit, held to its provenance and to the stage before."""
    from kfp_ct.ci.delivery import stages

    made = stages.fetch(folder, to, commit, after)
    if as_json:
        output.print_json({"package": made, "to": to})
    else:
        print(f"{to / stages.PACKAGE}: sha256:{made}{f', has passed {after}' if after else ''}")


@exit_codes({2: "The package is not what was delivered, or another one has passed that stage as this commit."})
def record(
    folder: _Folder,
    stage: Annotated[str, typer.Option(help="Environment that the package has passed: test, preprod, prod.")],
    package: Annotated[Path, typer.Option(help="The package that was deployed.")] = Path("package.yaml"),
    target: options.Target = NOWHERE,
    run: Annotated[
        str, typer.Option(help="Whether a run was started: no-run, run, or wait where it has succeeded.")
    ] = "no-run",
    build: Annotated[str, typer.Option(help="Id of the build: $BUILD_ID.", show_default="none")] = "",
    as_json: options.Json = False,
) -> None:
    """Write down that a package has passed a stage; the next one asks for it."""
    from kfp_ct.ci.delivery import stages

    if run not in stages.RUNS:
        raise UsageError(f"--run {run!r}\nexpected: one of {', '.join(stages.RUNS)}")
    if target == NOWHERE:
        print("{}" if as_json else f"nothing is recorded: the target is none, so {stage} has nothing")
        return
    passed = stages.record(folder, stages.Stage(stage, stages.digest(package), target, run, build))
    if as_json:
        output.print_json(passed)
    else:
        print(f"{stage} has passed with sha256:{passed.package} ({passed.run}, {passed.at})")


app = family("Promote a delivered package from environment to environment.", {"fetch": fetch, "record": record})
