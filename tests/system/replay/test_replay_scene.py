"""Where the runs of a replay leave what they leave: compiled as production's, and nowhere near the user's state."""

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay import replay
from kfp_ct.replay.project_stage import scene
from repository import ROOT


def test_everything_that_a_run_leaves_lies_below_the_replays_home(tmp_path):
    workspace = Workspace(ROOT, tmp_path)
    request = replay.Request("flights", {}, {"registry_uri": "http://mlflow:5000", "serving_root": "s3://served"})
    plan, strategies = replay.read(workspace, request)
    own = replay.own_workspace(workspace, "flights")
    found = scene(own, "flights", plan, strategies[0])
    given = found.settings.parameters
    assert given["registry_uri"] == f"sqlite:///{own.home}/registry/mlflow.db"
    for place in (given["serving_root"], given["checkpoints"], str(found.folder)):
        assert place.startswith(f"{tmp_path}/replays/flights/")
    assert found.model.startswith("flights-trained-once-")
    assert found.key != scene(own, "flights", plan, strategies[1]).key


def test_a_policy_may_not_say_what_the_time_says(tmp_path):
    workspace = Workspace(ROOT, tmp_path)
    request = replay.Request("flights", {}, {"window_end": "2013-12-01"})
    plan, strategies = replay.read(workspace, request)
    with pytest.raises(UsageError, match="sets window_end"):
        scene(replay.own_workspace(workspace, "flights"), "flights", plan, strategies[0])
