"""`ct check`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes({3: "The KFP backend would refuse the package."})
def check(
    file: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A compiled package, such as package.yaml.")],
    digests: Annotated[bool, typer.Option(help="Also refuse images that are not named by digest.")] = False,
    as_json: options.Json = False,
) -> None:
    """Check a package for a KFP backend and for this machine.

    What a KFP backend would refuse is an error. What this machine cannot run, or ignores, is told beside it.
    """
    from kfp_ct.package import check as checker
    from kfp_ct.package import clear_secrets, package, processes

    if not file.is_file():
        raise UsageError(f"there is no file {file}\nfix: make it with `ct compile`")
    loaded = package.load_package(file)
    executors = checker.check(loaded, digests)
    secrets = [str(problem) for problem in clear_secrets.problems(loaded)]
    problems, ignored = [*secrets, *processes.problems(processes.fitted(loaded))], processes.ignored(loaded)
    if as_json:
        answer = {"package": file, "executors": executors, "images": package.images(loaded)}
        output.print_json({**answer, "runs_here": not problems, "problems_here": problems, "ignored_here": ignored})
        return
    print(f"{file}: {executors} executors checked")
    print("KFP backend: takes it")
    print(f"this machine: {'cannot run it' if problems else 'runs it'}")
    for each in problems:
        print(f"- {each}")
    for installed in processes.installations(processes.fitted(loaded)):
        print(
            f"- installs {', '.join(processes.names(installed))} into an environment of its own, from a package index"
        )
    for each in ignored:
        print(f"- ignored here: {each}")
