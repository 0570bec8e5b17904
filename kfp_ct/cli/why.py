"""`ct why`."""

from typing import Annotated

import typer

from kfp_ct.cli import completion, options


def why(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, as `ct runs` lists it.", autocompletion=completion.runs)
    ],
    home: options.Home = None,
) -> None:
    """Explain why a run started.

    It names the person who asked for it, or the trigger that started it and what the trigger saw.
    """
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.watch import watch

    print(watch.why(find_workspace(home), run))
