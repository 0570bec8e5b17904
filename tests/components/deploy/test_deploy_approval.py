"""A version that needs a person's word waits in the component, says what is missing, and is served once it is given."""

import json
from pathlib import Path

import pytest

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.deploy import work
from kfp_ct.components.register import work as registering
from kfp_ct.models import approvals, champion_history, registry, serving_folder
from release_artifacts import make_run

ONE = {"approve": True}


@pytest.fixture
def place(tmp_path):
    return {"root": tmp_path / "serving", "uri": f"sqlite:///{tmp_path}/registry/mlflow.db", "folder": tmp_path}


def register(place, content, serving=ONE):
    """Registers a model; returns a function that has deploy meet the settings."""
    run = make_run(place["folder"] / content, content)
    version = registering.register(run.candidate(content), place["uri"], "m", False).version
    release = serving_folder.Release(run.model, run.blessing, "m", version)

    def deploy(uri=place["uri"], release=release):
        destination = work.Destination(str(place["root"]), serving, uri)
        return work.deploy(release, destination, 3, str(run.root / "deployment"))

    return deploy


def say(place, kind, version, by="ada@x.org"):
    approvals.say(place["uri"], "m", approvals.Word(champion_history.now(), kind, version, by, "so"))


def test_it_waits_then_an_approval_serves_it_and_the_next_one_waits_anew(place, capsys):
    first = register(place, "one")
    assert first() == {"model": "m", "version": "", "previous": "", "waiting": "1"}
    assert "nothing is served; ct approve m 1, or ct reject" in capsys.readouterr().out
    told = json.loads((place["folder"] / "one/deployment/summary.json").read_text())
    assert (told["approval"], told["kept"]) == ("waiting for approval (0 of 1)", [])
    assert not (place["root"] / "m").exists()

    say(place, approvals.APPROVED, "1")
    assert first()["version"] == "1"
    assert registry.open_reader(place["uri"]).champion("m").number == "1"
    assert first()["version"] == "1", "what is served and champion already needs no second word"

    second = register(place, "two")
    assert second()["waiting"] == "2"
    assert "v1 answers as before" in capsys.readouterr().out
    say(place, approvals.REJECTED, "2")
    assert second()["waiting"] == "2"
    assert "rejected by ada@x.org" in capsys.readouterr().out
    assert serving_folder.served(place["root"], "m") == "1"


def test_what_it_cannot_ask_about_is_named(place):
    deploy = register(place, "one")
    with pytest.raises(ConfigurationError, match=r"serving\.approve is true, and there is no registry_uri"):
        deploy(uri="")
    unknown = serving_folder.Release(
        str(Path(place["folder"]) / "one/model"), str(Path(place["folder"]) / "one/blessing"), "m", "9"
    )
    with pytest.raises(ConfigurationError, match="m v9 is not registered"):
        deploy(release=unknown)
    assert not (place["root"] / "m").exists()
