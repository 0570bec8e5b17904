"""Small real artifacts that register, resolve_champion and deploy take: a model, its verdict, its data."""

import dataclasses
import shutil
from pathlib import Path

from kfp_ct.components.register.work import Candidate
from kfp_ct.data import layouts
from kfp_ct.models import blessing


@dataclasses.dataclass(frozen=True)
class Run:
    """The artifacts of one pipeline run below `root`."""

    root: Path

    @property
    def model(self) -> str:
        return str(self.root / "model")

    @property
    def blessing(self) -> str:
        return str(self.root / "blessing")

    @property
    def examples(self) -> str:
        return str(self.root / "examples")

    @property
    def statistics(self) -> str:
        return str(self.root / "statistics")

    @property
    def evaluation(self) -> str:
        return str(self.root / "evaluation")

    def candidate(self, training_key: str = "key") -> Candidate:
        lineage = {"commit": "abc123", "image": "components@sha256:1", "parameters": {"epochs": 3}}
        return Candidate(self.model, self.blessing, self.statistics, self.evaluation, training_key, lineage)


def make_run(root: Path, content: str, blessed: bool = True, saved_model: Path | None = None) -> Run:
    """Writes the artifacts of a run whose model is `content`, or a real one that is copied."""
    run = Run(root)
    model = Path(run.model) / layouts.SERVING_MODEL
    if saved_model:
        shutil.copytree(saved_model, model)
    else:
        layouts.write_text(model / "saved_model.pb", f"graph {content}")
        layouts.write_text(model / "variables" / "variables.index", f"weights {content}")
    manifest = layouts.Manifest(
        splits=[layouts.Split("train", 300, []), layouts.Split("eval", 100, [])],
        columns={"hour": "int"},
        fingerprint=f"rows of {content}",
        sources={"flights": "flights.csv"},
        window={"start": "2013-01-01", "end": "2013-06-01"},
        split_by={"method": "time"},
    )
    layouts.write_manifest(run.examples, manifest)
    layouts.write_manifest(Path(run.model) / layouts.TRAINING, manifest)
    checks = [blessing.Check("auc", blessed, "auc 0.70 against 0.65")]
    served = [blessing.Check("answers", True, "400 answers equal the model's own")]
    final = blessing.extended(blessing.decide(run.model, checks), blessing.VALIDATE_INFRA, served)
    blessing.write(run.blessing, final)
    for split in manifest.splits:
        path = layouts.split_path(run.statistics, split.name) / layouts.STATISTICS_FILE
        layouts.write_text(path, f"statistics of {split.name}")
    summary = {"metrics": {"challenger": {"auc": 0.7, "rows": 100, "interval": {"low": 0.68}, "note": "text"}}}
    layouts.write_json(Path(run.evaluation) / layouts.SUMMARY, summary)
    return run
