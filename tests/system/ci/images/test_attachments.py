"""Bills of materials and signatures lie beside the image: in Debian's own registry, and in one with referrers."""

import dataclasses
import json

import pytest
import yaml

import referring_registry
import whole_build
from cli_runner import ct
from kfp_ct.ci.images import attachments, registry
from kfp_ct.ci.images.attachments import Attachment
from kfp_ct.ci.images.registry import RegistryError
from kfp_ct.ci.supply import sbom

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module", params=["without referrers", "with referrers"])
def host(request, tmp_path_factory):
    if request.param == "with referrers":
        with referring_registry.running() as (name, _):
            yield name
        return
    try:
        running = whole_build.local_registry(tmp_path_factory.mktemp("registry"))
        with running as name:
            yield name
    except whole_build.CannotError as why:
        pytest.skip(str(why))


def pushed(host, content=b"{}"):
    """Pushes an image without layers; returns its reference by digest."""
    image = registry.parse(f"{host}/app:one")
    attachments._upload(image, content)
    config = attachments._descriptor("application/vnd.oci.image.config.v1+json", content)
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()
    registry.require(registry.manifest("PUT", image, body, MANIFEST), "the image")
    return f"{host}/app@{referring_registry.digest_of(body)}"


def test_what_is_attached_is_found_again_once_and_the_image_stays(host):
    reference = pushed(host)
    before = registry.digest(reference)
    bom = Attachment(attachments.SBOM, b'{"bomFormat": "CycloneDX"}', "app.cdx.json")
    signed = Attachment(attachments.ENVELOPE, b'{"payload": ""}', "provenance.dsse.json")
    digests = {attachments.attach(reference, bom) for _ in range(2)} | {attachments.attach(reference, signed)}

    assert attachments.attached(reference, attachments.SBOM) == [bom.content]
    assert attachments.attached(reference, attachments.ENVELOPE) == [signed.content]
    assert {each["digest"] for each in attachments._listed(registry.parse(reference))} == digests
    assert registry.digest(reference) == before
    assert attachments.attached(pushed(host, b'{"other": 1}'), attachments.SBOM) == []


def test_the_manifest_is_one_that_refers_to_the_image(host):
    reference = pushed(host)
    made = attachments.attach(reference, Attachment(attachments.SBOM, b"{}", "app.cdx.json"))
    found = registry.manifest("GET", dataclasses.replace(registry.parse(reference), version=made)).json()
    assert (found["artifactType"], found["subject"]["digest"]) == (attachments.SBOM, reference.partition("@")[2])
    assert found["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json", "digest": referring_registry.digest_of(b"{}"), "size": 2,
        "data": "e30=",
    }  # fmt: skip
    assert found["layers"][0]["annotations"] == {"org.opencontainers.image.title": "app.cdx.json"}


def test_an_image_that_is_not_there_or_is_named_by_a_tag_is_refused(host):
    reference, bom = pushed(host), Attachment(attachments.SBOM, b"{}", "x")
    with pytest.raises(RegistryError, match="named by a tag"):
        attachments.attach(f"{host}/app:one", bom)
    with pytest.raises(RegistryError, match="404"):
        attachments.attach(f"{reference.partition('@')[0]}@sha256:{'0' * 64}", bom)


@pytest.fixture
def build(host, tmp_path):
    """What a build has left: the lock, and the bill of materials of its image."""
    reference = pushed(host)
    (tmp_path / "images.lock").write_text(yaml.safe_dump({"images": {"app": reference}}))
    (tmp_path / "sbom").mkdir()
    installed = {"python": [{"name": "Jinja2", "version": "3.1.6"}], "debian": [], "system": {}}
    bom = sbom.document("app", reference, installed, "2026-11-25T10:00:00Z")
    (tmp_path / "sbom/app.cdx.json").write_text(bom)
    (tmp_path / "provenance.dsse.json").write_text('{"payload": "x"}')
    return tmp_path, reference, bom.encode()


def test_the_command_attaches_what_a_build_left(build):
    folder, reference, bom = build
    done = ct(folder, "images", "attach", cwd=folder)
    assert (done.code, done.out.count(f"{reference}: ")) == (0, 2), done.err
    assert bom in attachments.attached(reference, attachments.SBOM)
    (folder / "sbom/app.cdx.json").write_text(bom.decode().replace(reference, f"{reference[:-1]}x"))
    done = ct(folder, "images", "attach", cwd=folder)
    assert (done.code, "expected: " + reference in done.err) == (4, True)


def test_cosign_signs_too_where_a_key_for_it_is_named(build, monkeypatch):
    folder, reference, _ = build
    monkeypatch.setenv("PATH", str(folder))
    done = ct(folder, "images", "attach", "--cosign-key", "gcpkms://k", cwd=folder)
    assert (done.code, "no cosign on the PATH" in done.err) == (2, True)
    program = folder / "cosign"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    program.chmod(0o755)
    done = ct(folder, "images", "attach", "--cosign-key", "gcpkms://k", cwd=folder)
    assert (done.code, "signed by cosign" in done.out) == (0, True)
    asked = (folder / "asked").read_text()
    assert asked == f"sign --yes --tlog-upload=false --key gcpkms://k {reference}\n"
    program.write_text("#!/bin/sh\necho no such key >&2\nexit 1\n")
    done = ct(folder, "images", "attach", "--cosign-key", "gcpkms://k", cwd=folder)
    assert (done.code, "cosign did not sign" in done.err, "no such key" in done.err) == (4, True, True)
