"""The verdict on a model: `evaluate` gives it, `validate_infra` completes it, everything downstream demands it whole.

Layout: `BLESSED` or `NOT_BLESSED` (an empty file, as TFX leaves it) and `blessing.json`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base.errors import ModelNotBlessedError, listed
from kfp_ct.data import layouts

BLESSED, NOT_BLESSED, DETAILS = "BLESSED", "NOT_BLESSED", "blessing.json"
# The stages whose checks a model must have passed before it is registered or deployed, in their order.
EVALUATE, VALIDATE_INFRA = "evaluate", "validate_infra"
STAGES = (EVALUATE, VALIDATE_INFRA)


@dataclasses.dataclass(frozen=True)
class Check:
    """One gate's verdict: its name, whether it let the model through, and why in one sentence with numbers."""

    gate: str
    passed: bool
    reason: str


@dataclasses.dataclass(frozen=True)
class Blessing:
    """The verdict on the one model whose files have `model_fingerprint`."""

    blessed: bool
    model_fingerprint: str
    checks: list[Check]
    compared_with: str = ""  # the champion's version; empty where there was none
    stages: list[str] = dataclasses.field(default_factory=list)  # that have judged the model, in order
    # Columns that a client does not have when it asks, and what they are: label, weight, training only.
    training_only: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def refusals(self) -> list[str]:
        """The reasons of the gates that said no."""
        return [check.reason for check in self.checks if not check.passed]


def decide(
    model_path: str, checks: list[Check], compared_with: str = "", training_only: dict[str, str] | None = None
) -> Blessing:
    """Gives evaluate's verdict: yes if every gate let the model through; over zero gates it is a no."""
    checks = _or_refusal(checks)
    blessed = all(check.passed for check in checks)
    fingerprint = layouts.tree_fingerprint(model_path)
    return Blessing(blessed, fingerprint, checks, compared_with, [EVALUATE], training_only or {})


def extended(verdict: Blessing, stage: str, checks: list[Check]) -> Blessing:
    """Adds a further stage's checks to a verdict on the same model; a stage without checks is a no."""
    checks = _or_refusal(checks)
    blessed = verdict.blessed and all(check.passed for check in checks)
    return dataclasses.replace(
        verdict, blessed=blessed, checks=[*verdict.checks, *checks], stages=[*verdict.stages, stage]
    )


def write(root: str | Path, blessing: Blessing) -> None:
    """Writes a blessing artifact."""
    layouts.write_json(Path(root) / DETAILS, dataclasses.asdict(blessing))
    (Path(root) / (BLESSED if blessing.blessed else NOT_BLESSED)).touch()


def read(root: str | Path) -> Blessing:
    """Reads a blessing artifact.

    Raises:
        ModelNotBlessedError: The folder holds no verdict.
    """
    path = Path(root) / DETAILS
    if not path.is_file():
        raise ModelNotBlessedError(f"no blessing at {root}\nexpected: the blessing output of evaluate")
    fields = layouts.read_json(path)
    return Blessing(**{**fields, "checks": [Check(**check) for check in fields["checks"]]})


def require(root: str | Path, model_path: str, stages: Sequence[str] = STAGES) -> Blessing:
    """Returns the blessing of this very model, whose files are compared with those that were judged.

    Raises:
        ModelNotBlessedError: The verdict is a no, rests on nothing, lacks a stage, or is about another model.
    """
    blessing = require_yes(root, stages)
    # What the registry keeps beside a registered model is no part of the model.
    if blessing.model_fingerprint != layouts.tree_fingerprint(model_path, leave_out=layouts.REGISTERED):
        raise ModelNotBlessedError(
            f"the blessing is about another model than the one at {model_path}\n"
            "expected: the model and the blessing of one run\nfix: run the pipeline again"
        )
    return blessing


def require_yes(root: str | Path, stages: Sequence[str] = STAGES) -> Blessing:
    """Returns a verdict that is a yes of all stages, whatever model it is about.

    Raises:
        ModelNotBlessedError: The verdict is a no, rests on nothing or lacks a stage.
    """
    blessing = read(root)
    if not blessing.blessed or blessing.refusals or not (Path(root) / BLESSED).is_file():
        raise ModelNotBlessedError(f"this model was refused by {_last(blessing)}\n{listed(blessing.refusals)}")
    if not blessing.checks:
        raise ModelNotBlessedError("the blessing names no gate that was evaluated")
    if missing := [stage for stage in stages if stage not in blessing.stages]:
        raise ModelNotBlessedError(
            f"the blessing lacks the stage {', '.join(missing)}\n"
            f"expected: a verdict of {' and '.join(stages)}\nfix: pass on the blessing output of {missing[-1]}"
        )
    return blessing


def _or_refusal(checks: list[Check]) -> list[Check]:
    return checks or [Check("gates", False, "no gate was evaluated: nothing speaks for this model")]


def _last(blessing: Blessing) -> str:
    return blessing.stages[-1] if blessing.stages else EVALUATE
