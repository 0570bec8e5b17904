"""What a column of unknown data is good for: a number, a category, or nothing, and why."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterable

from kfp_ct.data.tables.column_types import INTEGERS
from kfp_ct.data.tables.quoting import identifier

NUMBER, CATEGORY, OUT = "number", "category", "left out"
# What the query calls a row's content where no column names rows.
ROW_KEY = "row_key"
# More values than these name rows rather than kinds of rows.
MOST_CATEGORIES, DISTINCT_SHARE = 1_000, 0.5
_TEXT_LENGTH = 40
NUMBERS = INTEGERS | {"HUGEINT", "DOUBLE", "FLOAT", "DECIMAL"}
_IDENTITY = re.compile(r"(^|[_\W])(id|key|uuid|guid|number|nr|no)$", re.IGNORECASE)
_CAMEL_IDENTITY = re.compile(r"[a-z](Id|ID|Key)$")


@dataclasses.dataclass(frozen=True)
class Facts:
    """A column as it was found; `low` and `high` are of whole numbers only."""

    name: str
    type: str  # DuckDB's
    rows: int
    present: int
    distinct: int
    length: float = 0  # average, of texts
    low: int = 0
    high: int = 0

    @property
    def exact(self) -> bool:
        """Whether its values are whole numbers that only int64 holds exactly: float32 ends at 2**24."""
        whole = _base(self.type) in INTEGERS | {"HUGEINT"}
        return whole and max(-self.low, self.high) > 2**24 and self.low > -(2**63) and self.high < 2**63

    @property
    def value(self) -> str:
        """The SQL of its value: NaN, which numpy and pandas write for missing, is null."""
        column = identifier(self.name)
        return f"nullif({column}, 'nan')" if self.type in ("FLOAT", "DOUBLE") else column

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return _base(self.type) in NUMBERS


@dataclasses.dataclass(frozen=True)
class Column:
    """A column with its safe name and what it is taken for."""

    facts: Facts
    safe: str
    role: str
    why: str
    identity: bool = False

    @property
    def complete(self) -> bool:
        """Whether every row has a value."""
        return self.facts.present == self.facts.rows


def judge(facts: Facts, safe: str) -> Column:
    """Decides what a column is good for."""
    if not facts.present:
        return Column(facts, safe, OUT, "it is empty")
    if facts.distinct == 1:
        return Column(facts, safe, OUT, "it has one value only")
    if _is_identity(facts):
        return Column(facts, safe, OUT, f"it names rows: {facts.distinct:,} values in {facts.present:,} rows", True)
    base = _base(facts.type)
    if base.endswith("]") or base in ("JSON", "TIME"):
        return Column(facts, safe, OUT, f"it is of type {facts.type}")
    if base.startswith(("DATE", "TIMESTAMP")):
        return Column(facts, safe, OUT, "it is a point in time, which never comes again; derive features in the query")
    if facts.numeric or base == "BOOLEAN":
        return Column(facts, safe, NUMBER, "numbers" if base != "BOOLEAN" else "true or false")
    if facts.length > _TEXT_LENGTH:
        return Column(facts, safe, OUT, f"it is free text, {facts.length:.0f} characters on average")
    if facts.distinct > min(MOST_CATEGORIES, max(20, DISTINCT_SHARE * facts.present)):
        return Column(facts, safe, OUT, f"it has {facts.distinct:,} different texts in {facts.present:,} rows")
    return Column(facts, safe, CATEGORY, f"{facts.distinct:,} different texts")


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Returns a name of lower-case letters, digits and underscores for each column, no two the same.

    A model's inputs are named after columns, and TensorFlow takes no others.
    """
    safe: dict[str, str] = {}
    # A TensorFlow function cannot be asked with an argument called self.
    taken = {"self", ROW_KEY}
    for number, name in enumerate(names):
        plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
        base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"column_{number + 1}"
        base = base if base[0].isalpha() else f"c_{base}"
        chosen, suffix = base, 2
        while chosen in taken:
            chosen, suffix = f"{base}_{suffix}", suffix + 1
        taken.add(chosen)
        safe[name] = chosen
    return safe


def _base(type_name: str) -> str:
    return type_name.split("(")[0]


def _is_identity(facts: Facts) -> bool:
    if facts.distinct < facts.present or facts.present < 20:
        return False
    if facts.type in INTEGERS:
        named = _IDENTITY.search(facts.name) or _CAMEL_IDENTITY.search(facts.name)
        return bool(named) or facts.high - facts.low + 1 == facts.distinct
    return facts.type in ("VARCHAR", "UUID") and facts.length <= _TEXT_LENGTH
