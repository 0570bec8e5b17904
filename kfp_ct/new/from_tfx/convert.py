"""Draws up a project of an inspected TFX pipeline, and writes it; nothing is written of one that has no equal."""

import dataclasses
import re
import shutil
import tempfile
from pathlib import Path

import yaml

from kfp_ct.new import names
from kfp_ct.new.from_tfx import data, judging, others, training
from kfp_ct.new.from_tfx.draft import Draft, Row
from kfp_ct.new.from_tfx.inspected import Node, Pipeline
from kfp_ct.project.schema_line import schema_line
from kfp_ct.project.workspace import Workspace

_LONGEST_NAME = 40


@dataclasses.dataclass(frozen=True)
class Converted:
    """What came out: the rows of the table, and the folder if one was written."""

    name: str
    rows: list[Row]
    folder: Path | None

    @property
    def blocking(self) -> list[Row]:
        """What no project can be written without."""
        return [row for row in self.rows if row.essential]


def convert(workspace: Workspace, pipeline: Pipeline, name: str) -> Converted:
    """Writes the project of a pipeline, unless something essential has no equal.

    Args:
        workspace: The repository.
        pipeline: The pipeline.
        name: The project's; empty for the pipeline's own.

    Raises:
        UsageError: The name cannot be a project's, or is taken.
    """
    name = name or re.sub(r"[^a-z0-9]+", "_", pipeline.name.lower()).strip("_")[:_LONGEST_NAME]
    folder = workspace.root / "pipelines" / name
    names.check(name, _LONGEST_NAME, "project", "churn_weekly")
    names.check_free(workspace.root, name, folder, folder.with_suffix(".py"))
    draft = Draft(workspace.root, name, Path(pipeline.file).parent)
    _draw(draft, pipeline)
    if draft.blocking:
        return Converted(name, draft.rows, None)
    _write(draft, folder)
    return Converted(name, draft.rows, folder)


def _draw(draft: Draft, pipeline: Pipeline) -> None:
    trainers, evaluators = pipeline.of_kind("Trainer"), pipeline.of_kind("Evaluator")
    for kind, found in (("Trainer", trainers), ("Evaluator", evaluators)):
        if len(found) > 1:
            draft.block(
                ", ".join(each.id for each in found), "", f"a pipeline has one {kind} here; write a project each"
            )
    if not trainers:
        draft.block("Trainer", "", "the pipeline trains no model; expected a Trainer")
        return
    trainer = trainers[0]
    transform = _producer(pipeline, trainer, "transform_graph", "transform_output")
    source = _examples(draft, pipeline, transform or trainer)
    if source is not None:
        data.draw(draft, source)
    given = others.schema(draft, _producer(pipeline, transform or trainer, "schema"))
    data.read_types(draft, given) if given else None
    training.draw(draft, pipeline, trainer, transform)
    judging.draw(draft, pipeline, evaluators[0] if evaluators else None)
    others.draw(draft, pipeline)


def _producer(pipeline: Pipeline, node: Node, *inputs: str) -> Node | None:
    named = [each for name in inputs for each in node.producers(name)]
    return pipeline.node(named[0]) if named else None


def _examples(draft: Draft, pipeline: Pipeline, node: Node) -> Node | None:
    """Finds the ExampleGen whose rows reach a node; what stands between them has no equal."""
    producers = node.producers("examples") or node.producers("transformed_examples")
    if len(producers) > 1:
        draft.block(node.id, "examples", f"rows of {', '.join(producers)} at once; name them as sources of one query")
        return None
    found = pipeline.node(producers[0]) if producers else None
    if found is None:
        draft.block(node.id, "examples", "they come from no component of this pipeline; expected an ExampleGen")
        return None
    if any(base.endswith("ExampleGen") for base in found.bases):
        return found
    between = next((pipeline.node(name) for channel in found.inputs for name in found.producers(channel)), None)
    here = f"it stands between ExampleGen and {node.id}; spans are chosen by sources.NAME.spans, rows by the query"
    draft.block(found.id, found.kind, here)
    return between if between and any(base.endswith("ExampleGen") for base in between.bases) else None


def _write(draft: Draft, folder: Path) -> None:
    """Writes all or nothing."""
    draft.parameters = {
        "model_name": draft.name,
        "query": f"{draft.folder}/examples.sql",
        **draft.parameters,
    }
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        made = Path(scratch) / draft.name
        (made / "settings").mkdir(parents=True)
        (made / "__init__.py").touch()
        for name, text in draft.files.items():
            (made / name).write_text(text)
        base = {"pipeline": "pipelines.training", **draft.top, "parameters": draft.parameters}
        local = {
            "extends": "base.yaml",
            "parameters": {
                "sources": draft.sources,
                "registry_uri": "sqlite:///${CT_HOME}/registry/mlflow.db",
                "serving_root": "${CT_HOME}/serving",
                "checkpoints": "${CT_HOME}/checkpoints",
            },
        }
        said = {"base": f"# What every environment of {draft.name} shares.\n", "local": "# On this machine.\n"}
        for file, document in (("base", base), ("local", local)):
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
            (made / "settings" / f"{file}.yaml").write_text(schema_line("training", 2) + said[file] + text)
        shutil.move(made, folder)
