"""Who made which version the champion, when and why, is kept in the registry."""

import dataclasses

import pytest

from kfp_ct.components.register import work
from kfp_ct.models import champion_history, model_version, registry
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def uri(tmp_path):
    return f"sqlite:///{tmp_path / 'registry' / 'registry.db'}"


def test_every_move_of_the_champion_is_kept_with_the_version(uri, tmp_path):
    one, two = (make_run(tmp_path / name, name).candidate(f"key {name}") for name in ("one", "two"))
    lineage = {"user": "ada", "cause": "new data", "run": "r1"}
    for candidate in (dataclasses.replace(one, lineage=lineage), two, one):
        work.register(candidate, uri, "flights")

    kept = champion_history.history(registry.open_reader(uri).versions("flights"))

    assert [(move.kind, move.before, move.version, move.state) for move in kept] == [
        (champion_history.REGISTER, "", "1", champion_history.DONE),
        (champion_history.REGISTER, "1", "2", champion_history.DONE),
        (champion_history.REGISTER, "2", "1", champion_history.DONE),
    ]
    assert (kept[0].by, kept[0].why, kept[0].run) == ("ada", "new data", "r1")


def test_a_version_from_before_moves_were_kept_tells_what_it_knows():
    tags = {"previous_champion": "1", "user": "ada", "cause": "new data", "run": "r1"}

    move = champion_history.history([model_version.ModelVersion("2", "", tags, 1_767_225_600_000)])[0]

    assert move == champion_history.Move(
        "2026-01-01T00:00:00.000000Z", champion_history.REGISTER, "1", "2", by="ada", why="new data", run="r1"
    )
