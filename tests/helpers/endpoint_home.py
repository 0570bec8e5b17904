"""An endpoint's home as weeks of use leave it, written through the store: every page has something to show.

No process runs. Every name that a person or a task could have chosen goes through `name`, so that a test can make all
of them hostile.
"""

import asyncio
import contextlib
import csv
import dataclasses
import datetime
import functools
import io
import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import uvicorn

from kfp_ct.data import layouts
from kfp_ct.endpoint import server
from kfp_ct.endpoint.api.context import Context
from kfp_ct.endpoint.mlflow_ui import MlflowUi
from kfp_ct.endpoint.store import folders, store_experiments, store_pipelines, store_recurring, store_runs
from kfp_ct.endpoint.store.database import Database, now
from kfp_ct.endpoint.store.tables import pipelines, recurring_runs, versions
from kfp_ct.endpoint.ui.addresses import url
from kfp_ct.models import registry_sqlite
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from kfp_ct.runs.events import State
from local_endpoint import compiled, doubling, until

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_REGISTRY_TABLES = """
    CREATE TABLE alembic_version (version_num);
    CREATE TABLE registered_models (workspace, name);
    CREATE TABLE registered_model_aliases (workspace, name, alias, version);
    CREATE TABLE model_versions (workspace, name, version, source, creation_time, current_stage);
    CREATE TABLE model_version_tags (workspace, name, version, key, value);
"""
Name = Callable[[str], str]
_MARKDOWN = "[a link](javascript:alert(1)) [another](https://example.org)\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n"
_MONDAYS = {"cron_schedule": {"cron": "0 30 4 * * 1"}}


@dataclasses.dataclass
class Home:
    """What lies there, by the names that tests use."""

    context: Context
    pipelines: dict[str, str] = dataclasses.field(default_factory=dict)
    versions: list[str] = dataclasses.field(default_factory=list)
    runs: dict[str, str] = dataclasses.field(default_factory=dict)
    schedules: dict[str, str] = dataclasses.field(default_factory=dict)
    tasks: list[str] = dataclasses.field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return self.context.workspace

    @property
    def database(self) -> Database:
        return self.context.database


def make(folder: Path, name: Name = str) -> Home:
    """Fills a home below a folder, in a workspace of its own."""
    home = Home(context(folder))
    spec = _spec(name)
    with home.database.writing() as connection:
        group = store_experiments.create(connection, name("nightly retraining"), name("What the scheduler starts"))[
            "id"
        ]
        old = store_experiments.create(connection, name("first steps"), "")["id"]
        store_experiments.set_archived(connection, old, archived=True)
        _pipelines(connection, home, spec, name)
        _runs(connection, home, spec, group, name)
        _schedules(connection, home, spec, group, name)
    _triggers(home, name)
    _models(home, name)
    return home


def _next_millisecond() -> None:
    """Gives what is made next a later time of creation, by which pages sort; it is kept in milliseconds."""
    time.sleep(0.002)


def context(folder: Path) -> Context:
    workspace = Workspace(folder / "repository", folder / "home")
    (workspace.root / "components").mkdir(parents=True)
    (workspace.root / "pipelines").mkdir()
    registry = workspace.home / "registry" / "mlflow.db"
    return Context(workspace, Database(workspace.home / "endpoint" / "endpoint.db"), MlflowUi(registry, folder / "log"))


@functools.cache
def _compiled() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return Path(compiled(doubling, Path(folder) / "doubling.yaml")).read_text()


def _spec(name: Name) -> package.Package:
    """The doubling pipeline with inputs of every type, renamed throughout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "package.yaml"
        path.write_text(_compiled())
        spec = package.load_package(path)
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    renamed = {"number": name("number"), "note": name("note")}
    tasks = {task: _segment(name(task)) for task in spec["root"]["dag"]["tasks"]}
    spec["root"]["inputDefinitions"]["parameters"] = {
        renamed["number"]: inputs["number"] | {"description": name("The number that is doubled")},
        renamed["note"]: inputs["note"] | {"defaultValue": name("none")},
        name("rate"): {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5, "isOptional": True},
        name("dry run"): {"parameterType": "BOOLEAN", "defaultValue": False, "isOptional": True},
        name("carriers"): {"parameterType": "LIST", "defaultValue": [name("AA"), name("UA")], "isOptional": True},
        name("limits"): {"parameterType": "STRUCT", "defaultValue": {name("rows"): 3}, "isOptional": True},
    }
    spec["root"]["dag"]["tasks"] = {tasks[task]: each for task, each in spec["root"]["dag"]["tasks"].items()}
    for task in spec["root"]["dag"]["tasks"].values():
        if "dependentTasks" in task:
            task["dependentTasks"] = [tasks[each] for each in task["dependentTasks"]]
        for given in task["inputs"]["parameters"].values():
            if "componentInputParameter" in given:
                given["componentInputParameter"] = renamed[given["componentInputParameter"]]
            if "taskOutputParameter" in given:
                given["taskOutputParameter"]["producerTask"] = tasks[given["taskOutputParameter"]["producerTask"]]
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = name("registry.example/components:1")
    return spec


def _pipelines(connection, home: Home, spec, name: Name) -> None:
    made = store_pipelines.create_pipeline(
        connection, name("flights"), name("flights"), name("Delays of flights from New York"), {}
    )
    _tag(connection, pipelines, made["id"], {"team": name("delays")})
    home.pipelines["flights"] = made["id"]
    annotated = {"kfp-ct": {"commit": COMMIT, "settings": name("prod"), "parameters": {"epochs": 3}, "dirty": False}}
    changed = json.loads(json.dumps(spec))
    changed["root"]["inputDefinitions"]["parameters"][name("note")]["defaultValue"] = name("changed")
    for version, content, about in (
        (name("first"), spec, {"description": name("By hand"), "code_source_url": name("javascript:alert(1)//")}),
        (COMMIT, changed, {"description": f"{name('of a commit')}\n{json.dumps(annotated)}",
                           "code_source_url": "https://example.org/commit/0123"}),
    ):  # fmt: skip
        row = store_pipelines.create_version(connection, made["id"], content, {"name": version, **about})
        _next_millisecond()
        home.versions.append(row["id"])
    _tag(connection, versions, row["id"], {"a": name("b")})
    _next_millisecond()
    empty = store_pipelines.create_pipeline(connection, name("no versions"), name("no versions"), "", {})
    home.pipelines["empty"] = empty["id"]


def _tag(connection, table, key: str, tags: dict[str, str]) -> None:
    """Tags as earlier versions let them be: of any length."""
    connection.execute(table.update().where(table.c.id == key).values(tags=tags))


def _runs(connection, home: Home, spec, group: str, name: Name) -> None:
    home.tasks = [task.name for task in record.tasks(spec)]
    plan = {
        "succeeded": (store_runs.SUCCEEDED, [State.SUCCEEDED, State.CACHED], ""),
        "failed": (store_runs.FAILED, [State.SUCCEEDED, State.FAILED], name("double-2 failed\nTraceback: 3 > 2")),
        "terminated": (store_runs.FAILED, [State.FAILED, State.SKIPPED], store_runs.TERMINATED),
        "archived": (store_runs.SUCCEEDED, [State.CACHED, State.CACHED], ""),
        "running": (store_runs.RUNNING, [State.SUCCEEDED, State.RUNNING], ""),
        "canceling": (store_runs.CANCELING, [State.RUNNING, State.PENDING], ""),
        "waiting": (store_runs.PENDING, [], ""),
    }
    for label, (state, tasks, error) in plan.items():
        parameters = {name("number"): 21, name("note"): name("by hand"), name("limits"): {name("rows"): [1, 2]}}
        wanted = store_runs.Wanted(
            name(label), group, name("why it was made"), home.pipelines["flights"], home.versions[0],
            parameters=parameters, cause=name("started by hand"),
        )  # fmt: skip
        row = store_runs.create(connection, home.workspace, wanted)
        _next_millisecond()
        home.runs[label] = row["id"]
        if state != store_runs.PENDING:
            store_runs.change(connection, row, store_runs.RUNNING, started_at=_ago(60))
        if state in (store_runs.SUCCEEDED, store_runs.FAILED):
            row = store_runs.get(connection, row["id"])
            store_runs.change(connection, row, state, error, finished_at=_ago(20))
        elif state == store_runs.CANCELING:
            store_runs.change(connection, store_runs.get(connection, row["id"]), state)
        if tasks:
            _account(home, row["id"], spec, tasks, name)
    store_runs.set_archived(connection, home.runs["archived"], archived=True)
    handed = store_runs.create(connection, home.workspace, store_runs.Wanted(name("of a package"), spec=spec,
                               parameters={name("number"): 1}))  # fmt: skip
    home.runs["of a package"] = handed["id"]


def _ago(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)).isoformat(
        timespec="milliseconds"
    )


def _account(home: Home, run_id: str, spec, states, name: Name) -> None:
    """The record, logs and artifacts of a run whose tasks are in these states."""
    folder = folders.of(home.workspace, run_id)
    found = record.tasks(spec)
    for task, state in zip(found, states, strict=True):
        task.state = state
        if state in (State.SUCCEEDED, State.FAILED, State.RUNNING, State.CACHED):
            task.started, task.seconds = _ago(50), 0.0 if state == State.RUNNING else 12.4
            layouts.write_text(folder / "logs" / f"{task.name}.log", name("doubling 21 <b>by hand</b>\n"))
        if state in (State.SUCCEEDED, State.CACHED):
            task.summary = name("42 rows")
            task.parameters = {"Output": 42, name("text"): name("a text"), "empty": "", "map": {name("a"): 1}}
            task.artifacts = _artifacts(home.workspace.artifacts / run_id / "made", name)
        if state == State.FAILED:
            task.error = name("ValueError: asked to fail\n  File <stdin>")
    account = record.Run(
        id=run_id, project=name("flights"), environment=name("local"), pipeline=name("flights"),
        parameters={name("number"): 21, name("note"): name("by hand"), name("limits"): {name("rows"): [1, 2]}},
        cause=name("started by hand"), commit=name(COMMIT), code_version=name("c0ffee"), image="", versions={},
        user=name("ada"), process=os.getpid(), started=_ago(50), tasks=found,
    )  # fmt: skip
    layouts.write_text(folder / record.RECORD, json.dumps(dataclasses.asdict(account)))


def _artifacts(folder: Path, name: Name) -> dict[str, dict]:
    """One artifact for each way of showing one."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "page": ("system.HTML", "page.html", f"<h1>A page of a task</h1>{name('text')}"),
        "notes": ("system.Markdown", "notes.md", f"# Notes\n\n{name('text')}\n\n{_MARKDOWN}"),
        "rows": ("system.Dataset", "rows.csv", _csv(["carrier", name("flights")], [name("UA"), 3], ["AA", 4])),
        "summary": ("system.Artifact", "summary.json", json.dumps({name("auc"): name("0.7")})),
        "text": ("system.Artifact", "words.txt", name("words")),
        "binary": ("system.Model", "weights.bin", "\0\1\2"),
        "nothing": ("system.Artifact", "empty.txt", ""),
        "headers": ("system.Dataset", "headers.csv", "carrier,flights\n"),
    }
    made = {}
    for label, (kind, file, content) in files.items():
        (folder / file).write_text(content)
        made[_segment(name(label))] = {"uri": str(folder / file), "type": kind, "metadata": {}}
    many = folder / "many"
    for number in range(3):
        layouts.write_text(many / f"{number}.txt", "x" * 2000)
    layouts.write_text(many / _segment(name("name")), "x")
    layouts.write_text(many / layouts.SUMMARY, json.dumps({"rows": 3}))
    about = {name("framework"): name("keras"), "n": 3, "map": {name("a"): [1]}, "none": None}
    made[_segment(name("folder"))] = {"uri": str(many), "type": "system.Model", "metadata": about}
    for label, content in (("metrics", {name("auc"): 0.75, "rows": 336776}), ("no metrics", {})):
        made[_segment(name(label))] = {"uri": "", "type": "system.Metrics", "metadata": content}
    for label, content in (("curves", _classification(name)), ("no curves", {})):
        made[_segment(name(label))] = {"uri": "", "type": "system.ClassificationMetrics", "metadata": content}
    made[_segment(name("elsewhere"))] = {"uri": name("gs://bucket/model"), "type": name("google.Model"), "metadata": {}}
    return made


def _segment(name: str) -> str:
    """A name that can be one of a file: those of tasks, of artifacts and of their files."""
    return name.replace("/", "∕")


def _csv(*rows: list) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _classification(name: Name) -> dict:
    points = [(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)]
    return {
        "confidenceMetrics": [{"falsePositiveRate": x, "recall": y, "confidenceThreshold": 0.5} for x, y in points],
        "confusionMatrix": {"annotationSpecs": [{"displayName": name("late")}, {"displayName": name("in time")}],
                            "rows": [{"row": [8, 2]}, {"row": [1, 9]}]},
    }  # fmt: skip


def _schedules(connection, home: Home, spec, group: str, name: Name) -> None:
    daily = {"periodic_schedule": {"interval_second": "86400", "start_time": "2026-01-01T00:00:00Z"}}
    for label, trigger, settings in (
        ("mondays", _MONDAYS, {"enabled": True}),
        ("daily", daily, {"enabled": False}),
        ("broken", _MONDAYS, {"enabled": True}),
    ):
        wanted = store_runs.Wanted(
            name(label), group, name("why it fires"), home.pipelines["flights"],
            parameters={name("number"): 3, name("note"): name("[[ScheduledTime.2006-01-02]]")},
        )  # fmt: skip
        schedule = {"trigger": trigger, "max_concurrency": 1, "no_catchup": True, **settings}
        row = store_recurring.create(connection, wanted, schedule)
        _next_millisecond()
        home.schedules[label] = row["id"]
    values = {"error": name("2026-01-05T04:30:00Z: the pipeline has no input\nnumber"), "last_scheduled_at": now()}
    broken = recurring_runs.c.id == home.schedules["broken"]
    connection.execute(recurring_runs.update().where(broken).values(fired=3, **values))
    handed = store_runs.Wanted(name("handed over"), group, spec=spec, parameters={name("number"): 1})
    row = store_recurring.create(
        connection, handed, {"trigger": daily, "max_concurrency": 2, "no_catchup": False, "enabled": True}
    )
    home.schedules["handed over"] = row["id"]
    row = store_recurring.get(connection, home.schedules["mondays"])
    due = datetime.datetime(2026, 1, 5, 4, 30, tzinfo=datetime.UTC)
    fired = store_runs.Wanted(f"{row['name']} {due:%Y-%m-%d %H:%M:%S}", group, pipeline_id=home.pipelines["flights"],
                              parameters=row["parameters"], recurring_run_id=row["id"], scheduled=due,
                              cause=f"schedule {row['name']}, due {due:%Y-%m-%d %H:%M}")  # fmt: skip
    home.runs["scheduled"] = store_runs.create(connection, home.workspace, fired)["id"]


def _triggers(home: Home, name: Name) -> None:
    """A project that is watched, one whose triggers.yaml is wrong, and one without."""
    pipelines = home.workspace.root / "pipelines"
    triggers = [
        {"name": name("a person"), "kind": "on_demand"},
        {"name": name("mondays"), "kind": "schedule", "cron": "0 7 * * 1"},
        {"name": name("new flights"), "kind": "new_data", "min_files": 2, "settle": "1m", "marker": "_SUCCESS"},
        {"name": name("worse than baseline"), "kind": "performance", "max_loss": 0.03},
        {"name": name("other flights"), "kind": "distribution", "features": [name("hour"), name("carrier")]},
    ]
    for project, content in (("flights", {"cooldown": "1h", "daily_budget": 4, "triggers": triggers}),
                             ("wrong", {"triggers": [{"name": name("wrong"), "kind": "schedule", "corn": "x"}]}),
                             ("without", None)):  # fmt: skip
        layouts.write_text(pipelines / project / "settings" / "local.yaml", "{}\n")
        if content is not None:
            layouts.write_text(pipelines / project / "triggers.yaml", json.dumps(content, ensure_ascii=False))
    lines = [
        {"firing": f"f{n}", "at": f"2026-01-0{n + 1}T04:30:00+00:00", "triggers": [name("new flights")],
         "reasons": [name("2 new files")], "keys": ["k"], "state": state, "process": os.getpid(), "begun": True,
         "run": name("20260101-1")}
        for n, state in enumerate(("SUCCEEDED", "FAILED", "RUNNING"))
    ]  # fmt: skip
    layouts.write_text(home.workspace.home / "triggers" / "flights.jsonl", "".join(f"{json.dumps(x)}\n" for x in lines))


def _models(home: Home, name: Name) -> None:
    """A registry with three versions of a model, in the tables of MLflow's that are read without it."""
    database = home.workspace.home / "registry" / "mlflow.db"
    database.parent.mkdir(parents=True)
    move = {"kind": "promote", "before": "1", "by": name("ada"), "why": name("it answers better"), "run": ""}
    tags = {"run": name("20260101-1"), "window": "2013-01-01T00:00:00Z/2013-06-01T00:00:00Z"}
    moves = {"moved.2026-01-02T00:00:00.000000Z": json.dumps(move | {"state": "done"})}
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(_REGISTRY_TABLES)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (registry_sqlite.KNOWN_REVISION,))
        connection.execute("INSERT INTO registered_models VALUES ('default', 'delays')")
        connection.execute("INSERT INTO registered_model_aliases VALUES ('default', 'delays', 'champion', 2)")
        for number in (1, 2, 3):
            source = str(database.parent / "models" / str(number))
            version = ("default", "delays", number, source, 1767225600000, "None")
            connection.execute("INSERT INTO model_versions VALUES (?, ?, ?, ?, ?, ?)", version)
            for key, value in (tags | (moves if number == 2 else {})).items():
                tag = ("default", "delays", number, key, value)
                connection.execute("INSERT INTO model_version_tags VALUES (?, ?, ?, ?, ?)", tag)


def addresses(home: Home) -> dict[str, str]:
    """Every page and view of the home, by a label."""
    runs, (first, second), flights = home.runs, home.versions, home.pipelines["flights"]
    version = f"/pipelines/{flights}/versions"
    found = {
        "runs": "/runs", "runs that are archived": "/runs?archived=1", "runs by name": url("runs", text="no such run"),
        "comparison of runs": url("runs", "compare", r=[runs["succeeded"], runs["failed"]]),
        "comparison of nothing": "/runs/compare", "choice of a pipeline": "/runs/new",
        "new run": url("runs", "new", pipeline=flights), "run again": url("runs", "new", again=runs["succeeded"]),
        "run of a package again": url("runs", "new", again=runs["of a package"]),
        "new schedule": url("schedules", "new", pipeline=flights), "pipelines": "/pipelines",
        "first version": f"{version}/{first}", "second version": f"{version}/{second}",
        "comparison of versions": url("pipelines", flights, "compare", v=[first, second]),
        "comparison of one version": url("pipelines", flights, "compare", v=[first]),
        "schedules": "/schedules", "triggers": "/triggers", "decision": "/triggers?look=flights",
        "experiments": "/experiments", "archived experiments": "/experiments?archived=1", "models": "/models",
        "sign in": "/login", "refusal": "/runs/none",
    }  # fmt: skip
    found |= {f"run that is {state}": url("runs", run) for state, run in runs.items()}
    found |= {f"pipeline: {name}": url("pipelines", each) for name, each in home.pipelines.items()}
    found |= {f"schedule: {name}": url("schedules", each) for name, each in home.schedules.items()}
    for state in ("succeeded", "failed", "running", "canceling"):
        for n, task in enumerate(home.tasks):
            found[f"task {n} of the run that is {state}"] = url("runs", runs[state], "tasks", task)
    return found


def get(home: Home, *places: str) -> list[httpx.Response]:
    """Asks the endpoint for pages, without a server between."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(server.application(home.context))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(place) for place in places]

    return asyncio.run(ask())


def post(home: Home, place: str, form: dict[str, str], origin: str = "") -> httpx.Response:
    """Sends a form to the endpoint, without a server between."""
    headers = {"Origin": origin} if origin else {}

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(server.application(home.context))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(place, data=form, headers=headers)

    return asyncio.run(send())


@contextlib.contextmanager
def served(home: Home) -> Iterator[str]:
    """Serves the home as it stands, for a browser: nothing in it goes on. Yields the address."""
    app = server.application(home.context)
    made = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        until(lambda: made.started)
        yield f"http://127.0.0.1:{made.servers[0].sockets[0].getsockname()[1]}"
    finally:
        made.should_exit = True
        thread.join()
