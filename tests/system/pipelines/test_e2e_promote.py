"""A client that never stops asking the real service gets an answer to every request while versions change."""

import json
import signal
import subprocess
import threading
import time

import pytest

from ct_command import ct
from kfp_ct.champions import promotion
from kfp_ct.champions.promotion import Person
from kfp_ct.project.environments import component_python
from killed import exit_code, in_child, kill_me_at
from prediction_server import Server
from registered_models import now, place_in, release
from repository import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning"),
]
ROW = json.dumps({"instances": [{"carrier": "B6", "hour": 7, "distance": [187.0]}]})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two real models, of which version 1 answers 0.25 and version 2 answers 0.5."""
    home = tmp_path_factory.mktemp("home")
    for version, constant in (("1", "0.25"), ("2", "0.5")):
        folder = home / "saved" / version
        script = ROOT / "tests" / "helpers" / "saved_models.py"
        subprocess.run([component_python(), script, folder, constant], check=True, capture_output=True)
        assert release(home, version, folder) == version
    return home


class Client:
    """Asks in a loop; counts answers by their value, and keeps whatever was none."""

    def __init__(self, server):
        self.server, self.answers, self.failures, self.stopped = server, [], [], False
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self.stopped:
            try:
                answer = self.server.predict(ROW)
                assert answer.status_code == 200, answer.text
                self.answers.append(answer.json()["predictions"][0][0])
            except Exception as error:
                self.failures.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()

    def wait_for(self, value):
        deadline = time.monotonic() + 120
        while not self.answers or self.answers[-1] != value:
            assert time.monotonic() < deadline, f"never answered {value}: {self.answers[-1:]} {self.failures[:1]}"
            time.sleep(0.02)


def test_no_request_fails_while_versions_are_promoted_rolled_back_and_killed(home):
    place = place_in(home)
    server = Server(place.serving_root, python=component_python())
    try:
        with Client(server) as client:
            client.wait_for(0.5)
            assert ct(home, "rollback", "flights", "--reason", "it lost").code == 0
            client.wait_for(0.25)
            assert ct(home, "promote", "flights", "2").code == 0
            client.wait_for(0.5)

            def killed():
                kill_me_at("move_champion", "call")
                promotion.rollback(place_in(home), "flights", Person("ada"))

            assert exit_code(in_child(killed)) == -signal.SIGKILL
            assert now(place) == ("2", "1")
            assert ct(home, "models", "flights").err == "finished an interrupted rollback: flights v1\n"
            client.wait_for(0.25)
    finally:
        server.stop()
    assert now(place) == ("1", "1")
    assert client.failures == []
    assert len(client.answers) > 50
    assert set(client.answers) == {0.25, 0.5}
