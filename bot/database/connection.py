"""One database: its connections, transactions and errors. SQLite runs in WAL with synchronous FULL and BEGIN IMMEDIATE.

What only PostgreSQL has - processes beside this one - is in `bot.database.postgres`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import URL, CursorResult, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.database.direct import BEGIN, DIRECT, connect
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

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Connected")


def uncut(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A caller that is cancelled waits no longer, but the transaction goes on to its end: SQLAlchemy's connection does not
    survive being cancelled between a statement and its answer, and the process would never end.

    A connection that PostgreSQL ended is replaced, and the transaction done again."""

    async def insist(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        DIRECT.set(True)
        for pause in PAUSES if self.shared else ():
            try:
                return await method(self, *args, **kwargs)
            except StoreBusy:
                await asyncio.sleep(pause)
        return await method(self, *args, **kwargs)

    @wraps(method)
    async def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.ensure_future(insist(self, *args, **kwargs))
        self._underway.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    return whole


class Connected:
    """What every part of the store stands on: `reading` and `writing` sessions of one engine.

    worker: the name under which this process claims work. shared: whether other processes may work on the same database.
    """

    def __init__(self, engine: AsyncEngine, lease: timedelta = LEASE) -> None:
        self.engine = engine
        self.lease = lease
        self.worker = uuid4().hex[:12]
        self.shared = engine.dialect.name == "postgresql"
        self._underway: set[asyncio.Future[Any]] = set()
        # SQLite has one writer at a time. Those who wait for it inside SQLite poll and are not served in turn: with fifty of them
        # some waited until they were told that it is busy.
        self._writer: AbstractAsyncContextManager[Any] = asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()

    @classmethod
    async def open(cls, url: str, *, lease: timedelta = LEASE, now: Clock = lambda: datetime.now(UTC), migrate: bool = True) -> Self:
        """Connects, brings the schema up to date and returns the store. A file of an earlier version is copied beside itself before.

        migrate: False where an earlier schema is to be refused instead. Raises StoreError in one sentence where it can't be done,
        StoreTooNew where the schema is a later one."""
        from bot.migrations import upgrade

        engine = _engine(url)
        try:
            file = sqlite_file(url)
            if file is not None and migrate:
                async with translating():
                    await asyncio.to_thread(_forwards, file)
            async with translating(), engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    from bot.database.postgres import prepare

                    await prepare(connection, now, MOST_SKEW)
                await connection.run_sync(partial(upgrade, migrate=migrate))
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, lease)

    async def close(self) -> None:
        while self._underway:
            await asyncio.wait(self._underway)
        await self.engine.dispose()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._underway.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here for a caller that is gone

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        async with translating(), AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        async with self._writer, translating(), self.engine.connect() as connection:
            if not self.shared:
                await connection.execution_options(writes=True)
            async with connection.begin(), AsyncSession(bind=connection, expire_on_commit=False) as session:
                yield session
                await session.flush()

    async def core(self, session: AsyncSession, statement: Any, parameters: Any = None) -> CursorResult[Any]:
        """One statement in the session's transaction, past its objects: for what is done often, and in batches."""
        done: CursorResult[Any] = await (await session.connection()).execute(statement, parameters)
        return done

    def insert_new(self, table: Any, *unique: str) -> Any:
        """An insert that leaves alone what is there already; who else is writing the same is waited for."""
        if self.engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as postgres

            return postgres(table).on_conflict_do_nothing(index_elements=unique)
        from sqlalchemy.dialects.sqlite import insert as sqlite

        return sqlite(table).on_conflict_do_nothing(index_elements=unique)


@asynccontextmanager
async def translating() -> AsyncIterator[None]:
    """Foreign errors as ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _translated(error) from error
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
    reason = str(getattr(error, "orig", error) or error).splitlines()[0]
    if isinstance(error, OperationalError) and ("locked" in reason or "busy" in reason):
        return StoreBusy("the database is held by somebody else")
    if isinstance(error, IntegrityError):
        return StoreRefused("the database refused a row")
    if isinstance(error, DBAPIError):
        code = str(getattr(error.orig, "sqlstate", None) or "")
        lost = error.connection_invalidated or code.startswith(BUSY)
        return (StoreBusy if lost else StoreError)(f"the database can't be used: {reason}")
    return StoreError(f"the database can't be used: {type(error).__name__}")


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


def _engine(url: str) -> AsyncEngine:
    file = sqlite_file(url)
    if url.startswith("sqlite://"):
        url = url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    options: dict[str, Any] = {"connect_args": {"async_creator_fn": connect}} if url.startswith("sqlite") else {}
    if url.startswith(("postgresql:", "postgres:", "postgresql+asyncpg:")):
        from bot.database.postgres import OPTIONS, spelled

        url, options = spelled(url), OPTIONS
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # what learners write is nobody else's to read on this machine
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"the folder of the database can't be made: {error.strerror}") from error
    try:
        engine = create_async_engine(url, hide_parameters=True, **options)
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(f"the database can't be used: {str(error).splitlines()[0]}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


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
    engine = create_engine(URL.create("sqlite", database=str(file)), hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    event.listen(engine, "begin", _begin_sqlite)
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            upgrade(connection)
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise StoreError("the database can't be upgraded: a row would refer to nothing; it is left as it was")
    finally:
        engine.dispose()
    log.info("database upgraded", schema_before=revision, schema=HEAD, copy=copy.name)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A read that becomes a write ignores busy_timeout and fails at once, so writers take the lock when they begin.
    writes = connection.get_execution_options().get("writes")
    connection.execute(text(BEGIN if writes else "BEGIN"))
