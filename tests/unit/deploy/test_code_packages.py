"""User code travels by its content: which steps get which files, where it is kept, what is refused."""

import copy
import io
import os
import shutil
import zipfile

import pytest

from kfp_ct.base.errors import DataError, UsageError
from kfp_ct.data import code_package
from kfp_ct.deploy import code_archive, code_packages, pod_paths, target, version
from kfp_ct.local.run import compile_project
from kfp_ct.package import check, package
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace, make_importable
from repository import ROOT

FLIGHTS = "pipelines/flights"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "pipelines", root / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "components").mkdir()
    return Workspace(root, root / ".ct")


@pytest.fixture(scope="module")
def chosen(workspace):
    return settings.load(workspace, "flights", "kind", {})


@pytest.fixture(scope="module")
def plain(workspace, chosen):
    make_importable(Workspace(ROOT, workspace.home))
    return compile_project(Workspace(ROOT, workspace.home), chosen)


@pytest.fixture
def attached(workspace, chosen, plain):
    return code_packages.attach(plain, chosen, target.KFP, workspace)


def of_tasks(compiled):
    return {name: uri for uri, names in code_packages.references(compiled).items() for name in names}


def test_each_step_takes_what_its_parameters_name_and_all_that_imports(attached):
    compiled, archives = attached
    files = {task: zipfile.ZipFile(io.BytesIO(each.content)).namelist() for each in archives for task in each.tasks}
    modules = ["pipelines/__init__.py", f"{FLIGHTS}/__init__.py", f"{FLIGHTS}/features.py"]
    assert files == {
        "ingest": [f"{FLIGHTS}/examples.sql"],
        "schema": [f"{FLIGHTS}/schema.pbtxt"],
        "transform": modules,
        "tune": [*modules, f"{FLIGHTS}/model.py"],
        "train": [*modules, f"{FLIGHTS}/model.py"],
        "evaluate": [f"{FLIGHTS}/eval_config.pbtxt", f"{FLIGHTS}/model_card.yaml"],
    }
    for each in archives:
        assert each.uri == f"s3://mlpipeline/ct/code/{code_package.name_of(each.content)}"
    assert package.logical_images(compiled) == {"components-library"}
    check.check(compiled)


@pytest.mark.parametrize(
    ("edited", "steps"),
    [
        ("model.py", {"tune", "train"}),
        ("features.py", {"transform", "tune", "train"}),
        ("eval_config.pbtxt", {"evaluate"}),
        ("examples.sql", {"ingest"}),
        ("triggers.yaml", set()),
    ],
)
def test_an_edit_changes_the_inputs_of_the_steps_that_use_the_file_and_no_executor(
    workspace, chosen, plain, attached, edited, steps
):
    before, _ = attached
    path = workspace.root / FLIGHTS / edited
    content = path.read_bytes()
    path.write_bytes(content + b"\n# edited\n")
    try:
        after, _ = code_packages.attach(plain, chosen, target.KFP, workspace)
    finally:
        path.write_bytes(content)
    old, new = of_tasks(before), of_tasks(after)
    assert {name for name in {*old, *new} if old.get(name) != new.get(name)} == steps
    assert after["deploymentSpec"] == before["deploymentSpec"], "images and commands stay, so nothing else is run again"
    for name in steps:
        after["root"]["dag"]["tasks"][name]["inputs"] = before["root"]["dag"]["tasks"][name]["inputs"]
    assert after == before


def test_the_same_sources_give_the_same_bytes_whenever_they_were_written(workspace, chosen, plain, attached):
    for path in workspace.root.rglob("*.py"):
        os.utime(path, (1, 1))
    assert code_packages.attach(plain, chosen, target.KFP, workspace) == attached


def test_it_is_uploaded_once_and_never_written_over(workspace, plain, tmp_path, chosen):
    at = with_section(chosen, "kfp", code_location=str(tmp_path / "mounted" / "code"))
    (tmp_path / "mounted").mkdir()
    compiled, archives = code_packages.attach(plain, at, target.KFP, workspace)
    said = []
    code_packages.upload(compiled, archives, said.append)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "mounted/code").glob("*.zip")}
    assert {str(path) for path in files} == set(code_packages.references(compiled)), said
    code_packages.upload(compiled, archives, said.append)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert said[-1].endswith("is there already")
    broken = next(iter(files))
    broken.write_bytes(b"something else")
    with pytest.raises(DataError, match="is not what was uploaded"):
        code_packages.upload(compiled, archives, said.append)
    assert broken.read_bytes() == b"something else"


def test_a_package_compiled_before_is_uploaded_from_the_same_sources_only(workspace, chosen, plain, tmp_path):
    (tmp_path / "mounted").mkdir()
    at = with_section(chosen, "kfp", code_location=str(tmp_path / "mounted" / "code"))
    compiled, archives = code_packages.attach(plain, at, target.KFP, workspace)
    bound = package.bind_images(compiled, {"components-library": f"r/c@sha256:{'0' * 64}"})
    found = code_packages.rebuilt(bound, workspace)
    assert {each.uri: each.content for each in found} == {each.uri: each.content for each in archives}
    other = copy.deepcopy(bound)
    other["root"]["dag"]["tasks"]["train"]["inputs"]["parameters"][code_package.PARAMETER] = {
        "runtimeValue": {"constant": f"{tmp_path}/mounted/code/{'0' * 64}.zip"}
    }
    with pytest.raises(
        UsageError, match=r"tasks train fetch .*0.zip, which is not there\n.*\nfix: check out the commit"
    ):
        code_packages.upload(other, code_packages.rebuilt(other, workspace), print)


def test_it_stays_in_the_cache_although_it_is_outside_the_image(attached):
    compiled, _ = attached
    tasks = version.always_reading(compiled)["root"]["dag"]["tasks"]
    assert tasks["train"]["cachingOptions"] == {"enableCache": True}


def with_section(chosen, kind, **entries):
    changed = copy.copy(chosen)
    targets = {**chosen.targets, kind: {**chosen.targets.get(kind, {}), **entries}}
    object.__setattr__(changed, "targets", targets)
    return changed


@pytest.mark.parametrize(
    ("kind", "section", "serving_root", "place"),
    [
        ("kfp", {}, "s3://b/serving", "s3://b/code"),
        ("kfp", {}, "s3://b", "s3://b/code"),
        ("kfp", {"pipeline_root": "gs://b/root"}, "s3://b/serving", "gs://b/root/code"),
        ("kfp", {"pipeline_root": "minio://b/root"}, "/mnt/ct/serving", ""),
        ("kfp", {"code": "image"}, "s3://b/serving", ""),
        ("kfp", {"code_location": "s3://own/place/"}, "s3://b/serving", "s3://own/place"),
        ("vertex", {"bucket": "gs://b/x"}, "gs://b/serving", "gs://b/x/code"),
        ("local", {}, "s3://b/serving", ""),
    ],
)
def test_its_place_is_the_stores_of_the_settings(chosen, kind, section, serving_root, place):
    changed = with_section(chosen, kind, **section)
    object.__setattr__(changed, "parameters", {**chosen.parameters, "serving_root": serving_root})
    assert code_packages.location(changed, kind) == place


@pytest.mark.parametrize(
    ("kind", "section", "message"),
    [
        ("kfp", {"code": "package"}, "no object store is named for it"),
        ("kfp", {"code": "image", "code_location": "s3://b/x"}, "code is image, so nothing is kept at"),
        ("vertex", {"code_location": "/mnt/ct"}, "Vertex AI mounts no volumes"),
    ],
)
def test_what_cannot_work_is_refused(chosen, kind, section, message):
    changed = with_section(chosen, kind, **section)
    object.__setattr__(changed, "parameters", {**chosen.parameters, "serving_root": "/mnt/ct/serving"})
    with pytest.raises(UsageError, match=message):
        code_packages.location(changed, kind)


def test_a_path_must_be_on_a_volume_of_the_task_and_mounted_here(workspace, chosen, plain, tmp_path):
    at = with_section(chosen, "kfp", code_location="/mnt/nowhere/code")
    compiled, archives = code_packages.attach(plain, at, target.KFP, workspace)
    with pytest.raises(UsageError, match="code_location is /mnt/nowhere/code: on no volume of the task train"):
        pod_paths.require_mounted(compiled, at, target.KFP)
    with pytest.raises(UsageError, match="/mnt/nowhere is not there on this machine"):
        code_packages.upload(compiled, archives, print)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".env", "TOKEN=x", "its name is one of a secret"),
        ("my-service-account.json", "{}", "its name is one of a secret"),
        ("deploy_key.txt", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "it holds a private key"),
        ("local/notes.txt", "x", r"\.gcloudignore keeps it out of the cloud"),
    ],
)
def test_no_secret_is_taken_along(tmp_path, name, content, reason):
    (tmp_path / ".gcloudignore").write_text("#!include:.gitignore\n")
    (tmp_path / ".gitignore").write_text("local/\n")
    path = tmp_path / "pipelines" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UsageError, match=f"the task train would take pipelines/{name} along, and {reason}"):
        code_archive.pack(tmp_path, "train", [f"pipelines/{name}"])
