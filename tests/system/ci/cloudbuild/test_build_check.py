"""`ct build --check`: what Cloud Build refuses is refused here, by line, and what it takes is taken."""

import json

import pytest

from ct_command import ct
from kfp_ct.ci.cloudbuild import config

STEP = "steps:\n- name: debian\n"


def errors(text):
    return [(problem.line, problem.message) for problem in config.examine(text)[1] if problem.fatal]


def notes(text):
    return [(problem.line, problem.message) for problem in config.examine(text)[1] if not problem.fatal]


WHOLE = """
steps:
- id: deps
  name: 'python:3.12'
  entrypoint: pip
  args: ['install', '-r', 'requirements.txt', '--user']
  dir: app
  timeout: 300s
- name: 'gcr.io/cloud-builders/docker'
  id: build
  args: [build, -t, '${_REGION}-docker.pkg.dev/$PROJECT_ID/apps/app:$SHORT_SHA', '.']
  wait_for: ['-']
  env: ['DOCKER_BUILDKIT=1', 'A=$${HOME}']
  secretEnv: [TOKEN]
  volumes: [{name: cache, path: /cache}]
- name: gcr.io/google.com/cloudsdktool/cloud-sdk:slim
  waitFor: [deps, build]
  script: |
    #!/usr/bin/env bash
    echo "$ANY_VARIABLE ${_EVEN_THIS}"
  volumes: [{name: cache, path: /cache}]
  allow_failure: true
  allowExitCodes: [1, '2']
  automapSubstitutions: true
availableSecrets:
  secretManager:
  - versionName: projects/$PROJECT_ID/secrets/token/versions/latest
    env: TOKEN
images: ['${_REGION}-docker.pkg.dev/$PROJECT_ID/apps/app:$SHORT_SHA']
artifacts: {objects: {location: 'gs://bucket/$COMMIT_SHA', paths: ['dist/*']}}
substitutions: {_REGION: europe-west1}
options: {machine_type: E2_HIGHCPU_8, diskSizeGb: 100, logging: CLOUD_LOGGING_ONLY, dynamicSubstitutions: true}
tags: ['app', '$BRANCH_NAME']
timeout: 1200s
queueTtl: 3600s
serviceAccount: projects/p/serviceAccounts/s
"""


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        STEP,
        STEP + "images:\noptions:\n",
        STEP + "  args: one\n",
        "tags: &tags [a]\n" + STEP + "  args: *tags\n",
        STEP + "  id: Build (one) & push\n- name: b\n  waitFor: ['Build (one) & push']\n",
        STEP + "  args: ['-c', 'make -j$(nproc) $1 $d ${BRANCH_NAME//\\//-} 100$']\n",
        STEP
        + "images: ['${_HOST}/$PROJECT_ID/app${_SUFFIX}', 'gcr.io/$PROJECT_ID/app@$_DIGEST', '$_IMAGE:${_TAG:-new}']\n",
        STEP + "options: {pool: {name: projects/p/locations/l/workerPools/w}, diskSizeGb: '20',"
        " sourceProvenanceHash: [SHA256], requestedVerifyOption: VERIFIED, logStreamingOption: STREAM_ON}\n",
        STEP + "  secretEnv: [A]\nsecrets: [{kmsKeyName: projects/p/k, secretEnv: {A: CiQA}}]\n",
        STEP + "artifacts: {pythonPackages: [{repository: 'https://r', paths: ['dist/*']}]}\n",
        "steps:\n- &step {name: debian}\n- <<: *step\n  id: second\n",
        '{"steps": [{"name": "debian"}]}',
    ],
)
def test_what_cloud_build_takes_is_taken(text):
    assert errors(text) == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (STEP + "bogus: 1\n", 3, "no field bogus\nexpected: a field of Build"),
        (STEP + "  arg: [x]\n", 3, "no field arg in steps[0]\nexpected: a field of BuildStep; did you mean args?"),
        (STEP + "timeout: 1200\n", 3, "timeout is '1200'\nexpected: seconds with an s"),
        (STEP + "timeout: 20m\n", 3, "timeout is '20m'"),
        (STEP + "timeout: 90000s\n", 3, "at most 86400s"),
        (
            STEP + "substitutions:\n  _PORT: 8080\n",
            4,
            "_PORT is '8080'\nexpected: a string\nfix: write \"8080\" in quotes",
        ),
        (
            STEP + "substitutions: {PORT: '1'}\n",
            3,
            "PORT cannot be declared\nexpected: a name such as _PORT",
        ),
        (STEP + "  args: [1]\n", 3, "steps[0].args[0] is '1'"),
        (STEP + "  args: [echo, ~]\n", 3, "this list item is empty"),
        (STEP + "  env: [{A: b}]\n", 3, "steps[0].env[0] is a mapping"),
        (STEP + "  env: [A]\n", 3, "expected: KEY=VALUE"),
        (STEP + "  allowFailure: 'true'\n", 3, "true or false"),
        (STEP + "  waitFor: [later]\n- name: x\n  id: later\n", 3, "names 'later', which comes later"),
        (STEP + "  waitFor: [nobody]\n", 3, "which is the id of no step"),
        (STEP + "  id: a\n- name: x\n  id: a\n", 5, "the id a is taken by an earlier step"),
        (STEP + "  id: '-'\n", 3, "means: wait for nothing"),
        (STEP + "  script: ls\n  args: [x]\n", 3, "a script and args"),
        (STEP + "  timeout: 30s\ntimeout: 20s\n", 3, "longer than the build's 20s"),
        (STEP + "  secretEnv: [TOKEN]\n", 3, "the secret TOKEN is used but not defined"),
        (STEP + "  volumes: [{name: vol, path: /v}]\n", 3, "used by one step only"),
        (STEP + "  volumes: [{name: vol, path: /workspace}]\n", 3, "Cloud Build's own"),
        (STEP + "  args: [$HOME]\n", 3, "uses $HOME, which Cloud Build does not have"),
        (STEP + "  args: ['${_REGOIN}']\nsubstitutions: {_REGION: x}\n", 3, "did you mean $_REGION?"),
        (STEP + "options: {machineType: e2-highcpu-8}\n", 3, "expected: one of UNSPECIFIED, N1_HIGHCPU_8"),
        (STEP + "options: {substitution_opton: ALLOW_LOOSE}\n", 3, "did you mean substitutionOption?"),
        (STEP + "artifacts: {objects: {location: /tmp, paths: [a]}}\n", 3, "expected: gs://"),
        (STEP + "images: [Repo/App]\n", 3, "is no image reference\nfix: a repository has no capital letters"),
        (STEP + "images: ['gcr.io/$PROJECT_ID/myApp:$TAG_NAME']\n", 3, "is no image reference"),
        ("steps:\n- name: 'gcr.io/$PROJECT_ID/app::latest'\n", 2, "is no image reference"),
        ("cat > cloudbuild.yaml <<'EOF'\nsteps:\n- name: debian\nEOF\n", 2, "this is not YAML"),
        (STEP + "  branchName: main\n", 3, "no field branchName in steps[0]"),
        (STEP + "  args: [-c, 'export P=$(pwd):$LD_LIBRARY_PATH']\n", 3, "uses $LD_LIBRARY_PATH"),
        (STEP + "source: {}\n", 3, "cannot name its source"),
        ("steps: []\n", 1, "there are no steps"),
        ("steps:\n- args: [x]\n", 2, "steps[0] has no name"),
        ("", 1, "the file is empty"),
        ("steps: [\n", 1, "this is not YAML"),
        ("- a\n", 1, "the file is no mapping"),
    ],
)
def test_what_it_refuses_is_refused_by_line(text, line, message):
    found = errors(text)
    assert [each for each in found if each[0] == line and message in each[1]], found


def test_a_substitution_that_a_trigger_may_give_is_only_noted():
    text = STEP + "  args: ['$_SERVICE']\n"
    assert errors(text) == []
    assert notes(text) == [(3, "steps[0].args[0] uses $_SERVICE, which a trigger or --substitutions must give")]


def test_the_command_says_every_line_and_refuses_zero_files_of_nothing(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(WHOLE)
    bad.write_text(STEP + "  arg: [x]\ntimeout: 5\n")

    both = ct(tmp_path, "build", "--check", str(good), "--check", str(bad))

    assert both.code == 2
    assert f"{good}: 3 steps checked, nothing wrong" in both.out
    assert f"{bad}:3: error: there is no field arg" in both.out
    assert f"{bad}:4: error: timeout is '5'" in both.out
    assert both.err == "error: Cloud Build would refuse 1 of 2 files\n"
    assert ct(tmp_path, "build", "--check", str(tmp_path / "none.yaml")).code == 2
    assert ct(tmp_path, "build", "--check", str(good)).code == 0


def test_without_a_file_the_command_checks_what_it_would_run(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "ci.yaml").write_text(STEP + "  arg: [x]\n")

    assert "cloudbuild.yaml: 16 steps checked, nothing wrong" in ct(tmp_path, "build", "--check").out
    other = ct(tmp_path, "build", "--check", "--source", str(tmp_path / "source"), "--config", "ci.yaml")

    assert (other.code, "ci.yaml:3: error: there is no field arg" in other.out) == (2, True)


def test_json_is_read_as_yaml_is():
    tree = config.examine(json.dumps({"steps": [{"name": "a", "wait_for": ["-"]}]}))[0].tree
    assert tree == {"steps": [{"name": "a", "waitFor": ["-"]}]}
