"""Parquet files become a table: a column has a type that keeps the values of all files, or the files are refused."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import common_types, database, quoting
from kfp_ct.data.tables.files import require_names
from kfp_ct.data.tables.quoting import identifier, literal

_SHOWN = 5
_DECIMAL_DIGITS = 38


@dataclasses.dataclass(frozen=True)
class _Group:
    """Files of one schema: the types of their columns, by name. A column that only has nulls has no type.

    Spans of time are read as numbers; `units` has pyarrow's name of the type that each of them has.
    """

    files: list[Path]
    types: dict[str, str]
    units: dict[str, str]

    @property
    def scan(self) -> str:
        return self.scan_with("")

    def scan_with(self, option: str) -> str:
        """Returns the scan with an option more."""
        paths = quoting.paths([file.resolve() for file in self.files])
        return f"read_parquet({paths}, hive_partitioning = false, binary_as_string = false{option})"


def load(connection: duckdb.DuckDBPyConnection, source: str, found: Sequence[Path], with_file: str = "") -> None:
    """Makes a view of Parquet files. A column that some files do not have is missing there.

    Args:
        connection: The database.
        source: The view's name.
        found: The files.
        with_file: Name of a further column that holds the path of a row's file; empty for none.

    Raises:
        DataError: A file is not Parquet, or a column has types without a common one.
    """
    groups = _groups(connection, source, found)
    names = list(dict.fromkeys(name for group in groups for name in group.types))
    require_names(source, found[0].name if len(found) == 1 else f"one of {len(found)} files", names)
    types = {name: _type(connection, source, groups, name) for name in names}
    for name in names:
        _say_missing(source, groups, name)
        _require_one_unit(source, groups, name)
    file, option = (f", {identifier(with_file)}", f", filename = {literal(with_file)}") if with_file else ("", "")
    selects = [
        f"SELECT {', '.join(_value(group, name, types[name]) for name in names)}{file} FROM {group.scan_with(option)}"
        for group in groups
    ]
    connection.execute(f"CREATE VIEW {identifier(source)} AS {' UNION ALL '.join(selects)}")


def _groups(connection: duckdb.DuckDBPyConnection, source: str, found: Sequence[Path]) -> list[_Group]:
    by_schema: dict[str, _Group] = {}
    for file in found:
        try:
            schema = pyarrow.parquet.read_schema(file).remove_metadata()
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"source {source}: {file.name} cannot be read as Parquet: {error}") from error
        require_names(source, file.name, schema.names)
        _require_exact(source, file, schema)
        key = schema.to_string()
        if key not in by_schema:
            units = {field.name: str(field.type) for field in schema if pa.types.is_duration(field.type)}
            group = _Group([file], {}, units)
            described = database.rows(connection, f"DESCRIBE FROM {group.scan}")
            empty = {field.name for field in schema if pa.types.is_null(field.type)}
            group.types.update({name: "" if name in empty else type_name for name, type_name, *_ in described})
            by_schema[key] = group
        else:
            by_schema[key].files.append(file)
    return list(by_schema.values())


def _require_exact(source: str, file: Path, schema: pa.Schema) -> None:
    """Refuses values that DuckDB reads rounded: decimals of more than 38 digits, nanoseconds of times of day."""
    for field in schema:
        wide = pa.types.is_decimal256(field.type) and field.type.precision > _DECIMAL_DIGITS
        if wide or (field.type == pa.time64("ns") and _is_fine(file, field.name)):
            raise DataError(
                f"source {source}: column {field.name} of {file.name} is {field.type}, which is read rounded\n"
                f"expected: decimals of {_DECIMAL_DIGITS} digits at most, times of day in microseconds\n"
                "fix: write the file again, with a narrower type or with texts"
            )


def _is_fine(file: Path, name: str) -> bool:
    try:
        pyarrow.parquet.ParquetFile(file).read(columns=[name]).column(name).cast(pa.time64("us"))
    except pa.ArrowInvalid:
        return True
    return False


def _type(connection: duckdb.DuckDBPyConnection, source: str, groups: Sequence[_Group], name: str) -> str:
    """Returns the common type of a column; text where all files have nothing but nulls."""
    having = [group for group in groups if group.types.get(name)]
    types = list(dict.fromkeys(group.types[name] for group in having))
    common = common_types.common(types)
    if not common:
        raise _misfit(source, having, name, "there is no type that keeps the values of both")
    for group in having:
        if test := common_types.loss(identifier(name), group.types[name], common):
            changed = database.rows(
                connection, f"SELECT {identifier(name)}::VARCHAR FROM {group.scan} WHERE {test} LIMIT 1"
            )
            if changed:
                raise _misfit(source, having, name, f"{changed[0][0]} would change as {common}")
    return common


def _require_one_unit(source: str, groups: Sequence[_Group], name: str) -> None:
    """Says of spans of time what their numbers count; refuses files that count different things."""
    found = {group.units.get(name, group.types[name]): group.files[0].name for group in groups if group.types.get(name)}
    spans = [unit for unit in found if unit.startswith("duration")]
    if spans and len(found) > 1:
        listed = ", ".join(f"{unit} in {file}" for unit, file in found.items())
        raise DataError(
            f"source {source}: column {name} is {listed}: the same number would mean different spans of time\n"
            "expected: spans of one unit in all files\n"
            f"fix: write the files again with one unit, or narrow sources.{source}.uri to like files"
        )
    if spans:
        task_log.progress(f"{source}.{name} is {spans[0]}: read as a whole number of that unit")


def _misfit(source: str, groups: Sequence[_Group], name: str, why: str) -> DataError:
    by_type = {group.types[name]: group.files[0].name for group in reversed(groups)}
    listed = ", ".join(f"{type_name} in {file}" for type_name, file in reversed(by_type.items()))
    return DataError(
        f"source {source}: column {name} is {listed}: {why}\n"
        "expected: types that have a common one, as int32 and int64, or date and timestamp\n"
        f"fix: write the files again with one type, or narrow sources.{source}.uri to like files"
    )


def _say_missing(source: str, groups: Sequence[_Group], name: str) -> None:
    without = [file.name for group in groups if name not in group.types for file in group.files]
    if without:
        shown = ", ".join([*without[:_SHOWN], *(["…"] if len(without) > _SHOWN else [])])
        task_log.progress(f"{source}.{name} is not in {shown}: missing there")


def _value(group: _Group, name: str, type_name: str) -> str:
    column = identifier(name)
    if not group.types.get(name):
        return f"CAST(NULL AS {type_name}) AS {column}"
    cast = column if group.types[name] == type_name else f"CAST({column} AS {type_name})"
    if "DOUBLE" in type_name or "FLOAT" in type_name:
        # The least and greatest values that files state leave NaN out, and DuckDB takes a condition that holds for
        # both as true of all: `isnan(x)` was never. Of a TRY it assumes nothing.
        cast = f"TRY({cast})"
    return cast if cast == column else f"{cast} AS {column}"
