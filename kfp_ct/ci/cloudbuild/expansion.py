"""Cloud Build's substitutions in a text: `$KEY`, `${KEY}`, bash-style expansions, `$$` for a dollar sign.

https://cloud.google.com/build/docs/configuring-builds/substitute-variable-values
"""

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Iterator, Mapping

_KEY = r"[A-Z_][A-Z0-9_]*"
_PLAIN = re.compile(rf"\$(?:\{{(?P<braced>{_KEY})\}}|(?P<bare>{_KEY}))")
_OPENED = re.compile(rf"\$\{{(?P<length>#?)(?P<key>{_KEY})")
_OPERATORS = (":-", ":=", ":+", ":?", "-", "=", "+", "?", "##", "#", "%%", "%", "//", "/", "^^", "^", ",,", ",", ":")


class ExpansionError(ValueError):
    """A `${KEY:?message}` without a value, or an operator that bash does not have."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """One use of a substitution in a text.

    Attributes:
        key: Name of the substitution; empty for `$$`.
        start: Where it begins.
        end: Where it ends, exclusive.
        operator: Bash operator; empty for the plain value, `length` for `${#KEY}`.
        operand: What stands after the operator, unexpanded.
    """

    key: str
    start: int
    end: int
    operator: str = ""
    operand: str = ""


def references(text: str) -> Iterator[Reference]:
    """Yields the uses of substitutions in a text, those nested in operands not among them."""
    position = 0
    while (position := text.find("$", position)) >= 0:
        if text.startswith("$$", position):
            yield Reference("", position, position + 2)
            position += 2
            continue
        found = _plain(text, position) or _with_operator(text, position)
        if found:
            yield found
        position = found.end if found else position + 1


def keys(text: str, plain: bool = False) -> Iterator[str]:
    """Yields the names of the substitutions a text uses, those nested in operands included.

    Args:
        text: The text.
        plain: Only those without a bash operator.
    """
    for reference in references(text):
        if reference.key and not (plain and reference.operator):
            yield reference.key
            yield from keys(reference.operand)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Returns the text with its substitutions replaced; one without a value is empty.

    Raises:
        ExpansionError: An expansion that cannot be done.
    """
    parts, position = [], 0
    for reference in references(text):
        parts.append(text[position : reference.start])
        parts.append(_value(reference, values) if reference.key else "$")
        position = reference.end
    return "".join([*parts, text[position:]])


def _plain(text: str, position: int) -> Reference | None:
    match = _PLAIN.match(text, position)
    return Reference(match["braced"] or match["bare"], position, match.end()) if match else None


def _with_operator(text: str, position: int) -> Reference | None:
    match = _OPENED.match(text, position)
    end = _closing(text, match.end()) if match else -1
    if match is None or end < 0:
        return None
    rest = text[match.end() : end]
    if match["length"]:
        return Reference(match["key"], position, end + 1, "length") if not rest else None
    operator = next((each for each in _OPERATORS if rest.startswith(each)), "")
    return Reference(match["key"], position, end + 1, operator, rest[len(operator) :]) if operator else None


def _closing(text: str, position: int) -> int:
    depth = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text.startswith("${", position):
            depth += 1
        elif text[position] == "}":
            if not depth:
                return position
            depth -= 1
        position += 1
    return -1


def _value(reference: Reference, values: Mapping[str, str]) -> str:
    value = values.get(reference.key, "")
    operator, operand = reference.operator, reference.operand
    if not operator:
        return value
    if operator == "length":
        return str(len(value))
    if operator == ":":
        return _slice(value, expand(operand, values), reference.key)
    if operator in ("/", "//"):
        return _replaced(value, operator, operand, values) if reference.key in values else ""
    word = expand(operand, values)
    if operator.lstrip(":") in "-=+?":
        return _alternative(reference, value, word, reference.key in values)
    if operator in ("#", "##", "%", "%%"):
        return _trimmed(value, operator, word)
    return _cased(value, operator, word or "?")


def _alternative(reference: Reference, value: str, word: str, is_set: bool) -> str:
    there = bool(value) if reference.operator.startswith(":") else is_set
    kind = reference.operator.lstrip(":")
    if kind == "+":
        return word if there else ""
    if there:
        return value
    if kind == "?":
        raise ExpansionError(f"{reference.key} has no value: {word or 'it must be given'}")
    return word


def _slice(value: str, bounds: str, key: str) -> str:
    offset, colon, length = bounds.partition(":")
    try:
        start = int(offset.strip() or 0)
        count = int(length.strip() or 0) if colon else None
    except ValueError as error:
        raise ExpansionError(f"{key}: {bounds!r} is no offset and length") from error
    if start < 0:
        start += len(value)
        if start < 0:
            return ""
    if count is None:
        return value[start:]
    return value[start : start + count] if count >= 0 else value[start:count]


def _pattern(glob: str, greedy: bool = True) -> str:
    translated = fnmatch.translate(glob)
    body = translated.removeprefix("(?s:").removesuffix(")\\Z").removesuffix(")\\z")
    return body if greedy else body.replace(".*", ".*?")


def _trimmed(value: str, operator: str, glob: str) -> str:
    lengths: list[int] = list(range(len(value) + 1))
    if len(operator) == 2:  # the longest match
        lengths.reverse()
    whole = re.compile(_pattern(glob), re.DOTALL)
    for length in lengths:
        if operator[0] == "#" and whole.fullmatch(value[:length]):
            return value[length:]
        if operator[0] == "%" and whole.fullmatch(value[len(value) - length :]):
            return value[: len(value) - length]
    return value


def _replaced(value: str, operator: str, operand: str, values: Mapping[str, str]) -> str:
    match = re.match(r"((?:\\.|\$\{[^}]*\}|[^/\\])+)(?:/(.*))?", operand, re.DOTALL)
    if match is None:
        return value
    glob, word = expand(match[1], values).replace("\\/", "/"), expand(match[2] or "", values)
    anchor = glob[0] if operator == "/" and glob[0] in "#%" and len(glob) > 1 else ""
    pattern = _pattern(glob[len(anchor) :])
    if anchor:
        pattern = rf"\A(?:{pattern})" if anchor == "#" else rf"(?:{pattern})\Z"
    if not value:
        return word if re.fullmatch(pattern, value) else value
    # Of a text that is not empty, bash replaces no empty part.
    replace = functools.partial(_replacement, word)
    return re.sub(pattern, replace, value, count=0 if operator == "//" else 1, flags=re.DOTALL)


def _replacement(word: str, match: re.Match[str]) -> str:
    return word if match[0] else ""


def _cased(value: str, operator: str, glob: str) -> str:
    change = str.upper if operator[0] == "^" else str.lower
    fits = re.compile(_pattern(glob), re.DOTALL).fullmatch
    limit = len(value) if len(operator) == 2 else 1
    return "".join(change(each) if index < limit and fits(each) else each for index, each in enumerate(value))
