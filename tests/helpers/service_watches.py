"""A small pipeline on the endpoint's API, deployed, and a watch of it; nothing carries its runs out."""

import contextlib
import datetime
import json
import threading

import uvicorn

from kfp_ct.deploy import deploy, kfp_api, service_runs, version
from kfp_ct.deploy.kfp_target import KfpTarget
from kfp_ct.endpoint.api.context import Context
from kfp_ct.endpoint.mlflow_ui import MlflowUi
from kfp_ct.endpoint.server import application
from kfp_ct.endpoint.store.database import Database
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import watch
from kfp_ct.watch.service_watch import ServiceWatch
from local_endpoint import compiled, doubling, until

EXPERIMENT = "watched"
COMMIT = "c" * 40
ON_DEMAND = {"name": "ask", "kind": "on_demand"}


@contextlib.contextmanager
def endpoint(folder):
    """The endpoint's API without what runs runs: they stay pending until somebody ends them."""
    workspace = Workspace(folder, folder / "home")
    (folder / "home/endpoint").mkdir(parents=True)
    database = Database(workspace.home / "endpoint/endpoint.db")
    app = application(Context(workspace, database, MlflowUi(folder / "mlflow.db", folder / "log")))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        database.close()


def make(folder, *triggers):
    """Makes a repository with a project named as the folder: watches of tests share one service."""
    path = folder / "repository/pipelines/small"
    (path / "settings").mkdir(parents=True)
    (folder / "repository/components").mkdir()
    name = f"p{abs(hash(folder.name)) % 10**8}"
    (path / "settings/kind.yaml").write_text(json.dumps({"pipeline": f"pipelines.{name}", "parameters": {"number": 3}}))
    (path / "triggers.yaml").write_text(json.dumps({"triggers": triggers or [ON_DEMAND]}))
    return Workspace(folder / "repository", folder / "home")


def opened(project, url, kind=service_runs.KfpRuns):
    watched = watch.open_watch(project, "small", "kind")
    service = KfpTarget(kfp_api.connect(url), url)
    return ServiceWatch(watched, service, kind(service, EXPERIMENT), str(project.home / "watch/small.json"))


def deployed(project, url, folder):
    """Deploys the pipeline and opens its watch."""
    made = opened(project, url)
    path = folder / "package.yaml"
    compiled(doubling, path)
    loaded = package.load_package(path)
    loaded["pipelineInfo"]["name"] = made.settings.pipeline_name
    deploy.deploy(made.service, version.of_package(loaded, made.settings, COMMIT), EXPERIMENT, lambda line: None)
    return made


def runs_of(watched):
    pipeline = watched.settings.pipeline_name
    return watched.runs.active(pipeline, watched.service.pipeline(pipeline))


def later(minutes=5):
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
