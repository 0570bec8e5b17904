"""Bills of materials say what is installed in an image; provenance says what was built, from what and by whom."""

import hashlib
import json

import docker
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import container_engine
from ct_command import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.ci.supply import inventory, provenance, sbom

STATUS = """Package: libssl3t64
Status: install ok installed
Architecture: amd64
Source: openssl (3.5.1-1)
Version: 3.5.1-1+b2
Description: words
 Version: not this one

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2026a-1
"""
REFERENCE = f"localhost:5000/kfp-ct-app@sha256:{'1' * 64}"
MADE = "2026-11-25T10:00:00.123456789Z"
COMMIT = "a" * 40


def found():
    return {
        "system": inventory.system('ID=debian\nVERSION_ID="13"\n'),
        "python": [{"name": "Jinja2", "version": "3.1.6", "licence": "BSD-3-Clause"}],
        "debian": inventory.packages(STATUS),
    }


def test_debian_packages_are_read_with_the_source_they_are_built_from():
    names = [(each["name"], each["version"], each["source"], each["source_version"]) for each in found()["debian"]]
    assert names == [
        ("libssl3t64", "3.5.1-1+b2", "openssl", "3.5.1-1"),
        ("tzdata", "2026a-1", "tzdata", "2026a-1"),
    ]


def test_this_pythons_own_distributions_are_found_with_their_licence(capsys):
    inventory.main()
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)["python"]}
    assert listed["cyclonedx-python-lib"]["licence"] == "Apache-2.0"
    assert len(listed) > 50
    assert inventory.licence({"License": "The whole text\nof a licence"}) == ""


def test_a_bill_of_materials_is_cyclonedx_and_the_same_each_time(tmp_path):
    text = sbom.document("app", REFERENCE, found(), MADE)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sbom.document("app", REFERENCE, found(), MADE) == text
    tree = json.loads(text)
    assert tree["metadata"]["component"]["version"] == f"sha256:{'1' * 64}"
    assert "pkg:deb/debian/libssl3t64@3.5.1-1%2Bb2?arch=amd64&distro=debian-13" in text
    (tmp_path / "app.cdx.json").write_text(text)
    assert sbom.read(tmp_path / "app.cdx.json") == (
        REFERENCE,
        [
            sbom.Installed("Debian:13", "openssl", "3.5.1-1"),
            sbom.Installed("Debian:13", "tzdata", "2026a-1"),
            sbom.Installed("PyPI", "jinja2", "3.1.6"),
        ],
    )


def test_an_image_with_nothing_in_it_has_no_bill():
    with pytest.raises(sbom.SbomError, match="nothing is installed"):
        sbom.document("app", REFERENCE, {"system": {}, "python": [], "debian": []}, MADE)


def test_an_image_that_cannot_be_looked_into_is_one_message(tmp_path, tmp_path_factory, monkeypatch):
    with container_engine.engine(tmp_path_factory.mktemp("engine")) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(sbom.SbomError, match="cannot be looked into"):
            sbom.look_into(container_engine.IMAGE)  # it has no Python


def test_a_real_image_is_looked_into(tmp_path, tmp_path_factory, monkeypatch):
    with container_engine.engine(tmp_path_factory.mktemp("engine")) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        image = container_engine.require_image(host, "kfp-ct-serving:dev")
        listed, made = sbom.look_into(image)
        assert {"starlette", "numpy"} <= {each["name"].lower() for each in listed["python"]}
        assert "libc6" in {each["name"] for each in listed["debian"]}
        assert listed["system"] == {"id": "debian", "version": "13"}
        assert made.startswith("20")
        client = docker.DockerClient(host)
        assert not [each for each in client.containers.list(all=True) if image in each.image.tags], "nothing stays"
        client.close()


@pytest.fixture
def built(tmp_path):
    """What a build leaves: a lock, a package, evidence."""
    lock = {
        "base": {"reference": "debian:trixie-slim", "digest": f"sha256:{'2' * 64}"},
        "contents": {"app": "abc"},
        "images": {"app": REFERENCE},
    }
    (tmp_path / "images.lock").write_text(yaml.safe_dump(lock))
    (tmp_path / "package.yaml").write_text("a package\n")
    (tmp_path / "sbom").mkdir()
    (tmp_path / "sbom" / "app.cdx.json").write_text("{}\n")
    return tmp_path


def options(built, commit=COMMIT, location="local"):
    return [
        "images", "provenance", str(built / "package.yaml"), "--build", "b1", "--commit", commit, "--repository", "o/r",
        "--ref", "main", "--project", "p", "--location", location, "--evidence", str(built / "sbom"),
        "--lock", str(built / "images.lock"), "--output", str(built / "provenance.json"),
        "--substitutions", "_PROJECT=flights,_BASE=debian:trixie-slim",
    ]  # fmt: skip


def test_provenance_names_what_was_built_from_what_and_by_whom(built):
    done = ct(built, *options(built))
    assert done.code == 0, done.err
    told = json.loads((built / "provenance.json").read_text())
    assert (told["_type"], told["predicateType"]) == (provenance.STATEMENT, provenance.PREDICATE)
    package = hashlib.sha256(b"a package\n").hexdigest()
    assert told["subject"] == [
        {"name": "localhost:5000/kfp-ct-app", "digest": {"sha256": "1" * 64}},
        {"name": "package.yaml", "digest": {"sha256": package}},
    ]
    definition, run = told["predicate"]["buildDefinition"], told["predicate"]["runDetails"]
    materials = {each.get("name", each.get("uri")): each["digest"] for each in definition["resolvedDependencies"]}
    assert materials["git+o/r"] == {"gitCommit": COMMIT}
    assert materials["base image"] == {"sha256": "2" * 64}
    assert {"Dockerfile", "requirements/components-current.txt", "infra/scan-policy.yaml"} <= set(materials)
    assert definition["externalParameters"]["substitutions"]["_PROJECT"] == "flights"
    assert run["builder"]["id"] == provenance.THIS_MACHINE
    assert run["metadata"]["invocationId"] == "projects/p/locations/local/builds/b1"
    assert [each["name"] for each in run["byproducts"]] == ["app.cdx.json"]

    assert ct(built, *options(built, location="europe-west1")).code == 0
    told = json.loads((built / "provenance.json").read_text())
    assert told["predicate"]["runDetails"]["builder"]["id"] == provenance.CLOUD_BUILD


def test_provenance_that_would_say_nothing_is_refused(built):
    assert "40 hexadecimal digits" in ct(built, *options(built, commit="main")).err
    (built / "package.yaml").unlink()
    assert ct(built, *options(built)).code == 2
    (built / "package.yaml").touch()
    (built / "images.lock").write_text(yaml.safe_dump({"images": {"app": REFERENCE}}))
    assert "which base image" in ct(built, *options(built)).err


def test_an_input_of_the_build_is_known_by_its_content(tmp_path):
    (tmp_path / "infra" / "build-inputs").mkdir(parents=True)
    (tmp_path / "infra" / "build-inputs" / "ca.crt").write_text("certificate\n")
    known = provenance.Build("b", COMMIT, "o/r", "", "p", "local", {})
    lock = {"images": {"app": REFERENCE}, "base": {"reference": "b", "digest": "sha256:2"}}
    (material,) = provenance.statement(tmp_path, known, lock, [], [])["predicate"]["buildDefinition"][
        "resolvedDependencies"
    ][2:]
    assert material == {
        "name": "infra/build-inputs/ca.crt",
        "digest": {"sha256": hashlib.sha256(b"certificate\n").hexdigest()},
    }
    with pytest.raises(UsageError, match="there is no file"):
        provenance.statement(tmp_path, known, lock, [tmp_path / "none"], [])
