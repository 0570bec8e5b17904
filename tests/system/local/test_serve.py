"""`ct serve`: the service in the component environment, one clear message each for what can be missing."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pyarrow.parquet
import pytest

import seaweedfs
from kfp_ct.base.errors import CtError
from kfp_ct.data import layouts
from kfp_ct.local.serve import example_request, serve
from kfp_ct.models import serving_bucket
from kfp_ct.project import environments
from kfp_ct.releasing import load_test, recorded_requests
from kfp_ct.storage import releases
from repository import ROOT

SERVE = """
import sys
from kfp_ct.local.serve import serve
sys.exit(serve(sys.argv[1], port=0))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A serving folder with one deployed model."""
    root = tmp_path_factory.mktemp("serving")
    script = ROOT / "tests" / "helpers" / "saved_models.py"
    subprocess.run(
        [environments.component_python(), script, root / "flights" / "3", "0.25"], check=True, capture_output=True
    )
    return root


def start(root):
    return subprocess.Popen([sys.executable, "-c", SERVE, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def sent(line):
    """Sends what a line `try: curl -d BODY URL` would, also where there is no curl."""
    curl, option, body, url = shlex.split(line.removeprefix("try: "))
    assert (curl, option) == ("curl", "-d")
    with urllib.request.urlopen(url, body.encode(), timeout=60) as answer:
        return json.load(answer)


def until(process, prefix):
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith(prefix):
            return lines
    raise AssertionError(f"it ended before it said {prefix!r}: {lines}")


def test_serves_and_says_a_request_that_works(root):
    process = start(root)
    try:
        said = until(process, "New versions")
        first, curl, answer, _ = said
        assert first.startswith("serving flights v3 at http://127.0.0.1:")
        assert json.loads(answer) == {"predictions": [[0.25]]}
        assert sent(curl) == {"predictions": [[0.25]]}
        # The load test says yes of the real service, and no where a row asks for what it has not.
        *_, body, url = shlex.split(curl.removeprefix("try: "))
        plan = load_test.Plan(20, 0.5, p99_ms=5_000)
        assert load_test.run(url, [body.encode()], plan, {}).problems == ()
        wrong = load_test.run(url, [b'{"instances": [{"no such input": 1}]}'], plan, {})
        assert (wrong.answered, "10 times: 400" in wrong.problems[0]) == (0, True)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(120)
        process.stdout.close()
    assert code == 0


def test_a_log_has_what_was_asked_and_nothing_made_up(root, tmp_path):
    command = [sys.executable, "-m", "kfp_ct.cli.main", "serve", "--root", root, "--port", "0"]
    command += ["--request-log", tmp_path / "log"]
    process = subprocess.Popen([*command, "--log-rows", "5"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        _, curl, _ = until(process, "New versions")
        sent(curl)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(120)
        process.stdout.close()
    assert code == 0
    (file,) = (tmp_path / "log").rglob("*.parquet")
    assert file.parent == tmp_path / "log" / "flights" / "3"
    assert pyarrow.parquet.read_metadata(file).num_rows == 1
    # What was recorded is a request again.
    (recorded,) = recorded_requests.read(str(tmp_path / "log"))
    assert json.loads(recorded) == json.loads(shlex.split(curl.removeprefix("try: "))[2])


def answers(url):
    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
    except OSError:
        return False
    return True


def test_serves_from_an_object_store_and_over_grpc(root, monkeypatch):
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        place = "s3://data/serving"
        with pytest.raises(CtError, match="nothing is deployed at s3://data/serving"):
            serve(place)
        model = root / "flights" / "3"
        manifest = releases.manifest_of(model, layouts.tree_fingerprint(model))
        kept = {"request": {"instances": [{"distance": 2.5}]}}
        release = serving_bucket.BucketRelease(model, place, "flights", "3", manifest, kept)
        serving_bucket.publish(release, keep_versions=2)
        command = [sys.executable, "-m", "kfp_ct.cli.main", "serve", "--root", place, "--port", "0", "--grpc-port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            first, curl, answer, _ = until(process, "New versions")
            assert first.startswith("serving flights v3 at http://127.0.0.1:")
            assert '{"distance": 2.5}' in curl, "the request that deploy kept"
            assert json.loads(answer) == sent(curl) == {"predictions": [[0.25]]}
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(120)
            process.stdout.close()
        assert code == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_leaves_no_service_behind(how, root):
    process = start(root)
    url = until(process, "serving")[0].split(" at ")[1].split("/v1")[0]

    process.send_signal(how)
    code = process.wait(120)
    process.stdout.close()

    assert code == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    deadline = time.monotonic() + 120
    while answers(url):
        assert time.monotonic() < deadline, "the service outlived the process that started it"
        time.sleep(0.1)


def test_says_that_nothing_is_deployed(tmp_path):
    with pytest.raises(CtError, match="nothing is deployed") as error:
        serve(str(tmp_path))
    assert "fix:" in str(error.value)


def test_says_that_the_component_environment_is_missing(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CT_COMPONENT_PYTHON", str(tmp_path / "python"))

    with pytest.raises(CtError, match="make setup"):
        serve(str(root))


def test_says_that_the_port_is_taken(root, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CtError, match="did not start") as error:
            serve(str(root), port=taken.getsockname()[1])

    assert error.value.exit_code == 2
    assert "Address already in use" in capfd.readouterr().err


def tensor(dtype, *sizes):
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in sizes]}}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"x": tensor("DT_FLOAT", -1)}, [{"x": 1.0}]),
        ({"x": tensor("DT_FLOAT", -1, 1), "n": tensor("DT_INT64", -1)}, [{"n": 1, "x": 1.0}]),
        ({"image": tensor("DT_FLOAT", -1, 2, 3)}, [[[1.0] * 3] * 2]),
        ({"image": tensor("DT_FLOAT", -1, 2), "flag": tensor("DT_BOOL", -1)}, [{"flag": True, "image": [1.0, 1.0]}]),
        ({f"f{n}": tensor("DT_STRING", -1) for n in range(9)}, [{f"f{n}": "a" for n in range(6)}]),
    ],
    ids=["one", "two", "image", "required", "many"],
)
def test_makes_up_a_request_that_fits_the_signature(inputs, expected):
    assert example_request({"inputs": inputs}) == {"instances": expected}
