"""`ct why`."""

from typing import Annotated

import typer

from kfp_ct.cli import completion, options, output


def why(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, as `ct runs` lists it.", autocompletion=completion.runs)
    ],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Explain why a run started.

    It names the person who asked for it, or the trigger that started it and what the trigger saw.
    """
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.watch.explanation import explain

    explanation = explain(find_workspace(home), run)
    if as_json:
        output.print_json(explanation)
    else:
        print(explanation.text())
