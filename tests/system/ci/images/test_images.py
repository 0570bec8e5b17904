"""Images are built only if what they are made of changed, pushed before they are named, and named by digest."""

import contextlib
import http.server
import re
import shutil
import threading

import docker
import pytest

import container_engine
import repository_copy
import whole_build
from ct_command import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.ci.images import build, inputs, registry
from kfp_ct.package import bind
from repository import ROOT

DOCKERFILE = f"""
ARG BASE={container_engine.IMAGE}
# What both begin with.
FROM ${{BASE}} AS common
ENV A=b
FROM common AS one
COPY one one
LABEL org.opencontainers.image.title="one"
FROM common AS two
COPY two \\
     lock.txt /
COPY --from=one /one /one
LABEL org.opencontainers.image.title="two"
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        (root / name / "work.py").write_text(f"{name}\n")
    (root / "lock.txt").write_text("package==1\n")
    (root / "Dockerfile").write_text(DOCKERFILE)
    return root


def hashes(root, base="base@sha256:1"):
    return [inputs.content_hash(root, name, base) for name in ("one", "two")]


def test_an_images_content_is_its_stages_what_they_copy_and_its_base(project):
    assert inputs.targets(project) == ["one", "two"]
    one, two = hashes(project)
    assert hashes(project, "base@sha256:2") != [one, two]
    (project / "lock.txt").write_text("package==2\n")
    assert hashes(project)[0] == one
    assert hashes(project)[1] != two
    (project / "lock.txt").write_text("package==1\n")
    (project / "one" / "__pycache__").mkdir()
    (project / "one" / "__pycache__" / "work.pyc").write_text("made by running")
    (project / "README.md").write_text("copied by nobody")
    assert hashes(project) == [one, two]
    (project / "one" / "work.py").write_text("changed\n")
    assert hashes(project)[0] != one
    assert hashes(project)[1] != two, "two copies from one"


def test_a_comment_changes_no_image_and_an_instruction_does(project):
    before = hashes(project)
    (project / "Dockerfile").write_text(DOCKERFILE.replace("# What both begin with.", "# Another word."))
    assert hashes(project) == before
    (project / "Dockerfile").write_text(DOCKERFILE.replace("A=b", "A=c"))
    assert not set(hashes(project)) & set(before)


def test_what_is_not_there_is_said(project):
    with pytest.raises(UsageError, match=r"no stage three\nexpected: one of one, two"):
        inputs.content_hash(project, "three", "")
    shutil.rmtree(project / "one")
    with pytest.raises(UsageError, match="copies one, which is not there"):
        inputs.content_hash(project, "one", "")


def test_an_engine_is_given_no_more_stages_than_an_image_needs(project):
    assert inputs.dockerfile(project, "two", {}) == DOCKERFILE
    assert "two" not in inputs.dockerfile(project, "one", {})
    replaced = inputs.dockerfile(project, "two", {"one": "host/one@sha256:1"})
    assert "FROM host/one@sha256:1 AS one\nFROM ${BASE} AS common" in replaced
    assert "COPY one" not in replaced


def test_this_projects_own_images():
    assert sorted(inputs.targets(ROOT)) == ["author", "components", "components-library", "serving"]
    assert len({inputs.content_hash(ROOT, name, "x") for name in inputs.targets(ROOT)}) == 4


def test_the_images_set_is_that_of_this_machine_without_gpu_kernels():
    assert "packages components-image.txt" in inputs.dockerfile(ROOT, "components", {})
    current, image = locked("components-current"), locked("components-image")
    assert image == {**current, "tensorflow-cpu": current["tensorflow"]}
    lock = (ROOT / "requirements/components-image.txt").read_text()
    assert re.findall(r"^tensorflow(?:-cpu)?==.*;.*(?= )", lock, re.MULTILINE) == [
        f"tensorflow=={current['tensorflow']} ; platform_machine != 'x86_64'",
        f"tensorflow-cpu=={current['tensorflow']} ; platform_machine == 'x86_64'",
    ]


def locked(name: str) -> dict[str, str]:
    """Returns the releases of a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))


def test_the_image_for_gpus_is_built_when_it_is_named_of_the_same_sources_and_releases():
    assert "components-gpu" not in inputs.targets(ROOT)
    plan = inputs.dockerfile(ROOT, "components-gpu", {})
    copied = re.findall(r"^COPY (?!--from|requirements|infra)(.+)$", plan, re.MULTILINE)
    assert copied == re.findall(
        r"^COPY (?!--from|requirements|infra)(.+)$", inputs.dockerfile(ROOT, "components", {}), re.MULTILINE
    )
    assert "packages components-gpu.txt" in plan
    locks = [locked("components-current"), locked("components-gpu")]
    assert locks[0].items() <= locks[1].items(), "what else is there is the same release"
    assert {"nvidia-cudnn-cu12", "nvidia-cuda-runtime-cu12"} <= set(locks[1]) - set(locks[0])


def test_every_image_has_the_certificates_that_object_stores_are_opened_with():
    for name in ("author", "components", "components-gpu", "serving"):
        plan = inputs.dockerfile(ROOT, name, {})
        assert re.search(r"apt-get install --yes --no-install-recommends python3 ca-certificates", plan), name


@pytest.mark.parametrize(
    ("edited", "rebuilt"),
    [
        pytest.param("kfp_ct/endpoint/ui/ui.css", ["author"], id="the endpoint's UI"),
        pytest.param("kfp_ct/cli/main.py", ["author"], id="the command"),
        pytest.param(
            "kfp_ct/serving/app.py", ["author", "components", "components-library", "serving"], id="the service"
        ),
        pytest.param("components/train/work.py", ["author", "components", "components-library"], id="a component"),
        pytest.param(
            "kfp_ct/data/layouts.py", ["author", "components", "components-library"], id="what components share"
        ),
        pytest.param(
            "pipelines/flights/model.py", ["author", "components"], id="the user's code, which travels by itself"
        ),
        pytest.param("README.md", ["author"], id="the README"),
    ],
)
def test_an_edit_rebuilds_the_images_that_hold_it(tmp_path, edited, rebuilt):
    copy = repository_copy.make(tmp_path / "repository")
    names = inputs.targets(copy)
    before = {name: inputs.content_hash(copy, name, "base") for name in names}
    with (copy / edited).open("a") as file:
        file.write("\n")
    assert sorted(name for name in names if inputs.content_hash(copy, name, "base") != before[name]) == rebuilt


@pytest.mark.parametrize("text", ["app", "library/app:1", "https://host.example/app", ""])
def test_a_reference_must_name_its_registry(text):
    with pytest.raises(UsageError, match="names no registry"):
        registry.parse(text)


def test_a_registry_that_does_not_answer_or_refuses_is_one_message():
    with pytest.raises(registry.RegistryError, match="does not answer"):
        registry.digest("127.0.0.1:9/app:1")

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(registry.RegistryError, match="says 403 to 127"):
            registry.digest(f"127.0.0.1:{server.server_port}/app:1")
        server.shutdown()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with container_engine.engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


def forget(host, begin):
    """Takes the images of a registry from the engine."""
    with contextlib.closing(docker.DockerClient(host)) as client:
        for tag in [tag for image in client.images.list() for tag in image.tags if tag.startswith(begin)]:
            client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def store(host, tmp_path_factory):
    """Debian's own image registry on loopback."""
    with contextlib.ExitStack() as stack:
        try:
            name = stack.enter_context(whole_build.local_registry(tmp_path_factory.mktemp("registry")))
        except whole_build.CannotError as why:
            pytest.skip(str(why))
        yield name
        forget(host, f"{name}/")


def test_only_what_changed_is_built_again(store, host, project, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    lock = tmp_path / "images.lock"

    def make(commit):
        request = build.ImageRequest(project, store, commit, container_engine.IMAGE, "none")
        built = build.build(request, ["one", "two"], lambda _: None)
        build.write_lock(lock, built, build.base_image(container_engine.IMAGE))
        return built

    first = make("commit1")
    assert [each.reused for each in first.values()] == [False, False]
    assert bind.read_lock(lock) == {name: each.reference for name, each in first.items()}
    assert build.absent(bind.read_lock(lock).values()) == []
    assert [each.reused for each in make("commit2").values()] == [True, True]
    assert registry.digest(f"{store}/kfp-ct-one:commit2") == first["one"].reference.partition("@")[2]

    (project / "two" / "work.py").write_text("changed\n")
    third = make("commit3")
    assert [each.reused for each in third.values()] == [True, False]
    assert third["one"].reference == first["one"].reference
    assert third["two"].reference != first["two"].reference


def test_an_image_that_no_registry_has_is_found_out(store, tmp_path):
    lock = tmp_path / "images.lock"
    lock.write_text(f"images: {{components: '{store}/kfp-ct-components@sha256:{'0' * 64}'}}\n")
    done = ct(tmp_path, "images", "check", "--lock", str(lock))
    assert done.code == 3
    assert "1 of 1 images are in no registry" in done.err
    package = tmp_path / "package.yaml"
    compiled = ct(tmp_path, "compile", "flights", "--lock", str(lock), "--digests", "--output", str(package))
    assert compiled.code == 0, compiled.err
    assert ct(tmp_path, "images", "check", "--package", str(package)).code == 3


@pytest.mark.parametrize("text", ["", "images: {}", "images: {components: 'registry.example/app:latest'}", "images: ["])
def test_a_lock_without_digests_is_refused(tmp_path, text):
    lock = tmp_path / "images.lock"
    lock.write_text(text)
    assert ct(tmp_path, "images", "check", "--lock", str(lock)).code == 2


def test_a_build_that_fails_names_the_step(store, host, project, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    (project / "Dockerfile").write_text(DOCKERFILE.replace("COPY one one", "COPY one one\nRUN exit 3"))
    request = build.ImageRequest(project, store, "commit", container_engine.IMAGE, "none")
    with pytest.raises(build.ImageError, match=r"the image one cannot be built: .*non-zero code: 3"):
        build.build(request, ["one"], lambda _: None)


def layers(store, name, version):
    answer = registry.manifest("GET", registry.parse(f"{store}/kfp-ct-{name}:{version}"))
    return [each["digest"] for each in answer.json()["layers"]]


def test_packages_are_installed_once_and_their_layers_are_those_of_every_commit(store, host, project, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    text = DOCKERFILE.replace(
        "FROM common AS one\n", "FROM common AS one-env\nRUN cat /proc/uptime > /at\nFROM one-env AS one\n"
    )
    (project / "Dockerfile").write_text(text)

    def make(commit):
        said = []
        build.build(build.ImageRequest(project, store, commit, container_engine.IMAGE, "none"), ["one"], said.append)
        return said

    assert any("RUN cat" in each for each in make("first"))
    (project / "one" / "work.py").write_text("changed\n")
    forget(host, f"{store}/")  # as on another machine, which has no layer
    again = make("second")
    assert "one: its packages are in the registry" in again
    assert not any("RUN cat" in each for each in again)
    first, second = layers(store, "one", "first"), layers(store, "one", "second")
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]
