"""Other people's components in a pipeline: what compiles, and what runs on this machine."""

import pytest
from kfp import compiler, dsl

from kfp_ct.base import image
from kfp_ct.base.errors import PackageError, UsageError
from kfp_ct.local import run
from kfp_ct.package import check, package, processes


@dsl.component(base_image="python:3.12")
def plain() -> str:
    return "as kfp makes it, which installs kfp first"


@dsl.component(base_image="python:3.12", packages_to_install=["pandas==2.3", "scikit_learn"])
def installing() -> str:
    return ""


@dsl.container_component
def container():
    return dsl.ContainerSpec(image="debian:trixie", command=["true"])


@dsl.component(base_image=image.COMPONENTS, packages_to_install=["pandas"])
def in_our_image() -> str:
    return ""


@pytest.fixture
def compiled(tmp_path):
    def run(*steps):
        @dsl.pipeline(name="mixed")
        def mixed():
            for step in steps:
                step()

        compiler.Compiler().compile(mixed, str(tmp_path / "p.yaml"))
        return package.load_package(tmp_path / "p.yaml")

    return run


def test_anyones_components_compile_and_are_checked(compiled):
    assert check.check(compiled(plain, installing, container)) == 3


def test_an_image_of_ours_holds_what_its_tasks_import(compiled):
    made = compiled(in_our_image)
    with pytest.raises(PackageError, match="in-our-image: installs packages when it starts"):
        check.check(made)
    bound = package.bind_images(made, {"components": f"host.example/x/kfp-ct-components@sha256:{'0' * 64}"})
    with pytest.raises(PackageError, match="installs packages when it starts"):
        check.check(bound, digests=True)


def test_kfp_is_not_installed_where_it_is(compiled):
    fitted = processes.fitted(compiled(plain))
    (executor,) = fitted["deploymentSpec"]["executors"].values()
    assert "pip install" not in str(executor["container"]["command"])
    assert list(processes.problems(fitted)) == []


def test_what_needs_an_image_is_named(compiled):
    assert list(processes.problems(processes.fitted(compiled(plain, installing, container)))) == [
        "exec-container is a container component: tasks run as processes here, without an image",
    ]


def test_what_a_task_installs_is_read_and_left_out(compiled):
    (installed,) = processes.installations(processes.fitted(compiled(plain, installing)))
    assert installed[0] == ("pandas==2.3", "scikit_learn")
    assert processes.names(installed) == ["kfp", "pandas", "scikit-learn", "typing-extensions"]
    executors = compiled(installing)["deploymentSpec"]["executors"]
    command = executors["exec-installing"]["container"]["command"]
    assert processes.without_installation(command)[:2] == ["sh", "-ec"]


def test_options_of_an_index_are_kept():
    options = "--quiet --index-url https://a.example/simple --trusted-host a.example"
    script = f"X=1 python3 -m pip install {options} 'x==1' && \"$0\""
    installed = processes.installation(["sh", "-c", script, "sh", "-ec"])
    assert installed == (("--index-url", "https://a.example/simple", "--trusted-host", "a.example", "x==1"),)
    assert processes.names(installed) == ["x"]


@pytest.mark.parametrize(
    ("named", "fix"), [("argostub/createpvc", "fix: deploy the pipeline"), ("debian:trixie", "--containers` runs")]
)
def test_a_container_engine_is_no_way_out_where_only_a_cluster_is(named, fix):
    executors = {"exec-step": {"container": {"image": named, "command": ["true"]}}}
    with pytest.raises(UsageError) as refused:
        run.runnable({"deploymentSpec": {"executors": executors}})
    assert fix in str(refused.value).splitlines()[-1]
