"""Section "data": tests for features and data."""

from kfp_ct.scorecard.checks import HALF, WHOLE, Check, Finding, first
from kfp_ct.scorecard.evidence import Evidence


def schema(found: Evidence) -> Finding:
    """Feature expectations are captured in a schema."""
    named = bool(found.parameters.get("schema_file"))
    return first(
        (named and found.succeeded("validate_data"), WHOLE,
         f"{found.parameters.get('schema_file')}: validate_data stops each run whose rows break it"),
        (named, HALF, f"{found.parameters.get('schema_file')} is written; no run has been held to it yet"),
        otherwise="no schema_file: each run infers its own schema",
        raises="commit a schema (schema_file in the settings) and run the pipeline",
    )  # fmt: skip


def beneficial(found: Evidence) -> Finding:
    """All features are beneficial."""
    measured = found.importance.get("features", ())
    useless = [str(each["feature"]) for each in measured if not (each["low"] or 0) > 0]
    repeated = "--importance" in found.build.split()
    said = f"of the newest model's {len(measured)} inputs, shuffled one by one, "
    said += (
        f"{', '.join(useless)} cost no {found.importance.get('metric')} beyond doubt" if useless else "each costs some"
    )
    return first(
        (bool(measured) and not useless and repeated, WHOLE, f"{said}; each build measures it"),
        (bool(measured), HALF, said),
        otherwise="nothing measures what a feature adds",
        raises="ct model-card PROJECT --importance, in each build too; take out what costs nothing to lose",
    )


def cost(found: Evidence) -> Finding:
    """No feature's cost is too much."""
    budgets = [
        name for name in ("p99_ms", "max_memory_mb", "max_load_s") if (found.parameters.get("infra") or {}).get(name)
    ]
    measured = bool(found.trained and found.trained.infra)
    return first(
        (bool(budgets) and measured, HALF,
         f"validate_infra holds all features together to {', '.join(budgets)}; none is weighed alone"),
        otherwise="no budget for what a prediction costs",
        raises="set infra.p99_ms and infra.max_memory_mb, and note what each feature costs (scorecard.yaml: data 3)",
    )  # fmt: skip


def requirements(found: Evidence) -> Finding:
    """Features adhere to meta-level requirements."""
    denied = found.parameters.get("deny") or ()
    return first(
        (bool(denied) and found.succeeded("validate_data"), WHOLE,
         f"validate_data stops a run with a column like {', '.join(map(str, denied[:3]))}"),
        otherwise="no column is forbidden: deny is empty",
        raises="name the columns that no feature may come from (deny in the settings), and run the pipeline",
    )  # fmt: skip


def privacy(found: Evidence) -> Finding:
    """The data pipeline has appropriate privacy controls."""
    return first(
        (found.succeeded("validate_data"), WHOLE, "validate_data looks for personal data in each run, and stops it"),
        otherwise="no run has looked for personal data yet",
        raises="run the pipeline with validate_data",
    )


def quickly(found: Evidence) -> Finding:
    """New features can be added quickly."""
    return first(
        otherwise="nobody has written down how long a new feature takes to production",
        raises="note how long the last feature took (scorecard.yaml: data 6)",
    )


def feature_code(found: Evidence) -> Finding:
    """All input feature code is tested."""
    passed = found.tests is not None and found.tests.all_passed("feature", "unknown_when_serving")
    repeated = "test" in found.build
    return first(
        (passed and repeated, WHOLE, "the tests of the features passed on these sources, and each build runs tests"),
        (passed, HALF, "the tests of the features passed on these sources"),
        otherwise="no test of the features is known to have passed on these sources",
        raises="ct scorecard PROJECT --run-tests; and a step of cloudbuild.yaml that runs them",
    )


CHECKS = (
    Check("Feature expectations are captured in a schema", schema),
    Check("All features are beneficial", beneficial),
    Check("No feature's cost is too much", cost),
    Check("Features adhere to meta-level requirements", requirements),
    Check("The data pipeline has appropriate privacy controls", privacy),
    Check("New features can be added quickly", quickly),
    Check("All input feature code is tested", feature_code),
)
