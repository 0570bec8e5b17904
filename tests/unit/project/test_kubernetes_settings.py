"""The section `kubernetes`: everything that cannot work is said at once, with what to write in its place."""

import dataclasses

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package
from kfp_ct.project import settings, targets
from kfp_ct.project.workspace import find_workspace


def said(**everything):
    return [str(each) for each in targets.misfits(targets.KUBERNETES, {"all": everything}, complete=True)]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        pytest.param({"cpu_limit": "2x"}, 'cpu_limit is "2x": expected a number of CPUs', id="cpu"),
        pytest.param({"memory_limit": "4 GB"}, "expected an amount of memory such as 512Mi", id="memory"),
        pytest.param({"cpu_request": 3, "cpu_limit": "500m"}, "cpu_request: it is above cpu_limit, 500m", id="cpus"),
        pytest.param(
            {"memory_request": "2Gi", "memory_limit": "2G"}, "memory_request: it is above memory_limit", id="limit"
        ),
        pytest.param({"volumes": [{"path": "/x"}]}, "expected exactly one of pvc, secret", id="no-volume"),
        pytest.param({"volumes": [{"pvc": "a.b", "path": "/x"}]}, "digits and -, at most 63", id="volume-with-dot"),
        pytest.param({"volumes": [{"pvc": "a", "path": "x"}]}, "expected an absolute path", id="relative"),
        pytest.param(
            {"volumes": [{"pvc": "a", "path": "/x"}, {"secret": "a", "path": "/y"}]},
            "two have the name a: the backend names volumes so",
            id="one-name",
        ),
        pytest.param(
            {"volumes": [{"pvc": "a", "path": "/x"}, {"pvc": "b", "path": "/x"}]}, "two have the path /x", id="one-path"
        ),
        pytest.param({"volumes": [{"secret": "a", "path": "/x", "sub_path": "y"}]}, "only a pvc has one", id="sub"),
        pytest.param({"env": {"A B": {"value": "1"}}}, "'A B' cannot be a variable", id="variable"),
        pytest.param({"env": {"A": {"secret": "s"}}}, "env.A.key: expected the entry of s", id="no-key"),
        pytest.param({"env": {"A": {"value": "1", "field": "f"}}}, "expected exactly one of value", id="two-sources"),
        pytest.param(
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            "operator Exists takes none",
            id="taint",
        ),
        pytest.param({"node_affinity": [{}]}, "expected one or more, or match_fields", id="affinity"),
        pytest.param({"image_pull_policy": "always"}, "expected one of Always, IfNotPresent", id="policy"),
        pytest.param({"timeout": "2 hours"}, "expected a duration such as 90s", id="timeout"),
        pytest.param({"retries": {"count": 3, "factor": 0.5}}, "expected a number of 1 or more", id="factor"),
        pytest.param({"security": {"run_as_user": 0, "run_as_non_root": True}}, "0 is root", id="root"),
        pytest.param({"pod_affinity": {}}, "kfp-kubernetes cannot set it; node_affinity", id="not-in-kfp"),
        pytest.param({"fs_group": 1000}, "give the volume's folder to the user's group", id="group-of-a-volume"),
        pytest.param({"security": {"fs_group": 1000}}, "fs_group", id="group-of-a-volume-as-pods-have-it"),
        pytest.param({"service_account": "a"}, "write it as kfp: {service_account: NAME}", id="of-the-run"),
        pytest.param({"memory_limits": "1Gi"}, "did you mean memory_limit?", id="misspelt"),
    ],
)
def test_what_cannot_work_is_said(section, problem):
    assert any(problem in each for each in said(**section)), said(**section)


def test_what_a_task_adds_to_all_is_looked_at_together():
    section = {"all": {"memory_limit": "1Gi"}, "tasks": {"train": {"memory_request": "2Gi"}}}
    found = targets.misfits(targets.KUBERNETES, section, complete=True)
    assert [str(each) for each in found] == ["kubernetes.tasks.train.memory_request: it is above memory_limit, 1Gi"]


def test_a_secret_in_the_clear_is_refused_and_a_reference_to_one_is_not():
    workspace = find_workspace()
    compiled = package.compile_pipeline("pipelines.training", "flights-training")

    def chosen(source):
        prod = settings.load(workspace, "flights", "prod", {})
        section = {"kubernetes": {"all": {"env": {"MLFLOW_TRACKING_PASSWORD": source}}}}
        return dataclasses.replace(prod, targets=section, layers=())

    settings.validate(chosen({"secret": "mlflow", "key": "password"}), compiled, workspace)
    with pytest.raises(UsageError, match=r"kubernetes\.all\.env\.MLFLOW_TRACKING_PASSWORD holds a secret in the"):
        settings.validate(chosen({"value": "hunter2hunter2"}), compiled, workspace)


@pytest.mark.parametrize("section", ["kubernetes", "vertex"])
def test_a_task_that_the_pipeline_has_not_is_refused_with_the_nearest(section):
    workspace = find_workspace()
    compiled = package.compile_pipeline("pipelines.training", "flights-training")
    prod = settings.load(workspace, "flights", "prod", {})
    chosen = dataclasses.replace(prod, targets={section: {"tasks": {"trian": {}}}})
    with pytest.raises(UsageError, match=rf"{section}\.tasks\.trian is no task of the pipeline: did you mean train\?"):
        settings.validate(chosen, compiled, workspace)
