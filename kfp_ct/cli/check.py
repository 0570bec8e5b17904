"""`ct check`."""

from pathlib import Path
from typing import Annotated, Any

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
    from kfp_ct.package import arguments, clear_secrets, package, processes
    from kfp_ct.package import check as checker

    if not file.is_file():
        raise UsageError(f"there is no file {file}\nfix: make it with `ct compile`")
    loaded = package.load_package(file)
    executors = checker.check(loaded, digests)
    fitted = processes.fitted(loaded)
    unfit = [*clear_secrets.problems(loaded), *arguments.not_for_runs(loaded, {})]
    refused = [*map(str, unfit), *processes.only_on_clusters(fitted)]
    code = _code(loaded)
    images = list(processes.in_images(fitted))
    in_containers = not refused and _engine_answers()
    if as_json:
        answer = {"package": file, "executors": executors, "images": package.images(loaded), "code": code}
        here = {"runs_here": not refused and not images, "runs_in_containers": in_containers}
        output.print_json(
            {**answer, **here, "problems_here": [*refused, *images], "ignored_here": processes.ignored(loaded)}
        )
        return
    print(f"{file}: {executors} executors checked")
    print("KFP backend: takes it")
    for uri, state in code.items():
        print(f"user code {uri}: {'is there' if state == 'ok' else state}")
    print(f"this machine: {_answer(file, bool(refused), bool(images), in_containers)}")
    installed = [f"installs {', '.join(processes.names(each))} into an environment of its own, from a package index"
                 for each in processes.installations(fitted)]  # fmt: skip
    for each in [*refused, *images, *installed, *(f"ignored here: {each}" for each in processes.ignored(loaded))]:
        print(f"- {each}")


def _code(loaded: dict[str, Any]) -> dict[str, str]:
    """Says of each package of user code whether it is there: `ok`, or what is wrong."""
    from kfp_ct.deploy import code_packages

    return {uri: code_packages.presence(uri) for uri in code_packages.references(loaded)}


def _answer(file: Path, refused: bool, images: bool, in_containers: bool) -> str:
    if refused or not images:
        return "cannot run it" if refused else "runs it"
    if in_containers:
        return f"runs it in containers: ct run {file} --containers"
    return "cannot run it: no container engine answers, in which `ct run --containers` would"


def _engine_answers() -> bool:
    from kfp_ct.local import containers

    return containers.engine_answers()
