"""Evaluates the conditions of tasks: the part of CEL that kfp's compiler writes for dsl.If, dsl.Elif and dsl.Else."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from kfp_ct.base.errors import RunFailedError

_TOKENS = re.compile(
    r"""(?P<reference>inputs\.parameter_values\[(?:'[^']*'|"[^"]*")\])"""
    r"""|(?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|(?P<operator>&&|\|\||!(?!=))"""
    r"""|(?P<word>\b(?:true|false|null)\b)""",
    re.DOTALL,
)
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "null": "None"}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda left, right: left in right,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "int": int, "double": float, "float": float, "string": str, "str": str, "bool": bool, "size": len,
}  # fmt: skip


class ConditionError(RunFailedError):
    """A condition that cannot be evaluated: neither of its branches may be taken for the right one."""


def evaluate(condition: str, parameters: Mapping[str, Any]) -> bool:
    """Returns whether a condition holds.

    Args:
        condition: Such as `inputs.parameter_values['pipelinechannel--flip-Output'] == 'heads'`.
        parameters: Values of the task's input parameters.

    Raises:
        ConditionError: It is not understood, or a value it needs is missing or of a type that cannot be compared.
    """
    references: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        if match["reference"]:
            references.append(match["reference"].partition("[")[2][1:-2])
            return f" _{len(references) - 1} "
        return match["text"] or _WORDS[match[0]]

    try:
        tree = ast.parse(_TOKENS.sub(replaced, condition).strip(), mode="eval").body
        values = {f"_{number}": _value(name, parameters) for number, name in enumerate(references)}
        result = _evaluate(tree, values)
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise ConditionError(f"its condition cannot be evaluated: {condition}\n{_why(error)}") from error
    if not isinstance(result, bool):
        raise ConditionError(f"its condition is {result!r}, neither true nor false: {condition}")
    return result


def _value(name: str, parameters: Mapping[str, Any]) -> Any:
    if name not in parameters:
        raise KeyError(f"there is no value of {name}")
    return parameters[name]


def _why(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in values:
            return values[node.id]
        case ast.BoolOp():
            parts = (bool(_evaluate(part, values)) for part in node.values)
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        case ast.UnaryOp(op=ast.Not()):
            return not _evaluate(node.operand, values)
        case ast.UnaryOp(op=ast.USub()):
            return -_evaluate(node.operand, values)
        case ast.Compare() if all(type(each) in _COMPARISONS for each in node.ops):
            sides = [_evaluate(each, values) for each in (node.left, *node.comparators)]
            pairs = zip(node.ops, sides, sides[1:], strict=False)
            return all(_COMPARISONS[type(each)](left, right) for each, left, right in pairs)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_evaluate(argument, values))
        case _:
            raise ValueError(f"{ast.unparse(node)} is not understood")
