"""`ct scorecard`."""

import json
from typing import Annotated

import typer

from kfp_ct.cli import options, output


def scorecard(
    name: options.Project,
    environment: options.Environment = "local",
    run_tests: Annotated[bool, typer.Option("--run-tests", help="Run the project's own tests first: minutes.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Score a project by the ML Test Score's 28 tests.

    Each test earns a point, half of one or nothing by what is found: records of runs, reports, settings, tests that
    passed on these sources, and what scorecard.yaml says was done by hand. It says what would earn more.
    """
    from kfp_ct.data import layouts
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.scorecard import card, evidence, page, project_tests

    workspace = find_workspace(home)
    workspace.settings_folder(name)
    if run_tests:
        project_tests.run(workspace, name)
    found = card.of(name, evidence.gather(workspace, name, environment))
    folder = workspace.home / "scorecards" / name
    layouts.write_text(folder / "scorecard.html", page.draw(found))
    layouts.write_text(folder / "scorecard.json", json.dumps(card.machine(found), indent=1))
    if as_json:
        output.print_json(card.machine(found))
        return
    print(page.text(found))
    print(folder / "scorecard.html")
