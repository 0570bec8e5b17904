"""A release's candidate has its share of the traffic, by key; whatever it does, clients are answered."""

import asyncio
import collections
import dataclasses
import datetime
import itertools
import json
import threading

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from kfp_ct.components.monitor import request_log
from kfp_ct.components.monitor.request_log import Period
from kfp_ct.serving.app import create_app
from kfp_ct.serving.privacy import privacy
from kfp_ct.serving.request_files import Answered, Key
from kfp_ct.serving.request_log import RequestLog, Settings
from kfp_ct.serving.routing import Routing, request_key
from kfp_ct.serving.values import Lists
from kfp_ct.storage import releases
from numpy_models import ask, save_version, service

REQUESTS = [(f"r{number}", [number]) for number in range(400)]


@pytest.fixture
def root(tmp_path):
    save_version(tmp_path / "serving" / "m" / "1")
    return tmp_path / "serving"


def release(root, percent=50, shadow=0, state="running", key="", candidate=2):
    said = {"id": "2-a", "candidate": str(candidate), "percent": percent, "shadow": shadow, "key": key, "state": state}
    (root / "m" / "release.json").write_text(json.dumps(said))


def candidate(root, **said):
    return save_version(root / "m" / "candidate" / "2", **said)


def shares(predictor):
    counted = collections.Counter(version for version, _ in ask(predictor, REQUESTS))
    return counted[1], counted[2]


def logged(folder):
    """Returns the metadata and rows of every file of a log, by version."""
    found = collections.defaultdict(list)
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        found[int(path.parent.name)].append((json.loads(table.schema.metadata[b"serving"]), table))
    return found


def test_a_candidate_has_its_share_and_a_key_keeps_its_version(root):
    candidate(root, bias=1.0)
    release(root, percent=25)
    predictor = service(root)
    first = ask(predictor, REQUESTS)

    assert 70 <= shares(predictor)[1] <= 130
    assert ask(predictor, REQUESTS) == first
    release(root, percent=50)
    predictor.versions.poll()
    second = ask(predictor, REQUESTS)
    assert all(after[0] == 2 for before, after in zip(first, second, strict=True) if before[0] == 2)
    assert {status["version"] for status in predictor.versions.status("m", None)} == {"1", "2"}


def test_without_a_running_release_a_candidate_answers_nothing(root):
    candidate(root)
    predictor = service(root)
    assert shares(predictor) == (400, 0)
    release(root, percent=100, state="backed_out")
    predictor.versions.poll()
    assert shares(predictor) == (400, 0)


def test_a_damaged_file_changes_nothing(root):
    candidate(root)
    release(root, percent=100)
    predictor = service(root)
    (root / "m" / "release.json").write_text('{"state": "runn')
    predictor.versions.poll()

    assert shares(predictor) == (0, 400)


def test_a_header_or_a_chosen_input_is_the_key():
    routing = Routing("2-a", 2, 50, 0, "x")
    same = [routing.role(routing.key_of({"x": np.array([7.0, other])})) for other in range(20)]
    assert len(set(same)) == 1
    keys = [routing.role(f"user {number}".encode()) for number in range(2_000)]
    assert 0.45 < keys.count("canary") / 2_000 < 0.55
    # Another candidate finds others.
    others = [Routing("3-a", 3, 50, 0, "").role(f"user {number}".encode()) for number in range(2_000)]
    assert 0.4 < sum(a == b for a, b in zip(keys, others, strict=True)) / 2_000 < 0.6


def test_a_request_may_say_its_key_over_http(root):
    candidate(root)
    release(root, percent=50)
    app = create_app(service(root))

    async def versions_by_key():
        found = collections.defaultdict(set)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            for user, value in itertools.product(range(20), range(3)):
                body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [float(value)]}]}
                answer = await client.post("/v2/models/m/infer", json=body, headers={"X-Release-Key": f"user {user}"})
                assert answer.status_code == 200, answer.text
                found[user].add(answer.json()["model_version"])
        return found

    found = list(asyncio.run(versions_by_key()).values())
    assert all(len(versions) == 1 for versions in found)
    assert {next(iter(versions)) for versions in found} == {"1", "2"}


@pytest.mark.parametrize("said", [{"broken": True}, {"fails": True}], ids=["not loaded", "fails when asked"])
def test_a_bad_candidate_takes_nothing_from_clients_and_its_errors_are_logged(root, tmp_path, said):
    candidate(root, **said)
    release(root, percent=50)
    log = RequestLog(Settings(tmp_path / "log"))
    predictor = service(root, log)
    assert predictor.ready()
    assert shares(predictor) == (400, 0)
    log.close()

    [(failed, rows)] = logged(tmp_path / "log")[2]
    assert 150 < failed["requests"] == sum(failed["errors"].values()) < 250
    assert (failed["role"], failed["release"], failed["percent"], len(rows)) == ("canary", "2-a", 50, 0)
    assert predictor.recent.of("m")[2, "canary"].errors == failed["requests"]
    assert sum(entry["requests"] for entry, _ in logged(tmp_path / "log")[1]) == 400


def test_both_versions_are_logged_with_their_part(root, tmp_path):
    candidate(root, bias=1.0)
    release(root, percent=50)
    log = RequestLog(Settings(tmp_path / "log"))
    answered = ask(service(root, log), REQUESTS)
    log.close()

    for version, role in ((1, "live"), (2, "canary")):
        [(entry, table)] = logged(tmp_path / "log")[version]
        assert (entry["role"], entry["release"], entry["percent"]) == (role, "2-a", 50)
        assert table["request_id"].to_pylist() == [
            request for (request, _), answer in zip(REQUESTS, answered, strict=True) if answer[0] == version
        ]


def test_a_shadow_answers_the_same_requests_unseen(root, tmp_path):
    candidate(root, bias=1.0)
    release(root, percent=0, shadow=100)
    log = RequestLog(Settings(tmp_path / "log"))
    predictor = service(root, log)
    for start in range(0, 400, 40):  # the queue of a shadow is short, so that it never holds up clients
        assert {version for version, _ in ask(predictor, REQUESTS[start : start + 40])} == {1}
        while predictor.recent.of("m").get((2, "shadow")) is None or (
            predictor.recent.of("m")[2, "shadow"].requests < start + 40
        ):
            threading.Event().wait(0.005)
    log.close()

    [(live, ours)], [(shadow, theirs)] = (logged(tmp_path / "log")[version] for version in (1, 2))
    assert (live["role"], shadow["role"]) == ("live", "shadow")
    assert ours["request_id"].to_pylist() == theirs["request_id"].to_pylist()
    assert ours["inputs"].to_pylist() == theirs["inputs"].to_pylist()
    assert ours["outputs"].to_pylist() != theirs["outputs"].to_pylist()


def test_a_shadow_that_cannot_keep_up_is_left_out(root):
    candidate(root)
    release(root, percent=0, shadow=100)
    predictor = service(root)
    stuck = threading.Event()
    predictor._shadows._asking.submit(stuck.wait, 20)
    assert shares(predictor) == (400, 0)
    stuck.set()
    predictor._shadows._asking.shutdown()
    assert 0 < predictor.recent.of("m")[2, "shadow"].requests <= 64


def test_a_promoted_candidate_answers_without_being_loaded_again(root):
    candidate(root, bias=1.0)
    release(root, percent=50)
    predictor = service(root)
    with predictor.versions.leased("m", 2) as (loaded, _):
        pass
    release(root, state="promoting")
    predictor.versions.poll()
    assert shares(predictor) == (0, 400)
    (root / "m" / "candidate" / "2").rename(root / "m" / "2")
    predictor.versions.poll()
    assert shares(predictor) == (0, 400)
    with predictor.versions.leased("m", None) as (model, number):
        assert (model is loaded, number) == (True, 2)
    release(root, state="promoted")
    predictor.versions.poll()
    assert predictor.versions.serving() == {"m": 2}


def test_no_request_fails_while_the_split_changes(root):
    candidate(root)
    release(root, percent=0)
    predictor = service(root)
    stop = threading.Event()
    watching = threading.Thread(target=predictor.versions.watch, args=(stop, 0.001))
    watching.start()
    for percent, state in [(1, "running"), (50, "running"), (50, "backed_out"), (100, "running"), (10, "running")] * 3:
        release(root, percent, state=state)
        assert len(ask(predictor, REQUESTS[:60])) == 60
    stop.set()
    watching.join()


def test_a_key_is_of_its_request_only():
    async def seen(key):
        request_key.set(key)
        await asyncio.sleep(0)
        return request_key.get()

    async def both():
        return await asyncio.gather(*(asyncio.create_task(seen(key)) for key in "ab"))

    assert asyncio.run(both()) == ["a", "b"]


def test_readiness_is_of_each_model_and_a_bad_candidate_or_neighbour_takes_none_down(root):
    candidate(root, broken=True)
    release(root, percent=50)
    save_version(root / "bad" / "1", broken=True)
    app = create_app(service(root))

    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            paths = ("/v2/models/m/ready", "/v2/models/bad/ready", "/readyz", "/v1/models/m")
            return [await client.get(path) for path in paths]

    ready, bad, whole, status = asyncio.run(asked())
    assert (ready.status_code, ready.json()) == (200, {"name": "m", "ready": True})
    assert bad.status_code == 404
    assert (whole.status_code, whole.json()) == (503, {"serving": {"m": 1}, "waiting": ["bad"]})
    found = {each["version"]: each for each in status.json()["model_version_status"]}
    assert (found["1"]["state"], found["2"]["state"]) == ("AVAILABLE", "END")
    assert "cannot parse" in found["2"]["status"]["error_message"]


def test_the_page_leads_to_the_model_card_that_was_published_with_a_version(root):
    def pages(*paths):
        async def get():
            transport = httpx.ASGITransport(app=create_app(service(root)))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return [await client.get(path) for path in paths]

        return asyncio.run(get())

    shown, missing = pages("/", "/models/m/1/card")
    assert "model card" not in shown.text
    assert (missing.status_code, missing.json()["error"]) == (404, "m version 1 has no model card here")
    published = dataclasses.replace(releases.manifest_of(root / "m" / "1", "print"), card="# m\n<b>for whom</b>\n")
    (root / "m" / "1.json").write_bytes(published.to_json())
    shown, card, other = pages("/", "/models/m/1/card", "/models/m/2/card")
    assert '<a href="/models/m/1/card">model card of v1</a>' in shown.text
    assert (card.text, card.headers["content-type"]) == ("# m\n<b>for whom</b>\n", "text/plain; charset=utf-8")
    assert other.status_code == 404


def test_the_page_shows_versions_shares_requests_and_errors(root):
    candidate(root)
    release(root, percent=25)
    save_version(root / "<b>bad" / "1", broken=True)
    predictor = service(root)
    ask(predictor, REQUESTS)
    predictor.recent.failed("m", 2, "canary")
    app = create_app(predictor)

    async def page():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get("/")

    answer = asyncio.run(page())
    shown = predictor.recent.of("m")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "v1 answers 75 %, the candidate v2 25 %." in answer.text
    assert f'<td class="number">{shown[1, "live"].requests}</td>' in answer.text
    assert f"1 ({100 / shown[2, 'canary'].requests:.1f} %)" in answer.text
    assert "<b>" not in answer.text
    assert "<h2>&lt;b&gt;bad</h2>" in answer.text
    assert "v1 cannot be loaded: ValueError: cannot parse saved_model.pb" in answer.text


SECRETS = {"email": b"planted.person@example.org", "ssn": b"078-05-1120"}


def test_what_is_never_logged_or_hashed_is_nowhere_in_the_log(tmp_path):
    hidden = privacy(["email", "score"], ["ssn", "salary", "tags"], "a key")
    log = RequestLog(Settings(tmp_path, privacy=hidden))
    names = np.array([SECRETS["ssn"], SECRETS["ssn"], b"other"], object)
    inputs = {
        "email": np.array([SECRETS["email"]] * 3, object),
        "ssn": names,
        "salary": np.array([987654321.0, 987654321.0, 1.0]),
        "tags": Lists(names, np.array([1, 2, 0]), np.array([True, True, True]), b""),
        "hour": np.array([1, 2, 3]),
    }
    log.answered(Key("m", 1, "s"), Answered("r", 0.0, 1.0, inputs, {"score": np.ones(3), "p": np.zeros(3)}))
    log.close()

    [(metadata, table)] = logged(tmp_path)[1]
    assert metadata["hidden"] == ["email", "salary", "score", "ssn", "tags"]
    rows = table["inputs"].to_pylist()
    assert set(rows[0]) == {"ssn", "salary", "tags", "hour"}
    assert set(table["outputs"].to_pylist()[0]) == {"p"}
    content = repr(table.to_pydict()) + "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*.p*"))
    for planted in (*SECRETS.values(), b"987654321"):
        assert planted.decode() not in content
    period = Period(*(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (1970, 1971)))
    read = request_log.read(str(tmp_path), "m", "1", period, (10, "s")).rows
    assert request_log.columns(read, "inputs").column_names == ["hour"], "monitoring compares no digests with values"
    # Equal values stay equal, others apart, and another key gives other digests.
    assert rows[0]["ssn"] == rows[1]["ssn"] != rows[2]["ssn"]
    assert rows[0]["salary"] == rows[1]["salary"] != rows[2]["salary"]
    assert len({row["tags"] for row in rows}) == 3
    other = privacy([], ["ssn"], "another key")
    assert other.applied(Answered("r", 0.0, 1.0, inputs, {})).inputs["ssn"][0] != rows[0]["ssn"].encode()
