"""What only a process of its own shows: what it imports, and how it ends when its reader or its user leaves."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys

import pytest

from ct_command import command_line
from kfp_ct.runs import record
from repository import ROOT

pytestmark = pytest.mark.usefixtures("real_interpreter")

# Each costs more than help or a list may take.
HEAVY = {"kfp", "jsonschema", "mlflow", "grpc", "requests", "kubernetes", "fastapi", "uvicorn", "docker", "tensorflow"}
SHOW_MODULES = """
import json, sys
from kfp_ct.cli import main
code = main.run(sys.argv[1:])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def home(tmp_path):
    """Local state with more runs than a pipe holds."""
    for number in range(200):
        run = record.Run(
            id=f"20261128-{number:06}", project="flights", environment="local", pipeline="pipelines.training",
            parameters={"window_end": "2013-04-01"}, cause="new data " * 200, commit="", code_version="", image="",
            versions={}, user="ada", process=1, started="2026-11-28T12:00:00+00:00", state=record.SUCCEEDED,
            tasks=[record.Task(name, name, []) for name in ("ingest", "statistics", "train", "evaluate")],
        )  # fmt: skip
        (tmp_path / "runs" / run.id).mkdir(parents=True)
        (tmp_path / "runs" / run.id / record.RECORD).write_text(json.dumps(dataclasses.asdict(run)))
    return tmp_path


def imported(home, *arguments, **variables):
    environment = {**os.environ, "CT_HOME": str(home), **variables}
    command = [sys.executable, "-c", SHOW_MODULES, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_typer_and_nothing_to_render_or_validate_with(home):
    modules = imported(home, "--help")

    assert "typer" in modules
    assert modules & (HEAVY | {"rich", "pydantic", "yaml"}) == set()


@pytest.mark.parametrize(
    "arguments",
    [["run", "--help"], ["up", "--help"], ["images", "--help"], ["runs"], ["runs", "--json"], ["builds"]],
    ids=" ".join,
)
def test_help_of_commands_and_lists_import_nothing_heavy(home, arguments):
    assert imported(home, *arguments) & HEAVY == set()


@pytest.mark.parametrize("arguments", ["runs --json", "runs"])
def test_a_reader_that_leaves_ends_the_command_quietly(home, arguments):
    line = f"{shlex.join(command_line())} {arguments} | head -1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "CT_HOME": str(home), "COLUMNS": "4000"}
    environment.pop("PYTHONUNBUFFERED", None)  # with it, Python drops the rest of a write that a pipe takes a part of

    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (141, 1, "")


def test_columns_and_no_terminal_decide_the_width(home):
    def widest(**variables):
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
        environment |= {"CT_HOME": str(home), **variables}
        done = subprocess.run(command_line("runs"), cwd=ROOT, env=environment, capture_output=True, text=True)
        assert "\x1b" not in done.stdout
        return max(map(len, done.stdout.splitlines()))

    assert widest(COLUMNS="70") <= 70 < widest() <= 120


def test_kfps_client_is_imported_when_it_is_asked_for():
    script = """
import sys
from kfp_ct.cli import late_client
late_client.install()
import kfp_ct.local.run, kfp.compiler
print(sorted({"kubernetes", "kfp_server_api", "kfp.client", "docker"} & set(sys.modules)))
print(kfp.Client is kfp.client.Client, hasattr(kfp, "nothing"), "kubernetes" in sys.modules)
from kfp import Client
print(Client is kfp.Client)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "True False True", "True"], done.stderr
