"""Section "model": tests for model development."""

from kfp_ct.scorecard.checks import HALF, WHOLE, Check, Finding, first
from kfp_ct.scorecard.evidence import Evidence

_PERIODS = 3


def reviewed(found: Evidence) -> Finding:
    """Model specs are reviewed and submitted."""
    commit = found.trained.run.commit if found.trained else ""
    clean = bool(commit) and not commit.endswith("-dirty")
    return first(
        (clean and bool(found.build), WHOLE, f"the newest model is of commit {commit[:10]}, which a build checks"),
        (clean, HALF, f"the newest model is of commit {commit[:10]}"),
        otherwise="the newest model is of no commit, or of files that differ from it" if found.trained else "no model",
        raises="commit everything, then run the pipeline; cloudbuild.yaml checks each push",
    )


def correlated(found: Evidence) -> Finding:
    """Offline and online metrics correlate."""
    live = [each for each in found.monitored if _live(each)]
    windows = sum(len(each["windows"]) for each in found.replayed.get("strategies", ())[:1])
    return first(
        (len(live) >= _PERIODS, WHOLE, f"monitoring compared {len(live)} periods with what evaluation had measured"),
        (bool(live) or windows >= _PERIODS, HALF,
         f"{len(live)} monitored periods and {windows} replayed windows have a live metric beside the offline one"),
        otherwise="no live metric stands beside an offline one",
        raises=f"serve with --request-log, and monitor {_PERIODS} periods with labels",
    )  # fmt: skip


def tuned(found: Evidence) -> Finding:
    """All hyperparameters have been tuned."""
    newest = len((found.trained.tuning if found.trained else {}).get("trials", ()))
    ever = max((len(each.tuning.get("trials", ())) for each in found.trainings), default=0)
    return first(
        (newest > 1, WHOLE, f"tune tried {newest} sets of hyperparameters in the newest run"),
        (ever > 1, HALF, f"a run tried {ever} sets of hyperparameters; the newest took the settings'"),
        otherwise="hyperparameters are those of the settings: nothing searched for better ones",
        raises="set tuning (trials, objective) in the settings, and run the pipeline",
    )


def staleness(found: Evidence) -> Finding:
    """The impact of model staleness is known."""
    strategies = [each["name"] for each in found.replayed.get("strategies", ())]
    return first(
        (
            len(strategies) > 1,
            WHOLE,
            f"ct replay compared {', '.join(strategies)}: {found.replayed.get('recommendation')}",
        ),
        otherwise="nobody has looked how fast a model gets worse",
        raises="ct replay PROJECT",
    )


def simpler(found: Evidence) -> Finding:
    """A simpler model is not better."""
    gain = (found.evaluation.get("baseline") or {}).get("gain")
    passed = found.tests is not None and found.tests.all_passed("simpler_model")
    return first(
        (passed and "test" in found.build, WHOLE,
         "a test compares with a simpler model, and passed on these sources; each build runs tests"),
        (passed, HALF, "a test compares with a simpler model, and passed on these sources"),
        (gain is not None, HALF, "each run is held to a constant prediction; no simple model of few features is tried"),
        otherwise="nothing simpler is compared with",
        raises="write a test test_a_simpler_model_is_not_better, of a linear model of a few features say; "
        "ct scorecard PROJECT --run-tests",
    )  # fmt: skip


def slices(found: Evidence) -> Finding:
    """Model quality is sufficient on all important data slices."""
    named = found.gates.get("slices") or ()
    judged = [each for each in found.evaluation.get("checks", ()) if any(str(name) in str(each) for name in named)]
    return first(
        (
            bool(named) and bool(judged),
            WHOLE,
            f"a gate judges slices of {', '.join(map(str, named))}: {len(judged)} checks",
        ),
        otherwise="no gate judges slices",
        raises="name the columns of important slices (gates.slices), and run the pipeline",
    )


def inclusion(found: Evidence) -> Finding:
    """The model is tested for considerations of inclusion."""
    gap = found.gates.get("max_slice_gap")
    risks = found.statement.risks
    return first(
        (
            gap is not None and bool(found.evaluation),
            WHOLE,
            f"a gate bounds the gap between slices ({gap:g})" if gap else "",
        ),
        (
            bool(risks),
            HALF,
            f"model_card.yaml names {len(risks)} risks for people; no gate bounds the gap between slices",
        ),
        otherwise="nobody has said whom the model may do harm",
        raises="bound the gap between slices of people (gates.max_slice_gap); name risks in model_card.yaml",
    )


def _live(report: object) -> bool:
    quality = report.get("quality") if isinstance(report, dict) else None
    return bool(quality and quality.get("value") is not None and quality.get("baseline") is not None)


CHECKS = (
    Check("Model specs are reviewed and submitted", reviewed),
    Check("Offline and online metrics correlate", correlated),
    Check("All hyperparameters have been tuned", tuned),
    Check("The impact of model staleness is known", staleness),
    Check("A simpler model is not better", simpler),
    Check("Model quality is sufficient on important data slices", slices),
    Check("The model is tested for considerations of inclusion", inclusion),
)
