"""The verdict on a model: the artifact that `evaluate` writes and that everything downstream demands.

Layout: `BLESSED` or `NOT_BLESSED` (an empty file, as TFX leaves it) and `blessing.json`.
"""

import dataclasses
from pathlib import Path

from components import artifacts
from components.errors import ModelNotBlessedError

BLESSED, NOT_BLESSED, DETAILS = "BLESSED", "NOT_BLESSED", "blessing.json"


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

    @property
    def refusals(self) -> list[str]:
        """The reasons of the gates that said no."""
        return [check.reason for check in self.checks if not check.passed]


def decide(model_path: str, checks: list[Check], compared_with: str = "") -> Blessing:
    """Blesses a model if every gate let it through; a verdict over zero gates is a no."""
    if not checks:
        checks = [Check("gates", False, "no gate was evaluated: nothing speaks for this model")]
    blessed = all(check.passed for check in checks)
    return Blessing(blessed, artifacts.tree_fingerprint(model_path), checks, compared_with)


def write(root: str | Path, blessing: Blessing) -> None:
    """Writes a blessing artifact."""
    artifacts.write_json(Path(root) / DETAILS, dataclasses.asdict(blessing))
    (Path(root) / (BLESSED if blessing.blessed else NOT_BLESSED)).touch()


def read(root: str | Path) -> Blessing:
    """Reads a blessing artifact.

    Raises:
        ModelNotBlessedError: The folder holds no verdict.
    """
    path = Path(root) / DETAILS
    if not path.is_file():
        raise ModelNotBlessedError(f"no blessing at {root}\nexpected: the blessing output of evaluate")
    fields = artifacts.read_json(path)
    return Blessing(**{**fields, "checks": [Check(**check) for check in fields["checks"]]})


def demand(root: str | Path, model_path: str) -> Blessing:
    """Returns the blessing of this very model, whose files are compared with those that were judged.

    Raises:
        ModelNotBlessedError: The verdict is a no, rests on nothing, or is about another model.
    """
    blessing = read(root)
    if not blessing.blessed or blessing.refusals or not (Path(root) / BLESSED).is_file():
        reasons = "\n".join(f"- {reason}" for reason in blessing.refusals)
        raise ModelNotBlessedError(f"this model was refused by evaluate\n{reasons}")
    if not blessing.checks:
        raise ModelNotBlessedError("the blessing names no gate that was evaluated")
    if blessing.model_fingerprint != artifacts.tree_fingerprint(model_path):
        raise ModelNotBlessedError(
            f"the blessing is about another model than the one at {model_path}\n"
            "expected: the model and the blessing of one run\nmend: run the pipeline again"
        )
    return blessing
