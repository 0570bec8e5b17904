"""Where a test deploys to Vertex AI: a registry in a file, a bucket of an emulator, the endpoint of a listener."""

import itertools

from kfp_ct.champions.locations import Location
from kfp_ct.components.deploy import work
from kfp_ct.components.register import work as registering
from kfp_ct.models import registry, release_state, serving_folder, vertex_api, vertex_target
from kfp_ct.models.settings import Serving
from kfp_ct.project.workspace import Workspace
from release_artifacts import Run, make_run
from repository import ROOT

PARENT = "projects/acme/locations/europe-west1"
MODEL, ENDPOINT = f"{PARENT}/models/flights", f"{PARENT}/endpoints/flights"
SERIAL = itertools.count()


class Place:
    """A registry in a file, a bucket, and the endpoint."""

    def __init__(self, folder, listener, **more):
        section = {"project": "acme", "location": "europe-west1", "image": "r/serving@sha256:1"}
        section |= {"api_endpoint": listener.url, **more.pop("vertex", {})}
        self.serving = {"target": "vertex", "vertex": section, "poll_seconds": 0.01, "timeout_seconds": 20, **more}
        self.folder, self.root = folder, f"gs://data/serving{next(SERIAL)}"
        self.registry = f"sqlite:///{folder}/registry/mlflow.db"

    def deploy(self, content, version):
        folder = self.folder / content
        run = Run(folder) if folder.exists() else make_run(folder, content)
        assert registering.register(run.candidate(content), self.registry, "flights", False).version == version
        release = serving_folder.Release(run.model, run.blessing, "flights", version)
        destination = work.Destination(self.root, self.serving, self.registry)
        return work.deploy(release, destination, 3, str(folder / "deployment"))

    @property
    def champion(self):
        found = registry.open_reader(self.registry).champion("flights")
        return found.number if found else ""

    @property
    def target(self):
        return vertex_target.VertexTarget(Serving.model_validate(self.serving), "flights", self.root)

    @property
    def location(self):
        return Location(Workspace(ROOT, self.folder / "home"), self.registry, self.root, self.serving)

    def seen(self):
        """Returns champion, what answers, what is deployed, and the traffic."""
        found = self.target.endpoint.get() or {}
        there = sorted(each["id"] for each in found.get("deployedModels", []))
        return self.champion, self.target.served("flights"), there, found.get("trafficSplit", {})


class KilledError(BaseException):
    """The process ends here: nothing of ours catches it."""


def kill_after(writes, monkeypatch, states=False):
    """Ends the command once so many of its writes were answered (reads change nothing), a release's states too."""
    left = [writes]

    def counted(found):
        left[0] -= 1
        if not left[0]:
            raise KilledError
        return found

    sent = vertex_api.VertexApi._send
    monkeypatch.setattr(
        vertex_api.VertexApi,
        "_send",
        lambda self, *request: sent(self, *request) if request[0] == "GET" else counted(sent(self, *request)),
    )
    for name in ("write", "archive") if states else ():
        write = getattr(release_state, name)
        monkeypatch.setattr(release_state, name, lambda *given, write=write: counted(write(*given)))
