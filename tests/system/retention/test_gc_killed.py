"""`ct gc` may be killed by SIGKILL before any of its changes: nothing that stays is lost, and the next one finishes."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from kept_home import NOW, age, run, tree, versions, workspace
from kfp_ct.models import model_version, registry
from kfp_ct.retention import collect, models
from kfp_ct.retention.settings import Retention
from kfp_ct.runs import record

POLICY = Retention(predecessors=0, cache_bytes=0)
# What Python announces before it changes a file; a version is marked in the registry before its files are renamed.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


def make(home):
    """Two versions of which one goes, a run whose artifacts go and one that goes whole, and what stays."""
    versions(home, "one", "two")
    age(home, 100)
    shutil.rmtree(home / "made")
    bucket = home.parent / "bucket"
    for days in (400, 60):
        old = run(home, days, ("ingest",), pipeline_root=str(bucket))
        copy = bucket / old.units["ingest"].relative_to(home / "artifacts") / "data"
        copy.parent.mkdir(parents=True)
        copy.write_text("x")
    return run(home, 1, ("train",))


def collect_in_child(home, most):
    """Collects in a forked process that is killed before its change number `most`; returns how it ended."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = [most]

    def hook(event, _):
        if event in CHANGES:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(hook)
        collect.collect(workspace(home), POLICY, now=NOW)
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


def whole(home, kept):
    """Nothing that is left refers to what is gone, and what stays is there."""
    for entry in (home / "cache").glob("*.json"):
        assert Path(json.loads(entry.read_text())["made"]["uri"]).exists(), entry
    assert kept.units["train"].joinpath("made", "data").read_text() == "x" * 1000
    assert record.load(home / "runs" / kept.id).state == record.SUCCEEDED
    uri = models.own_registry(home)
    reader = registry.open_reader(uri)
    for version in reader.versions("flights"):
        folder = model_version.local_path(version.source)
        if not model_version.is_deleted(version):
            assert (folder / "Format-Serving" / "variables" / "variables.index").is_file(), version
    champion = reader.champion("flights")
    assert (champion.number, model_version.is_deleted(champion)) == ("2", False)


def test_killed_before_every_change_it_loses_nothing_and_the_next_finishes(tmp_path):
    home, kept_copy, bucket = tmp_path / "home", tmp_path / "copy", tmp_path / "bucket"
    kept = make(home)
    for folder in (home, bucket):
        shutil.copytree(folder, kept_copy / folder.name, symlinks=True)
    assert collect_in_child(home, 10**9) == 0
    expected, left_in_bucket = tree(home), tree(bucket)
    assert left_in_bucket == []
    assert sum("artifacts/" in path for path in expected) == 1
    assert expected != tree(kept_copy / "home")

    killed = 0
    while True:
        for folder in (home, bucket):
            shutil.rmtree(folder)
            shutil.copytree(kept_copy / folder.name, folder, symlinks=True)
        status = collect_in_child(home, killed)
        if os.WIFEXITED(status):
            break
        whole(home, kept)
        collect.collect(workspace(home), POLICY, now=NOW)
        assert (tree(home), tree(bucket)) == (expected, []), f"killed before change {killed}"
        killed += 1

    print(killed)
    assert killed > 30
    assert os.WEXITSTATUS(status) == 0
