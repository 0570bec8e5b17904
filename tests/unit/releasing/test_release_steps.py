"""A step of a release from the author's side: what a look says is done, where the settings have a policy."""

import pytest

from kfp_ct.models import release_state
from kfp_ct.models.release_state import RUNNING, State
from kfp_ct.project.workspace import Workspace
from kfp_ct.releasing import step
from repository import ROOT

POLICY = {"canary": [1, 50], "judge": {"request_log": "log"}}
AT = "2013-06-01T00:00:00+00:00"


@pytest.fixture
def parameters(tmp_path):
    root = tmp_path / "serving"
    for name in ("1", "candidate/2"):
        (root / "m" / name).mkdir(parents=True)
        (root / "m" / name / "saved_model.pb").write_text(name)
    release_state.write(str(root), State("2-a", "m", "1", "2", RUNNING, 1, 0, "", 0, AT, AT, POLICY, "", {}), None)
    return {"model_name": "m", "serving_root": str(root), "serving": {"release": POLICY}}


def says(verdict):
    return lambda state: {"verdict": verdict, "reason": f"{state.candidate} does", "criteria": []}


def stepped(tmp_path, parameters, verdict):
    return step.of_project(Workspace(ROOT, tmp_path / "home"), parameters, says(verdict))


def test_a_project_with_a_policy_has_its_release_judged(tmp_path, parameters):
    assert stepped(tmp_path, parameters, "hold").look["verdict"] == "hold"
    state = stepped(tmp_path, parameters, "advance")
    assert (state.percent, state.step, state.steps[0]["reason"]) == (50, 1, "2 does")


def test_a_project_without_one_is_left_alone(tmp_path, parameters):
    def never(state):
        raise AssertionError("nobody asked for a judge")

    workspace = Workspace(ROOT, tmp_path / "home")
    assert step.of_project(workspace, {**parameters, "serving": {}}, never) is None
    assert step.of_project(workspace, {**parameters, "serving_root": str(tmp_path / "other")}, never) is None
    assert step.of_project(workspace, {}, never) is None
    assert release_state.read(parameters["serving_root"], "m").state.percent == 1
