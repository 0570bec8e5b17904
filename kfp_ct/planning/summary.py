"""A plan in text, as `terraform plan` shows one: + what is created, ~ what changes, - what is deleted."""

import json
from collections.abc import Iterator
from typing import Any

from kfp_ct.planning.changes import CREATE, DELETE, UPDATE, Change, Field
from kfp_ct.planning.project_plan import Plan

_SIGNS = {CREATE: "+", UPDATE: "~", DELETE: "-"}
_LONGEST = 60


def text(plan: Plan) -> str:
    """Returns a plan for people."""
    notes = [f"note: {note}" for note in plan.notes]
    if not plan.changes:
        return "\n".join([f"nothing to change: {plan.target} has {plan.project} as its files say", *notes])
    lines = [f"{plan.project} on {plan.target}", ""]
    for change in plan.changes:
        lines += [*_change(change), ""]
    counts = {action: sum(each.action == action for each in plan.changes) for action in _SIGNS}
    total = f"plan: {counts[CREATE]} to create, {counts[UPDATE]} to change, {counts[DELETE]} to delete"
    return "\n".join([*lines, *notes, total])


def _change(change: Change) -> Iterator[str]:
    why = f" ({change.why})" if change.why else ""
    yield f"  {_SIGNS[change.action]} {change.kind} {change.name}{why}"
    for field in change.fields:
        yield f"      {_SIGNS[field.action]} {field.path}: {_values(field)}"


def _values(field: Field) -> str:
    if field.action == CREATE:
        return _shown(field.new)
    if field.action == DELETE:
        return _shown(field.old)
    return f"{_shown(field.old)} -> {_shown(field.new)}"


def _shown(value: Any) -> str:
    found = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…"
