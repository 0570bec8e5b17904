"""What kinds of values the texts of a column are, and the one type that all of them have."""

import dataclasses
from collections.abc import Mapping

from kfp_ct.data.tables.quoting import literal

# A column has a type if so large a share of its values fits; the others are bad values, which are set aside and
# counted. Below it the column is text.
FITTING_SHARE = 0.9
# Texts that cannot be values of a column whose other values are numbers, truth values or times. In text they can.
NULL_MARKS = ("na", "n/a", "#n/a", "null", "none", "nil", "nat", "<na>", "\\n", "?", "-", "--", ".", "")

SAID_NULL, MARK, NAN = "said null", "mark", "nan"
INTEGER, LARGE, HUGE_EXACT, HUGE = "integer", "large", "huge and exact", "huge"
FRACTION, EXPONENT, OVERFLOW, INFINITE = "fraction", "exponent", "overflow", "infinite"
BOOLEAN, DATE, TIMESTAMP, INSTANT, REPEATED, FINE, CODE, COMMA, TEXT = (
    "boolean", "date", "timestamp", "instant", "repeated hour", "fine time", "code", "decimal comma", "text",
)  # fmt: skip

NUMBERS = (INTEGER, LARGE, HUGE_EXACT, HUGE, FRACTION, EXPONENT, OVERFLOW, INFINITE, NAN, CODE)
_DAY = r"\d{4}(-\d\d?-\d\d?|/\d\d?/\d\d?)"
_TIME = r"[ T]\d\d?:\d\d(:\d\d(\.\d+)?)?"
# Abbreviations such as BST or CST mean several zones: they stay text.
_REGION = r" [A-Za-z_]+/[A-Za-z0-9_/+-]+"
_ZONE = r" ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?|" + _REGION + ")"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_CLOCK = f"{_DAY}{_TIME}({_ZONE})?"
# By how much clocks are put forward and back: an hour, half of one (Lord Howe), two (double summer time).
_CLOCK_CHANGES = (60, 30, 120)
# Beyond microseconds, which is what an instant has.
_TOO_FINE = r"\.\d{6}\d*[1-9]"
_EXACT_IN_DOUBLE = 2**53


@dataclasses.dataclass(frozen=True)
class Kinds:
    """How many of a column's values are of which kind, with an example of each."""

    counts: Mapping[str, int]
    examples: Mapping[str, str]

    def __call__(self, *kinds: str) -> int:
        """Returns how many values are of these kinds."""
        return sum(self.counts.get(kind, 0) for kind in kinds)

    @property
    def values(self) -> int:
        """How many values there are that are no marks of a missing one."""
        return sum(self.counts.values()) - self(SAID_NULL, MARK)


@dataclasses.dataclass(frozen=True)
class Guess:
    """The type of a column.

    Attributes:
        type: DuckDB's.
        fitting: The kinds of its values; others are bad values.
        nulls: The kinds that stand for missing.
        note: What a reader would not expect; empty for nothing.
        refusal: Why the column has no type: what is wrong with it, what was expected, and how to mend it; `{column}`
            and `{columns}` stand for its name and the setting of types. Empty if it has one.
    """

    type: str
    fitting: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    note: str = ""
    refusal: str = ""

    def bad(self, kinds: Kinds) -> tuple[str, ...]:
        """Returns the kinds that occur and do not fit."""
        good = (*self.fitting, *self.nulls, SAID_NULL)
        return tuple(kind for kind in kinds.counts if self.type != "VARCHAR" and kind not in good)


def trimmed(text: str) -> str:
    """Returns an expression that is a text without spaces around it."""
    return f"trim({text})"


def number_text(text: str, decimal: str) -> str:
    """Returns an expression that is a number's text with a decimal point; null where it has another mark."""
    bare = trimmed(text)
    return (
        bare
        if decimal == "."
        else f"CASE WHEN NOT contains({text}, '.') THEN replace({bare}, {literal(decimal)}, '.') END"
    )


def instant_text(text: str) -> str:
    """Returns an expression that is an instant's text as DuckDB reads it, without a space before an offset."""
    return f"regexp_replace({trimmed(text)}, ' ([+-]\\d\\d)', '\\1')"


def is_mark(text: str) -> str:
    """Returns a condition: a text is a usual mark of a missing value."""
    return f"lower({trimmed(text)}) IN ({', '.join(map(literal, NULL_MARKS))})"


def is_clock(text: str) -> str:
    """Returns a condition: a text is a day with a time, with a zone or without, to microseconds."""
    return (
        f"(regexp_full_match({trimmed(text)}, {literal(_CLOCK)}) AND NOT regexp_matches({text}, {literal(_TOO_FINE)}))"
    )


def is_day(text: str) -> str:
    """Returns a condition: a text is written as a day."""
    return f"regexp_full_match({trimmed(text)}, {literal(_DAY)})"


def has_offset(text: str) -> str:
    """Returns a condition: a text is an instant of which an offset or zone, other than UTC's own, is a part."""
    said = f"regexp_full_match({trimmed(text)}, {literal(_DAY + _TIME + _ZONE)})"
    return f"({said} AND NOT regexp_full_match({trimmed(text)}, '.*(Z|UTC|GMT|[+-]00(:?00)?)'))"


def is_skipped(text: str) -> str:
    """Returns a condition: a text is a local time that a clock change leaves out, which is no instant."""
    moment, local, zone = _local(text)
    return f"({_has_region(text)} AND {moment} AT TIME ZONE {zone} <> {local})"


def is_repeated(text: str) -> str:
    """Returns a condition: a text is a local time that a clock change has twice, so that it is one of two instants."""
    moment, local, zone = _local(text)
    again = " OR ".join(
        f"({moment} {sign} INTERVAL {minutes} MINUTE) AT TIME ZONE {zone} = {local}"
        for minutes in _CLOCK_CHANGES
        for sign in "+-"
    )
    return f"({_has_region(text)} AND ({again}))"


def _has_region(text: str) -> str:
    return f"regexp_full_match({trimmed(text)}, {literal(_DAY + _TIME + ' ?' + _REGION)})"


def _local(text: str) -> tuple[str, str, str]:
    """Returns the expressions of a text's instant, of its local time, and of the region whose time that is."""
    region = f"regexp_extract({trimmed(text)}, {literal(_REGION + '$')})"
    local = f"TRY_CAST(replace({trimmed(text)}, {region}, '') AS TIMESTAMP)"
    return f"TRY_CAST({instant_text(text)} AS TIMESTAMP WITH TIME ZONE)", local, f"trim({region})"


def is_number(text: str) -> str:
    """Returns a condition: a text, with a decimal point, is written as a number."""
    return f"regexp_full_match({text}, {literal(_NUMBER)})"


def kind(text: str, decimal: str = ".") -> str:
    """Returns an expression that is the kind of a text; null for null. Cheap tests tell the frequent ones."""
    integer = f"TRY_CAST({text} AS BIGINT)"
    exact = f"{integer} BETWEEN -{_EXACT_IN_DOUBLE} AND {_EXACT_IN_DOUBLE}"
    number = number_text(text, decimal)
    return f"""CASE WHEN {text} IS NULL THEN NULL
        WHEN {integer}::VARCHAR = {text} AND {exact} THEN '{INTEGER}'
        WHEN NOT regexp_matches({text}, '[0-9]') THEN {_word_kind(text)}
        WHEN TRY_CAST({number} AS DOUBLE) IS NOT NULL AND {is_number(number)} THEN {_number_kind(number)}
        WHEN contains({text}, '_') AND regexp_full_match({trimmed(text)}, '[+-]?\\d+(_\\d+)+') THEN '{CODE}'
        WHEN contains({text}, ',') AND regexp_full_match({trimmed(text)}, '[+-]?\\d+,\\d+') THEN '{COMMA}'
        WHEN substr({trimmed(text)}, 5, 1) IN ('-', '/') THEN {_time_kind(text)}
        ELSE '{TEXT}' END"""


def _word_kind(text: str) -> str:
    word = f"lower({trimmed(text)})"
    return f"""CASE WHEN {word} IN ('true', 'false') THEN '{BOOLEAN}' WHEN {word} IN ('nan', '-nan') THEN '{NAN}'
        WHEN {word} IN ('inf', '+inf', '-inf', 'infinity', '+infinity', '-infinity') THEN '{INFINITE}'
        WHEN {is_mark(text)} THEN '{MARK}' ELSE '{TEXT}' END"""


def _number_kind(number: str) -> str:
    """Tells numbers apart; what would lose a zero, a sign or a digit as a number is a code, or too large for one."""
    wide = f"TRY_CAST({number} AS HUGEINT)"
    decimal = f"TRY_CAST({number} AS DECIMAL(38, 9))"
    integer = f"""CASE WHEN {number} = '-0' THEN '{FRACTION}'
        WHEN {wide} IS NULL OR TRY_CAST(CAST({wide} AS DOUBLE) AS HUGEINT) IS DISTINCT FROM {wide} THEN
            CASE WHEN TRY_CAST({number} AS BIGINT) IS NULL THEN '{HUGE}' ELSE '{LARGE}' END
        WHEN TRY_CAST({number} AS BIGINT) IS NULL THEN '{HUGE_EXACT}' ELSE '{INTEGER}' END"""
    return f"""CASE WHEN regexp_full_match({number}, '[+-]?0\\d.*|\\+\\d{{8,}}') THEN '{CODE}'
        WHEN regexp_full_match({number}, '[+-]?\\d+') THEN {integer}
        WHEN isinf(TRY_CAST({number} AS DOUBLE)) THEN '{OVERFLOW}'
        WHEN regexp_full_match({number}, '[+-]?\\d+[eE]\\d+') THEN '{EXPONENT}'
        WHEN regexp_matches({number}, '^[+-]?\\d{{16}}')
            AND TRY_CAST(TRY_CAST({number} AS DOUBLE) AS DECIMAL(38, 9)) IS DISTINCT FROM {decimal} THEN '{HUGE}'
        ELSE '{FRACTION}' END"""


def _time_kind(text: str) -> str:
    without_zone = f"regexp_full_match({trimmed(text)}, {literal(_DAY + _TIME)})"
    return f"""CASE WHEN TRY_CAST({text} AS DATE)::VARCHAR = {text} THEN '{DATE}'
        WHEN TRY_CAST({text} AS TIMESTAMP)::VARCHAR = replace({text}, 'T', ' ') THEN '{TIMESTAMP}'
        WHEN {is_day(text)} AND TRY_CAST({trimmed(text)} AS DATE) IS NOT NULL THEN '{DATE}'
        WHEN NOT regexp_full_match({trimmed(text)}, {literal(_CLOCK)})
            OR TRY_CAST({instant_text(text)} AS TIMESTAMP WITH TIME ZONE) IS NULL THEN '{TEXT}'
        WHEN regexp_matches({text}, {literal(_TOO_FINE)}) THEN '{FINE}'
        WHEN contains({text}, ' ') AND {is_skipped(text)} THEN '{TEXT}'
        WHEN contains({text}, ' ') AND {is_repeated(text)} THEN '{REPEATED}'
        WHEN {without_zone} THEN '{TIMESTAMP}' ELSE '{INSTANT}' END"""


def guess(kinds: Kinds) -> Guess:
    """Returns the type that all values of a column have: text where a narrower one would change one of them."""
    values = kinds.values
    if not values:
        return Guess("VARCHAR")
    enough = FITTING_SHARE * values
    if kinds(*NUMBERS) >= enough:
        return _guess_number(kinds)
    enough -= FITTING_SHARE * kinds(NAN)
    if kinds(BOOLEAN) >= enough:
        return Guess("BOOLEAN", (BOOLEAN,), (MARK, NAN))
    if kinds(DATE, TIMESTAMP, INSTANT, REPEATED, FINE) >= enough:
        return _guess_time(kinds)
    if kinds(COMMA, *NUMBERS) >= enough and kinds(COMMA):
        why = "numbers with a decimal comma? csv: {decimal: ','} says so, and would make fractions of thousands"
        return _text(kinds, COMMA, why)
    numbers = kinds(*NUMBERS)
    return Guess("VARCHAR", note=f"only {numbers / values:.0%} are numbers" if numbers > values / 2 else "")


def _guess_number(kinds: Kinds) -> Guess:
    # A number with a fraction, or a written infinity, says that the column is a measurement.
    fractional = kinds(FRACTION, OVERFLOW, INFINITE)
    if kinds(CODE):
        return _text(kinds, CODE, "codes, which numbers would not keep")
    if kinds(EXPONENT) and not fractional:
        return _text(kinds, EXPONENT, "may be codes")
    if large := next((k for k in (HUGE, *((LARGE,) if fractional else (HUGE_EXACT,))) if kinds(k)), None):
        return _text(kinds, large, "too large for numbers that keep every digit")
    if fractional or not kinds(INTEGER, LARGE):
        fitting = (INTEGER, HUGE_EXACT, FRACTION, EXPONENT, OVERFLOW, INFINITE, NAN)
        return Guess("DOUBLE", fitting, (MARK,), refusal=_beyond_float(kinds))
    return Guess("BIGINT", (INTEGER, LARGE), (MARK, NAN))


def _guess_time(kinds: Kinds) -> Guess:
    if kinds(FINE):
        return _text(kinds, FINE, "finer than a microsecond")
    if kinds(INSTANT, REPEATED):
        refusal, said = _two_clocks(kinds), _twice(kinds)
        return Guess("TIMESTAMP WITH TIME ZONE", (INSTANT, REPEATED), (MARK, NAN), note=said, refusal=refusal)
    if kinds(TIMESTAMP):
        return Guess("TIMESTAMP", (TIMESTAMP, DATE), (MARK, NAN))
    return Guess("DATE", (DATE,), (MARK, NAN))


def _twice(kinds: Kinds) -> str:
    if not kinds(REPEATED):
        return ""
    return f"{kinds(REPEATED):,} of a local hour that comes twice, such as {kinds.examples[REPEATED]}, as the later one"


def _two_clocks(kinds: Kinds) -> str:
    without = kinds(DATE, TIMESTAMP)
    example = kinds.examples.get(TIMESTAMP) or kinds.examples.get(DATE)
    if not without:
        return ""
    return (
        f"has instants with an offset or zone, and {without:,} without one, such as {example}\n"
        "expected: all with one, or all without\nfix: correct the file, or say what they are in {columns}: "
        "{column}: TIMESTAMP WITH TIME ZONE reads those without as UTC, {column}: VARCHAR leaves all as they are"
    )


def _beyond_float(kinds: Kinds) -> str:
    """Refuses numbers beyond float64, which DuckDB reads as infinite; a written `inf` is a value."""
    if not kinds(OVERFLOW):
        return ""
    return (
        f"holds {kinds.examples[OVERFLOW]}, which is too large for a number\nexpected: numbers below 1.8e308\n"
        "fix: correct it, or declare it in {columns}: {column}: VARCHAR"
    )


def _text(kinds: Kinds, kind: str, why: str) -> Guess:
    return Guess(
        "VARCHAR", note=f"{kinds.counts[kind]:,} of {kinds.values:,} values, such as {kinds.examples[kind]}: {why}"
    )
