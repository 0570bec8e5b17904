"""What Tab offers: commands, options, and names in the repository."""

import pytest

from cli_runner import ct


def complete(home, line, cwd=None):
    words = line.split(" ")
    variables = {"_CT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = ct(home, environment=variables, **({"cwd": cwd} if cwd else {}))
    assert done.err == ""
    return done.out.split()


@pytest.fixture
def repository(tmp_path):
    for name in ("local", "prod"):
        settings = tmp_path / "repository" / "pipelines" / "churn" / "settings" / f"{name}.yaml"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.touch()
    (tmp_path / "repository" / "components").mkdir()
    return tmp_path / "repository"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ct ru", ["run", "runs"]),
        ("ct images s", ["sbom", "scan", "sign"]),
        ("ct run --window-", ["--window-start", "--window-end"]),
        ("ct run ", ["churn"]),
        ("ct compile ch", ["churn"]),
        ("ct run churn --settings ", ["local", "prod"]),
        ("ct deploy churn --target k", ["kfp"]),
        ("ct why 2026", ["20261128-two", "20261127-one"]),
    ],
)
def test_names_are_completed(tmp_path, repository, line, offered):
    for run in ("20261127-one", "20261128-two"):
        (tmp_path / "home" / "runs" / run).mkdir(parents=True)

    assert complete(tmp_path / "home", line, repository) == offered


def test_outside_a_repository_nothing_is_offered(tmp_path):
    assert complete(tmp_path, "ct run ", tmp_path) == []
