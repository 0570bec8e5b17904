"""Computes TFDV statistics of every split of a dataset."""

from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.components.statistics import beam_path, summary, view
from kfp_ct.data import feature_statistics, layouts, reading
from kfp_ct.pages.formats import percent


def write_statistics(
    examples_path: str, output_path: str, view_path: str, beam_pipeline_args: list[str]
) -> dict[str, Any]:
    """Writes `Split-<name>/FeatureStats.pb` and `summary.json`, and the statistics as a page.

    Args:
        examples_path: Dataset with a manifest.
        output_path: Folder of the statistics artifact.
        view_path: HTML file to write.
        beam_pipeline_args: Beam options; empty computes in this process, its memory bounded by one batch.

    Returns:
        Metadata of the artifact: rows per split and the number of features.

    Raises:
        DataError: There is no split, a split has no rows, or a column has a type TFDV has no statistics for.
    """
    manifest = layouts.read_manifest(examples_path)
    _require_rows(manifest, examples_path)
    files = {split.name: layouts.split_files(examples_path, split.name) for split in manifest.splits}
    outputs = {name: layouts.split_path(output_path, name) / layouts.STATISTICS_FILE for name in files}
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    if beam_pipeline_args:
        beam_path.write_statistics(files, outputs, beam_pipeline_args)
    else:
        _write_in_memory(files, outputs)
    report: dict[str, Any] = {"splits": [summary.read_split(name, path) for name, path in outputs.items()]}
    if manifest.shapes:
        report["shapes"] = manifest.shapes
    layouts.write_json(Path(output_path) / layouts.SUMMARY, report)
    layouts.write_text(view_path, view.draw(report))
    return _report(report)


def _write_in_memory(files: dict[str, list[str]], outputs: dict[str, Path]) -> None:
    for name, paths in files.items():
        statistics = feature_statistics.compute(reading.iter_batches(paths), name)
        outputs[name].write_bytes(statistics.SerializeToString(deterministic=True))
        task_log.progress(f"{name}: {statistics.datasets[0].num_examples:,} rows")


def _require_rows(manifest: layouts.Manifest, examples_path: str) -> None:
    if not manifest.splits:
        raise DataError(f"the dataset at {examples_path} has no split\nexpected: at least train and eval")
    for split in manifest.splits:
        if not split.rows or not split.files:
            raise DataError(
                f"split {split.name!r} of the dataset has no rows (window {_window(manifest)})\n"
                "expected: rows in every split\n"
                "fix: widen the window, or change the split in the settings file"
            )


def _window(manifest: layouts.Manifest) -> str:
    return " to ".join(manifest.window.get(end) or "open" for end in ("start", "end"))


def _infinite(feature: dict[str, Any]) -> int:
    return feature.get("infinite", 0)


def _report(report: dict[str, Any]) -> dict[str, Any]:
    splits = report["splits"]
    features = {feature["name"] for split in splits for feature in split["features"]}
    worst = max((f for s in splits for f in s["features"]), key=lambda feature: feature["missing"], default=None)
    missing = f"; most missing: {worst['name']} {percent(worst['missing'])}" if worst and worst["missing"] else ""
    infinite = dict.fromkeys(feature["name"] for split in splits for feature in split["features"] if _infinite(feature))
    named = f"; infinite values: {', '.join(infinite)}" if infinite else ""
    task_log.summary(f"{len(features)} features over {len(splits)} splits{missing}{named}")
    return {"rows": {split["name"]: split["num_examples"] for split in splits}, "features": len(features)}
