"""Who made which version the champion, when and why, is kept in the registry."""

import dataclasses

import pytest

from components import moves, registry
from components.register import work
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

    kept = moves.history(registry.open_reader(uri).versions("flights"))

    assert [(move.kind, move.before, move.version, move.state) for move in kept] == [
        (moves.REGISTER, "", "1", moves.DONE), (moves.REGISTER, "1", "2", moves.DONE),
        (moves.REGISTER, "2", "1", moves.DONE),
    ]  # fmt: skip
    assert (kept[0].by, kept[0].why, kept[0].run) == ("ada", "new data", "r1")


def test_a_version_from_before_moves_were_kept_tells_what_it_knows():
    tags = {"previous_champion": "1", "user": "ada", "cause": "new data", "run": "r1"}

    move = moves.history([registry.ModelVersion("2", "", tags, 1_767_225_600_000)])[0]

    assert move == moves.Move(
        "2026-01-01T00:00:00.000000Z", moves.REGISTER, "1", "2", by="ada", why="new data", run="r1"
    )
