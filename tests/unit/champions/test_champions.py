"""`ct models`, `ct promote`, `ct rollback`: alias and service move together, by the blessing only, and back."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from cli_runner import ct
from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError, UsageError
from kfp_ct.champions import cards, listing, promotion
from kfp_ct.champions.locations import Location
from kfp_ct.champions.promotion import Person
from kfp_ct.data import layouts
from kfp_ct.endpoint.ui import models_page, response
from kfp_ct.models import blessing, champion_history, registry_mlflow, serving_folder
from kfp_ct.runs import record
from kfp_ct.storage import releases
from registered_models import now, place_in, three_versions

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
ADA = Person("ada", "it answers better")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A registry with three versions, the third champion and served; to be copied."""
    return three_versions(tmp_path_factory.mktemp("three"))


@pytest.fixture
def home(three, tmp_path):
    return Path(shutil.copytree(three, tmp_path / "home"))


@pytest.fixture
def place(home):
    return place_in(home)


def kept(place):
    return [
        (each.kind, each.before, each.version, each.state)
        for each in champion_history.history(place.reader.versions("flights"))
    ]


def folder_of(place, version):
    source = Path(place.reader.version("flights", version).source)
    return place.workspace.home / "registry" / "models" / "flights" / source.name


def test_a_promoted_version_is_champion_and_served(place):
    done = promotion.promote(place, "flights", "1", ADA)

    assert now(place) == ("1", "1")
    assert (done.changed, done.move.before, done.move.state) == (True, "3", champion_history.DONE)
    assert layouts.read_json(place.serving_root / "flights.json")["version"] == "1"


def test_who_why_from_and_to_are_kept_in_the_registry(place):
    promotion.promote(place, "flights", "1", ADA)

    last = listing.history(place, "flights")[0]
    assert (last.kind, last.before, last.version) == (champion_history.PROMOTE, "3", "1")
    assert (last.by, last.why) == ("ada", "it answers better")
    assert [each[0] for each in kept(place)] == [champion_history.REGISTER] * 3 + [champion_history.PROMOTE]


def test_a_promotion_is_reversible(place):
    promotion.promote(place, "flights", "1", ADA)

    assert promotion.rollback(place, "flights", ADA).move.version == "3"
    assert now(place) == ("3", "3")
    promotion.promote(place, "flights", "1", ADA)
    assert now(place) == ("1", "1")


def test_rollback_after_rollback_goes_further_back(place):
    assert [promotion.rollback(place, "flights", ADA).move.version for _ in range(2)] == ["2", "1"]
    assert now(place) == ("1", "1")
    with pytest.raises(UsageError, match="cannot go back: v1 is the first champion"):
        promotion.rollback(place, "flights", ADA)
    assert now(place) == ("1", "1")


def test_what_is_so_already_is_left_so(place):
    assert not promotion.promote(place, "flights", "3", ADA).changed
    assert len(kept(place)) == 3


def test_a_champion_that_is_not_served_is_served(place):
    shutil.rmtree(place.serving_root)

    assert promotion.promote(place, "flights", "3", ADA).changed
    assert now(place) == ("3", "3")
    assert place.reader.champion("flights").tags["previous_champion"] == "2"


def test_a_dry_run_changes_nothing(place):
    assert promotion.promote(place, "flights", "1", ADA, dry_run=True).move.version == "1"
    assert promotion.rollback(place, "flights", ADA, dry_run=True).move.version == "2"

    assert now(place) == ("3", "3")
    assert len(kept(place)) == 3


def without_blessing(folder):
    shutil.rmtree(folder / "Registered" / "blessing")


def refused_by_evaluate(folder):
    kept = folder / "Registered" / "blessing"
    shutil.rmtree(kept)
    blessing.write(kept, blessing.decide(str(folder), [blessing.Check("auc", False, "too low")]))


def blessed_by_evaluate_only(folder):
    kept = folder / "Registered" / "blessing"
    shutil.rmtree(kept)
    blessing.write(kept, blessing.decide(str(folder), [blessing.Check("auc", True, "fine")]))


def over_no_gate(folder):
    kept = folder / "Registered" / "blessing"
    details = layouts.read_json(kept / blessing.DETAILS)
    layouts.write_json(kept / blessing.DETAILS, {**details, "checks": []})


def changed_since(folder):
    layouts.write_text(folder / layouts.SERVING_MODEL / "saved_model.pb", "another graph")


SPOILT = [without_blessing, refused_by_evaluate, blessed_by_evaluate_only, over_no_gate, changed_since]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda each: each.__name__)
def test_nothing_unblessed_is_deployed_by_any_command(spoil, place):
    spoil(folder_of(place, "2"))

    for act in (
        lambda: promotion.promote(place, "flights", "2", ADA),
        lambda: promotion.rollback(place, "flights", ADA),
    ):
        with pytest.raises(ModelNotBlessedError):
            act()
    assert now(place) == ("3", "3")
    assert len(kept(place)) == 3, "a refused move is no move"
    listed = {each.version: each.blessed for each in listing.versions(place, "flights")}
    assert listed == {"3": True, "2": spoil is changed_since, "1": True}


def test_a_version_made_past_the_gates_is_refused(place, tmp_path):
    stranger = tmp_path / "stranger"
    layouts.write_text(stranger / layouts.SERVING_MODEL / "saved_model.pb", "a graph")
    registry_mlflow.open_client(place.registry_uri).create_model_version("flights", str(stranger))

    with pytest.raises(ModelNotBlessedError, match="no blessing"):
        promotion.promote(place, "flights", "4", ADA)
    assert now(place) == ("3", "3")


def test_a_serving_folder_of_another_registry_stops_it_and_the_champion_stays(place):
    layouts.write_text(place.serving_root / "flights" / "2" / "saved_model.pb", "of another registry")

    with pytest.raises(ConfigurationError, match="holds another model"):
        promotion.promote(place, "flights", "2", ADA)
    assert now(place) == ("3", "3")
    assert kept(place)[-1] == (champion_history.PROMOTE, "3", "2", champion_history.CUT_OFF)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_names_a_serving_folder_it_may_not_write(place):
    place.serving_root.chmod(0o500)
    with pytest.raises(ConfigurationError, match=r"the serving folder .* cannot be written"):
        promotion.promote(place, "flights", "1", ADA)


def test_a_version_that_is_not_there_is_named(place):
    with pytest.raises(UsageError, match="no version '9'\nexpected: one of 3, 2, 1"):
        promotion.promote(place, "flights", "9", ADA)
    with pytest.raises(UsageError, match="there is no model 'trains'"):
        promotion.promote(place, "trains", "1", ADA)


def test_it_serves_the_request_that_was_tried(home, place, tmp_path):
    """The example of validate_infra's trial, found through the record of the run that made the version."""
    trial = tmp_path / "trial"
    layouts.write_json(trial / layouts.SUMMARY, {"example": {"request": {"instances": [1]}}})
    task = record.Task("validate-infra", "validate_infra", [], artifacts={"infra_validation": {"uri": str(trial)}})
    told = dict.fromkeys(("project", "environment", "pipeline", "cause", "commit", "code_version", "image", "user"), "")
    run = record.Run("r", parameters={}, versions={}, process=1, started=record.now(), tasks=[task], **told)
    record.Recorder(run, home / "runs" / "r")

    promotion.promote(place, "flights", "1", ADA)

    assert layouts.read_json(place.serving_root / "flights.json")["example"]["request"] == {"instances": [1]}


def test_the_commands_say_what_there_is_and_what_they_did(home):
    listed = json.loads(ct(home, "models", "flights", "--json").out)
    assert [(each["version"], each["champion"], each["served"]) for each in listed] == [
        ("3", True, True), ("2", False, False), ("1", False, False),
    ]  # fmt: skip
    newest = listed[0]
    assert (newest["blessed"], newest["run"], newest["window"]) == (True, "r", "2013-01-01/2013-06-01")
    assert (newest["metric"], newest["value"], newest["by"], newest["why"]) == ("auc", 0.7, "ada", "new data")

    would = ct(home, "rollback", "flights", "--dry-run")
    assert (would.code, would.out) == (0, "flights v2 would be champion and served; v3 until now\n")
    done = ct(home, "promote", "flights", "v1", "--reason", "a test", "--json")
    assert json.loads(done.out) | {"at": "", "by": ""} == {
        "model": "flights", "at": "", "kind": "promote", "before": "3", "version": "1", "by": "", "why": "a test",
        "run": "", "state": "done", "changed": True,
    }  # fmt: skip
    assert ct(home, "promote", "flights", "1").out == "flights v1 is champion and served already; nothing to do\n"
    assert "promote" in ct(home, "models", "--history").out
    history = json.loads(ct(home, "models", "flights", "--history", "--json").out)["flights"]
    assert [(each["kind"], each["version"]) for each in history][:2] == [("promote", "1"), ("register", "3")]

    without_blessing(folder_of(place_in(home), "2"))
    refused = ct(home, "promote", "flights", "2")
    assert refused.code != 0
    assert refused.err.startswith("error: no blessing at ")


def test_a_champion_that_is_not_served_is_told(home):
    served = home / "serving" / "flights"
    shutil.rmtree(served / "3")
    assert serving_folder.served(home / "serving", "flights") == "2"

    said = ct(home, "models")

    assert (said.code, said.err) == (0, "flights: the champion is not what is served; fix: ct promote flights 3\n")


def test_an_empty_registry_has_no_models(tmp_path):
    assert ct(tmp_path, "models").out.endswith("no models yet: a run that passes every gate registers one\n")
    missing = ct(tmp_path, "promote", "flights", "1")
    assert missing.code == 2
    assert "there is no model 'flights'" in missing.err
    assert not (tmp_path / "registry").exists(), "asking makes no registry"


POLICY = {"canary": [1, 50], "judge": {"request_log": "log"}}


@pytest.fixture
def released(place):
    """v2 has one percent of the traffic beside v3."""
    with_policy = dataclasses.replace(place, serving={"release": POLICY})
    return promotion.promote(with_policy, "flights", "2", ADA).release


def test_a_promotion_with_a_policy_begins_a_release(home, place, released):
    assert (released.live, released.candidate, released.percent, released.by) == ("3", "2", 1, "ada")
    assert now(place) == ("3", "3")
    assert {each.version: each.release for each in listing.versions(place, "flights")} == {
        "1": "", "2": "canary 1 %", "3": "",
    }  # fmt: skip
    assert "canary 1 %" in ct(home, "models", "flights").out
    told = ct(home, "release", "status", "flights")
    assert told.out.splitlines()[0] == "flights v2 with 1 % of the traffic, step 1; v3 answers the rest (running)"
    (state,) = json.loads(ct(home, "release", "status", "flights", "--json").out)
    assert state["candidate"] == "2"


@pytest.mark.parametrize("command", [("promote", "flights", "1"), ("promote", "flights", "2"), ("rollback", "flights")])
def test_nothing_moves_beside_a_release(home, place, released, command):
    refused = ct(home, *command)
    assert refused.code == 2
    assert "a release of flights runs: v2 with 1 % of the traffic" in refused.err
    assert "fix: ct release abort flights" in refused.err
    assert now(place) == ("3", "3")


def test_a_release_is_aborted_by_a_word_and_stays_in_the_history(home, place, released):
    done = ct(home, "release", "abort", "flights", "--reason", "too early")
    assert done.code == 0
    assert "flights v2 backed out: aborted by " in done.out
    assert "too early" in done.out
    assert now(place) == ("3", "3")
    assert next(each.release for each in listing.versions(place, "flights") if each.version == "2") == "backed out"
    assert place.reader.version("flights", "2").tags["release"].startswith("backed out: aborted by ")
    again = ct(home, "release", "abort", "flights")
    assert (again.code, "no release of flights runs" in again.err) == (2, True)
    assert len(json.loads(ct(home, "release", "status", "flights", "--history", "--json").out)) == 1
    assert ct(home, "promote", "flights", "2").code == 0
    assert now(place) == ("2", "2")


def test_without_a_release_there_is_nothing_to_step(home):
    assert "no release of flights yet" in ct(home, "release", "status", "flights").out
    assert "no release of flights runs" in ct(home, "release", "step", "flights").out


@dataclasses.dataclass(frozen=True)
class Counted(Location):
    """A place that counts how often the registry is asked for all versions."""

    asked: list[str] = dataclasses.field(default_factory=list)

    @property
    def reader(self):
        reader, asked = super().reader, self.asked

        class Reader:
            def versions(self, name):
                asked.append(name)
                return reader.versions(name)

            def __getattr__(self, name):
                return getattr(reader, name)

        return Reader()


def test_the_page_of_models_works_moves_out_once(place):
    promotion.promote(place, "flights", "1", ADA)
    counted = Counted(place.workspace, place.registry_uri, place.serving_root)

    shown = models_page._model(counted, "flights")

    assert [(move.kind, move.version) for move in shown.moves[:1]] == [("promote", "1")]
    assert shown.words == listing.history_with_words(place, "flights")
    assert len(counted.asked) <= 4, "for versions, moves, words, and what is unfinished"


def test_a_versions_card_is_read_from_the_registry_and_goes_where_it_is_served(home, place):
    printed = ct(home, "models", "flights", "--card", "v1")
    assert "# flights, model" in printed.out
    assert "| auc | yes | auc 0.70 against 0.65 |" in printed.out
    assert json.loads(ct(home, "models", "flights", "--card", "1", "--json").out)["model_details"]["name"] == "flights"
    assert "flights has no version 9" in ct(home, "models", "flights", "--card", "9").err
    assert "--card needs a model" in ct(home, "models", "--card", "1").err
    shutil.rmtree(folder_of(place, "2") / layouts.REGISTERED / layouts.KEPT_CARD)
    assert "flights v2 has no model card in the registry" in ct(home, "models", "flights", "--card", "2").err
    assert [cards.is_here(place, "flights", number) for number in ("1", "2")] == [True, False]
    listed = [models_page._model(place, "flights")]
    shown = response.page("models.html", models=listed, registry=True, problem="").body.decode()
    assert re.findall(r'href="([^"]*model-card)"', shown) == [f"/models/flights/{number}/model-card" for number in "31"]

    promotion.promote(place, "flights", "1", ADA)
    published = releases.read_manifest(str(place.serving_root), "flights", "1")
    assert published.card.startswith("# flights, model"), "the service's page shows it, without the hub's head"
