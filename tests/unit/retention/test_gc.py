"""What `ct gc` deletes is what nothing refers to; everything else stays, and it says why."""

import dataclasses
import datetime
import json
import os
import threading
from pathlib import Path

import pytest
from kfp.local.cache import LocalCache

import endpoint_home
from cli_runner import ct
from kept_home import NOW, run, tree, versions, workspace
from kfp_ct.base.errors import DataError, UsageError
from kfp_ct.components.register import work as registering
from kfp_ct.components.resolve_model import work as resolving
from kfp_ct.endpoint.background import retention as daily
from kfp_ct.endpoint.store import folders, store_runs
from kfp_ct.local.task_call import take
from kfp_ct.models import approvals, champion_history, model_version, registry, release_state
from kfp_ct.retention import collect, models, settings
from kfp_ct.retention.settings import Retention
from kfp_ct.runs import record
from kfp_ct.runs.leases import Lease
from registered_models import place_in
from release_artifacts import make_run

NO_CACHE = Retention(cache_bytes=0)


def gone(found, kind=""):
    return {item.name: item.why for item in found.items if kind in ("", item.kind)}


def reasons(found):
    return {item.name.removeprefix("runs/"): item.why for item in found.kept}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def uri(home):
    return models.own_registry(home)


def test_what_an_old_run_wrote_goes_and_what_younger_runs_reuse_of_it_stays(home):
    old = run(home, 60)
    newest = run(home, 1, ("train",), reused=[old.units["ingest"]])

    found = collect.collect(workspace(home), NO_CACHE, now=NOW)

    assert not old.units["train"].exists()
    assert old.units["ingest"].exists(), "the newest run refers to it"
    assert newest.units["train"].exists()
    assert (home / "runs" / old.id / record.RECORD).is_file(), "evidence stays longer than artifacts"
    assert (old.entries["ingest"].exists(), old.entries["train"].exists()) == (True, False)
    assert gone(found, "artifacts") == {
        old.units["train"].relative_to(home).as_posix(): "no kept run and no cache entry refers to it"
    }
    assert [item.size for item in found.items if item.kind == "artifacts"] == [1000]
    assert reasons(found) == {old.id: "evidence for 365d", newest.id: "the newest of flights, pipelines.training"}


def test_of_a_kept_run_stays_what_a_task_left_that_its_record_does_not_name(home):
    """Such as the half-written output of a task that failed."""
    old, young = run(home, 60), run(home, 1)
    for each in (old, young):
        left = each.units["train"].parent / "evaluate" / "half"
        left.parent.mkdir()
        left.write_text("half")

    collect.collect(workspace(home), NO_CACHE, now=NOW)

    assert (young.units["train"].parent / "evaluate" / "half").is_file()
    assert not old.units["train"].parent.exists()


def test_a_dry_run_lists_the_same_and_deletes_nothing(home):
    run(home, 400)
    run(home, 60)
    run(home, 1)
    before = tree(home)

    wished = collect.collect(workspace(home), NO_CACHE, dry_run=True, now=NOW)

    assert tree(home) == before
    assert collect.last(home) is None
    done = collect.collect(workspace(home), NO_CACHE, now=NOW)
    assert gone(done) == gone(wished)
    assert {item.kind for item in done.items} == {"cache entry", "artifacts", "record"}
    assert collect.last(home) == NOW
    assert not collect.collect(workspace(home), NO_CACHE, now=NOW).items


def test_the_cache_keeps_what_was_used_last_within_its_budget(home):
    older, later = run(home, 60), run(home, 50)
    run(home, 1, ())

    found = collect.collect(workspace(home), Retention(cache_bytes=2500), now=NOW)

    assert all(each.exists() for each in later.units.values())
    assert not any(each.exists() for each in older.units.values()), "the 500 bytes that are left hold neither"
    why = {"the cache is larger than cache_bytes, and others were used later"}
    assert set(gone(found, "cache entry").values()) == why


def test_a_hit_makes_an_entry_the_one_that_was_used_last(home):
    older, later = run(home, 60, ("ingest",)), run(home, 50, ("train",))
    run(home, 1, ())
    uses = Lease(home)
    with uses.holding():
        assert take(older.entries["ingest"].stem, LocalCache(str(home / "cache")), uses)["made"].name == "made"

    collect.collect(workspace(home), Retention(cache_bytes=1000), now=NOW)

    assert (older.units["ingest"].exists(), later.units["train"].exists()) == (True, False)


def test_artifacts_of_a_deleted_run_go_though_the_cache_has_room(home):
    import shutil

    deleted, other = run(home, 2), run(home, 3)
    shutil.rmtree(home / "runs" / deleted.id)

    found = collect.collect(workspace(home), Retention(), now=NOW)

    assert not any(unit.exists() for unit in deleted.units.values())
    assert all(unit.exists() for unit in other.units.values())
    assert set(gone(found, "cache entry").values()) == {"the run that made it was deleted"}
    assert not (home / "artifacts" / deleted.units["train"].parent.name).exists(), "its empty folder goes, too"


def test_an_open_run_keeps_what_it_writes_and_what_it_had_from_the_cache(home):
    old = run(home, 60)
    run(home, 1, ())
    own = home / "artifacts" / "flights-training-now"
    uses = Lease(home)
    with uses.holding(own):
        cache = LocalCache(str(home / "cache"))
        assert take(old.entries["ingest"].stem, cache, uses) is not None
        (own / "transform").mkdir(parents=True)
        (own / "transform" / "partial").write_text("half")

        collect.collect(workspace(home), NO_CACHE, now=NOW)

        assert (old.units["ingest"].exists(), old.units["train"].exists()) == (True, False)
        assert (own / "transform" / "partial").read_text() == "half"

    collect.collect(workspace(home), NO_CACHE, now=NOW)
    assert not old.units["ingest"].exists(), "the run has ended without a record"
    assert not own.exists()
    assert not list((home / "leases").iterdir())


def test_a_run_that_looks_into_the_cache_while_files_go_has_a_hit_that_is_there_or_a_miss(home):
    """Many look-ups against collections that delete everything: no hit may lead to what is gone."""
    for days in range(40, 60):
        run(home, days, ("ingest",))
    run(home, 1, ())
    cache, wrong, hits, uris = LocalCache(str(home / "cache")), [], [], {}
    looked = threading.Event()
    keys = sorted(path.stem for path in (home / "cache").glob("*.json"))

    def look(part):
        uses = Lease(home)
        with uses.holding():
            for key in part:
                found = take(key, cache, uses)
                if found:
                    hits.append(key)
                    uris[key] = found["made"].uri
            looked.wait()
            wrong.extend(key for key in part if key in hits and not Path(uris[key]).exists())

    threads = [threading.Thread(target=look, args=(keys[start::2],)) for start in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        collect.collect(workspace(home), NO_CACHE, now=NOW)
    looked.set()
    for thread in threads:
        thread.join()

    assert not wrong


def test_a_queued_run_of_the_endpoint_stays_and_a_run_that_goes_is_off_its_list(tmp_path):
    context = endpoint_home.context(tmp_path)
    with context.database.writing() as connection:
        queued, ended = (create(connection, context, name) for name in ("queued", "ended"))
        store_runs.change(connection, store_runs.get(connection, ended["id"]), store_runs.FAILED)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)

    found = collect.collect(context.workspace, Retention(), now=later)

    assert gone(found, "record") == {f"runs/{ended['id']}": "older than 365d, and nothing needs it"}
    assert reasons(found) == {queued["id"]: "it is open"}
    with context.database.reading() as connection:
        assert store_runs.exists(connection, queued["id"])
        assert not store_runs.exists(connection, ended["id"])
    assert folders.order(folders.of(context.workspace, queued["id"])).name == "queued"
    context.database.close()


def create(connection, context, name):
    wanted = store_runs.Wanted(name, spec=endpoint_home._spec(str), parameters={"number": 1})
    return store_runs.create(connection, context.workspace, wanted)


def test_the_champion_those_before_it_and_their_runs_stay_the_files_of_others_go(home, uri):
    versions(home, "one", "two", "three", "four")
    made = [run(home, 400 + number, (f"train-{number}",), id=f"r{number}") for number in (1, 4)]
    tag_run(uri, {"1": "r1", "4": "r4"})
    run(home, 1, ())

    found = collect.collect(workspace(home), Retention(predecessors=1, cache_bytes=0), now=NOW)

    assert set(gone(found, "model version")) == {"flights v1", "flights v2"}
    assert gone(found, "model version")["flights v1"] == "no champion, nor among the 1 before it, and older than 30d"
    assert reasons(found)["flights v4"] == "the champion"
    assert reasons(found)["flights v3"] == "a champion before"
    assert reasons(found)["r4"] == "made flights v4, the champion"
    assert (made[0].units["train-1"].exists(), made[1].units["train-4"].exists()) == (False, True)
    reader = registry.open_reader(uri)
    assert [bool(model_version.is_deleted(each)) for each in reader.versions("flights")] == [False, False, True, True]
    assert resolving.resolve(uri, "flights", "3").version == "3"
    with pytest.raises(DataError, match=r"flights v1 were deleted by ct gc(.|\n)*fix: name another version"):
        resolving.resolve(uri, "flights", "1")
    assert len(list((home / "registry" / "models" / "flights").iterdir())) == 2
    assert reader.version("flights", "1").tags["data_fingerprint"], "what is known of it stays"


def tag_run(uri, runs):
    with registry.writing(uri) as client:
        for number, made_by in runs.items():
            client.set_model_version_tag("flights", number, "run", made_by)


def test_a_version_that_waits_or_is_released_stays_and_one_that_was_rejected_goes(home, uri):
    versions(home, "one", "two", "three", "four", "five")
    place = place_in(home)
    asked = {"approvals": 1, "expires": 1e9, "serving_root": str(place.serving_root), "serving": {}}
    for number in ("1", "2"):
        approvals.ask(uri, "flights", number, asked)
    approvals.say(uri, "flights", approvals.Word(champion_history.now(), approvals.REJECTED, "2", "ada"))
    state = release_state.State("3-x", "flights", "5", "3", release_state.RUNNING, 10, 0, "", 0, "", "", {}, "", {})
    release_state.write(str(place.serving_root), state, None)

    found = collect.collect(workspace(home), Retention(predecessors=0), now=NOW)

    assert set(gone(found, "model version")) == {"flights v2", "flights v4"}
    assert reasons(found)["flights v1"] == "waiting for approval (0 of 1)"
    assert reasons(found)["flights v3"] == "a release is in progress"


def test_a_version_that_an_open_run_uses_stays(home, uri):
    versions(home, "one", "two", "three")
    began = (NOW - datetime.timedelta(days=1)).isoformat()
    run(home, 1, (), state=record.RUNNING, process=os.getpid(), parameters={"model_name": "flights", "version": "1"})
    with registry.writing(uri) as client:  # v2 was the champion when the run began
        move = champion_history.Move(f"{NOW:%Y-%m-%dT%H:%M:%S.%fZ}", champion_history.PROMOTE, "2", "3")
        assert move.at > began
        client.set_model_version_tag("flights", "3", *move.tag)

    found = collect.collect(workspace(home), Retention(predecessors=0), now=NOW)

    assert not gone(found, "model version")
    assert reasons(found)["flights v1"] == reasons(found)["flights v2"] == "an open run uses it"


def test_a_model_that_is_trained_again_after_its_files_went_is_a_new_version_that_has_them(home, uri):
    versions(home, "one", "two", "three")
    collect.collect(workspace(home), Retention(predecessors=0), now=NOW)
    again = make_run(home / "again", "one")

    registered = registering.register(again.candidate("another"), uri, "flights")

    assert registered.version == "4"
    assert resolving.resolve(uri, "flights", "champion").version == "4"


def test_copies_in_an_object_store_go_with_what_they_are_copies_of(home, tmp_path):
    store = tmp_path / "bucket"
    old = run(home, 60, pipeline_root=str(store))
    kept = run(home, 1, ("ingest",), pipeline_root=str(store))
    for unit in (*old.units.values(), *kept.units.values()):
        copy = store / unit.relative_to(home / "artifacts") / "made" / "data"
        copy.parent.mkdir(parents=True)
        copy.write_text("x")
    (store / "of another").write_text("x")

    collect.collect(workspace(home), NO_CACHE, now=NOW)

    left = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    unit = kept.units["ingest"].relative_to(home / "artifacts").as_posix()
    assert left == {"of another", f"{unit}/made/data"}


def test_environments_and_checkpoints_that_nobody_used_for_long_go(home):
    run(home, 1, ())
    for name in ("environments/old", "environments/new", "checkpoints/old", "workspaces/killed"):
        (home / name).mkdir(parents=True)
        (home / name / "complete").write_text("")
        if name.endswith("old"):
            past = NOW.timestamp() - 40 * 86400
            for path in (home / name / "complete", home / name):
                os.utime(path, (past, past))

    uses = Lease(home)
    with uses.holding():
        assert not collect.collect(workspace(home), Retention(), now=NOW).items, "a run is open"
    found = collect.collect(workspace(home), Retention(), now=NOW)

    assert set(gone(found)) == {"environments/old", "checkpoints/old", "workspaces/killed"}
    assert (home / "environments" / "new").is_dir()


def test_a_record_that_cannot_be_read_stops_it(home):
    old = run(home, 60)
    (home / "runs" / old.id / record.RECORD).write_text("{")
    run(home, 1, ())
    before = tree(home)

    with pytest.raises(UsageError, match=r"run\.json cannot be read(.|\n)*nothing was deleted"):
        collect.collect(workspace(home), NO_CACHE, now=NOW)

    assert tree(home) == before


def test_a_registry_that_does_not_answer_keeps_its_runs(home):
    old = run(home, 60, parameters={"registry_uri": "${KFP_CT_TEST_UNSET}", "model_name": "flights"})
    run(home, 1, ())

    found = collect.collect(workspace(home), NO_CACHE, now=NOW)

    assert reasons(found)[old.id] == "the registry ${KFP_CT_TEST_UNSET} does not answer"
    assert all(unit.exists() for unit in old.units.values())


def test_one_collection_at_a_time(home):
    run(home, 1, ())
    with collect._alone(home), pytest.raises(UsageError, match=r"another collection of .* goes on"):
        collect.collect(workspace(home), Retention())


def test_the_command_lists_what_goes_what_stays_and_how_much(home):
    old = run(home, 60)
    run(home, 1, ())

    listed = ct(home, "gc", "--dry-run", "--kept", "--cache-bytes", "0")
    done = ct(home, "gc", "--cache-bytes", "0", "--json")

    assert f"goes     1.0 kB  artifacts      {old.units['train'].relative_to(home)}: no kept run" in listed.out
    assert "stays" in listed.out
    assert "would be deleted; 2 runs and versions stay" in listed.out
    assert json.loads(done.out)["bytes"] > 2000
    assert not old.units["train"].exists()


def test_the_endpoint_deletes_as_often_as_it_is_told(home, tmp_path):
    root = tmp_path / "repository"
    (root / "pipelines").mkdir(parents=True)
    space = dataclasses.replace(workspace(home), root=root)
    old = run(home, 60)
    run(home, 1, ())

    assert not daily.step(space, NOW), "nobody asked for it"
    (root / "pipelines" / "retention.yaml").write_text("every: 1d\ncache_bytes: 0\n")
    assert daily.step(space, NOW)
    assert not old.units["train"].exists()
    assert not daily.step(space, NOW + datetime.timedelta(hours=23))
    assert daily.step(space, NOW + datetime.timedelta(hours=25))
    (root / "pipelines" / "retention.yaml").write_text("every: daily\n")
    with pytest.raises(UsageError, match=r"retention\.yaml does not fit"):
        daily.step(space, NOW)


def test_the_longest_time_keeps_all_and_a_longer_one_is_refused(home):
    old = run(home, 60)

    found = collect.collect(workspace(home), Retention(artifacts_for="36500d", cache_bytes=0), now=NOW)
    assert found.items == ()
    assert old.units["train"].exists()
    for length in ("99999999d", "9999999999999999999d"):
        with pytest.raises(UsageError, match=f'artifacts_for is "{length}": expected .* at most 36500d'):
            settings.load(home, {"artifacts_for": length})


@pytest.mark.parametrize("is_file", [False, True])
def test_where_no_local_state_is_it_says_so_and_makes_none(home, is_file):
    if is_file:
        home.write_text("a file")
    with pytest.raises(UsageError, match=r"(?s)there is no local state .*home\n.*fix: give --home"):
        collect.collect(workspace(home), Retention(), dry_run=True)
    assert home.exists() == is_file


def test_an_option_that_does_not_fit_is_not_blamed_on_the_file(tmp_path):
    with pytest.raises(UsageError, match=r"(?s)what was given .*predecessors is -1.*fix: correct the option"):
        settings.load(tmp_path, {"predecessors": -1})
    assert settings.load(tmp_path, {"predecessors": 1}) == Retention(predecessors=1)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("sqlite:////nowhere/mlflow.db", "there is no file /nowhere/mlflow.db", id="absent"),
        pytest.param("ftp://mlflow", "cannot be used", id="no-registry"),
    ],
)
def test_a_registry_of_the_policy_that_cannot_be_read_names_the_policy(home, uri, why):
    old = run(home, 60)

    with pytest.raises(
        UsageError, match=rf"pipelines/retention\.yaml names the registry {uri}.*{why}(.|\n)*fix: correct"
    ):
        collect.collect(workspace(home), Retention(registries=(uri,), cache_bytes=0), now=NOW)
    assert old.units["train"].exists()
