"""One commit on its way by the shipped triggers and builds: pull request, merge, approval, tag, approval.

Three endpoints stand for test, pre-production and production. Of cloudbuild.yaml the steps that take an engine are left
out and the checks are a script; compiling, provenance, delivery, deployment and all of infra/promote.yaml are as
shipped.
"""

import contextlib
import os
import re
import subprocess
import sys

import pytest
import yaml

import answering_model
import cloud_storage
from cli_runner import ct
from ct_command import command_line
from kfp_ct.ci.delivery import stages
from kfp_ct.deploy import kfp_api, kfp_target, version
from local_endpoint import Endpoint
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
STAGES = ("test", "preprod", "prod")
_NEEDS_ENGINE = ("author", "images", "verify", "sbom", "scan", "attach")
PIPELINE = """
from kfp import dsl


@dsl.component(base_image="kfp-ct-components-python:local", install_kfp_package=False)
def double(number: int) -> int:
    return number * 2


@dsl.pipeline(name="doubling")
def doubling(number: int) -> int:
    return double(number=number).output
"""


class Chain:
    """A repository with the shipped triggers, its remote on this machine, and where it delivers."""

    def __init__(self, folder, bucket, hosts):
        self.root, self.home, self.bucket = folder / "project", folder / "home", f"gs://{bucket.name}/pipelines"
        for each in ("pipelines/small/settings", "infra/triggers", "components"):
            (self.root / each).mkdir(parents=True)
        (self.root / "components/.keep").touch()
        (self.root / "pipelines/__init__.py").touch()
        (self.root / "pipelines/doubling.py").write_text(PIPELINE)
        for number, stage in enumerate(STAGES):
            settings = {"pipeline": "pipelines.doubling", "parameters": {"number": number}}
            self.write(f"pipelines/small/settings/{stage}.yaml", yaml.safe_dump(settings))
        digest = f"sha256:{'0' * 64}"
        lock = {"images": {"components": f"x.example/c@{digest}"}, "base": {"reference": "debian", "digest": digest}}
        self.write("images.lock", yaml.safe_dump(lock))
        self.builds()
        self.triggers(hosts)
        self.write("pipelines/small/requests.jsonl", '{"number": 1}\n')
        self.write("test.sh", "true")
        self.git("init", "--quiet", "--initial-branch", "main")
        environment = {**os.environ, "CT_HOME": str(self.home)}
        given = f"_PROJECT=small,_TARGET=local,_DELIVERED={self.bucket},_AUTHOR=author,_PYTHON=python"
        command = command_line("trigger", "git", "install", "--no-containers", "--substitutions", given)
        subprocess.run(command, cwd=self.root, env=environment, check=True, capture_output=True)

    def builds(self):
        tree = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
        kept = [step for step in tree["steps"] if step["id"] not in _NEEDS_ENGINE]
        for step in kept:
            step["waitFor"] = [name for name in step.get("waitFor", []) if name not in _NEEDS_ENGINE] or ["-"]
            _as_script(step)
            if step["id"] == "provenance":
                step["waitFor"] = ["compile"]
                cut = step["args"].index("--evidence")
                step["args"] = [*step["args"][:cut], *step["args"][cut + 4 :]]
            if step["id"] == "deliver":
                step["waitFor"] = ["sign", *step["waitFor"]]
                step["args"] = [each for each in step["args"] if each not in ("sbom", "scan.json")]
        used = ("_REGISTRY", "_REGION", "_NETWORK", "_ADVISORIES", "_COSIGN_KEY")
        tree["substitutions"] = {name: value for name, value in tree["substitutions"].items() if name not in used}
        tree["steps"] = kept
        self.write("cloudbuild.yaml", yaml.safe_dump(tree, sort_keys=False))
        checks = yaml.safe_load((ROOT / "infra/checks.yaml").read_text())
        for step in checks["steps"]:
            _as_script(step)
        self.write("infra/checks.yaml", yaml.safe_dump(checks, sort_keys=False))
        self.write("infra/promote.yaml", (ROOT / "infra/promote.yaml").read_text())

    def triggers(self, hosts):
        for file in (ROOT / "infra/triggers").glob("*.yaml"):
            tree = yaml.safe_load(file.read_text())
            if stage := tree.get("substitutions", {}).get("_STAGE"):
                tree["substitutions"] |= {"_SETTINGS": stage, "_HOST": hosts[stage]}
            self.write(f"infra/triggers/{file.name}", yaml.safe_dump(tree))

    def write(self, name, text):
        (self.root / name).write_text(text)

    def git(self, *arguments):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True)

    def push(self, ref, message=""):
        if message:
            self.git("add", ".")
            self.git("commit", "--quiet", "--message", message)
        return self.git("push", "ct", f"HEAD:{ref}").stderr

    def approve(self, said, trigger):
        build = re.search(rf"{trigger}: waits for a person's approval: ct trigger approve (\S+)", said)[1]
        return ct(self.home, "trigger", "approve", build, "--by", "reviewer", "--why", "looked at it", cwd=self.root)

    def promote(self, stage, after, served):
        """Runs infra/promote.yaml as the trigger of a stage does, beside a model that serves there."""
        given = f"_PROJECT=small,_TARGET=local,_DELIVERED={self.bucket},_AUTHOR=author,_LOAD_SECONDS=0.5"
        given += f",_SETTINGS={stage},_AFTER={after},_STAGE={stage},_HOST={self.hosts[stage]},_SERVED={served}"
        commit = ("--commit", self.delivered[-40:])
        where = ("--config", "infra/promote.yaml", "--no-containers")
        return ct(self.home, "build", *where, *commit, "--substitutions", given, cwd=self.root)

    @property
    def delivered(self):
        return f"{self.bucket}/small/{self.git('rev-parse', 'HEAD').stdout.strip()}"


def _as_script(step):
    if step["id"] in ("check", "test", "run"):
        step |= {"entrypoint": "sh", "args": ["test.sh" if step["id"] == "test" else "-c", "true"]}


def deployed(url):
    """Content hashes and settings of the versions at an endpoint, and the states of its runs."""
    service = kfp_target.KfpTarget(kfp_api.connect(url), url)
    pipeline = service.pipeline("small-doubling")
    if pipeline is None:
        return [], []
    found = service.client.list_pipeline_versions(pipeline, page_size=50).pipeline_versions
    accounts = [version.read(each.description) for each in found]
    runs = service.client.list_runs(page_size=50).runs or []
    return [(each["content"], each["settings"]) for each in accounts], [each.state for each in runs]


@pytest.fixture
def chain(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ct").write_text(f'#!/bin/sh\nexec {sys.executable} -m kfp_ct.cli.main "$@"\n')
    (tools / "ct").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
    with contextlib.ExitStack() as stack:
        bucket = stack.enter_context(cloud_storage.running("delivered"))
        made = [Endpoint(tmp_path / stage) for stage in STAGES]
        for each in made:
            each.home.mkdir()
            stack.callback(each.stop)
            each.start()
        hosts = {stage: each.url for stage, each in zip(STAGES, made, strict=True)}
        built = Chain(tmp_path, bucket, hosts)
        built.hosts = hosts
        yield built


def test_one_commit_goes_all_the_way_as_one_package_and_red_stops_it(chain, tmp_path):
    # A pull request is checked, and that is all. (Its base has to be there.)
    chain.git("commit", "--quiet", "--allow-empty", "--message", "nothing")
    chain.push("main")
    chain.write("test.sh", "echo assertion 1 == 2; exit 1")
    said = chain.push("refs/for/main/topic", "red")
    assert "kfp-ct-pull-request: FAILURE, a pull request delivers nothing" in said
    assert "kfp-ct-main" not in said

    # Merged all the same, it delivers nothing, and nobody can approve it further.
    said = chain.push("main")
    assert "kfp-ct-main: FAILURE, nothing is delivered" in said
    refused = chain.approve(said, "kfp-ct-preproduction")
    assert refused.code == 4
    assert "nothing was delivered of" in refused.out

    # Green: a pull request, main to test with a run, and on by approval and tag.
    chain.write("test.sh", "true")
    said = chain.push("refs/for/main/topic", "green")
    assert "kfp-ct-pull-request: SUCCESS, a pull request delivers nothing" in said
    assert all(deployed(url) == ([], []) for url in chain.hosts.values())
    said = chain.push("main")
    assert "kfp-ct-main: SUCCESS, delivered" in said
    assert [len(deployed(chain.hosts[stage])[0]) for stage in STAGES] == [1, 0, 0]

    # What serves in pre-production does not bear its load: it was deployed and has run, and has not passed.
    with answering_model.serving(lambda number, asked: (500, [], 0.0)) as (served, _):
        red = chain.promote("preprod", "test", served)
    assert (red.code, "10 of 10 requests failed" in red.out) == (4, True), red.out
    assert [len(deployed(chain.hosts[stage])[0]) for stage in STAGES] == [1, 1, 0]
    assert stages._read(f"{chain.delivered}/stages/preprod.json") is None

    tagged = chain.push("refs/tags/v1.0.0")
    early = chain.approve(tagged, "kfp-ct-release")
    assert (early.code, "was not deployed to preprod" in early.out) == (4, True)
    assert chain.approve(said, "kfp-ct-preproduction").code == 0
    assert chain.approve(chain.push("refs/tags/v1.0.1"), "kfp-ct-release").code == 0

    found = [deployed(chain.hosts[stage]) for stage in STAGES]
    assert [versions[0][1] for versions, _ in found] == list(STAGES)
    assert [runs for _, runs in found] == [["SUCCEEDED"], ["SUCCEEDED"] * 2, ["SUCCEEDED"]]
    assert len({content for versions, _ in found for content, _ in versions}) == 1, "one package, never built again"
    passed = [stages._read(f"{chain.delivered}/stages/{stage}.json") for stage in STAGES]
    assert len({each.package for each in passed}) == 1
    assert stages.fetch(chain.delivered, tmp_path / "fetched", chain.delivered[-40:], "prod") == passed[0].package
