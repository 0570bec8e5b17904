"""A push to the local remote runs the builds its triggers are for, and shows the pusher how they end."""

import json
import os
import re
import subprocess
import threading

import pytest

from cli_runner import ct
from ct_command import command_line
from kfp_ct.ci.cloudbuild.problems import InvalidBuildError
from kfp_ct.ci.git.definition import parse
from repository import ROOT

MAIN, BRANCH, TAG = "refs/heads/main", "refs/heads/feature/x", "refs/tags/v1.2.3"


def trigger(push="{branch: ^main$}", more=""):
    return parse(f"name: t\ngithub: {{owner: o, name: r, push: {push}}}\nfilename: cloudbuild.yaml\n{more}", "t.yaml")


@pytest.mark.parametrize(
    ("push", "started"),
    [
        ("{branch: ^main$}", [True, False, False]),
        ("{branch: ^main$, invertRegex: true}", [False, True, False]),
        ("{branch: .*}", [True, True, False]),
        (r"{tag: '^v\d+\.\d+\.\d+$'}", [False, False, True]),
    ],
)
def test_a_trigger_is_for_the_refs_it_names(push, started):
    assert [trigger(push).matches(ref, []) for ref in (MAIN, BRANCH, TAG)] == started


@pytest.mark.parametrize(
    ("files", "changed", "started"),
    [
        ("includedFiles: ['components/**']", ["components/train/work.py"], True),
        ("includedFiles: ['components/*']", ["components/train/work.py"], False),
        ("includedFiles: ['components/**']", ["README.md"], False),
        ("includedFiles: ['**/*.py']", ["setup.py"], True),
        ("ignoredFiles: ['docs/**', '*.md']", ["docs/decisions.md", "README.md"], False),
        ("ignoredFiles: ['docs/**', '*.md']", ["README.md", "setup.py"], True),
        ("ignoredFiles: ['*.md']\nincludedFiles: ['**']", ["README.md"], False),
        ("ignoredFiles: ['docs/**']", [], True),
        ("disabled: true", ["setup.py"], False),
    ],
)
def test_a_trigger_is_for_the_files_it_names(files, changed, started):
    assert trigger(more=files).matches(MAIN, changed) is started


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: t\ngithub: {push: {brunch: x}}\n", "no field brunch in github.push"),
        ("github: {push: {branch: x}}\n", "the trigger has no name"),
        ("name: t\ngithub: {push: {branch: '('}}\n", "no regular expression"),
        ("name: t\nbuild: {steps: [{name: a}]}\n", "an inline build is not run here"),
    ],
)
def test_what_gcloud_would_not_import_is_refused(text, message):
    with pytest.raises(InvalidBuildError, match=message):
        parse(text, "t.yaml")


def test_this_projects_triggers(tmp_path):
    files = sorted(str(path) for path in (ROOT / "infra/triggers").glob("*.yaml"))
    done = ct(tmp_path, "trigger", "check", *files, "--ref", MAIN)
    assert done.code == 0
    starting = {line.split(": ")[1].split()[0] for line in done.out.splitlines() if f", starts for {MAIN}" in line}
    assert starting == {"kfp-ct-main", "kfp-ct-preproduction"}
    assert len(done.out.splitlines()) == len(files) == 4


CONFIG = """
steps:
- {id: test, name: debian, args: [sh, test.sh]}
- {id: deliver, name: debian, args: [sh, -c, 'echo "$COMMIT_SHA $BRANCH_NAME $TRIGGER_NAME $_TO" >> DELIVERED']}
substitutions: {_TO: nowhere}
"""
TRIGGER = "name: {}\ngithub: {{owner: o, name: r, push: {}}}\nsubstitutions: {{_TO: {}}}\nignoredFiles: ['*.md']\n"


class Repository:
    """A project with triggers, pushed to the remote that `ct trigger git install` makes."""

    def __init__(self, path):
        self.root, self.home, self.delivered = path / "project", path / "home", path / "delivered"
        for folder in ("pipelines/small/settings", "infra/triggers"):
            (self.root / folder).mkdir(parents=True)
            (self.root / folder / ".keep").touch()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.write("cloudbuild.yaml", CONFIG.replace("DELIVERED", str(self.delivered)))
        self.write("infra/triggers/main.yaml", TRIGGER.format("on-main", "{branch: ^main$}", "production"))
        self.write("test.sh", "true")
        environment = {**os.environ, "CT_HOME": str(self.home)}
        command = command_line("trigger", "git", "install", "--no-containers")
        for _ in range(2):
            self.installed = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
            assert self.installed.returncode == 0, self.installed.stderr

    def write(self, name, text):
        (self.root / name).write_text(text)

    def git(self, *arguments, check=True):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, cwd=self.root, check=check, capture_output=True, text=True)

    def push(self, message, ref="main"):
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("push", "ct", f"HEAD:{ref}").stderr

    @property
    def head(self):
        return self.git("rev-parse", "HEAD").stdout.strip()

    @property
    def deliveries(self):
        return self.delivered.read_text().splitlines() if self.delivered.exists() else []


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def test_a_push_with_a_failing_test_delivers_nothing_and_one_with_the_fix_does(repository):
    repository.write("test.sh", "echo assertion 1 == 2; exit 1")
    said = repository.push("a failing test")
    assert "remote: ct: on-main: building" in said
    assert "test: exit code 1" in said
    assert "│ assertion 1 == 2" in said
    assert "on-main: FAILURE, nothing is delivered" in said
    assert repository.deliveries == []

    repository.write("test.sh", "true")
    said = repository.push("the fix")
    assert "on-main: SUCCESS, delivered" in said
    assert repository.deliveries == [f"{repository.head} main on-main production"]
    listed = ct(repository.home, "builds").out
    assert "push to main (on-main)" in " ".join(listed.split())


def test_a_typo_in_a_substitution_is_refused_before_any_step(repository):
    repository.write("cloudbuild.yaml", CONFIG.replace("$_TO", "$_TOO"))
    said = repository.push("a typo")
    assert "$_TOO" in said
    assert "nothing was run, nothing is delivered" in said
    assert repository.deliveries == []


def test_pushes_that_no_trigger_is_for_build_nothing(repository):
    assert "none of 1 triggers is for this push" in repository.push("a branch", "feature")
    repository.push("to begin with")
    repository.write("README.md", "words")
    assert "none of 1 triggers is for this push" in repository.push("only words")
    assert len(repository.deliveries) == 1


def test_a_release_waits_for_a_person(repository):
    text = TRIGGER.format("release", r"{tag: ^v\d}", "x") + "approvalConfig: {approvalRequired: true}\n"
    repository.write("infra/triggers/release.yaml", text)
    repository.push("a release")
    ids = []
    for tag in ("v1", "v2"):
        said = repository.git("push", "ct", f"HEAD:refs/tags/{tag}").stderr
        ids.append(re.search(r"waits for a person's approval: ct trigger approve (\S+)", said)[1])
    before = len(repository.deliveries)
    home, root = repository.home, repository.root
    assert ct(home, "trigger", "reject", ids[0], "--by", "one", "--why", "not now", cwd=root).code == 0
    assert ct(home, "trigger", "approve", ids[1], "--by", "two", cwd=root).code == 0
    assert repository.deliveries[before:] == [f"{repository.head}  release x"]
    listed = {each["id"]: each for each in json.loads(ct(home, "builds", "--json", cwd=root).out)}
    assert [listed[each]["status"] for each in ids] == ["CANCELLED", "SUCCESS"]
    assert [listed[each]["approval"]["by"] for each in ids] == ["one", "two"]
    again = ct(home, "trigger", "approve", ids[0], cwd=root)
    assert (again.code, "is CANCELLED, rejected by one" in again.err) == (2, True)
    assert len(repository.deliveries) == before + 1


def test_a_pull_request_runs_what_is_for_its_base(repository):
    text = TRIGGER.format("checks", "{}", "x").replace("push: {}", "pullRequest: {branch: ^main$}")
    repository.write(
        "infra/triggers/checks.yaml", text.replace("substitutions", "filename: checks.yaml\nsubstitutions")
    )
    step = f"[sh, -c, 'echo $_BASE_BRANCH $_HEAD_BRANCH $BRANCH_NAME > {repository.delivered}.checks']"
    repository.write("checks.yaml", f"steps: [{{name: debian, args: {step}}}]\nsubstitutions: {{_TO: x}}\n")
    assert "a branch that is not here" in repository.push("too early", "refs/for/main/topic")
    repository.push("the base")
    delivered = repository.deliveries
    repository.write("test.sh", "true #")
    said = repository.push("a change", "refs/for/main/topic")
    assert "checks: SUCCESS, a pull request delivers nothing" in said
    assert (repository.root.parent / "delivered.checks").read_text() == "main topic topic\n"
    assert repository.deliveries == delivered
    repository.write("README.md", "words")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.write("README.md", "words")
    assert "none of 2 triggers" in repository.push("only words", "refs/for/main/words")


def test_what_this_machine_says_at_installation_reaches_every_build(repository):
    script = "cat keys/ca.crt; echo $$SERVER; echo $_TO"
    step = f"{{id: test, name: debian, args: [sh, -c, '({script}) > {repository.delivered}']}}"
    repository.write("cloudbuild.yaml", f"steps: [{step}]\nsubstitutions: {{_TO: nowhere}}\n")
    (repository.root.parent / "ca.crt").write_text("certificate\n")
    options = ["--no-containers", "--env", "SERVER=here", "--substitutions", "_TO=there"]
    options += ["--input", f"keys/ca.crt={repository.root.parent / 'ca.crt'}"]
    environment = {**os.environ, "CT_HOME": str(repository.home)}
    command = command_line("trigger", "git", "install", *options)
    assert subprocess.run(command, cwd=repository.root, env=environment).returncode == 0
    assert "SUCCESS" in repository.push("built with what is here")
    assert repository.deliveries == ["certificate", "here", "there"]


def test_one_build_at_a_time_and_the_newest_wins(repository):
    started, go = repository.root.parent / "started", repository.root.parent / "go"
    wait = f"echo >> {started}; for i in $(seq 600); do [ -e {go} ] && exit 0; sleep 0.1; done; exit 1"
    repository.write("test.sh", wait)
    heads, threads, outputs = [], [], {}
    for number in range(3):
        repository.git("add", ".")
        repository.git("commit", "--quiet", "--allow-empty", "--message", f"push {number}")
        heads.append(repository.head)

        def push(commit=heads[-1], number=number):
            outputs[number] = repository.git("push", "ct", f"{commit}:refs/heads/main").stderr

        threads.append(threading.Thread(target=push))
        threads[-1].start()

        def waits(commit=heads[-1]):
            newest = next(repository.home.rglob("refs_heads_main.newest"), None)
            return newest and newest.read_text() == commit and started.exists()

        for _ in range(600):
            if waits():
                break
            threading.Event().wait(0.1)
        assert waits(), f"push {number} neither began nor waits"
    assert started.read_text() == "\n", "one at a time"
    go.touch()
    for thread in threads:
        thread.join(60)
    assert "was overtaken by" in outputs[1]
    assert [line.split()[0] for line in repository.deliveries] == [heads[0], heads[2]]


def test_a_remote_of_another_place_is_left_alone(repository):
    repository.git("remote", "set-url", "ct", "https://host.example/other.git")
    environment = {**os.environ, "CT_HOME": str(repository.home)}
    command = command_line("trigger", "git", "install")
    done = subprocess.run(command, cwd=repository.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the remote ct is https://host.example/other.git" in done.stderr
