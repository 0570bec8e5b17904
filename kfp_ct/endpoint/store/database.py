"""The endpoint's database: one SQLite file, written by one process, whole after any crash."""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Table, event
from sqlalchemy.engine import Connection, Engine

from kfp_ct.base.errors import UsageError
from kfp_ct.endpoint.store import tables
from kfp_ct.endpoint.store.faults import not_found


class Database:
    """Transactions on the endpoint's file."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it.

        Raises:
            UsageError: It was written by another version of this program, or cannot be used.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = _engine(path)
        try:
            self._prepare(path)
        except sqlalchemy.exc.DatabaseError as error:
            raise UsageError(
                f"{path} cannot be opened: {error.orig}\nexpected: a database of this program's that no other program "
                "holds, and room on its disk\nfix: end what holds it, make room, or choose another --home"
            ) from error

    def _prepare(self, path: Path) -> None:
        with self.writing() as connection:
            revision = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if revision == 0:
                tables.metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {tables.REVISION}")
            elif revision != tables.REVISION:
                raise UsageError(
                    f"{path} has tables of revision {revision}\nexpected: {tables.REVISION}\n"
                    "fix: use the version of ct that wrote it, or another --home"
                )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view."""
        with self._transaction("BEGIN") as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only one to write; rolled back if its body raises."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection
            connection.commit()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            try:
                connection.exec_driver_sql(begin)
                yield connection
            except BaseException:
                # A cursor that is still open would keep the file's snapshot, and the pool would hand it to the next
                # request: closing the connection ends its transaction whatever the body left open.
                connection.invalidate()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()


def _engine(path: Path) -> Engine:
    # How many requests wait for a connection is bounded by the server's threads.
    engine = sqlalchemy.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": 10, "check_same_thread": False}, pool_size=8, max_overflow=56
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # Transactions are begun by hand: pysqlite's own would begin them too late.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # Files made by earlier versions have a foreign key from runs to experiments, which may be deleted.
        connection.execute("PRAGMA foreign_keys = OFF")

    return engine


def row_of(connection: Connection, table: Table, key: str, kind: str) -> Mapping[str, Any]:
    """Returns the row of an id.

    Raises:
        Fault: There is none; `kind` says of what.
    """
    row = connection.execute(sqlalchemy.select(table).where(table.c.id == key)).mappings().first()
    if row is None:
        raise not_found(kind, key)
    return dict(row)


def new_id() -> str:
    """Returns an id in the form of KFP's."""
    return str(uuid.uuid4())


def moment(when: datetime.datetime) -> str:
    """Renders a time as the tables and the API have it."""
    return when.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """Returns the time as the tables and the API have it."""
    return moment(datetime.datetime.now(datetime.UTC))
