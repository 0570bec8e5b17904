"""`ct build --check` on mistakes as people make them: one at a time, each named by its line."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_command import ct
from depth import tries
from kfp_ct.ci.cloudbuild import config

GOOD = """\
steps:
- id: install
  name: python:3.12
  entrypoint: pip
  args: [install, -r, requirements.txt]
  timeout: 300s
- id: build
  name: gcr.io/cloud-builders/docker
  waitFor: [install]
  env:
  - DOCKER_BUILDKIT=1
  args: [build, -t, 'gcr.io/$PROJECT_ID/${_NAME}:$COMMIT_SHA', .]
  secretEnv: [TOKEN]
- name: alpine
  entrypoint: sh
  args:
  - -c
  - |
    echo $$HOME ${PROJECT_ID}
    deploy ${_NAME} --region=${_REGION} "$$HOME"
  volumes: [{name: cache, path: /cache}]
- name: alpine
  script: echo done
  allowFailure: true
  volumes: [{name: cache, path: /cache}]
substitutions:
  _NAME: app
  _REGION: europe-west1
availableSecrets:
  secretManager:
  - versionName: projects/$PROJECT_ID/secrets/token/versions/latest
    env: TOKEN
artifacts:
  objects: {location: gs://bucket/out, paths: [dist/*, docs/*]}
options:
  machineType: E2_HIGHCPU_8
  diskSizeGb: 100
tags: [app, nightly]
timeout: 1200s
"""


def found(text, fatal=True):
    return [(problem.line, problem.message) for problem in config.examine(text)[1] if problem.fatal == fatal]


def test_the_whole_is_good():
    assert found(GOOD) == found(GOOD, fatal=False) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        # What is no YAML: the line where the mistake is, not where the parser stopped.
        ("requirements.txt]", "requirements.txt", 5, "what begins here is not closed by line 6"),
        ("timeout: 1200s", 'timeout: "1200s', 39, "what begins here is not closed"),
        ("  entrypoint: pip", "  entrypoint pip", 4, "could not find expected ':'"),
        ("  entrypoint: pip", "   entrypoint: pip", 4, "mapping values are not allowed"),
        ("  entrypoint: pip", "\tentrypoint: pip", 4, "tab character"),
        ("-t, 'gcr", "-t 'gcr", 12, "did not find expected ',' or ']'"),
        (
            "[app, nightly]",
            "[\n  'app'\n\n  # more\n  'nightly'\n]",
            39,
            "no comma between the end of this line and line 42",
        ),
        ("    env: TOKEN\n", "    env: TOKEN\n---\n", 33, "a second document begins here"),
        ("app\n", "app\x07\n", 27, "control characters are not allowed"),
        ("name: python:3.12", "name: {{ image }}", 3, "fix: put text with braces in quotes"),
        ("_NAME: app", "{{ name }}: app", 27, "has a mapping for a name"),
        # Values as YAML 1.1 reads them, as gcloud does.
        ("entrypoint: pip", "entrypoint: y", 4, 'write "y" in quotes'),
        ("_NAME: app", "_NAME: 12e3", 27, 'write "12e3" in quotes'),
        ("_NAME: app", "_NAME: !env APP", 27, "of the type !env\nexpected: a value without a tag"),
        ("diskSizeGb: 100", f"diskSizeGb: {'9' * 5000}", 37, "a whole number"),
        ("diskSizeGb: 100", "diskSizeGb: 5000", 37, "more than 4,000"),
        # Substitutions, by the line of the script that uses them.
        ("region=${_REGION}", "region=${_REIGON}", 20, "did you mean $_REGION?"),
        ("echo $$HOME", "echo $$HOME $HOME", 19, "uses $HOME, which Cloud Build does not have"),
        ("$COMMIT_SHA", "$COMITT_SHA", 12, "did you mean $COMMIT_SHA?"),
        # Secrets: Cloud Build refuses what is defined and not used as well.
        ("  secretEnv: [TOKEN]\n", "", 31, "TOKEN is defined but not used"),
        (
            "    env: TOKEN\n",
            "    env: TOKEN\n  - {versionName: projects/p/secrets/s/versions/1, env: TOKEN}\n",
            33,
            "defined twice",
        ),
        ("/versions/latest", "", 31, "expected: projects/PROJECT/secrets/NAME/versions/VERSION"),
        ("DOCKER_BUILDKIT=1", "TOKEN=1", 10, "TOKEN as a variable and as a secret"),
        ("timeout: 1200s", "secrets: [{secretEnv: {A: CiQA}}]", 39, "expected: kmsKeyName and secretEnv"),
        ("timeout: 1200s", "secrets: [{kmsKeyName: k, secretEnv: {A: CiQAe}}]", 39, "expected: a ciphertext in base64"),
        # Times, and fields that are one level off.
        ("timeout: 1200s", "timeout: 1200", 39, "fix: write 1200s"),
        ("timeout: 1200s", "timeout: 1h30m", 39, "fix: write 5400s"),
        ("timeout: 1200s", "timeout: 20 minutes", 39, "fix: write 1200s"),
        ("timeout: 1200s", "timeout: soon", 39, "such as 1200s"),
        ("timeout: 1200s", "machineType: E2_MEDIUM", 39, "machineType is a field in options"),
        ("timeout: 1200s", "env: [A=b]", 39, "env is a field in steps or in options"),
        ("  diskSizeGb: 100", "  logsBucket: gs://b", 37, "logsBucket is a field of the build itself"),
        # Order, tags, results.
        ("[install]\n", "[instal]\n", 9, "the id of no step; did you mean 'install'?"),
        ("nightly", "'every night'", 38, "tags[1] is 'every night'"),
        ("docs/*", "dist/*", 34, "is there twice"),
        ("allowFailure: true", "allowExitCodes: [1, 256]", 24, "allowExitCodes[1] is 256\nexpected: 0 to 255"),
        ("artifacts:\n", "artifacts:\n  npmPackages: [{packagePath: .}]\n", 34, "is not whole\nexpected: repository"),
    ],
)
def test_one_mistake_is_named_by_its_line(old, new, line, message):
    assert old in GOOD
    problems = found(GOOD.replace(old, new, 1))
    assert [each for each in problems if each[0] == line and message in each[1]], problems


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # gcloud takes these, a trigger does not; they are noted.
        ("waitFor: [install]", "waitFor: install"),
        ("    echo $$HOME", "    echo ${HOME:-/root}"),
        ("  script: echo done\n", "  script: echo done\n  script: echo again\n"),
        # A trigger takes these, gcloud does not, or not without more on its command line.
        ("name: python:3.12", "name:\tpython:3.12"),
        ("${_REGION}", "${_ZONE}"),
        ("_REGION: europe-west1", "_REGION: europe-west1\n  _UNUSED: x"),
        ("timeout: 1200s", "serviceAccount: projects/p/serviceAccounts/s"),
        # Two names that differ by a letter may both be meant.
        ("${_REGION}", "${_NAME2}"),
        ("--region=${_REGION}", "${_REGION_A} ${_REGION_B}"),
    ],
)
def test_what_one_way_of_starting_a_build_takes_is_noted(old, new):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    assert found(text) == []
    assert found(text, fatal=False)


FLAVOUR = """\
steps:
- name: ubuntu
  entrypoint: bash
  args: ['-c', 'echo building ${_FLAVOUR:-plain}']
substitutions: {_FLAVOUR: nutty}
"""


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        pytest.param("", "", True, id="declared, and read by triggers only"),
        pytest.param("echo", "echo $_FLAVOUR", False, id="used plainly, too"),
        pytest.param("substitutions: {_FLAVOUR: nutty}", "", False, id="not declared"),
        pytest.param("steps:", "options: {substitutionOption: ALLOW_LOOSE}\nsteps:", False, id="allowed to be unused"),
        pytest.param("steps:", "options: {dynamicSubstitutions: true}\nsteps:", None, id="switched on"),
    ],
)
def test_what_each_way_of_starting_a_build_does_with_an_operator_is_said(old, new, refused):
    problems = config.examine(FLAVOUR.replace(old, new, 1))[1]
    assert not [problem for problem in problems if problem.fatal]
    said = [problem for problem in problems if "${_FLAVOUR…}" in problem.message]
    assert len(said) == (refused is not None)
    for problem in said:
        assert (problem.line, problem.by) == (
            4 if new == "" or "echo" in new else 5, "`gcloud builds submit` and the API" if refused else ""
        )  # fmt: skip
        assert "which a trigger expands, as `ct build` does" in problem.message
        assert ("refuse the build" in problem.message) == refused
        assert ("leave it as it stands, for the shell" in problem.message) != refused


def test_a_build_that_runs_here_says_who_would_refuse_it(tmp_path):
    (tmp_path / "cloudbuild.yaml").write_text(FLAVOUR)
    done = ct(tmp_path / "home", "build", "--source", str(tmp_path), "--no-containers")
    assert "building nutty" in done.out or done.code in (0, 5)
    said = "cloudbuild.yaml:4: note, `gcloud builds submit` and the API would refuse this: steps[0].args[1] uses"
    assert said in done.out
    checked = ct(tmp_path / "home", "build", "--check", str(tmp_path / "cloudbuild.yaml"))
    assert checked.code == 0
    assert "nothing wrong, but `gcloud builds submit` and the API would refuse it as it is" in checked.out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "artifacts:\n",
            "artifacts:\n  mavenArtifacts: [{repository: 'https://r', deployFolder: /workspace/target}]\n",
        ),
        ("timeout: 1200s", "options: {substitutionOption: ALLOW_LOOSE, pubsubTopic: projects/p/topics/t}"),
        ("[app, nightly]", "['$BRANCH_NAME', '${_NAME}.x', '']"),
        ("projects/$PROJECT_ID/secrets/token", "projects/${PROJECT_ID}/locations/l/secrets/$_NAME"),
        ("projects/$PROJECT_ID/secrets/token/versions/latest", "$_NAME"),
        ("  entrypoint: pip\n", "  entrypoint: pip\n  <<: {entrypoint: 1, dir: app}\n"),
        ("steps:", "\ufeffsteps:"),
    ],
)
def test_what_is_rare_is_taken(old, new):
    text = GOOD.replace("options:\n  machineType: E2_HIGHCPU_8\n  diskSizeGb: 100\n", "") if "options" in new else GOOD
    assert old in text
    text = text.replace(old, new, 1)
    if "LOOSE" in new:
        text = text.replace("${_REGION}", "${_REIGON}")
    assert found(text) == []


def test_the_first_of_two_fields_counts_as_with_gcloud():
    document, problems = config.examine("steps:\n- name: a\n  args: [one]\n  args: [2]\n")
    assert document.tree == {"steps": [{"name": "a", "args": ["one"]}]}
    assert [(problem.line, problem.fatal) for problem in problems] == [(4, False)]


@settings(max_examples=tries(25, 60), deadline=None)
@given(st.data())
def test_no_mangled_configuration_breaks_it(data):
    """Cut off, with lines or letters changed, with other values: each is read and judged, none is a traceback."""
    how = data.draw(st.sampled_from(["cut", "lines", "text", "value"]))
    lines, at = GOOD.splitlines(keepends=True), data.draw(st.integers(0, len(GOOD)))
    if how == "cut":
        text = GOOD[:at]
    elif how == "lines":
        text = "".join(line for line in lines if data.draw(st.booleans()))
    elif how == "text":
        text = GOOD[:at] + data.draw(st.text("{}[]&*!|>'\"%@`:-?,#$_A \n\t\0", max_size=4)) + GOOD[at:]
    else:
        tree = yaml.safe_load(GOOD)
        value = data.draw(st.sampled_from([None, 1, True, "", "x", [], {}, [None], [[]], {"a": 1}, {1: [2]}, -1.5]))
        key = data.draw(st.sampled_from(sorted(tree)))
        if isinstance(tree[key], dict) and data.draw(st.booleans()):
            tree[key][data.draw(st.sampled_from(sorted(tree[key])))] = value
        elif key == "steps" and data.draw(st.booleans()):
            step = tree["steps"][data.draw(st.integers(0, 3))]
            step[data.draw(st.sampled_from(sorted(step)))] = value
        else:
            tree[key] = value
        text = yaml.safe_dump(tree, sort_keys=False)
    count = max(1, len(text.splitlines()))
    assert all(1 <= problem.line <= count for problem in config.examine(text)[1])


@pytest.mark.parametrize(
    "text", ["[" * 5000, "steps: &a [*a]", 'steps: [{name: "' + "${_A:-" * 3000 + "}" * 3000 + '"}]']
)
def test_what_is_nested_without_end_is_refused(text):
    assert found(text)


def test_ten_thousand_lines_are_read():
    text = "steps:\n- name: debian\n  args:\n  - -c\n  - |\n" + "    echo $_A $B\n" * 10_000
    assert [line for line, message in found(text) if "$B" in message] == [6]


def test_a_file_that_cannot_be_read_is_one_of_many(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD.replace("waitFor: [install]", "waitFor: install"))
    (tmp_path / "binary").write_bytes(b"\x80\x81")
    (tmp_path / "empty").touch()

    done = ct(
        tmp_path, "build", "--check", *(str(tmp_path / name) for name in ("binary", "none", ".", "empty", "good.yaml"))
    )

    assert done.code == 2
    assert "binary:1: error: it cannot be read: 'utf-8' codec" in done.out
    assert "none:1: error: it cannot be read: No such file or directory" in done.out
    assert f"{tmp_path}:1: error: it cannot be read: Is a directory" in done.out
    assert "empty:1: error: the file is empty" in done.out
    assert "good.yaml:9: note: steps[1].waitFor is no list" in done.out
    assert "good.yaml: 4 steps checked, nothing wrong, but a trigger would refuse it as it is\n" in done.out
    assert done.err == "error: Cloud Build would refuse 4 of 5 files\n"
    assert "what is good.yaml for?" in ct(tmp_path, "build", "good.yaml").err
