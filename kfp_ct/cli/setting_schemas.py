"""Writes pipelines/schemas/ of a repository, by which editors check and complete settings, triggers and schedules.

`python -m kfp_ct.cli.setting_schemas` (`make docs`): run it again after a pipeline's inputs were changed. A file says
which is its own in its first line: `# yaml-language-server: $schema=../../schemas/training.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.base.settings import Settings
from kfp_ct.cards.statement import Statement
from kfp_ct.data.feature_views.definitions import Definitions
from kfp_ct.deploy.schedules.definition import Schedules
from kfp_ct.notices.settings import Notices
from kfp_ct.project import setting_catalog, workspace
from kfp_ct.project.schema_line import FOLDER
from kfp_ct.project.setting_catalog import Node
from kfp_ct.project.targets import MODELS
from kfp_ct.replay.settings import Replay
from kfp_ct.retention.settings import Retention
from kfp_ct.scorecard.notes import Notes
from kfp_ct.watch.policy import Policy

DRAFT = "http://json-schema.org/draft-07/schema#"  # what editors know
# What a project's other files hold, by their names without .yaml.
FILES: dict[str, type[Settings]] = {
    "triggers": Policy,
    "schedules": Schedules,
    "notices": Notices,
    "model_card": Statement,
    "replay": Replay,
    "retention": Retention,
    "scorecard": Notes,
    "features": Definitions,
}


def of_settings(pipeline: str) -> dict[str, Any]:
    """Returns the JSON schema of the settings of a pipeline.

    A settings file is one layer of several, so nothing in it is demanded.

    Args:
        pipeline: A module's name in pipelines/.
    """
    catalog = setting_catalog.of_pipeline(f"pipelines.{pipeline}")
    targets, definitions = setting_catalog.of_models([*MODELS.values()])
    parameters = {
        each.name: {"description": each.description, **each.node} if each.description else each.node
        for each in catalog.inputs
    }
    properties = {
        "extends": {"type": "string", "description": "Another settings file, over which this one lies."},
        "pipeline": {"type": "string", "description": "Import path of the pipeline's module."},
        "parameters": {"type": "object", "properties": parameters, "additionalProperties": False},
        "keras": {
            "enum": [2, 3],
            "description": "The Keras that the project's modules are written for; 3 if it is not said. With 2, tasks "
            "that run a module have TF_USE_LEGACY_KERAS=1.",
        },
        **dict(zip(MODELS, targets, strict=True)),
    }
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    both = {**definitions, **catalog.definitions}
    return _document(f"Settings of pipelines.{pipeline}", _readable(_layered({**body, "$defs": both})))


def of_file(name: str) -> dict[str, Any]:
    """Returns the JSON schema of triggers.yaml or schedules.yaml."""
    (node,), definitions = setting_catalog.of_models([FILES[name]])
    return _document(f"{name}.yaml", _readable({**node, "$defs": definitions}))


def documents(root: Path) -> Iterator[tuple[str, str]]:
    """Yields the name and the text of every schema of a repository."""
    for module in sorted((root / "pipelines").glob("*.py")):
        if "@dsl.pipeline" in module.read_text():
            yield f"{module.stem}.json", _text(of_settings(module.stem))
    for name in FILES:
        yield f"{name}.json", _text(of_file(name))


def write(root: Path) -> None:
    """Writes the schemas of a repository; those that nothing makes any more go."""
    folder = root / "pipelines" / FOLDER
    folder.mkdir(exist_ok=True)
    made = dict(documents(root))
    for old in folder.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


def _document(title: str, node: Node) -> dict[str, Any]:
    return {"$schema": DRAFT, **node, "title": title}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _readable(node: Any) -> Any:
    """Returns a schema whose words on what is allowed stand where editors show them."""
    if isinstance(node, list):
        return [_readable(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _readable(value) for key, value in node.items()}
    if isinstance(expected := found.get("expected"), str):
        del found["expected"]
        said = found.get("description", "")
        found["description"] = f"{said} Expected: {expected}.".strip()
    return found


def _layered(node: Any) -> Any:
    """Returns a schema that a part of what it describes fits, too: what is missing may stand in another file."""
    if isinstance(node, list):
        return [_layered(each) for each in node]
    if not isinstance(node, dict):
        return node
    demands = ("required", list), ("discriminator", dict)  # as words of JSON schema, not as names of settings
    return {
        "anyOf" if key == "oneOf" else key: _layered(value)
        for key, value in node.items()
        if not any(key == word and isinstance(value, kind) for word, kind in demands)
    }


if __name__ == "__main__":
    repository = workspace.find_workspace()
    workspace.make_importable(repository)
    write(repository.root)
