"""The modules of Transform, Tuner and Trainer: files of the repository by reference, others copied into the project."""

import ast
from pathlib import Path

from kfp_ct.new.from_tfx.draft import DIFFERS, SAME, Draft
from kfp_ct.new.from_tfx.inspected import Node
from kfp_ct.project import module_files

# What only Keras 2 has, and what only models with logits have.
_KERAS_2 = ("DenseFeatures", "feature_column", "save_format=", "tf_keras", "tf.keras.experimental.", "LinearModel")
_LOGITS = "from_logits=True"


def draw(draft: Draft, node: Node, setting: str, function: str) -> str:
    """Draws up one of the project's modules; returns the text of the module file, as far as it is here.

    Args:
        draft: The project.
        node: The component that names the module.
        setting: The setting that names it here.
        function: What the module must have, such as run_fn; the component's property of that name may name another.
    """
    if node.unknown("module_file") or node.unknown(function):
        draft.block(node.id, "module_file", "it is known in a run only; write it into the pipeline")
        return ""
    named = node.given.get(function)
    if isinstance(named, str) and named:
        return _imported(draft, node, setting, named)
    file = node.given.get("module_file") or node.given.get("module_path")
    if not isinstance(file, str) or not file:
        draft.block(node.id, "module_file", f"it names no module; expected one with {function}")
        return ""
    return _file(draft, node, setting, file)


def notice(draft: Draft, node: Node, texts: list[str], legacy_keras: bool) -> None:
    """Says what the texts of modules tell of Keras and of what models end in."""
    text = "\n".join(texts)
    if legacy_keras:
        draft.top["keras"] = 2
        draft.add(node.id, "TF_USE_LEGACY_KERAS", SAME, "keras: 2")
    elif found := [mark for mark in _KERAS_2 if mark in text]:
        draft.top["keras"] = 2
        here = f"keras: 2, since its text has {found[0]}; take the line out if the module is written for Keras 3"
        draft.add(node.id, "Keras", DIFFERS, here)
    else:
        here = "Keras 3; if the module is written for Keras 2, put `keras: 2` into settings/base.yaml"
        draft.add(node.id, "Keras", DIFFERS, here)
    if _LOGITS in text:
        draft.parameters.setdefault("gates", {})["model_output"] = "logits"
        here = "gates.model_output: logits: metrics are of probabilities here, TFX's of what the model ends in"
        draft.add(node.id, _LOGITS, DIFFERS, here)


def _imported(draft: Draft, node: Node, setting: str, named: str) -> str:
    """A function by import path: `models.preprocessing.preprocessing_fn`."""
    module, _, function = named.rpartition(".")
    wanted = {"features_module": "preprocessing_fn", "model_module": "run_fn"}.get(setting, function)
    draft.parameters[setting] = module
    if function != wanted:
        file = f"{setting.removesuffix('_module')}.py"
        draft.files[file] = (
            f'"""{named} by the name that components call."""\n\nfrom {module} import {function} as {wanted}\n'
        )
        draft.files[file] += f"\n__all__ = [{wanted!r}]\n".replace("'", '"')
        draft.parameters[setting] = f"pipelines.{draft.name}.{file.removesuffix('.py')}"
    found = module_files.find(draft.root, module)
    if found is None and (beside := _beside(draft, module)):
        here = f"put {beside} into {draft.root}, from which modules are imported"
        draft.block(node.id, named, here)
        return ""
    where = "" if found else ", which must be installed in the component environment"
    draft.add(node.id, named, SAME if found else DIFFERS, f"{setting}: {draft.parameters[setting]}{where}")
    return found.read_text() if found else ""


def _beside(draft: Draft, module: str) -> Path | None:
    """Finds the package of a module where the pipeline is run: beside its file, or above."""
    first = module.split(".")[0]
    folders = [path for path in (draft.beside, draft.beside.parent) if module_files.find(path, module)]
    return next(
        (found for folder in folders for found in (folder / first, folder / f"{first}.py") if found.exists()), None
    )


def _file(draft: Draft, node: Node, setting: str, named: str) -> str:
    path = Path(named)
    if not path.is_file():
        draft.block(node.id, "module_file", f"there is no file {named} on this machine")
        return ""
    reference, copied = _placed(draft, path)
    draft.add(node.id, "module_file", SAME, f"{setting}: {reference}{copied and f', {copied}'}")
    draft.parameters[setting] = reference
    return path.read_text()


def of_function(draft: Draft, named: str) -> str:
    """Returns the file of a function as settings name it; empty where tasks may not be able to import it."""
    path = Path(named)
    if not path.is_file() or "tfx" in {name.split(".")[0] for name in _imported_names(path)}:
        return ""  # a component set may be without tfx
    return _placed(draft, path)[0]


def of_evaluator(draft: Draft, named: str) -> str:
    """Returns the module of an Evaluator as settings name it; empty if it is not here."""
    path = Path(named)
    return _placed(draft, path)[0] if path.is_file() else ""


def _placed(draft: Draft, path: Path) -> tuple[str, str]:
    """Returns how settings name a module file, and what was copied of it into the project."""
    if path.absolute().is_relative_to(draft.root):
        return str(path.absolute().relative_to(draft.root)), ""
    return f"{draft.folder}/{path.name}", _copied(draft, path)


def _copied(draft: Draft, path: Path) -> str:
    """Copies a module and those of its neighbours that it imports, as TFX packages the folder of a module file."""
    waiting, found = [path], []
    while waiting:
        each = waiting.pop()
        if each.name in found:
            continue
        found.append(each.name)
        draft.files[each.name] = each.read_text()
        waiting += [each.with_name(f"{name}.py") for name in _imports(each)]
        waiting = [next_one for next_one in waiting if next_one.is_file()]
    others = ", ".join(found[1:])
    return f"copied with {others}" if others else "copied"


def _imports(file: Path) -> list[str]:
    """Returns the names that a module imports from beside itself, or could."""
    return [name for name in dict.fromkeys(_imported_names(file)) if name.isidentifier()]


def _imported_names(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return names
