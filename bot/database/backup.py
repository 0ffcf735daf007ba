"""Copies of SQLite's file: made while a coach writes to it, checked by opening them, put back, and made before an upgrade."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from bot.errors import StoreBusy, StoreError, StoreTooNew
from bot.migrations import HEAD, known

KEPT = 3
"""Backups that upgrades leave beside the database; the oldest ones go."""

WAIT = 10.0
"""Seconds that a file which somebody writes to is waited for."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a database's file holds. size: bytes; revision: of its schema, "" for none; rows: how many, by table."""

    file: Path
    size: int
    revision: str
    rows: dict[str, int]


def inspected(file: Path) -> Holding:
    """Opens a database and looks at all of it. Raises StoreError with what is wrong with it."""
    if not file.is_file():
        raise StoreError(f"there is no file {file}")
    with _told(str(file)), closing(_opened(file)) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
        problems += [f"a row of {row[0]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")][:1]
        if problems:
            raise StoreError(f"{file} is damaged: {problems[0].splitlines()[0]}")
        tables = _tables(connection)
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608
        revision = _revision(connection, tables)
        rows.pop("alembic_version", None)
        return Holding(file, file.stat().st_size, revision, rows)


def revision_of(file: Path) -> str | None:
    """The revision of a file's schema, "" where it has tables and none; None where nothing is in it yet."""
    if not file.exists():
        return None
    with _told(), closing(_opened(file)) as connection:
        tables = _tables(connection)
        return _revision(connection, tables) if tables else None


def backup(source: Path, target: Path) -> Holding:
    """Copies a database, also while it is written to, and opens the copy. Writes over nothing; raises StoreError."""
    if not source.is_file():
        raise StoreError(f"there is no database at {source} yet")
    if target.exists():
        raise StoreError(f"{target} is there already; a backup writes over nothing")
    return _copied(source, target)


def restore(source: Path, database: Path, now: datetime) -> tuple[Holding, Path | None]:
    """Puts a backup in the place of the database, which must not be in use; says what it holds, and where the old one lies now.

    Raises StoreError, and changes nothing, where the backup can't be used, StoreTooNew where it is a later version's."""
    holding = inspected(source)
    if not holding.revision:
        raise StoreError(f"{source} is no database of the coach")
    if not known(holding.revision):
        raise StoreTooNew(f"{source} was written by a later version of the coach (its schema is {holding.revision}, this one reads {HEAD})")
    if database.exists() and source.samefile(database):
        raise StoreError("that is the database itself")
    fresh = database.with_name(database.name + ".restoring")
    _removed(fresh)
    restored = _copied(source, fresh)
    kept = _aside(database, database.with_name(f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}")) if database.exists() else None
    os.replace(fresh, database)
    _durable(database.parent)
    return Holding(database, restored.size, restored.revision, restored.rows), kept


def before_upgrade(database: Path, revision: str) -> Path:
    """Keeps the database as it is beside itself, under the name of its revision, and forgets the oldest such copies.

    Raises StoreError where there is no room for it: then nothing is upgraded."""
    target = database.with_name(f"{database.name}.schema-{revision or 'none'}")
    fresh = target.with_name(target.name + ".new")
    try:
        _removed(fresh)
        _copied(database, fresh)
    except (StoreError, OSError) as error:
        raise StoreError(f"before the database is upgraded a copy of it is made, and that failed: {error}") from error
    os.replace(fresh, target)
    _durable(target.parent)
    copies = sorted(database.parent.glob(f"{database.name}.schema-*"), key=lambda file: (file.stat().st_mtime_ns, file.name))
    for file in [file for file in copies if file != target][: max(0, len(copies) - KEPT)]:
        file.unlink(missing_ok=True)
    return target


def _copied(source: Path, target: Path) -> Holding:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Only the owner may read what learners wrote.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{target} can't be written: {error.strerror}") from error
    try:
        with _told(), closing(_opened(source)) as old, closing(sqlite3.connect(target, timeout=WAIT)) as new:
            old.backup(new)
            # One file, with nothing beside it.
            new.execute("PRAGMA journal_mode=DELETE")
        _durable(target)
        _durable(target.parent)
        return inspected(target)
    except BaseException:
        _removed(target)
        raise


def _aside(database: Path, kept: Path) -> Path:
    """Keeps the old database under another name. The place is never empty, so that no start finds nothing and begins anew."""
    with suppress(sqlite3.Error, StoreError):
        revision_of(database)  # one that can't be read is not written to either
        with closing(sqlite3.connect(database, timeout=WAIT)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # takes in what was written ahead
    beside = [database.with_name(database.name + ending) for ending in ("-wal", "-shm")]
    if not any(file.exists() for file in beside):
        with suppress(OSError):
            os.link(database, kept)
            return kept
    os.rename(database, kept)
    for file in beside:  # a database that can't be opened keeps what belongs to it
        if file.exists():
            os.rename(file, kept.with_name(kept.name + file.name.removeprefix(database.name)))
    return kept


def _removed(file: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


def _durable(path: Path) -> None:
    """Waits until a file, or what a folder holds, is on the disk."""
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _opened(file: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, timeout=WAIT)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    return [name for (name,) in found]


def _revision(connection: sqlite3.Connection, tables: list[str]) -> str:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if "alembic_version" in tables else None
    return str(row[0]) if row else ""


@contextmanager
def _told(what: str = "the database") -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        busy = "locked" in str(error) or "busy" in str(error)
        raise (StoreBusy if busy else StoreError)(f"{what} can't be used: {error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{what} can't be used: {error}") from error
