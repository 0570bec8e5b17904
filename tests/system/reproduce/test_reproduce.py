"""`ct reproduce` trains a version again from its commit, and says what came out another way and why."""

import json
import os
import shutil
import time

import pytest

import tiny_project
from kfp_ct.base.errors import RunFailedError, UsageError
from kfp_ct.reproduce import locked, recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A repository with v1 of a clean commit, and v2 that chance has part in, of changed files."""
    tiny = tiny_project.make(tmp_path_factory.mktemp("tiny"))
    factor = tiny.root / "pipelines/tiny/factor.py"
    soon = time.time() + 3_600  # whenever it runs, both edits are of that second, and just made
    os.utime(factor, (soon, soon))
    assert tiny.train("one") == "1"
    factor.write_text("FACTOR = 3.0\n")
    os.utime(factor, (soon, soon))
    assert tiny.train("two", "--set", "noisy=true") == "2"
    return tiny


def test_a_version_of_a_clean_commit_comes_out_the_same_whatever_the_sources_are_now(trained):
    before = trained.git("status", "--porcelain"), sorted(path.name for path in (trained.home / "runs").iterdir())

    done = trained.ct("reproduce", "tiny", "v1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny v1 came out the same" in done.stdout
    assert "not the whole truth" not in done.stdout
    # It leaves nothing: no run, no checkout, no version.
    assert before == (
        trained.git("status", "--porcelain"),
        sorted(path.name for path in (trained.home / "runs").iterdir()),
    )
    assert len(trained.git("worktree", "list").splitlines()) == 1
    assert [version.number for version in trained.place.reader.versions("tiny")] == ["2", "1"]


def test_chance_files_that_were_never_committed_and_changed_data_are_told_apart(trained):
    data = trained.root / "data" / "table.csv"
    text = data.read_text()
    data.write_text("1\n2\n4\n")

    done = trained.ct("reproduce", "tiny", "2", "--json")
    data.write_text(text)

    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    rows = {row["name"]: row for row in told["differences"]}
    assert (rows["train auc"]["recorded"], rows["train auc"]["again"]) == (18.0, 14.0)
    assert not rows["train auc"]["by_chance"]
    assert rows["train loss"]["by_chance"]
    causes = {(cause["kind"], cause["text"].partition(":")[0]) for cause in told["causes"]}
    assert ("data", "the sources hold other data") in causes
    assert ("sources", "pipelines/tiny/factor.py") in causes
    assert ("nondeterminism", "two runs of the same differ in metrics train loss") in causes
    assert told["dirty"]
    assert "the commit is not the whole truth" in done.stderr


def test_what_is_gone_or_was_never_recorded_is_refused_before_anything_runs(trained, tmp_path):
    data = trained.root / "data" / "table.csv"
    away = data.rename(tmp_path / "table.csv")
    gone = trained.ct("reproduce", "tiny", "1")
    away.rename(data)
    assert gone.returncode == 2
    assert "tiny v1 cannot be reproduced: its data is gone\n" in gone.stderr
    assert "data/table.csv is gone" in gone.stderr

    place = trained.place
    number = trained.register("no run", {})
    with pytest.raises(UsageError, match=r"the run that made it was never recorded(.|\n)*fix: "):
        recipe.read(place, "tiny", number)
    with pytest.raises(UsageError, match=r"tiny has no version 9(.|\n)*expected: one of"):
        recipe.read(place, "tiny", "9")
    number = trained.register("run elsewhere", {"run": "20260101-000000-00000000"})
    with pytest.raises(
        UsageError, match=r"the record of its run 20260101-000000-00000000, which alone has its settings"
    ):
        recipe.read(place, "tiny", number)


@pytest.mark.parametrize(
    ("commit", "said"),
    [("", "it has no commit"), ("0" * 40, "which .* does not have(.|\\n)*fix: git fetch origin 0000")],
    ids=["outside git", "another history"],
)
def test_a_commit_that_is_not_here_is_refused(trained, tmp_path, commit, said):
    home = shutil.copytree(trained.home, tmp_path / "home")
    (run,) = {version.tags["run"] for version in trained.place.reader.versions("tiny") if version.number == "1"}
    path = home / "runs" / run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "commit": commit}))
    place = tiny_project.open_location(tiny_project.Workspace(trained.root, home), trained.place.registry_uri)

    with pytest.raises(UsageError, match=said):
        recipe.read(place, "tiny", "1")


def test_where_the_commit_locks_other_packages_they_are_installed_or_it_is_refused(tmp_path):
    now, then = (tmp_path / name for name in ("now", "then"))
    for folder, pinned in ((now, "six==1.17.0"), (then, "six==1.16.0")):
        (folder / "requirements").mkdir(parents=True)
        (folder / "requirements" / "author.txt").write_text(pinned)
    (tmp_path / "bare").mkdir()
    said = []

    assert locked.of_commit(tmp_path / "bare", now, said.append) == locked.of_now(now)
    assert locked.of_commit(now, now, said.append) == locked.of_now(now)
    assert said == []
    # This commit has no lock for uv, which installs the others.
    with pytest.raises(RunFailedError, match=r"could not be installed\n.*install uv(.|\n)*--current-environment"):
        locked.of_commit(then, now, said.append)
    assert said == ["the commit locks other packages than are here: they are installed beside it"]
    assert (then / ".venv" / "bin" / "python").exists()
