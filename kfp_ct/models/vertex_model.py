"""A registry's version as a version of a model in Vertex AI's Model Registry, found again by its alias `v<number>`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models import blessing, kept_records, model_version
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.settings import Serving
from kfp_ct.models.vertex_api import ConflictError, Resource, VertexApi
from kfp_ct.models.vertex_settings import VertexServing

MODEL, VERSION, FINGERPRINT = "kfp-ct-model", "kfp-ct-version", "kfp-ct-fingerprint"
# Vertex AI takes descriptions of any length the API's message has; what stands there is for people.
_LONGEST, _LONGEST_CARD = 2_000, 8_000


def resource_id(name: str) -> str:
    """Returns a model's name as Vertex AI takes an id."""
    found = re.sub("[^a-z0-9-]", "-", name.lower()).strip("-")[:63].rstrip("-")
    return found if found[:1].isalpha() else f"m-{found}"[:63]


def settings_of(chosen: Serving) -> VertexServing:
    """Returns the section that `target: vertex` demands."""
    assert chosen.vertex is not None  # noqa: S101 - for mypy: the settings were checked
    return chosen.vertex


class VertexModel:
    """A model of the Model Registry, with versions."""

    def __init__(self, api: VertexApi, chosen: VertexServing, model_name: str) -> None:
        """Calls nothing."""
        self._api, self._chosen, self._model_name = api, chosen, model_name
        self.id = resource_id(model_name)
        self.name = f"{api.parent}/models/{self.id}"

    def labels(self) -> dict[str, str]:
        """Returns the labels that say whose model and endpoint are."""
        return {**self._chosen.labels, MODEL: self.id}

    def find(self, number: str, fingerprint: str) -> str:
        """Returns the resource name of a version, with Vertex AI's own number; empty if it was not uploaded.

        Raises:
            ConfigurationError: The name belongs to another's model, or the version is another model.
        """
        found = self._api.get(f"{self.name}@v{number}")
        if found is None:
            return ""
        self._require_ours(found)
        kept = found.get("labels", {}).get(FINGERPRINT, "")
        if fingerprint and kept != fingerprint[:63]:
            raise ConfigurationError(
                f"{self.name}@v{number} is another model than the one registered as v{number}\n"
                "expected: a Vertex AI model that belongs to one registry, and versions that never change\n"
                f"fix: name another model, or remove the alias v{number} there"
            )
        return f"{self.name}@{found['versionId']}"

    def upload(self, release: Release, fingerprint: str, place: tuple[str, str], deadline: float) -> str:
        """Uploads a version unless it is there, or an upload that was killed brings it there; returns its name.

        Args:
            release: The version.
            fingerprint: Of its files.
            place: The root that the service is to read, and the folder of the SavedModel.
            deadline: Until then, by the monotonic clock.
        """
        existing = self._api.get(self.name)
        if existing is not None:
            self._require_ours(existing)
            self._api.settle(self.name, deadline)
        found = self.find(release.version, fingerprint) if existing is not None else ""
        if found:
            return found
        body: Resource = {"model": self._body(release, fingerprint, place)}
        body |= {"parentModel": self.name} if existing is not None else {"modelId": self.id}
        try:
            self._api.wait(self._api.post(f"{self._api.parent}/models:upload", body), deadline)
        except ConflictError:  # another command was faster, or an answer was lost
            self._api.settle(self.name, deadline)
        found = self.find(release.version, fingerprint)
        if not found:
            raise ConfigurationError(
                f"{self.name} has no v{release.version} after its upload\n"
                "fix: look at the model in the console, then run again"
            )
        return found

    def set_champion(self, number: str) -> None:
        """Points the alias champion of the Model Registry at a version, unless it points there."""
        found = self._api.get(f"{self.name}@v{number}")
        if found and model_version.CHAMPION not in found.get("versionAliases", []):
            name = f"{self.name}@{found['versionId']}"
            self._api.post(f"{name}:mergeVersionAliases", {"versionAliases": [model_version.CHAMPION]})

    def _require_ours(self, found: Mapping[str, Any]) -> None:
        if found.get("labels", {}).get(MODEL) != self.id:
            raise ConfigurationError(
                f"{self.name} is there and is not of this model: it lacks the label {MODEL}={self.id}\n"
                "expected: a model that this library has made, or none of that name\n"
                "fix: rename that model's project or this model, or give that model the label"
            )

    def _body(self, release: Release, fingerprint: str, place: tuple[str, str]) -> Resource:
        root, saved_model = place
        verdict = blessing.read(release.blessing_path)
        card = kept_records.card(release.registry_uri, release.model_name, release.version)
        labels = {VERSION: release.version, FINGERPRINT: fingerprint[:63], "kfp-ct-blessed": "yes"}
        body: Resource = {
            "displayName": self._model_name,
            "versionAliases": [f"v{release.version}"],
            "versionDescription": _description(verdict, card),
            "artifactUri": saved_model,
            "labels": {**self.labels(), **labels},
            "containerSpec": self._container(root),
        }
        if self._chosen.encryption_key:
            body["encryptionSpec"] = {"kmsKeyName": self._chosen.encryption_key}
        return body

    def _container(self, root: str) -> Resource:
        log = ["--request-log", self._chosen.request_log] if self._chosen.request_log else []
        arguments = ["--root", root, "--model-cache", "/tmp/models", "--host", "0.0.0.0", "--port", "8501"]  # noqa: S104, S108
        return {
            "imageUri": self._chosen.image,
            "command": ["python3", "-m", "kfp_ct.serving"],
            "args": [*arguments, "--allowed-host", "*", *log],
            "ports": [{"containerPort": 8501}],
            "predictRoute": f"/v1/models/{self._model_name}:predict",
            "healthRoute": "/readyz",
        }


def _description(verdict: blessing.Blessing, card: str) -> str:
    """Returns for people what the model was compared with, every gate's reason, and the model card."""
    checks = [f"{each.gate}: {each.reason}" for each in verdict.checks]
    compared = f"compared with v{verdict.compared_with}" if verdict.compared_with else "the first model"
    said = f"Blessed by {', '.join(verdict.stages)}; {compared}. {json.dumps(checks, ensure_ascii=False)}"[:_LONGEST]
    return f"{said}\n\n{card[:_LONGEST_CARD]}".rstrip()
