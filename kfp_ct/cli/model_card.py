"""`ct model-card`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options

if TYPE_CHECKING:
    from kfp_ct.project.workspace import Workspace
    from kfp_ct.runs.record import Run


_Importance = Annotated[
    bool,
    typer.Option(
        "--importance", help="Measure first what the model loses without each input; needs the run's artifacts."
    ),
]
_IntegratedGradients = Annotated[
    bool,
    typer.Option(
        "--integrated-gradients",
        help="Measure first how far each input moves the output, by the model's gradients; needs the same.",
    ),
]


def model_card(
    name: options.Project,
    run: Annotated[
        str, typer.Option(metavar="RUN", help="Run that made the model.", show_default="the newest that blessed one")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format", help="Form: html, md (with a model hub's metadata) or json (the Model Card Toolkit's)."
        ),
    ] = "html",
    importance: _Importance = False,
    integrated_gradients: _IntegratedGradients = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write.",
            show_default="model_card.FORMAT in the run's folder",
        ),
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Write the card of a model: for what, for whom, how well.

    What only people know is in the project's model_card.yaml.
    """
    from kfp_ct.base import atomic_files
    from kfp_ct.cards import card_formats
    from kfp_ct.cli import output
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.report import importance as importances
    from kfp_ct.report import model_statement, run_card

    if form not in card_formats.FORMATS:
        raise UsageError(f"--format {form}\nexpected: one of {', '.join(card_formats.FORMATS)}")
    workspace = find_workspace(home)
    statement = model_statement.load(workspace.settings_folder(name).parent)
    made = _run(workspace, name, run)
    folder = workspace.runs / made.id
    asked = {importances.PERMUTATION: importance, importances.GRADIENTS: integrated_gradients}
    for method in (method for method, wanted in asked.items() if wanted):
        importances.measure(workspace, made, method)
    card = run_card.of_run(folder, statement)
    path = file or folder / f"model_card.{form}"
    with atomic_files.writing_to("the model card", path):
        path.write_text(card_formats.text(card, form))
    if as_json:
        output.print_json({"card": path, "run": folder.name, "version": card.version, "missing": statement.missing})
        return
    print(path)
    if statement.missing:
        print(f"nobody has written yet: {', '.join(statement.missing)} ({model_statement.FILE} of the project)")


def _run(workspace: "Workspace", project: str, wanted: str) -> "Run":
    """The run that made a model."""
    from kfp_ct.runs import record

    made = [run for run in record.load_all(workspace) if run.project == project and run.task("evaluate")]
    found = [run for run in made if (run.id == wanted if wanted else run.blessed)]
    if not found:
        said = (
            f"run {wanted!r} made no model of {project}" if wanted else f"no run of {project} has blessed a model yet"
        )
        raise UsageError(f"{said}\nfix: ct runs lists runs; ct run {project} makes a model")
    return found[0]
