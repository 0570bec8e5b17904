"""Section "infrastructure": tests for ML infrastructure."""

import itertools
import json
from collections import defaultdict

from kfp_ct.models.champion_history import ROLLBACK
from kfp_ct.report.content import Content
from kfp_ct.scorecard.checks import HALF, WHOLE, Check, Finding, first
from kfp_ct.scorecard.evidence import Evidence


def reproducible(found: Evidence) -> Finding:
    """Training is reproducible."""
    same, other = repeated_trainings(found.trainings)
    said = f"{same} trainings that were repeated on the same data, code and settings came to the same metrics"
    return first(
        (same > 0 and not other, WHOLE, said),
        otherwise=f"{other} repeated trainings came to other metrics" if other else "no training has been repeated",
        raises="ct run PROJECT --no-cache twice; seed what is random",
    )  # fmt: skip


def unit_tested(found: Evidence) -> Finding:
    """Model specs are unit tested."""
    passed = found.tests is not None and found.tests.all_passed("training_learns", "training_converges", "answer")
    return first(
        (
            passed and "test" in found.build,
            WHOLE,
            "the model's tests passed on these sources, and each build runs tests",
        ),
        (passed, HALF, "the model's tests passed on these sources"),
        otherwise="no test of the model is known to have passed on these sources",
        raises="ct scorecard PROJECT --run-tests; and a step of cloudbuild.yaml that runs them",
    )


def integration_tested(found: Evidence) -> Finding:
    """The full ML pipeline is integration tested."""
    built = "run" in found.build.split() or "run-small" in found.build
    return first(
        (found.trained is not None and built, WHOLE, "each build runs the whole pipeline; one reached its end here"),
        (found.trained is not None, HALF, "the whole pipeline reached its end here; no build runs it"),
        otherwise="no run of the whole pipeline has blessed a model",
        raises="ct run PROJECT; and a step of cloudbuild.yaml that runs the pipeline",
    )


def validated(found: Evidence) -> Finding:
    """Model quality is validated before the model is served."""
    checks = found.evaluation.get("checks", ())
    served = found.succeeded("deploy")
    return first(
        (bool(checks) and served, WHOLE, f"deploy demands a blessing: {len(checks)} checks of the newest one"),
        (bool(checks), HALF, f"{len(checks)} checks judged the newest model; nothing was deployed"),
        otherwise="no gate has judged a model",
        raises="ct run PROJECT with gates in the settings",
    )


def debuggable(found: Evidence) -> Finding:
    """The model is debuggable."""
    folder = found.trained.folder if found.trained else None
    there = folder is not None and (folder / "report.html").is_file() and list((folder / "logs").glob("*.log"))
    return first(
        (bool(there), HALF, "each run leaves a log a step and a report; no tool follows one row through the model"),
        otherwise="no run has left a log and a report",
        raises="write down how one row is followed through features and model (scorecard.yaml: infrastructure 5)",
    )


def canaried(found: Evidence) -> Finding:
    """Models are canaried before serving."""
    release = (found.parameters.get("serving") or {}).get("release")
    tried = bool(found.trained and found.trained.infra.get("checks"))
    return first(
        (
            bool(release) and tried,
            WHOLE,
            "a release gives a new version live traffic step by step; validate_infra asks it before",
        ),
        (
            tried,
            HALF,
            "validate_infra asks each model through the prediction service; no release tries it on live traffic",
        ),
        otherwise="no model has been asked through the prediction service before it was deployed",
        raises="set serving.release (canary or shadow) in the settings",
    )


def rolled_back(found: Evidence) -> Finding:
    """Serving models can be rolled back."""
    back = [each for each in found.moves if each.kind == ROLLBACK]
    return first(
        (
            bool(back),
            WHOLE,
            f"the champion was rolled back {len(back)} times, last from v{back[-1].before if back else ''}",
        ),
        (len({each.version for each in found.moves}) > 1, HALF, "there are versions to return to; it was never tried"),
        otherwise="there is no version to return to",
        raises="ct rollback MODEL, in an exercise",
    )


def repeated_trainings(trainings: tuple[Content, ...]) -> tuple[int, int]:
    """Returns how many pairs of trainings on the same data, code and settings came to the same metrics, and to others.

    Only trainings that really ran count, not those that a cache answered.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for each in trainings:
        train = each.task("train")
        if train is None or train.state != "SUCCEEDED" or not each.evaluation:
            continue
        given = {key: value for key, value in each.run.parameters.items() if key != "lineage"}
        key = json.dumps([each.manifest.get("fingerprint"), each.run.code_version, given], sort_keys=True, default=str)
        groups[key].append(json.dumps((each.evaluation.get("metrics") or {}).get("challenger"), sort_keys=True))
    pairs = [pair for metrics in groups.values() for pair in itertools.pairwise(metrics)]
    same = sum(left == right for left, right in pairs)
    return same, len(pairs) - same


CHECKS = (
    Check("Training is reproducible", reproducible),
    Check("Model specs are unit tested", unit_tested),
    Check("The ML pipeline is integration tested", integration_tested),
    Check("Model quality is validated before serving", validated),
    Check("The model is debuggable", debuggable),
    Check("Models are canaried before serving", canaried),
    Check("Serving models can be rolled back", rolled_back),
)
