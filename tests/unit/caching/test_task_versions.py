"""Which steps an edit of a repository makes run again, decided on a copy of this one without running anything."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import repository_copy
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import ImageVersions, SourceVersions
from kfp_ct.local.run import compile_project
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace, make_importable
from repository import ROOT

STEPS = ("ingest", "statistics", "schema", "validate-data", "transform", "tune", "train", "evaluate", "validate-infra")
NEVER_CACHED = {"resolve-champion", "resolve-sources", "register", "deploy"}
LOCK = "requirements/components-older-glibc.txt"
NOTHING: tuple[str, ...] = ()


@dataclasses.dataclass
class Copy:
    """A copy of the repository, and the flights pipeline as it is compiled there."""

    workspace: Workspace
    compiled: dict[str, Any]
    parameters: dict[str, Any]

    sources: SourceVersions

    def versions(self, **parameters: Any) -> PackageVersions:
        return PackageVersions(self.compiled, {**self.parameters, **parameters}, self.sources)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        # On every machine the same set, whatever its C library.
        patch.setattr("kfp_ct.caching.task_version.component_set", lambda: (Path(LOCK).name, "3.11"))
        root = repository_copy.make(tmp_path_factory.mktemp("copy"))
        workspace = Workspace(root, root / ".ct")
        make_importable(Workspace(ROOT, root))
        chosen = settings.load(workspace, "flights", "local", {})
        yield Copy(workspace, compile_project(workspace, chosen), chosen.parameters, SourceVersions(workspace))


def runs_again(before: PackageVersions, after: PackageVersions) -> set[str]:
    """Returns the steps whose version or arguments changed, and those that take what these make."""
    again = {
        name
        for name, task in after.tasks.items()
        if before.versions[name].digest != after.versions[name].digest or before.tasks[name] != task
    } - NEVER_CACHED
    for _ in after.tasks:
        again |= {name for name, task in after.tasks.items() if task.upstream & again}
    return again - NEVER_CACHED


def onward(step: str) -> set[str]:
    """A step and those that take what it makes, as the pipeline is wired."""
    return {
        "ingest": set(STEPS),
        "statistics": set(STEPS) - {"ingest"},
        "schema": set(STEPS) - {"ingest", "statistics"},
        "transform": {"transform", "tune", "train", "evaluate", "validate-infra"},
        "tune": {"tune", "train", "evaluate", "validate-infra"},
        "train": {"train", "evaluate", "validate-infra"},
        "evaluate": {"evaluate", "validate-infra"},
        "validate-infra": {"validate-infra"},
        "nothing": set(),
    }[step]


# File, what is put at its end, the first step that runs again, whether it is another training than the champion's.
EDITS = [
    pytest.param("pipelines/flights/model.py", "x = 1\n", "tune", True, id="the model"),
    pytest.param("pipelines/flights/features.py", "x = 1\n", "transform", True, id="the features"),
    pytest.param("pipelines/flights/eval_config.pbtxt", "# x\n", "evaluate", False, id="the evaluation's config"),
    pytest.param("pipelines/flights/schema.pbtxt", "# x\n", "schema", True, id="the schema"),
    pytest.param("pipelines/flights/examples.sql", "-- x\n", "ingest", False, id="the query"),
    pytest.param("pipelines/flights/metrics.py", "x = 1\n", "evaluate", False, id="a metric the config names"),
    pytest.param("pipelines/flights/settings/prod.yaml", "# x\n", "nothing", False, id="other settings"),
    pytest.param("pipelines/flights/schedules.yaml", "# x\n", "nothing", False, id="the schedules"),
    pytest.param("pipelines/other/model.py", "x = 1\n", "nothing", False, id="another project's model"),
    pytest.param("pipelines/flights/model.py", "# x\n", "nothing", False, id="a comment in the model"),
    pytest.param("components/ingest/splits.py", "x = 1\n", "ingest", False, id="how ingest splits"),
    pytest.param("components/statistics/work.py", "x = 1\n", "statistics", True, id="how statistics are computed"),
    pytest.param("components/tune/worker.py", "x = 1\n", "tune", True, id="a process that tune starts"),
    pytest.param("components/evaluate/view.py", "x = 1\n", "evaluate", False, id="the evaluation's view"),
    pytest.param("components/monitor/view.py", "x = 1\n", "nothing", False, id="monitor's view"),
    pytest.param("components/train/component.py", "x = 1\n", "nothing", False, id="beside a component's function"),
    pytest.param("kfp_ct/serving/values.py", "x = 1\n", "validate-infra", False, id="the prediction service"),
    pytest.param("kfp_ct/base/task_log.py", "x = 1\n", "ingest", True, id="what every step imports"),
    pytest.param("kfp_ct/report/page.py", "x = 1\n", "nothing", False, id="the report"),
    pytest.param("kfp_ct/pages/templates/styles/report.css", "a {}\n", "nothing", False, id="the report's colours"),
    pytest.param("kfp_ct/pages/templates/components/evaluate/page.html", "x\n", "evaluate", False, id="a template"),
    pytest.param("kfp_ct/endpoint/ui/ui.css", "a {}\n", "nothing", False, id="the UI's colours"),
    pytest.param("kfp_ct/caching/task_version.py", "x = 1\n", "nothing", False, id="how versions are told"),
    pytest.param("README.md", "x\n", "nothing", False, id="the README"),
    pytest.param("tests/conftest.py", "x = 1\n", "nothing", False, id="the tests"),
    pytest.param(LOCK, "zzz==1.0\n", "ingest", True, id="the environment's lock"),
    pytest.param(LOCK, "# zzz\n", "nothing", False, id="a comment in the lock"),
    pytest.param("requirements/components-current.txt", "zzz==1.0\n", "nothing", False, id="another set's lock"),
]  # fmt: skip


@pytest.fixture(scope="module")
def project(copy):
    """The copy with a second project and a metric of the user's own."""
    flights = copy.workspace.root / "pipelines" / "flights"
    config = flights / "eval_config.pbtxt"
    config.write_text(config.read_text() + '# metrics { class_name: "Mine" module: "pipelines.flights.metrics" }\n')
    (flights / "metrics.py").write_text("class Mine:\n    pass\n")
    (flights.parent / "other").mkdir()
    (flights.parent / "other" / "model.py").write_text("def run_fn(fn_args):\n    pass\n")
    return copy


@pytest.mark.parametrize(("file", "text", "first", "another_training"), EDITS)
def test_an_edit_makes_run_again(project, file, text, first, another_training):
    before = project.versions()
    path = project.workspace.root / file
    content = path.read_bytes()
    path.write_bytes(content + text.encode())
    try:
        # As the next command does: from what is on disk.
        after = dataclasses.replace(project, sources=SourceVersions(project.workspace)).versions()
    finally:
        path.write_bytes(content)
    assert runs_again(before, after) == onward(first)
    assert (before.training != after.training) is another_training


@pytest.mark.parametrize(
    ("parameters", "first"),
    [
        pytest.param({"hyperparameters": {"epochs": 9}}, "tune", id="hyperparameters"),
        pytest.param({"gates": {"min_gain": 0.1}}, "evaluate", id="gates"),
        pytest.param({"infra": {"rows": 9}}, "validate-infra", id="infra"),
        pytest.param({"window_end": "2013-05-01"}, "ingest", id="the window"),
        pytest.param({"serving_root": "elsewhere"}, "nothing", id="where models are served"),
        pytest.param({"lineage": {"commit": "another"}}, "nothing", id="the commit"),
        pytest.param({"code_version": "another"}, "nothing", id="what the training is"),
    ],
)
def test_a_setting_makes_run_again(project, parameters, first):
    again = runs_again(project.versions(), project.versions(**parameters))
    assert again == onward(first)


@pytest.mark.parametrize(
    ("parameters", "another"),
    [
        pytest.param({"features_module": "pipelines.other.model"}, True, id="other features"),
        pytest.param({"distribution": "mirrored"}, True, id="distributed"),
        pytest.param({"warm_start": True}, True, id="from the champion's weights"),
        pytest.param({"checkpoints": "/elsewhere"}, False, id="checkpoints elsewhere"),
        pytest.param({"hyperparameters": {"epochs": 9}}, False, id="hyperparameters, which the key has beside"),
        pytest.param({"gates": {"min_gain": 0.1}}, False, id="gates"),
        pytest.param({"infra": {"rows": 9}}, False, id="infra"),
        pytest.param({"model_name": "other"}, False, id="name"),
    ],
)
def test_what_is_another_training(project, parameters, another):
    assert (project.versions().training != project.versions(**parameters).training) is another


def test_a_training_is_every_step_from_the_examples_to_the_model(project):
    assert project.versions().training_steps() == {"statistics", "schema", "transform", "tune", "train"}


def test_each_file_of_a_step_changes_its_version_and_no_other_file_does(project):
    """Every file of the repository: those of the same steps are edited together, the others all at once."""
    root, before = project.workspace.root, project.versions()
    made_of = {name: {**each.code, **each.modules, **each.files} for name, each in before.versions.items()}
    together: dict[frozenset[str], set[str]] = {}
    for file in {file for files in made_of.values() for file in files}:
        together.setdefault(frozenset(name for name, files in made_of.items() if file in files), set()).add(file)
    assert len(together) > 10
    for steps, files in together.items():
        with edited(root / file for file in files):
            after = project.versions()
        assert changed(before, after) == steps
        for step in steps:
            now = {**after.versions[step].code, **after.versions[step].modules, **after.versions[step].files}
            assert [file for file in files if now[file] == made_of[step][file]] == []
    known = set().union(*together.values())
    others = [path for path in root.rglob("*") if path.is_file() and is_other(path, root, known)]
    assert len(others) > 150
    with edited(others):
        assert changed(before, project.versions()) == set()


def changed(before: PackageVersions, after: PackageVersions) -> set[str]:
    return {name for name, each in after.versions.items() if each.digest != before.versions[name].digest}


@contextlib.contextmanager
def edited(paths: Iterable[Path]) -> Iterator[None]:
    content = {path: path.read_bytes() for path in paths}
    for path, before in content.items():
        path.write_bytes(before + b"\nx = 1\n")
    yield
    for path, before in content.items():
        path.write_bytes(before)


def is_other(path: Path, root: Path, files: set[str]) -> bool:
    name = path.relative_to(root).as_posix()
    return name not in files and name != LOCK and not name.startswith((".ct/", "kfp_ct/components/"))


def test_in_containers_the_image_is_the_version(tmp_path):
    workspace = Workspace(ROOT, tmp_path)
    text = tmp_path / "classes.txt"
    text.write_text("a")

    def version(image: str, parameters: Mapping[str, Any]) -> str:
        return ImageVersions(workspace, image).of([], parameters).digest

    named = {"gates": {"classes": str(text)}}
    first = version("ct:1", named)
    assert version("ct:1", named) == first
    assert version("ct:2", named) != first
    text.write_text("b")
    assert version("ct:1", named) != first
    # What lies in the repository is in the image: it is the image that changes.
    assert version("ct:1", {"query": "README.md"}) == version("ct:1", {"query": "other"})


def test_a_task_that_runs_nothing_of_ours_depends_on_everything(tmp_path):
    versions = SourceVersions(Workspace(ROOT, tmp_path))
    assert {"components/train/work.py", "pipelines/flights/model.py"} <= set(versions.of(["./a.sh"], {}).code)
