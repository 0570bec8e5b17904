"""A promote or rollback that is killed between its steps is finished by the next command, whichever that is."""

import shutil
import signal
from pathlib import Path

import pytest

from ct_command import ct
from kfp_ct.base.errors import ModelNotBlessedError
from kfp_ct.champions import approval, promotion
from kfp_ct.champions.promotion import Person
from kfp_ct.models import approvals, champion_history, registry_mlflow
from killed import exit_code, in_child, kill_me_at
from registered_models import now, place_in, three_versions

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
ADA, EVE = Person("ada"), Person("eve")
# Where it is killed, and what is champion and served then; a move that is noted as begun is finished.
KILLS = [
    (("note", "call"), ("3", "3")),
    (("_flush_entry", "call"), ("3", "3")),
    (("_prune", "call"), ("3", "3")),
    (("_state_path", "return"), ("3", "3")),
    (("move_champion", "call"), ("3", "1")),
    (("set_registered_model_alias", "call"), ("3", "1")),
    (("move_champion", "return"), ("1", "1")),
    (("_move", "return"), ("1", "1")),
]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    kept = three_versions(tmp_path_factory.mktemp("three"))
    shutil.rmtree(kept / "serving" / "flights" / "1")  # as after some more releases: it has to be copied
    return kept


@pytest.fixture
def place(three, tmp_path):
    return place_in(Path(shutil.copytree(three, tmp_path / "home")))


def kill(place, at, act=promotion.promote, arguments=("1", ADA)):
    home = place.workspace.home

    def moving():
        kill_me_at(*at)
        act(place_in(home), "flights", *arguments)

    assert exit_code(in_child(moving)) == -signal.SIGKILL, f"{at} was never reached"


def states(place):
    return [each.state for each in champion_history.history(place.reader.versions("flights"))]


@pytest.mark.parametrize(("at", "then"), KILLS, ids=lambda each: "-".join(each))
def test_alias_and_service_are_together_after_the_next_command(at, then, place):
    kill(place, at)
    assert now(place) == then

    finished = promotion.finish(place, "flights")

    begun = at != ("note", "call")
    assert now(place) == (("1", "1") if begun else ("3", "3"))
    assert (finished is not None) == begun
    assert not list((place.serving_root / "flights").glob(".*")), "nothing half copied is left"
    assert set(states(place)) == {champion_history.DONE}
    assert promotion.finish(place, "flights") is None
    if begun:
        assert (finished.by, finished.before) == ("ada", "3")
        assert promotion.rollback(place, "flights", EVE).move.version == "3"


def test_the_same_promotion_again_finishes_it(place):
    kill(place, ("move_champion", "call"))

    assert promotion.promote(place, "flights", "1", EVE).changed

    assert now(place) == ("1", "1")
    assert sorted(states(place)) == [
        champion_history.CUT_OFF,
        champion_history.DONE,
        champion_history.DONE,
        champion_history.DONE,
        champion_history.DONE,
    ]


def test_another_promotion_goes_its_own_way(place):
    kill(place, ("move_champion", "return"))

    promotion.promote(place, "flights", "2", EVE)

    assert now(place) == ("2", "2")
    assert promotion.unfinished(place, "flights") is None


@pytest.mark.parametrize(
    "at", [("move_champion", "call"), ("move_champion", "return"), ("_move", "return")], ids="-".join
)
def test_a_rollback_that_was_killed_goes_back_once(at, place):
    kill(place, at, promotion.rollback, (ADA,))

    promotion.rollback(place, "flights", EVE)

    assert now(place) == ("2", "2")


def test_a_rollback_undoes_a_promotion_that_was_killed(place):
    kill(place, ("move_champion", "return"))

    promotion.rollback(place, "flights", EVE)

    assert now(place) == ("3", "3")


def test_a_refused_promotion_leaves_the_one_that_was_killed_to_be_finished(place):
    kill(place, ("move_champion", "call"))
    for folder in (place.workspace.home / "registry" / "models" / "flights").iterdir():
        if folder.name == Path(place.reader.version("flights", "2").source).name:
            shutil.rmtree(folder / "Registered" / "blessing")

    with pytest.raises(ModelNotBlessedError, match="no blessing"):
        promotion.promote(place, "flights", "2", EVE)

    assert promotion.finish(place, "flights").version == "1"
    assert now(place) == ("1", "1")


def test_a_champion_that_moved_on_is_not_moved_back(place):
    kill(place, ("move_champion", "return"))
    registry_mlflow.open_client(place.registry_uri).set_registered_model_alias("flights", "champion", "2")

    assert promotion.finish(place, "flights") is None

    assert place.reader.champion("flights").number == "2"
    assert champion_history.CUT_OFF in states(place)


def test_listing_the_models_finishes_and_says_so(place):
    kill(place, ("move_champion", "return"))

    said = ct(place.workspace.home, "models", "flights")

    assert (said.code, said.err) == (0, "finished an interrupted promote: flights v1\n")
    assert now(place) == ("1", "1")


def test_two_moves_at_once_end_in_one_of_them(place):
    home = place.workspace.home
    children = [
        in_child(lambda number=number: promotion.promote(place_in(home), "flights", number, ADA))
        for number in ("1", "2")
    ]

    assert [exit_code(child) for child in children] == [0, 0]
    champion, served = now(place)
    assert champion == served
    assert set(states(place)) == {champion_history.DONE}


@pytest.mark.parametrize(
    ("at", "then"),
    [(("say", "call"), "3"), (("say", "return"), "1"), (("promote", "call"), "1"), (("_move", "return"), "1")],
    ids=lambda each: "-".join(each),
)
def test_an_approval_that_was_killed_is_carried_out_by_the_next_command(at, then, place):
    """`then` is the champion after `ct models`; a word that was not written is none."""
    request = {"approvals": 1, "expires": 60.0, "serving_root": str(place.serving_root), "serving": {"approve": True}}
    approvals.ask(place.registry_uri, "flights", "1", request)
    kill(place, at, approval.approve)
    assert now(place)[0] == ("1" if at[0] == "_move" else "3")

    for _ in range(2):
        promotion.finish(place, "flights")
        approval.finish(place, "flights")

    assert now(place) == (then, then)
    assert set(states(place)) == {champion_history.DONE}
    assert [each.kind for each in champion_history.history(place.reader.versions("flights"))].count("promote") <= 1
