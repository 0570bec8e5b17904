"""What settings say of tasks on a cluster is in the compiled package, as kfp-kubernetes and kfp's compiler write it."""

import dataclasses

import pytest
from kfp import compiler, dsl, kubernetes

from kfp_ct.base.errors import PackageError, UsageError
from kfp_ct.deploy import default_requests, target, task_platform, version
from kfp_ct.package import check, package
from kfp_ct.package.bind import Images
from kfp_ct.project import settings
from kfp_ct.project.workspace import find_workspace

IMAGE = "kfp-ct-components-python:local"
EVERYTHING = {
    "cpu_request": "500m", "cpu_limit": 2, "memory_request": "512Mi", "memory_limit": "4Gi",
    "accelerator": {"type": "nvidia.com/gpu", "count": 2},
    "volumes": [
        {"pvc": "data", "path": "/mnt/ct", "sub_path": "one"}, {"secret": "keys", "path": "/keys"},
        {"config_map": "options", "path": "/options", "optional": True},
        {"empty_dir": "shm", "path": "/dev/shm", "medium": "Memory", "size": "1Gi"},
    ],
    "env": {
        "TOKEN": {"secret": "login", "key": "token"}, "ZONE": {"config_map": "places", "key": "zone"},
        "POD": {"field": "metadata.name"}, "LEVEL": {"value": "2"},
    },
    "node_selector": {"disktype": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "node_affinity": [{"match_expressions": [{"key": "zone", "operator": "In", "values": ["a"]}], "weight": 5}],
    "image_pull_policy": "IfNotPresent", "image_pull_secrets": ["registry"], "labels": {"team": "models"},
    "annotations": {"note": "x y"}, "timeout": "2h", "security": {"run_as_user": 1000, "run_as_non_root": True},
    "retries": {"count": 3, "backoff": "1m", "factor": 3.0, "longest": "2h"},
}  # fmt: skip


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def echo(text: str = "a") -> str:
    return text


@dsl.pipeline(name="two")
def two() -> None:
    echo().set_caching_options(False)
    with dsl.If(echo(text="b").output == "b", name="asked"):
        echo(text="c").set_display_name("last")


def by_hand() -> None:
    """A pipeline once it is asked for: kfp looks through the sources of all callers for each limit that is set."""
    task = echo().set_cpu_request("500m").set_cpu_limit("2").set_memory_request("512Mi").set_memory_limit("4Gi")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2).set_env_variable("LEVEL", "2")
    task.set_retry(3, backoff_duration="60s", backoff_factor=3.0, backoff_max_duration="7200s")
    kubernetes.mount_pvc(task, "data", "/mnt/ct", "one")
    kubernetes.use_secret_as_volume(task, "keys", "/keys")
    kubernetes.use_config_map_as_volume(task, "options", "/options", optional=True)
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", "Memory", "1Gi")
    kubernetes.use_secret_as_env(task, "login", {"token": "TOKEN"})
    kubernetes.use_config_map_as_env(task, "places", {"zone": "ZONE"})
    kubernetes.use_field_path_as_env(task, "POD", "metadata.name")
    kubernetes.add_node_selector(task, "disktype", "ssd")
    kubernetes.add_toleration(task, "gpu", "Exists", effect="NoSchedule")
    kubernetes.add_node_affinity(task, [{"key": "zone", "operator": "In", "values": ["a"]}], weight=5)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_image_pull_secrets(task, ["registry"])
    kubernetes.add_pod_label(task, "team", "models")
    kubernetes.add_pod_annotation(task, "note", "x y")
    kubernetes.set_timeout(task, 7200)
    kubernetes.set_security_context(task, run_as_user=1000, run_as_non_root=True)


@dsl.pipeline(name="by-hand")
def bare() -> None:
    echo()


def compiled(pipeline, tmp_path):
    path = tmp_path / "package.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    return package.load_package(path)


def saying(**sections):
    return settings.Settings("p", "test", "p.two", {}, sections)


def pods(made, executor):
    return made["platforms"]["kubernetes"]["deploymentSpec"]["executors"][executor]


def test_settings_are_written_as_kfps_own_functions_write_them(tmp_path):
    expected = compiled(dsl.pipeline(name="by-hand")(by_hand), tmp_path)
    made = task_platform.apply(compiled(bare, tmp_path), saying(kubernetes={"all": EVERYTHING}), target.KFP)
    assert pods(made, "exec-echo") == pods(expected, "exec-echo")
    executor, wanted = (each["deploymentSpec"]["executors"]["exec-echo"]["container"] for each in (made, expected))
    assert executor["resources"] == wanted["resources"]
    assert executor["env"] == wanted["env"]
    assert made["root"] == expected["root"]  # the retry policy is the task's
    check.check(made)


def test_what_is_said_of_a_task_lies_over_what_is_said_of_all(tmp_path):
    section = {
        "all": {"memory_limit": "1Gi", "labels": {"a": "1"}, "volumes": [{"pvc": "x", "path": "/x"}]},
        "tasks": {"echo-2": {"memory_limit": "2Gi", "labels": {"b": "2"}, "volumes": [{"pvc": "y", "path": "/y"}]}},
    }
    made = task_platform.apply(compiled(two, tmp_path), saying(kubernetes=section), target.KFP)
    executors = made["deploymentSpec"]["executors"]
    limits = {name: each["container"]["resources"]["resourceMemoryLimit"] for name, each in executors.items()}
    assert limits == {"exec-echo": "1Gi", "exec-echo-2": "2Gi", "exec-echo-3": "1Gi"}
    assert pods(made, "exec-echo-2")["podMetadata"]["labels"] == {"a": "1", "b": "2"}
    assert [each["mountPath"] for each in pods(made, "exec-echo-2")["pvcMount"]] == ["/x", "/y"]
    assert [each["mountPath"] for each in pods(made, "exec-echo-3")["pvcMount"]] == ["/x"]


def test_applying_again_changes_nothing_and_what_the_pipeline_says_stays(tmp_path):
    section = saying(kubernetes={"all": {"labels": {"more": "1"}, "volumes": [{"pvc": "z", "path": "/z"}]}})
    once = task_platform.apply(compiled(dsl.pipeline(name="by-hand")(by_hand), tmp_path), section, target.KFP)
    assert pods(once, "exec-echo")["podMetadata"]["labels"] == {"team": "models", "more": "1"}
    assert [each["mountPath"] for each in pods(once, "exec-echo")["pvcMount"]] == ["/mnt/ct", "/z"]
    assert package.dump(task_platform.apply(once, section, target.KFP)) == package.dump(once)


def test_a_volume_that_the_pipeline_mounts_too_is_refused_by_the_check(tmp_path):
    section = saying(kubernetes={"all": {"volumes": [{"pvc": "data", "path": "/other"}]}})
    made = task_platform.apply(compiled(dsl.pipeline(name="by-hand")(by_hand), tmp_path), section, target.KFP)
    with pytest.raises(PackageError, match="exec-echo: two volumes have the name data"):
        check.check(made)


@pytest.mark.parametrize(
    ("platforms", "said"),
    [
        pytest.param({"exec-gone": {}}, "executor 'exec-gone', which is not in the package", id="no-executor"),
        pytest.param({"exec-echo": {"pvcMounts": []}}, "exec-echo: not a KubernetesExecutorConfig", id="unknown-field"),
    ],
)
def test_a_platform_document_that_a_backend_would_refuse_is_refused(tmp_path, platforms, said):
    made = compiled(bare, tmp_path)
    made["platforms"] = {"kubernetes": {"deploymentSpec": {"executors": platforms}}}
    with pytest.raises(PackageError, match=said):
        check.check(made)


def test_no_section_and_no_cluster_change_no_byte():
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", "prod", {})
    without = dataclasses.replace(chosen, targets={})
    local = version.for_target(workspace, chosen, target.LOCAL)
    assert package.dump(version.for_target(workspace, without, target.VERTEX)) == package.dump(local)
    assert "platforms" not in local
    assert "resources" not in str(local["deploymentSpec"]["executors"]["exec-train"]["container"].keys())


def test_our_components_ask_for_memory_and_others_do_not(tmp_path):
    workspace = find_workspace()
    chosen = dataclasses.replace(settings.load(workspace, "flights", "prod", {}), targets={})
    executors = version.for_target(workspace, chosen, target.KFP)["deploymentSpec"]["executors"]
    asked = {name: each["container"]["resources"]["resourceMemoryRequest"] for name, each in executors.items()}
    assert {asked[f"exec-{each}"] for each in ("train", "tune", "transform", "evaluate")} == {"2Gi"}
    assert {asked[f"exec-{each}"] for each in ("deploy", "register", "resolve-champion", "schema")} == {"512Mi"}
    assert not any("resourceMemoryLimit" in each["container"]["resources"] for each in executors.values())
    foreign = task_platform.apply(compiled(bare, tmp_path), saying(), target.KFP)
    assert package.dump(foreign) == package.dump(compiled(bare, tmp_path))


def test_a_default_request_is_not_above_a_limit():
    workspace = find_workspace()
    section = {"kubernetes": {"tasks": {"train": {"memory_limit": "1Gi"}}}}
    chosen = dataclasses.replace(settings.load(workspace, "flights", "prod", {}), targets=section)
    executors = version.for_target(workspace, chosen, target.KFP)["deploymentSpec"]["executors"]
    assert "resourceMemoryRequest" not in executors["exec-train"]["container"]["resources"]
    assert executors["exec-train"]["container"]["resources"]["resourceCpuRequest"] == "500m"


def test_vertex_gets_machines_accelerators_and_retries(tmp_path):
    section = {"tasks": {"echo": {key: EVERYTHING[key] for key in ("cpu_limit", "accelerator", "retries")}}}
    made = task_platform.apply(compiled(bare, tmp_path), saying(vertex=section), target.VERTEX)
    container = made["deploymentSpec"]["executors"]["exec-echo"]["container"]
    assert (container["resources"]["cpuLimit"], container["resources"]["accelerator"]["count"]) == (2.0, "2")
    assert made["root"]["dag"]["tasks"]["echo"]["retryPolicy"]["maxRetryCount"] == 3
    assert "platforms" not in made


def test_an_image_of_the_lock_is_chosen_by_task(tmp_path):
    section = saying(kubernetes={"tasks": {"echo": {"image": "components-gpu"}}})
    made = task_platform.apply(compiled(two, tmp_path), section, target.KFP)
    assert package.logical_images(made) == {"components", "components-gpu"}
    locked = {name: f"r/{name}@sha256:{'0' * 64}" for name in ("components", "components-gpu", "serving")}
    bound = Images(locked=locked).bind(made)
    assert bound["deploymentSpec"]["executors"]["exec-echo"]["container"]["image"] == locked["components-gpu"]
    assert bound["deploymentSpec"]["executors"]["exec-echo-2"]["container"]["image"] == locked["components"]
    task_platform.require_applied(bound, section, target.KFP)


def test_a_package_compiled_without_the_settings_is_not_deployed_with_them(tmp_path):
    section = saying(kubernetes={"all": {"volumes": [{"pvc": "data", "path": "/mnt/ct"}]}})
    plain = compiled(two, tmp_path)
    task_platform.require_applied(plain, section, target.LOCAL)
    task_platform.require_applied(plain, saying(), target.KFP)
    task_platform.require_applied(task_platform.apply(plain, section, target.KFP), section, target.KFP)
    with pytest.raises(
        UsageError, match=r"without what pipelines/p/settings/test\.yaml says in its section kubernetes"
    ):
        task_platform.require_applied(plain, section, target.KFP)


def test_versions_that_differ_in_their_pods_differ(tmp_path):
    plain = compiled(two, tmp_path)
    mounted = task_platform.apply(
        plain, saying(kubernetes={"all": {"volumes": [{"pvc": "data", "path": "/mnt/ct"}]}}), target.KFP
    )
    on_service = {
        "pipeline_spec": package.pipeline_document(mounted),
        "platform_spec": {"platforms": mounted["platforms"]},
    }
    assert version.same(mounted, on_service)
    assert not version.same(plain, on_service)
    assert not version.same(mounted, package.pipeline_document(mounted))


def test_the_target_is_that_of_the_settings_sections():
    assert task_platform.compile_target(saying()) == target.LOCAL
    assert task_platform.compile_target(saying(kubernetes={})) == target.KFP
    assert task_platform.compile_target(saying(vertex={})) == target.VERTEX
    with pytest.raises(UsageError, match="--target"):
        task_platform.compile_target(saying(kubernetes={}, vertex={}))


def test_the_package_of_the_shipped_kind_settings_has_everything_of_its_pods():
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", "kind", {})
    made = version.for_target(workspace, chosen, task_platform.compile_target(chosen))
    check.check(made)
    for label in made["deploymentSpec"]["executors"]:
        pod = pods(made, label)
        assert [each["mountPath"] for each in pod["emptyDirMounts"]] == ["/dev/shm"]
        assert {each["secretName"] for each in pod["secretAsEnv"]} == {"object-store"}
        assert (pod["activeDeadlineSeconds"], pod["securityContext"]["runAsUser"]) == ("7200", "1000")
    train = made["deploymentSpec"]["executors"]["exec-train"]["container"]["resources"]
    assert (train["resourceMemoryLimit"], train["resourceMemoryRequest"]) == ("4Gi", "2Gi")
    assert made["root"]["dag"]["tasks"]["train"]["retryPolicy"]["maxRetryCount"] == 2


@pytest.mark.parametrize("name", ["batch_prediction-kind", "monitoring-kind"])
def test_what_belongs_to_training_in_kind_finds_its_store_and_nothing_of_this_machine(name):
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", name, {})
    made = version.for_target(workspace, chosen, task_platform.compile_target(chosen))
    check.check(made)
    training = settings.load(workspace, "flights", "kind", {})
    assert chosen.targets["kfp"] == training.targets["kfp"]
    assert chosen.targets["kubernetes"]["all"]["env"] == training.targets["kubernetes"]["all"]["env"]
    for label in made["deploymentSpec"]["executors"]:
        assert {each["secretName"] for each in pods(made, label)["secretAsEnv"]} == {"object-store"}
    places = [value for value in package.defaults(made).values() if isinstance(value, str) and "/" in value]
    assert [each for each in places if not each.startswith(("s3://", "http://", "pipelines/"))] == []
    assert any(each.startswith("s3://mlpipeline/ct/") for each in str(package.defaults(made)).split("'"))


@pytest.mark.parametrize(
    ("section", "given", "image"),
    [
        ("kubernetes", {"accelerator": {"type": "nvidia.com/gpu", "count": 2}}, "kfp-ct-components-gpu-python:local"),
        ("vertex", {"accelerator": {"type": "NVIDIA_TESLA_T4", "count": 1}}, "kfp-ct-components-gpu-python:local"),
        ("kubernetes", {"accelerator": {"type": "amd.com/gpu", "count": 1}}, "kfp-ct-components-library-python:local"),
        ("kubernetes", {"accelerator": {"type": "nvidia.com/gpu", "count": 1}, "image": "mine"},
         "kfp-ct-mine-python:local"),
    ],
    ids=["kubernetes", "vertex", "another maker's", "an image of one's own"],
)  # fmt: skip
def test_a_task_with_a_gpu_runs_in_the_image_with_cuda(section, given, image):
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", "kind", {})
    chosen = dataclasses.replace(chosen, targets={section: {"tasks": {"train": given}}})
    made = version.for_target(workspace, chosen, task_platform.compile_target(chosen))
    images = {label: each["container"]["image"] for label, each in made["deploymentSpec"]["executors"].items()}
    assert images.pop("exec-train") == image
    assert set(images.values()) == {"kfp-ct-components-library-python:local"}
    assert task_platform.apply(made, chosen, task_platform.compile_target(chosen)) == made, "a second time"


def test_every_component_of_ours_has_a_default_request():
    folders = sorted(path.parent.name for path in (find_workspace().root / "components").glob("*/component.py"))
    assert [name for name in folders if not default_requests.of(f"kfp_ct.components.{name}")] == []
    assert default_requests.of("mine.components.train") == {}
