"""Damaged requests of every protocol and damaged models: refused, never a server's fault, others go on."""

import shutil

import grpc
import pytest
import tensorflow as tf

import serving_fuzz
from damaged_models import damage
from kfp_ct.serving.model_check import DamagedModelError
from kfp_ct.serving.saved_model import SavedModel
from kfp_ct.serving.versions import Versions
from kfp_ct.storage import releases
from prediction_server import Server
from saved_models import save, save_signatures

SEED, REQUESTS, MODELS = 20, 200, 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("robust")
    save_signatures(root / "many" / "2")
    save(root / "flights" / "7", 1)
    server = Server(root, "--grpc-port", "0", "--max-body-mb", "1")
    yield server
    server.stop()


def assert_it_answers(server):
    assert server.predict({"instances": [{"hour": 1}]}).json() == {"predictions": [[1.0]]}


@pytest.mark.parametrize("protocol", ["predict", "examples", "infer"])
def test_damaged_requests_over_http_are_refused(protocol, server):
    statuses, faults = serving_fuzz.over_rest(server, protocol, REQUESTS, SEED)

    assert not faults
    assert statuses["200"], "some are whole enough to be answered"
    assert statuses["400"] > REQUESTS / 10
    assert_it_answers(server)


@pytest.mark.parametrize("protocol", ["tfs-grpc", "oip-grpc"])
def test_damaged_requests_over_grpc_are_refused(protocol, server):
    with grpc.insecure_channel(server.grpc) as channel:
        statuses, faults = serving_fuzz.over_grpc(channel, protocol, REQUESTS, SEED)

    assert not faults
    assert statuses["OK"]
    assert statuses["INVALID_ARGUMENT"] > REQUESTS / 10
    assert_it_answers(server)


def test_damaged_models_are_refused_and_others_go_on(tmp_path):
    save(tmp_path / "whole", 1)
    root = tmp_path / "root"
    shutil.copytree(tmp_path / "whole", root / "good" / "1")
    shutil.copytree(tmp_path / "whole", root / "bad" / "1")
    versions = Versions(root, SavedModel)
    refused = 0
    for seed in range(MODELS):
        version = root / "bad" / str(seed + 2)
        shutil.copytree(tmp_path / "whole", version)
        damage(version, seed)
        versions.poll()
        state = {status["version"]: status for status in versions.status("bad", None)}.get(str(seed + 2))
        refused += state is None or state["state"] == "END"
        for name in ("good", "bad"):
            with versions.leased(name, None) as (model, _):
                assert model.predict(b'{"instances": [{"hour": 1}]}').body == b'{"predictions":[[1.0]]}'
    assert refused > MODELS * 0.8, "the rest was exchanged for itself, or damaged where nothing is read"


def flip_what_still_parses(folder):
    path, version = folder / "saved_model.pb", tf.__version__.encode()
    content = path.read_bytes()
    assert version in content
    path.write_bytes(content.replace(version, version[:-1] + bytes([version[-1] ^ 1])))


@pytest.mark.parametrize("place", ["m/7", "m/candidate/7"])
def test_a_flipped_byte_that_still_parses_is_refused_where_a_manifest_says_so(place, tmp_path):
    save(tmp_path / place, 1)
    manifest = releases.manifest_of(tmp_path / place, "")
    flip_what_still_parses(tmp_path / place)
    SavedModel(tmp_path / place)  # nobody can know
    (tmp_path / "m" / "7.json").write_bytes(manifest.to_json())

    with pytest.raises(DamagedModelError, match=r"not the files that were published: saved_model\.pb"):
        SavedModel(tmp_path / place)


def test_a_damaged_version_takes_no_good_one_down(tmp_path):
    for version in ("1", "2"):
        save(tmp_path / "m" / version, 1)
        (tmp_path / "m" / f"{version}.json").write_bytes(releases.manifest_of(tmp_path / "m" / version, "").to_json())
    flip_what_still_parses(tmp_path / "m" / "2")

    versions = Versions(tmp_path, SavedModel)
    versions.poll()

    assert versions.serving() == {"m": 1}
    (status, _) = versions.status("m", None)
    assert (status["version"], status["state"]) == ("2", "END")
    assert "fix: remove the version's folder and deploy the version again" in status["status"]["error_message"]


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    save(tmp_path / "1", 1)
    (tmp_path / "1" / "assets" / "words").symlink_to("/etc/hostname")

    with pytest.raises(Exception, match=r"assets/words is a link that leads out of the model's folder"):
        SavedModel(tmp_path / "1")


def test_a_graph_that_reaches_for_files_is_refused(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def steal(names):
        return {"content": tf.map_fn(tf.io.read_file, names)}

    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), steal.get_concrete_function())

    with pytest.raises(Exception, match="operations that are not served: ReadFile"):
        SavedModel(tmp_path / "1")
