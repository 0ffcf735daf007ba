"""One database: how units of work are done in it, and its errors as ours.

What is SQLite's own is in `bot.database.sqlite`, and what PostgreSQL adds in `bot.database.postgres`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import URL, CursorResult, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlmodel import Session, SQLModel

from bot.database.postgres import PostgreSQL, prepare
from bot.database.sqlite import SQLite, engine_of
from bot.errors import StoreBusy, StoreError, StoreRefused

LEASE = timedelta(seconds=20)
"""How long work stays with a process that is not heard of any more; a living one renews it in time. See `Settings.lease`."""

MOST_SKEW = timedelta(seconds=5)
"""How far a machine's clock may be off the database's where several processes share it: leases compare the two."""

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before a transaction that lost its connection is done again. Every one may be: what it writes has keys."""

BUSY = ("08", "40", "53", "57", "55P03")
"""PostgreSQL's errors that pass, by the beginning of their code: connections, serialisation, resources, shutdown, locks.
https://www.postgresql.org/docs/15/errcodes-appendix.html"""

Clock = Callable[[], datetime]

log = structlog.get_logger("database")

T = TypeVar("T")


class Connected:
    """What every part of the store stands on: `reading` and `writing` sessions of one engine.

    worker: the name under which this process claims work. shared: whether other processes may work on the same database.
    """

    def __init__(self, base: SQLite | PostgreSQL, lease: timedelta = LEASE) -> None:
        self.base = base
        self.lease = lease
        self.worker = uuid4().hex[:12]
        self.shared = base.shared
        self._underway: set[asyncio.Future[Any]] = set()

    @classmethod
    async def open(cls, url: str, *, lease: timedelta = LEASE, now: Clock = lambda: datetime.now(UTC), migrate: bool = True) -> Self:
        """Connects, brings the schema up to date and returns the store. A file of an earlier version is copied beside itself before.

        migrate: False where an earlier schema is to be refused instead. Raises StoreError in one sentence where it can't be done,
        StoreTooNew where the schema is a later one."""
        from bot.migrations import upgrade

        base = base_of(url)

        def ready(session: Session) -> None:
            if base.shared:
                prepare(session.connection(), now, MOST_SKEW)
            upgrade(session.connection(), migrate=migrate)

        try:
            with translating():
                file = sqlite_file(url)
                if file is not None and migrate:
                    await asyncio.to_thread(_forwards, file)
                await base.write(ready, long=True)
        except BaseException:
            await base.close()
            raise
        return cls(base, lease)

    async def close(self) -> None:
        while self._underway:
            await asyncio.wait(self._underway)
        await self.base.close()

    async def read(self, work: Callable[[Session], T], *, long: bool = False) -> T:
        """Does a unit of work that reads, in one transaction."""
        if isinstance(self.base, SQLite) and not long:
            with translating():
                return self.base.look(work)
        return await self.uncut(lambda: self.base.read(work))

    async def write(self, work: Callable[[Session], T], *, long: bool = False) -> T:
        """Does a unit of work that writes, in one transaction."""
        if isinstance(self.base, SQLite):
            with translating():
                return await self.base.write(work, long=long)
        return await self.uncut(lambda: self.base.write(work, long=long))

    async def uncut(self, act: Callable[[], Awaitable[T]]) -> T:
        """A caller that is cancelled waits no longer, but the transaction goes on to its end: a connection does not survive being
        cancelled between a statement and its answer, and the process would never end.

        A connection that PostgreSQL ended is replaced, and the transaction done again."""
        task = asyncio.ensure_future(self._insist(act))
        self._underway.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T:
        for pause in PAUSES if self.shared else ():
            try:
                with translating():
                    return await act()
            except StoreBusy:
                await asyncio.sleep(pause)
        with translating():
            return await act()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._underway.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here for a caller that is gone

    def core(self, session: Session, statement: Any, parameters: Any = None) -> CursorResult[Any]:
        """One statement in the session's transaction, past its objects: for what is done often, and in batches."""
        return session.connection().execute(statement, parameters)

    def put(self, session: Session, row: SQLModel, but: str = "") -> None:
        """Writes a row, over the one with the same key where there is one, of which the column `but` stays as it is."""
        self.core(session, _over(self._insert, type(row).__table__, but), values_of(row))  # type: ignore[attr-defined]

    def insert_new(self, table: Any, *unique: str) -> Any:
        """An insert that leaves alone what is there already; who else is writing the same is waited for."""
        return _new(self._insert, table, unique)

    @property
    def _insert(self) -> Callable[[Any], Any]:
        return postgresql.insert if self.shared else sqlite.insert


@cache
def _new(insert: Callable[[Any], Any], table: Any, unique: tuple[str, ...]) -> Any:
    return insert(table).on_conflict_do_nothing(index_elements=unique)


@cache
def _over(insert: Callable[[Any], Any], table: Any, but: str) -> Any:
    statement = insert(table)
    changed = {one.name: statement.excluded[one.name] for one in table.c if not one.primary_key and one.name != but}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


def values_of(row: SQLModel) -> dict[str, Any]:
    """A row as the parameters of a statement."""
    return {name: getattr(row, name) for name in type(row).model_fields}


@contextmanager
def translating() -> Iterator[None]:
    """Foreign errors as ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _translated(error) from error
    except sqlite3.Error as error:
        raise _told(error) from error
    except OSError as error:  # the driver could not connect, or was not answered in time
        raise StoreBusy(f"the database can't be used: {error.strerror or type(error).__name__}") from error
    except Exception as error:
        if not type(error).__module__.startswith("asyncpg"):
            raise
        code = str(getattr(error, "sqlstate", None) or BUSY[0])  # it has none where the connection is gone
        if code.startswith("23"):
            raise StoreRefused("the database refused a row") from error
        kind = StoreBusy if code.startswith(BUSY) else StoreError
        raise kind(f"the database can't be used: {str(error).splitlines()[0]}") from error


def _translated(error: SQLAlchemyError) -> StoreError:
    if isinstance(error, IntegrityError):
        return StoreRefused("the database refused a row")
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return _told(error.orig)
        reason = str(error.orig or error).splitlines()[0]
        code = str(getattr(error.orig, "sqlstate", None) or "")
        lost = error.connection_invalidated or code.startswith(BUSY)
        return (StoreBusy if lost else StoreError)(f"the database can't be used: {reason}")
    return StoreError(f"the database can't be used: {type(error).__name__}")


def _told(error: sqlite3.Error) -> StoreError:
    reason = str(error)
    if "locked" in reason or "busy" in reason:
        return StoreBusy("the database is held by somebody else")
    return StoreError(f"the database can't be used: {reason}")


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for a database in memory or of another kind."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"COACH_DATABASE is not a database URL: {url.split(':')[0]}:...") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    file = Path(parsed.database)
    if file.is_dir():
        raise StoreError(f"the database can't be used: {file} is a folder")
    return file


def base_of(url: str) -> SQLite | PostgreSQL:
    """What lies at a URL, not connected to yet. Raises StoreError."""
    file = sqlite_file(url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # what learners write is nobody else's to read on this machine
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"the folder of the database can't be made: {error.strerror}") from error
    try:
        if url.startswith(("postgresql:", "postgres:", "postgresql+asyncpg:")):
            return PostgreSQL(url)
        return SQLite(url, memory=file is None)
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(f"the database can't be used: {str(error).splitlines()[0]}") from error


def _forwards(file: Path) -> None:
    """Migrates a file of an earlier version, after a copy of it was made; leaves alone what is empty or up to date.

    In a transaction of its own, in which nothing is looked at that refers to a table while that is being made anew."""
    from bot.database.backup import before_upgrade, revision_of
    from bot.migrations import HEAD, refuse_later, upgrade

    revision = revision_of(file)
    if revision in (None, HEAD):
        return
    if revision:
        refuse_later(revision)
    copy = before_upgrade(file, revision or "")
    engine = engine_of(URL.create("sqlite", database=str(file)))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise StoreError("the database can't be upgraded: a row would refer to nothing; it is left as it was")
    finally:
        engine.dispose()
    log.info("database upgraded", schema_before=revision, schema=HEAD, copy=copy.name)
