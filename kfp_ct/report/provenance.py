"""Where everything comes from and where it is, so that the run can be repeated and its results found."""

import json
import os
from pathlib import Path
from typing import Any

from kfp_ct.pages.html import Html, code, details, join, muted, subsection, table
from kfp_ct.report import words
from kfp_ct.report.content import Content
from kfp_ct.report.parts import link, pairs


def facts(content: Content) -> list[Html]:
    """Code, image, versions, who, why, when, data, and the parameters."""
    run = content.run
    rows: list[list[Any]] = [
        ["run", code(run.id)],
        ["pipeline", join([code(run.pipeline), f", project {run.project}, environment {run.environment}"])],
        ["cause", f"{run.cause}, by {run.user}"],
        ["time", f"{words.moment(run.started)} to {words.moment(run.ended) if run.ended else 'now'}"],
        ["commit", code(run.commit) if run.commit else muted("not in a git repository")],
        ["code version", code(run.code_version)],
        ["image", code(run.image)],
        ["versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())],
        ["data fingerprint", code(content.manifest["fingerprint"]) if content.manifest else muted("no data yet")],
    ]
    if content.task("evaluate"):
        rows.append(["compared with", _champion(content)])
    parameters = [[name, code(_written(value))] for name, value in run.parameters.items()]
    return [pairs(rows), details(f"{words.count(len(parameters), 'parameter')}", pairs(parameters))]


def files(content: Content) -> list[Html]:
    """Every artifact with its place, and the logs; links are relative, so that the folder can be moved as a whole."""
    rows = [
        [task.name, name, str(kept.get("type", "")).removeprefix("system."), _place(str(kept["uri"]), content.folder)]
        for task in content.run.tasks
        for name, kept in task.artifacts.items()
        if kept.get("uri")
    ]
    logs = sorted(path.relative_to(content.folder).as_posix() for path in content.folder.glob("logs/*.log"))
    parts: list[Html] = []
    if rows:
        parts.append(table(["step", "artifact", "type", "place"], rows, merge=1))
    if logs:
        parts.append(subsection("Logs", Html(f"<p>{' '.join(link(path, Path(path).name) for path in logs)}</p>")))
    return parts


def _champion(content: Content) -> Any:
    version = content.evaluation.get("compared_with")
    return f"champion {words.version(version)}" if version else muted("no champion")


def _place(uri: str, folder: Path) -> Html:
    if not Path(uri).exists():  # elsewhere (a bucket), or swept away
        return code(uri)
    return link(os.path.relpath(uri, folder), words.near(uri))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
