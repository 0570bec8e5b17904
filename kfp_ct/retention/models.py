"""The models that runs and registries name: which versions go, and which runs the others need."""

from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base import redaction
from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.models import model_version, registry
from kfp_ct.models.model_version import ModelVersion
from kfp_ct.retention import settings, versions
from kfp_ct.retention.sizes import size
from kfp_ct.retention.survey import VERSION, Item, Survey
from kfp_ct.retention.versions import Model
from kfp_ct.runs.record import Run

_RUN = "run"


def own_registry(home: Path) -> str:
    """Returns the URI of this machine's own registry."""
    return f"{model_version.SQLITE}{home / 'registry' / 'mlflow.db'}"


def find(survey: Survey) -> list[Model]:
    """Returns every model that a run, this machine's registry or retention.yaml's registries name.

    Raises:
        UsageError: A registry of retention.yaml is not there, or does not answer.
    """
    runs = [folder.run for folder in survey.folders if folder.run]
    names = {_place(run) for run in runs if all(_place(run))}
    own = own_registry(survey.workspace.home)
    names |= {(own, name) for name in registry.open_reader(own).models()}
    for uri in survey.retention.registries:
        names |= {(uri, name) for name in _models_of(uri)}
    started = tuple(folder.run for folder in survey.folders if folder.run and folder.is_open)
    roots = sorted({str(root) for run in runs if (root := run.parameters.get("serving_root"))})
    both = dict.fromkeys([str(survey.workspace.serving), *roots])
    return [Model(uri, name, tuple(both), started) for uri, name in sorted(names)]


def is_ours(survey: Survey, model: Model) -> bool:
    """Whether the files of a model's old versions go: those of this machine's registry, and of those that are named."""
    return model.uri in (own_registry(survey.workspace.home), *survey.retention.registries)


def judge(survey: Survey, model: Model) -> tuple[list[Item], list[Item], dict[str, str]]:
    """Returns the versions of a model that go, those that stay, and the runs that made those needed, with why.

    A registry that does not answer needs every run that names it, and loses nothing.
    """
    try:
        reader = registry.open_reader(model.uri)
        found = [each for each in reader.versions(model.name) if not model_version.is_deleted(each)]
        kept = versions.kept(reader, model, survey.retention, survey.now)
    except CtError:
        asked = [folder.id for folder in survey.folders if folder.run and _place(folder.run) == (model.uri, model.name)]
        return [], [], dict.fromkeys(asked, f"the registry {model.uri} does not answer")
    runs = {each.tags.get(_RUN, ""): f"made {model.name} v{each.number}, {kept.needed[each.number]}"
            for each in found if each.number in kept.needed}  # fmt: skip
    stay = [_item(model, each, kept.why(each.number)) for each in found if kept.why(each.number)]
    return list(_old(survey, model, found, kept)), stay, {run: why for run, why in runs.items() if run}


def _old(survey: Survey, model: Model, found: list[ModelVersion], kept: versions.Kept) -> Iterator[Item]:
    if not is_ours(survey, model):
        return
    shared = {each.source for each in found if kept.why(each.number)}
    why = f"no champion, nor among the {survey.retention.predecessors} before it, and older than {{}}"
    for each in found:
        if not kept.why(each.number) and each.source not in shared:
            yield _item(model, each, why.format(survey.retention.versions_for))


def _item(model: Model, version: ModelVersion, why: str) -> Item:
    folder = versions.files(model, version)
    return Item(VERSION, f"{model.name} v{version.number}", size(folder) if folder else 0, why, model=model)


def _models_of(uri: str) -> list[str]:
    """Returns the models of a registry that retention.yaml names: one that is not there is misspelt, not empty."""
    try:
        database = model_version.database_path(uri)
        if database is None or database.is_file():
            return registry.open_reader(uri).models()
        problem = f"there is no file {database}"
    except CtError as error:
        problem = str(error).splitlines()[0]
    raise UsageError(
        f"pipelines/{settings.FILE} names the registry {redaction.redact(uri)}, which cannot be read: {problem}\n"
        "expected: a registry that is there and answers\n"
        f"fix: correct registries in {settings.FILE}, or start the server"
    )


def _place(run: Run) -> tuple[str, str]:
    return str(run.parameters.get("registry_uri", "")), str(run.parameters.get("model_name", ""))
