"""The service is forked from a process that has imported TensorFlow, where there is one, and is gone afterwards."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from kfp_ct.components.validate_infra import server, servers, warm_process
from kfp_ct.components.validate_infra.client import Client, ServerError
from kfp_ct.components.validate_infra.settings import Infra
from kfp_ct.data import layouts
from kfp_ct.local import task_servers, zygote
from served_answers import save

pytestmark = pytest.mark.usefixtures("real_interpreter")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """The socket of a process that has imported TensorFlow and can be forked, as a run's task server makes it."""
    early = task_servers.HEAVY[: task_servers.HEAVY.index(zygote.EARLY) + 1]
    path = tmp_path_factory.mktemp("warm") / "heavy"
    lifeline, held = os.pipe()
    command = [f"{sys.prefix}/bin/python", zygote.__file__, "--serve", str(path), str(lifeline), *early, "json"]
    process = subprocess.Popen(command, pass_fds=[lifeline], start_new_session=True)
    socket = path.with_name(path.name + zygote.EARLY_SUFFIX)
    while not socket.exists():
        assert process.poll() is None
        time.sleep(0.05)
    yield socket, psutil.Process(process.pid)
    os.close(held)  # the lifeline: both servers and what they forked end
    process.wait()
    os.close(lifeline)


@pytest.fixture
def forks(warm, monkeypatch):
    monkeypatch.setenv(warm_process.SOCKET_VARIABLE, str(warm[0]))
    return warm[1]


def test_it_answers_in_a_process_of_its_own_that_is_gone_afterwards(good, forks):
    before = forks.children(recursive=True)
    with servers.connect(good, Infra()) as service:
        assert service.warm
        client = Client(service.url, 30)
        assert client.state() == "AVAILABLE"
        assert "serving_default" in client.signatures()
        client.close()
        assert service.peak_memory_mb() > 50
        keeper, service_process = (each for each in forks.children(recursive=True) if each not in before)
        assert service_process.ppid() == keeper.pid
    psutil.wait_procs([service_process, keeper], timeout=120)
    assert forks.children(recursive=True) == before


@pytest.mark.usefixtures("forks")
def test_a_model_that_cannot_be_loaded_is_told_with_the_log(tmp_path):
    layouts.write_text(tmp_path / layouts.SERVING_MODEL / "saved_model.pb", "no model")
    with (
        pytest.raises(ServerError, match="cannot load the model; its log ends:\n"),
        server.serving(str(tmp_path), 300, cold=False),
    ):
        pass


@pytest.mark.parametrize("budget", ["max_load_s", "max_memory_mb"])
@pytest.mark.usefixtures("forks")
def test_a_budget_on_its_start_or_memory_is_held_to_one_that_starts_from_nothing(good, budget):
    infra = Infra(**{budget: 1, "start_s": 0.01})
    with pytest.raises(ServerError, match="did not start within"), servers.connect(good, infra):
        pass


def _fails_beside(model):
    with servers.beginning(model, Infra()) as connect, connect() as service:
        assert (service.warm, Client(service.url, 30).state()) == (True, "AVAILABLE")
        raise ZeroDivisionError


def test_it_starts_beside_what_is_done_meanwhile_and_is_gone_whatever_that_comes_to(good, forks):
    before = forks.children(recursive=True)
    with pytest.raises(ZeroDivisionError):
        _fails_beside(good)
    psutil.wait_procs(set(forks.children(recursive=True)) - set(before), timeout=30)
    assert forks.children(recursive=True) == before


@pytest.mark.usefixtures("forks")
def test_beside_something_else_a_service_that_cannot_start_is_told_where_it_is_asked_for(tmp_path):
    layouts.write_text(tmp_path / layouts.SERVING_MODEL / "saved_model.pb", "no model")
    with (
        servers.beginning(str(tmp_path), Infra()) as connect,
        pytest.raises(ServerError, match="cannot load the model"),
        connect(),
    ):
        pass
