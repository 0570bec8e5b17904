"""`ct release step`: the judge runs in the component environment, and its word is done."""

import datetime

from cli_runner import ct
from kfp_ct.models import release_state
from kfp_ct.models.release_state import RUNNING, State


def test_a_step_asks_the_judge_and_does_what_it_says(tmp_path):
    root, log = tmp_path / "serving", tmp_path / "log"
    for name in ("1", "candidate/2"):
        (root / "m" / name).mkdir(parents=True)
        (root / "m" / name / "saved_model.pb").write_text(name)
    at = datetime.datetime.now(datetime.UTC).isoformat()
    policy = {"canary": [10], "judge": {"request_log": str(log), "labels": "", "min_rows": 1}}
    release_state.write(str(root), State("2-a", "m", "1", "2", RUNNING, 10, 0, "", 0, at, at, policy, "", {}), None)

    refused = ct(tmp_path / "home", "release", "step", "m", "--serving-root", str(root))
    assert refused.code == 2
    assert f"there is no request log at {log}" in refused.err
    log.mkdir()
    done = ct(tmp_path / "home", "release", "step", "m", "--serving-root", str(root))
    assert done.code == 0, done.err
    assert "hold: 0 rows of the candidate, 1 are needed" in done.out
    assert "errors: not known yet, allowed 0.01" in done.out
    assert release_state.read(str(root), "m").state.look["verdict"] == "hold"
