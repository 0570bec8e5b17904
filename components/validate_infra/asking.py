"""What a client can send: the data's columns without those that only training has; and what its requests must have."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.validate_infra.signature import Signature
from kfp_ct.data.saved_model import SavedModel
from kfp_ct.models.blessing import Check

GATE = "request"
# Types of which this project's service has a value that stands for a missing one.
_MAY_BE_MISSING = tuple(
    f"{kind} {shape}" for kind in ("float16", "float32", "float64", "int64", "string") for shape in ("[-1]", "[-1, -1]")
)
_SHOWN = 12
_FIXES = {
    "the label": "",
    "the weight": '; if clients have it, say `in_environment: "SERVING"` of its feature in the schema',
}
_SCHEMA_SAYS = '; if clients have it, take `not_in_environment: "SERVING"` from its feature in the schema'


@dataclasses.dataclass(frozen=True)
class Input:
    """One value of a request: its name, its type, and whether it may be left out."""

    name: str
    type: str
    optional: bool


def client_rows(rows: pa.RecordBatch, training_only: Collection[str]) -> pa.RecordBatch:
    """Returns rows as a client has them: without label, weight and what the schema keeps out of SERVING."""
    kept = [name for name in rows.schema.names if name not in training_only]
    return pa.RecordBatch.from_arrays([rows.column(name) for name in kept], names=kept)


def refusal(model: SavedModel, rows: pa.RecordBatch, training_only: Mapping[str, str]) -> Check | None:
    """Returns the no to a model that cannot be asked without columns that no client has; None if it can.

    Raises:
        ConfigurationError: The model cannot predict the rows even with every column.
    """
    if model.inputs:
        named, why = [name for name in model.inputs if name in training_only], "takes"
    else:
        named, why = _demanded(model, rows, training_only), "cannot be asked without"
    if not named:
        return None
    listed = ", ".join(f"{name} ({training_only[name]})" for name in named)
    pop = f"feature_spec.pop({named[0]!r}) before tf.io.parse_example, as TFX's tutorials do"
    fix = f"leave {', '.join(named)} out of the signature's inputs" if model.inputs else pop
    more = next((_FIXES.get(what, _SCHEMA_SAYS) for what in map(training_only.__getitem__, named)), "")
    return Check(
        GATE, False, f"the serving signature {why} {listed}, which no client has when it asks\nfix: {fix}{more}"
    )


def _demanded(model: SavedModel, rows: pa.RecordBatch, training_only: Mapping[str, str]) -> list[str]:
    """The training-only columns without which serialised examples cannot be predicted."""
    if not _fails(model, client_rows(rows, training_only)):
        return []
    model.run(rows)
    there = [name for name in rows.schema.names if name in training_only]
    alone = [name for name in there if _fails(model, client_rows(rows, [name]))]
    return alone or there


def inputs(model: SavedModel, asked: Signature | None, rows: pa.RecordBatch, nulls: bool) -> list[Input]:
    """Returns what a request has.

    Args:
        model: The model.
        asked: Its signature, whose inputs are a request's where it takes columns.
        rows: Rows as a client has them; where the model takes serialised examples, its features are tried on the first.
        nulls: Whether the service fills what is left out.
    """
    if model.inputs:
        types = asked.inputs if asked else {}
        return [Input(name, types.get(name, ""), nulls and types.get(name) in _MAY_BE_MISSING) for name in model.inputs]
    first = rows.slice(0, 1)
    return [
        Input(field.name, _type(field.type), not _fails(model, client_rows(first, [field.name])))
        for field in first.schema
    ]


def described(found: Sequence[Input]) -> Check:
    """Says what a request must have, as a check that lets the model through."""
    needed, free = ([each.name for each in found if each.optional is optional] for optional in (False, True))
    must = f"a request must have {_listed(needed)}" if needed else "a request may leave out any input"
    may = f"; {_listed(free)} may be left out" if needed and free else f": {_listed(free)}" if free else ""
    return Check(GATE, True, f"{must}{may}")


def _fails(model: SavedModel, rows: pa.RecordBatch) -> bool:
    try:
        model.run(rows)
    except ConfigurationError:
        return True
    return False


def _type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "int64"
    return "float32" if pa.types.is_floating(kind) else str(kind)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
