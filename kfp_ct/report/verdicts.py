"""How the challenger compares with the champion, by the evaluation's own word."""

from collections.abc import Mapping
from typing import Any

_VERDICTS = {"better": "better", "not_significant": "not significantly better", "worse": "worse"}


def verdict(evaluation: Mapping[str, Any]) -> str:
    """Says how the challenger compares with the champion: one of three verdicts; empty where none was given."""
    compared = evaluation.get("comparison") or {}
    return _VERDICTS.get(str(compared.get("verdict", "")), "")


def only_not_significant(evaluation: Mapping[str, Any]) -> bool:
    """Whether nothing speaks against a model but that it is not significantly better than the champion."""
    refused = {check["gate"] for check in evaluation.get("checks", ()) if not check["passed"]}
    compared = evaluation.get("comparison") or {}
    return refused == {"champion"} and compared.get("verdict") == "not_significant"
