"""`ct init`: what it writes, what it refuses, and that nothing is left of a refusal."""

import hashlib
import json
import os
import re
import shutil
import zipfile
from importlib import metadata

import pytest
import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.ci.cloudbuild import config
from kfp_ct.ci.git.definition import parse
from kfp_ct.new import repository
from repository import ROOT

VERSION = metadata.version("kfp-ct")
WANTED = [
    ".ci/run", ".dockerignore", ".gcloudignore", ".gitignore", "Dockerfile", "Makefile", "README.md", "cloudbuild.yaml",
    "pyproject.toml", "setup.py",
    "components/__init__.py", "components/check_labels/component.py", "components/check_labels/work.py",
    "infra/build-inputs/.gitignore", "infra/scan-policy.yaml", "infra/triggers/main.yaml",
    "infra/checks.yaml", "infra/promote.yaml",
    "pipelines/__init__.py", "pipelines/batch_prediction.py", "pipelines/monitoring.py", "pipelines/training.py",
    "pipelines/flights/model.py", "pipelines/flights/settings/local.yaml", "pipelines/flights/triggers.yaml",
    "requirements/author.in", "requirements/author.txt", "requirements/author-dev.txt", "requirements/data.txt",
    "requirements/components-current.txt", "requirements/components-image.txt",
    "requirements/components-older-glibc.txt", "requirements/components-dev.txt",
    "requirements/serving.txt", "requirements/uv.txt", "requirements/install.sh", "requirements/kfp-ct.txt",
    "tests/conftest.py", "tests/components/check_labels/test_check_labels.py",
    "tests/components/flights/test_flights_model.py", "tests/system/test_packages.py",
]  # fmt: skip


def write_wheel(folder, name="kfp-ct", version=VERSION):
    """A wheel as far as its metadata; what is in it, tests/system/new/test_wheel.py looks at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        about = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nText: with a colon\n"
        archive.writestr(f"kfp_ct-{version}.dist-info/METADATA", about)
    return path


@pytest.fixture
def wheel(tmp_path):
    return write_wheel(tmp_path / "wheels")


@pytest.fixture
def make(tmp_path, wheel):
    def run(folder="churn-models", **fields):
        repository.make(repository.Request(tmp_path / "made" / folder, **{"library": wheel, **fields}))
        return tmp_path / "made" / folder

    return run


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_it_has_everything_from_the_first_run_to_ci(make):
    found = files(make())
    assert [name for name in WANTED if name not in found] == []
    assert not [name for name in found if "__pycache__" in name or name.endswith(".template")]


def test_what_it_shares_with_this_repository_is_the_same_text(make):
    made = make()
    for name in ("pipelines", "requirements", "infra/scan-policy.yaml"):
        for path in [ROOT / name, *(ROOT / name).rglob("*")]:
            copy = made / path.relative_to(ROOT)
            if path.is_file() and copy.is_file() and not path.name.endswith(("-dev.in", "-dev.txt", ".pyc")):
                own = path.suffix == ".in" and path.stem not in ("serving", "data")
                assert own or copy.read_bytes() == path.read_bytes(), copy
    assert not [path for path in made.rglob("*") if path.is_symlink()]


def test_the_library_is_pinned_in_one_line_by_version_and_content(make, wheel):
    made = make()
    (line,) = [line for line in (made / "requirements/kfp-ct.txt").read_text().splitlines() if line[0] not in "#-"]
    assert line == f"kfp-ct=={VERSION} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    assert (made / "vendor" / wheel.name).read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("fields", [{}, {"example": False}], ids=["with the example", "bare"])
def test_its_names_are_its_own(make, fields):
    made = make(**fields)
    ours = [name for name in files(made) if b"my-repository" in (made / name).read_bytes()]
    assert ours == []
    build = (made / "cloudbuild.yaml").read_text()
    _, problems = config.examine(build)
    assert problems == [], "not even a note"
    given = yaml.safe_load(build)["substitutions"]
    assert given["_REGISTRY"].endswith("/churn-models")
    assert given["_BUCKET"].endswith("-churn-models")
    for path in (made / "infra/triggers").iterdir():
        assert parse(path.read_text(), str(path)).name.startswith("churn-models-")


def test_without_the_example_it_awaits_a_project_of_its_name(make):
    made = make(example=False)
    found = files(made)
    assert not [name for name in found if "flights" in name or "data.txt" in name]
    assert "PROJECT := churn_models\nSMALL :=\n" in (made / "Makefile").read_text()
    assert yaml.safe_load((made / "cloudbuild.yaml").read_text())["substitutions"]["_PROJECT"] == "churn_models"


def test_every_target_of_the_readme_and_of_ci_is_in_the_makefile(make):
    made = make()
    targets = set(re.findall(r"^([a-z-]+):.*## ", (made / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "setup", "check", "build", "run-small", "lock"} <= targets
    called = {line.split()[1] for line in (made / ".ci/run").read_text().splitlines() if line.startswith("make ")}
    steps = yaml.safe_load((made / "cloudbuild.yaml").read_text())["steps"]
    called |= {step["args"][0] for step in steps if step.get("entrypoint") == "make"}
    assert called
    assert called <= targets
    assert os.access(made / ".ci/run", os.X_OK)


def test_the_dockerfile_copies_what_is_there_and_docker_may_see(make):
    from kfp_ct.ci.images import inputs

    made = make()
    assert sorted(inputs.targets(made)) == ["author", "components", "components-library", "serving"]
    hashes = {name: inputs.content_hash(made, name, "base") for name in inputs.targets(made)}
    (made / "components/check_labels/work.py").write_text("# changed\n")
    changed = {name for name, before in hashes.items() if inputs.content_hash(made, name, "base") != before}
    assert changed == {"author", "components"}, "the service has nothing of the repository"
    pin = made / "requirements/kfp-ct.txt"
    pin.write_text(pin.read_text() + "# another\n")
    environments = [inputs.environment(made, name) for name in hashes]
    assert environments == [f"{name.removesuffix('-library')}-env" for name in hashes]
    seen = {line.removeprefix("!") for line in (made / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = {path.split("/")[0] for stage in inputs._stages(made).values() for path in stage.paths}
    assert copied <= {name.split("/")[0] for name in seen}


@pytest.mark.parametrize("occupied", [["README.md"], [".ct", "a", "b", "c", "d", "e", "f"]])
def test_a_folder_that_is_not_empty_is_refused_and_left_as_it_is(make, tmp_path, occupied):
    folder = tmp_path / "made" / "full"
    for name in occupied:
        (folder / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="is not empty: there is " + ", ".join(sorted(occupied)[:5])) as refused:
        make("full")
    assert ("and 2 more" in str(refused.value)) is (len(occupied) == 7)
    assert sorted(path.name for path in folder.iterdir()) == sorted(occupied)
    assert [path.name for path in folder.parent.iterdir()] == ["full"]


def test_a_repository_that_git_has_just_made_is_empty(make, tmp_path):
    (tmp_path / "made" / "cloned" / ".git").mkdir(parents=True)
    assert (make("cloned") / "Makefile").is_file()


def test_a_file_in_its_place_is_named(make, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "taken").write_text("")
    with pytest.raises(UsageError, match="taken is a file"):
        make("taken")


@pytest.mark.parametrize("name", ["kfp-ct", "1st", "a_b", "Upper", "a--b", "x" * 41])
def test_a_name_that_images_or_packages_could_not_have_is_refused(make, name, tmp_path):
    with pytest.raises(UsageError, match="cannot be a repository's name\nexpected: "):
        make("folder", name=name)
    assert not (tmp_path / "made").exists()


def test_the_folders_name_is_made_to_fit(make):
    assert 'name="my-models-2"' in (make("My Models_2") / "setup.py").read_text()


def test_another_wheel_is_refused(make, tmp_path):
    with pytest.raises(UsageError, match="is a wheel of other\nexpected: kfp-ct"):
        make(library=write_wheel(tmp_path, "other"))
    with pytest.raises(UsageError, match=rf"is version 9\.0, and this is {VERSION}"):
        make(library=write_wheel(tmp_path, version="9.0"))
    (tmp_path / "no.whl").write_text("no archive")
    for name in ("no.whl", "none.whl"):
        with pytest.raises(UsageError, match=f"{name} is no wheel"):
            make(library=tmp_path / name)
    assert not (tmp_path / "made").exists()


@pytest.fixture
def noted(monkeypatch, tmp_path):
    """Has the library look installed from what an installer notes."""

    def note(text):
        found = tmp_path / "kfp_ct-0.dist-info"
        found.mkdir(exist_ok=True)
        (found / "METADATA").write_text(f"Name: kfp-ct\nVersion: {VERSION}\n")
        if text:
            (found / "direct_url.json").write_text(json.dumps(text))
        monkeypatch.setattr(metadata, "distribution", lambda _: metadata.PathDistribution(found))

    return note


def test_the_wheel_it_was_installed_from_is_found(make, wheel, noted):
    noted({"url": wheel.as_uri(), "archive_info": {}})
    assert (make(library=None) / "vendor" / wheel.name).is_file()


@pytest.mark.parametrize(
    ("note", "message"),
    [
        pytest.param(None, "was not installed from a wheel", id="from an index"),
        pytest.param(
            {"url": ROOT.as_uri(), "dir_info": {"editable": True}}, "was not installed from a wheel", id="clone"
        ),
        pytest.param({"url": "file:///gone/a.whl", "archive_info": {}}, "is not there: file:///gone/a.whl", id="gone"),
        pytest.param({"url": "https://x.example/a.whl", "archive_info": {}}, "is not there: https://x", id="elsewhere"),
    ],
)
def test_without_a_wheel_it_says_how_to_get_one(make, noted, note, message):
    noted(note)
    with pytest.raises(UsageError, match=f"{message}(.|\n)*fix: give it by --library FILE.whl"):
        make(library=None)


def test_a_failure_half_way_leaves_nothing(make, monkeypatch, tmp_path):
    move, seen = shutil.move, []

    def fail(source, target):
        seen.append(target)
        if len(seen) == 5:
            raise OSError("no space left")
        return move(source, target)

    monkeypatch.setattr(shutil, "move", fail)
    (tmp_path / "made" / "cloned" / ".git").mkdir(parents=True)
    with pytest.raises(OSError, match="no space left"):
        make("cloned")
    assert [path.name for path in (tmp_path / "made" / "cloned").iterdir()] == [".git"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["cloned"]
