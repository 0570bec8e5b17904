"""Deploying through the official client to the real endpoint: what is asked, what is there then, what is refused."""

import json

import pytest

import local_endpoint
import recording_proxy
from ct_command import ct
from kfp_ct.base.errors import RunFailedError, RunTimeoutError, TargetError, UsageError
from kfp_ct.deploy import deploy, kfp_api, kfp_target, progress, target, version
from kfp_ct.package import package
from kfp_ct.package.bind import Images
from kfp_ct.project import settings
from kfp_ct.project import workspace as project
from local_endpoint import compiled, doubling, waiting

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
COMMIT, OTHER = "a" * 40, "b" * 40
API = "/apis/v2beta1"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with local_endpoint.running(home) as endpoint, recording_proxy.recording(endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def service(proxy):
    proxy.forget()
    return kfp_target.KfpTarget(kfp_api.connect(proxy.url), proxy.url)


def of(pipeline, tmp_path, name="doubling", commit=COMMIT, **parameters):
    made = package.load_package(compiled(pipeline, tmp_path / "package.yaml") and tmp_path / "package.yaml")
    made["pipelineInfo"]["name"] = name
    return version.of_package(made, settings.Settings("small", "test", "small.doubling", parameters), commit)


def put(service, wanted):
    return deploy.deploy(service, wanted, wanted.pipeline, lambda line: None)


def test_a_first_deployment_makes_a_pipeline_one_version_and_an_experiment(service, proxy, tmp_path):
    done = put(service, of(doubling, tmp_path, "first", number=2))
    assert (done.created_pipeline, done.created_version) == (True, True)
    assert proxy.writes() == [f"POST {API}/{path}" for path in ("pipelines", "pipelines/upload_version", "experiments")]
    upload = next(each for each in proxy.exchanges if each.path.endswith("upload_version"))
    assert (upload.query["name"], upload.query["pipelineid"]) == (COMMIT, done.pipeline_id)
    assert len(upload.query["description"]) < 4000
    versions = service.client.list_pipeline_versions(done.pipeline_id).pipeline_versions
    assert [each.display_name for each in versions] == [COMMIT]  # none is named as the pipeline
    account = version.read(versions[0].description)
    assert (account["commit"], account["settings"], account["parameters"]) == (COMMIT, "test", {"number": 2})


def test_deploying_again_changes_nothing(service, proxy, tmp_path):
    wanted = of(doubling, tmp_path, "again")
    first = put(service, wanted)
    proxy.forget()
    second = put(service, wanted)
    assert proxy.writes() == []
    assert (second.created_pipeline, second.created_version) == (False, False)
    assert second.version_id == first.version_id
    assert deploy.preview(service, wanted) == [f"nothing: again {COMMIT} is there already, unchanged"]


def test_the_next_commit_is_a_further_version(service, tmp_path):
    first = put(service, of(doubling, tmp_path, "further"))
    assert deploy.preview(service, of(doubling, tmp_path, "further", OTHER)) == [
        f"upload the version {OTHER} of further"
    ]
    second = put(service, of(doubling, tmp_path, "further", OTHER))
    assert second.pipeline_id == first.pipeline_id
    assert second.created_version
    assert service.latest(first.pipeline_id).display_name == OTHER


def test_other_content_under_a_commit_is_refused(service, proxy, tmp_path):
    put(service, of(doubling, tmp_path, "other"))
    proxy.forget()
    with pytest.raises(UsageError, match=f"has a version {COMMIT} of other content"):
        put(service, of(waiting, tmp_path, "other"))
    assert proxy.writes() == []


def test_a_version_that_a_person_uploaded_is_known_by_its_content(service, tmp_path):
    wanted = of(doubling, tmp_path, "by-hand")
    pipeline = service.create_pipeline(wanted)
    path = tmp_path / "uploaded.yaml"
    package.write_package(wanted.compiled, path)
    made = service.client.upload_pipeline_version(str(path), COMMIT, pipeline_id=pipeline)
    assert service.upload(wanted, pipeline) == (made.pipeline_version_id, False)


def test_two_at_once_make_one_pipeline_and_one_version(service, proxy, tmp_path):
    wanted = of(doubling, tmp_path, "race")
    other = kfp_target.KfpTarget(kfp_api.connect(proxy.url), proxy.url)
    begun = []

    def faster(exchange):
        if exchange.path.endswith(("/pipelines", "/upload_version")) and exchange.line not in begun:
            begun.append(exchange.line)
            other_pipeline = other.pipeline("race") or other.create_pipeline(wanted)
            if exchange.path.endswith("/upload_version"):
                other.upload(wanted, other_pipeline)

    proxy.before = faster
    try:
        done = put(service, wanted)
    finally:
        proxy.before = lambda exchange: None
    assert done.created_version is False
    assert len(service.client.list_pipeline_versions(done.pipeline_id).pipeline_versions) == 1


def test_a_release_that_says_500_for_what_is_there_is_understood(service, proxy, tmp_path):
    wanted = of(doubling, tmp_path, "older")
    pipeline = service.create_pipeline(wanted)
    said = json.dumps({"error_message": "Failed to create a pipeline version"}).encode()
    other = kfp_target.KfpTarget(kfp_api.connect(proxy.url), proxy.url)
    refusing = [True]

    def faster(exchange):
        if exchange.path.endswith("/upload_version") and refusing:
            refusing.clear()  # the other's own upload passes
            other.upload(wanted, pipeline)
            return 500, said
        return None

    proxy.before = faster
    try:
        assert service.upload(wanted, pipeline)[1] is False
        proxy.before = lambda exchange: (500, said) if exchange.path.endswith("/upload_version") else None
        with pytest.raises(TargetError, match="500 Failed to create a pipeline version"):
            service.upload(of(doubling, tmp_path, "older", OTHER), pipeline)
    finally:
        proxy.before = lambda exchange: None


def test_a_run_has_the_settings_and_ends_well(service, tmp_path):
    wanted = of(doubling, tmp_path, "runs", number=21)
    done = put(service, wanted)
    lines = []
    deploy.start(service, wanted, done, lines.append, progress.Waiting(300, 0.5))
    assert done.run_state == "SUCCEEDED"
    assert "run: SUCCEEDED" in lines
    assert any(line.startswith("double") and line.endswith("SUCCEEDED") for line in lines)
    assert service.client.get_run(done.run_id).runtime_config.parameters["number"] == 21


def test_a_run_that_fails_is_a_failure_and_one_that_lasts_goes_on(service, tmp_path):
    (tmp_path / "fail").touch()
    wanted = of(waiting, tmp_path, "fails", folder=str(tmp_path))
    done = put(service, wanted)
    with pytest.raises(RunTimeoutError, match="it goes on"):
        deploy.start(service, wanted, done, lambda line: None, progress.Waiting(0, 0.1))
    (tmp_path / "go").touch()
    with pytest.raises(RunFailedError, match="touch-and-wait") as failed:
        progress.follow(service, done.run_id, lambda line: None, progress.Waiting(300, 0.5))
    assert "RuntimeError: asked to fail" in str(failed.value)  # of the task's log
    assert service.log(done.run_id, "no-such-task") == ""


class Answering:
    """A service that answers with views and errors, one after another; the last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def look(self, run_id):
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


def test_errors_that_pass_are_waited_over_and_lasting_ones_are_not():
    at_once = progress.Waiting(sleep=lambda seconds: None)
    views = [TargetError("502 bad gateway"), progress.RunView("RUNNING", {}), progress.RunView("SUCCEEDED", {})]
    lines = []
    assert progress.follow(Answering(*views), "run", lines.append, at_once).state == "SUCCEEDED"
    assert lines == ["waiting: 502 bad gateway", "the service is back", "run: RUNNING", "run: SUCCEEDED"]
    with pytest.raises(TargetError, match="gone"):
        progress.follow(Answering(TargetError("gone")), "run", lines.append, at_once)


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SKIPPED"])
def test_every_other_end_is_a_failure(state):
    with pytest.raises(RunFailedError, match=state):
        progress.follow(Answering(progress.RunView(state, {})), "run", lambda line: None)


def test_nothing_there_to_deploy_to_is_said():
    with pytest.raises(TargetError, match="nothing answers at http"):
        kfp_target.KfpTarget(kfp_api.connect("http://127.0.0.1:9"), "http://127.0.0.1:9").pipeline("any")


@pytest.mark.parametrize(
    ("auth", "variable", "header"),
    [
        pytest.param("token", "CT_TOKEN", ("authorization", "Bearer secret"), id="token"),
        pytest.param("dex", "CT_COOKIE", ("cookie", "secret"), id="cookie"),
        pytest.param("in-cluster", "KF_PIPELINES_SA_TOKEN_PATH", ("authorization", "Bearer secret"), id="in-cluster"),
    ],
)
def test_credentials_are_sent(proxy, tmp_path, monkeypatch, auth, variable, header):
    (tmp_path / "token").write_text("secret")
    monkeypatch.setenv(variable, str(tmp_path / "token") if auth == "in-cluster" else "secret")
    proxy.forget()
    kfp_target.KfpTarget(kfp_api.connect(proxy.url, auth), proxy.url).pipeline("any")
    sent = {name.lower(): value for name, value in proxy.exchanges[-1].headers.items()}
    assert sent[header[0]] == header[1]


@pytest.mark.parametrize("auth", ["token", "dex", "iap"])
def test_credentials_that_are_not_there_are_missed(auth, monkeypatch):
    for variable in ("CT_TOKEN", "CT_COOKIE", "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match="which is not set"):
        kfp_api.connect("http://127.0.0.1:9", auth)


def test_files_of_no_commit_are_named_by_their_content(tmp_path):
    dirty = of(doubling, tmp_path, commit=f"{COMMIT}-dirty")
    assert dirty.name == f"dirty-{dirty.content[:12]}"
    assert "files that differ from commit" in dirty.description
    assert dirty.name != of(waiting, tmp_path, "doubling", f"{COMMIT}-dirty").name
    with pytest.raises(UsageError, match="expected: a commit's hash"):
        of(doubling, tmp_path, commit="v1.0")


def test_settings_too_long_for_an_address_stay_in_the_package(tmp_path):
    for note in ("x" * 5000, "é" * 1000):
        assert "parameters" not in version.read(of(doubling, tmp_path, note=note).description)
    assert "parameters" in version.read(of(doubling, tmp_path, note="x" * 4000).description)


def test_images_that_no_cluster_can_pull_are_refused():
    workspace = project.find_workspace()
    chosen = settings.load(workspace, "flights", "dev", {})
    with pytest.raises(UsageError, match="the image components: it is not bound"):
        version.prepare(workspace, chosen, target.KFP)
    image = "registry/components@sha256:" + "0" * 64
    bound = version.prepare(workspace, chosen, target.KFP, images=Images({"components": image}), commit=COMMIT)
    assert package.images(bound.compiled) == [image]
    ingest = bound.compiled["root"]["dag"]["tasks"]["ingest"]
    # A step that always runs takes a fingerprint of what it reads.
    assert ingest["cachingOptions"] == {"enableCache": True}
    assert bound.compiled["root"]["dag"]["tasks"]["resolve-sources"]["cachingOptions"] == {}
    assert bound.compiled["root"]["dag"]["tasks"]["train"]["cachingOptions"] == {"enableCache": True}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        pytest.param({"vertex": {"project": "p"}}, "vertex.bucket is missing: expected gs://BUCKET", id="missing"),
        pytest.param({"kfp": {"hots": "x"}}, "kfp.hots is not a setting: did you mean host", id="unknown"),
        pytest.param({"kfp": {"auth": "magic"}}, 'kfp.auth is "magic": expected one of none, token', id="bad"),
    ],
)
def test_sections_of_settings_are_checked(section, said):
    chosen = settings.Settings("small", "test", "small.doubling", {}, section)
    with pytest.raises(UsageError, match=said):
        target.section(chosen, next(iter(section)))


def test_the_command_deploys_flights_twice(proxy, tmp_path):
    options = ("deploy", "flights", "--host", proxy.url, "--json", "--commit", COMMIT)
    first, second = ct(tmp_path, *options), ct(tmp_path, *options)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.record["created_version"]
    assert not second.record["created_version"]
    assert json.loads(second.out)["version"] == COMMIT
    assert json.loads(ct(tmp_path, *options, "--dry-run").out) == [
        f"nothing: flights-training {COMMIT} is there already, unchanged", "leave the schedule weekly: as it should be",
    ]  # fmt: skip
    next_one = ct(tmp_path, "deploy", "flights", "--host", proxy.url, "--commit", OTHER, "--dry-run")
    assert next_one.out.splitlines() == [
        f"upload the version {OTHER} of flights-training", "bring the schedule weekly to that version",
    ]  # fmt: skip
    assert ct(tmp_path, "deploy", "flights", "--target", "kfp").code == 2
    assert ct(tmp_path, "deploy", "flights", "--host", "http://127.0.0.1:9").code == 7
    assert "the target is none" in ct(tmp_path, "deploy", "flights", "--target", "none").out
