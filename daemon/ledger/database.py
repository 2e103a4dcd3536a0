"""The ledger's database: one SQLite file behind one lock, migrated when it is opened."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from daemon.ledger.schema import STEPS
from memory.errors import StoreError

Row = sqlite3.Row
Connection = sqlite3.Connection
Value = str | int | float | bytes | None
DISK_ERRORS = (sqlite3.OperationalError, OSError)


class Database:
    """One SQLite file, shared by threads; what is written is durable before the call returns.

    `after` a step of the schema, by its number, more is done in the same transaction. Raises sqlite3.OperationalError
    where the disk refuses; then nothing was written. Raises StoreError for a ledger of a newer Driftline.
    """

    def __init__(self, path: Path, after: Mapping[int, Callable[[Connection], None]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if self._steps_taken(path) < len(STEPS):  # else nothing is written: a full disk can still be read
            with self.write() as connection:
                for number, step in enumerate(STEPS[self._steps_taken(path) :], start=self._steps_taken(path) + 1):
                    for statement in _statements(step):
                        connection.execute(statement)
                    if number in after:
                        after[number](connection)
                connection.execute(f"PRAGMA user_version = {len(STEPS)}")

    def _steps_taken(self, path: Path) -> int:
        steps = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if steps > len(STEPS):
            raise StoreError(
                expected=f"a ledger of format {len(STEPS)} or older",
                came=f"format {steps} in {path}",
                do="run the newer Driftline that wrote it",
            )
        return steps

    def close(self, *, fold: bool = True) -> None:
        """Close; and before that `fold` the write-ahead log in, which waits where the disk is full, and for whoever
        reads, while nobody can write."""
        with self._lock:
            if fold:
                with suppress(sqlite3.OperationalError):
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()

    def row(self, query: str, *values: Value) -> Row | None:
        """The first row of a read-only query."""
        with self._lock:
            row: Row | None = self._connection.execute(query, values).fetchone()
            return row

    def rows(self, query: str, *values: Value) -> list[Row]:
        """All rows of a read-only query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def number(self, query: str, *values: Value) -> int:
        """The single number of a read-only query, 0 where it is NULL."""
        row = self.row(query, *values)
        return int(row[0] or 0) if row else 0

    def used_bytes(self) -> int:
        """The room that the rows take. The file keeps what deleted ones took, for the next."""
        used = self.number("PRAGMA page_count") - self.number("PRAGMA freelist_count")
        return used * self.number("PRAGMA page_size")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """All that is read meanwhile is of one moment; others write on."""
        with self._lock:
            self._connection.execute("BEGIN DEFERRED")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction, or a part of the one under way; rolled back where the block raises."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; a trigger holds semicolons of its own."""
    statement = ""
    for piece in f"{script};".split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def copy_database(source: Path, target: Path) -> int:
    """Copy a ledger as it is at one moment, while others write, into a new file, in the format that it has. Returns the
    highest number of a version that it knows, 0 where it knows none."""
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        known = "SELECT number FROM versions UNION SELECT version FROM lessons WHERE version IS NOT NULL"
        return max((int(row[0]) for row in copy.execute(known)), default=0)
