"""Searches hyperparameters, or hands them on; what is heavy is imported only by a search."""

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base import setting_problems, task_log
from kfp_ct.components.tune import view
from kfp_ct.components.tune.settings import Tuning
from kfp_ct.data import layouts, whole_floats
from kfp_ct.storage import locations

if TYPE_CHECKING:
    from kfp_ct.components.tune.suggestions import Suggestions


@dataclasses.dataclass(frozen=True)
class TuningRequest:
    """What is tuned on what: the artifacts' paths, the user's module and the settings."""

    examples_path: str
    graph_path: str
    schema_file: str
    module: str
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    tuning: dict[str, Any] = dataclasses.field(default_factory=dict)
    checkpoints: str = ""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Folder of the report and the HTML file to write."""

    trials_path: str
    view_path: str


def tune(request: TuningRequest, outputs: Outputs) -> dict[str, Any]:
    """Returns the hyperparameters to train with: those given, over the best of the search.

    Args:
        request: Artifacts, module and settings.
        outputs: Where the report of the trials goes.

    Raises:
        ConfigurationError: The module or a setting does not fit.
        DataError: The train split has too few rows.
        TrainingError: No trial was completed.
    """
    if not request.tuning:
        _write({"trials": [], "hyperparameters": whole_floats.restored(request.hyperparameters)}, outputs)
        task_log.summary("no search: the hyperparameters are those of the settings")
        return request.hyperparameters
    tuning = setting_problems.read(Tuning, request.tuning, "tuning")
    given = whole_floats.restored(request.hyperparameters)
    found = _search(dataclasses.replace(request, hyperparameters=given), tuning)
    chosen = {**found["values"], **given}
    overruled = sorted(name for name in found["values"] if name in given)
    summary = found | {"tuning": tuning.model_dump(), "hyperparameters": chosen, "overruled": overruled}
    _write(summary, outputs)
    task_log.summary(_summary_line(summary))
    return whole_floats.marked(chosen)


def _search(request: TuningRequest, tuning: Tuning) -> dict[str, Any]:
    from kfp_ct.components.tune import rows
    from kfp_ct.components.tune.mirror import Mirror
    from kfp_ct.components.tune.search import Search
    from kfp_ct.components.tune.trials import Job

    with tempfile.TemporaryDirectory() as scratch:
        drawn = rows.draw(request.examples_path, tuning.rows, Path(scratch))
        hyperparameters = request.hyperparameters | ({"epochs": tuning.epochs} if tuning.epochs else {})
        job = Job(
            request.graph_path, request.schema_file, request.module, drawn.train_files, drawn.eval_files,
            drawn.train_rows, drawn.eval_rows, hyperparameters, tuning.model_dump(),
        )  # fmt: skip
        lasting = locations.join(request.checkpoints, f"tune-{_key(request)}") if request.checkpoints else ""
        mirror = Mirror(Path(scratch) / "search", lasting)
        found = Search(job, tuning, mirror, _suggestions(request, tuning)).run()
        mirror.remove()
    return found | {"rows": drawn.train_rows, "held_out_rows": drawn.eval_rows}


def _suggestions(request: TuningRequest, tuning: Tuning) -> "Suggestions":
    from kfp_ct.components.tune.katib import Service
    from kfp_ct.components.tune.suggestions import KatibSuggestions, LocalSuggestions, VizierSuggestions
    from kfp_ct.components.tune.vizier import Study

    if tuning.katib is not None:
        return KatibSuggestions(Service(tuning.katib, f"kfp-ct-{_key(request)}"))
    if tuning.vizier is None:
        return LocalSuggestions()
    return VizierSuggestions(Study(tuning.vizier, tuning.vizier.study or f"kfp-ct-{_key(request)}"))


def _key(request: TuningRequest) -> str:
    """Names this search: the same data, graph, code and settings, and nothing else, go on from its trials."""
    import inspect

    from kfp_ct.data import user_code

    source = inspect.getsource(user_code.load_module(request.module))
    # How many run at a time changes nothing that has been found.
    searched = {name: value for name, value in request.tuning.items() if name != "parallel"}
    identity = [
        layouts.read_manifest(request.examples_path).fingerprint,
        layouts.tree_fingerprint(request.graph_path),
        hashlib.sha256(source.encode()).hexdigest(),
        request.hyperparameters,
        searched,
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _write(summary: dict[str, Any], outputs: Outputs) -> None:
    layouts.write_json(Path(outputs.trials_path) / layouts.SUMMARY, summary)
    layouts.write_text(outputs.view_path, view.draw(summary))


def _summary_line(summary: dict[str, Any]) -> str:
    tried = summary["trials"]
    failed = sum(trial["score"] is None for trial in tried)
    best = next(trial for trial in tried if trial["id"] == summary["best"])
    values = ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                       for name, value in summary["values"].items())  # fmt: skip
    lost = f", {failed} failed" if failed else ""
    return f"{len(tried)} trials{lost}, best {summary['objective']} {best['score']:.4f}: {values}"
