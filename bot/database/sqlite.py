"""SQLite: short work is done where it is asked for; only what waits, for another writer or for the disk, goes to a thread.

What a turn asks for is there in some microseconds, and handing it to a thread and back takes twenty times as long.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from bot.database.work import done

T = TypeVar("T")

PATIENCE = 5000
"""Milliseconds for which whoever writes elsewhere is waited for."""

MOST_TOGETHER = 10
"""Units of work that may be written in one transaction of SQLite; the loop stands still meanwhile, for half a millisecond each."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={PATIENCE}", "foreign_keys=ON")


def engine_of(url: str | URL, **options: Any) -> Engine:
    """An engine whose connections are set as ours must be, and begin transactions when they are told to."""
    made = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False}, **options)
    event.listen(made, "connect", _prepare)
    return made


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


class Hand:
    """A thread that does one thing after another. It keeps no process from ending, however long something takes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def do(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def tell(result: Any, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def one() -> None:
            try:
                result, error = work(), None
            except BaseException as raised:
                result, error = None, raised
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(tell, result, error)

        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._work.put(one)
        return await done

    def close(self) -> None:
        self._work.put(None)

    def _run(self) -> None:
        while (one := self._work.get()) is not None:
            one()
            del one


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Work that waits to write, and whom to tell what came of it."""

    work: Callable[[Session], Any]
    long: bool
    done: asyncio.Future[Any]


class SQLite:
    """One file, or a database in memory. One connection writes, one reads, and one does the long looking.

    There is one writer at a time, and those who wait are served in turn: inside SQLite they would poll, and with fifty of them some
    waited until they were told that it is busy. Those who wait while the disk is busy wait for it together the next time."""

    shared = False

    def __init__(self, url: str, *, memory: bool) -> None:
        self.engine = engine_of(url, **({"poolclass": StaticPool} if memory else {}))
        self.patience = PATIENCE
        """Milliseconds for which whoever writes elsewhere is waited for."""
        self._memory = memory
        self._connections: dict[str, Connection] = {}
        self._waiting: list[_Wanted] = []
        self._writing: asyncio.Task[None] | None = None
        self._writer, self._aside = Hand("database writer"), Hand("database reader")

    def look(self, work: Callable[[Session], T], whose: str = "reader") -> T:
        """Does work that reads, at once."""
        connection = self._connected(whose)
        with connection.begin():
            _raw(connection).execute("BEGIN")
            return done(connection, work)

    async def read(self, work: Callable[[Session], T]) -> T:
        """Does work that may read very much."""
        if self._memory:
            return self.look(work)
        return await self._aside.do(lambda: self.look(work, "aside"))

    async def write(self, work: Callable[[Session], T], *, long: bool = False) -> T:
        """Does work that writes, whole or not at all; it is on the disk when this returns. Whoever is cancelled meanwhile waits no
        longer, but it is done."""
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Wanted(work, long and not self._memory, told))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        return await told

    async def _write_all(self) -> None:
        while self._waiting:
            group = self._together()
            try:
                outcomes = await self._written(group)
            except Exception as error:
                outcomes = [(None, error)] * len(group)
            for wanted, (result, failed) in zip(group, outcomes, strict=True):
                if wanted.done.done():
                    continue
                if failed is None:
                    wanted.done.set_result(result)
                else:
                    wanted.done.set_exception(failed)

    def _together(self) -> list[_Wanted]:
        """Those who are served next, in one transaction: some who wait, or one with much to do."""
        first = next((place for place, wanted in enumerate(self._waiting[:MOST_TOGETHER]) if wanted.long), MOST_TOGETHER)
        group = self._waiting[: max(1, first)]
        del self._waiting[: len(group)]
        return group

    async def _written(self, group: list[_Wanted]) -> list[tuple[Any, Exception | None]]:
        """What each one's work gave, or why it could not be done. Raises where nothing could be written for anybody."""
        connection = self._connected("writer")
        raw = _raw(connection)
        with connection.begin():
            await self._begin(raw)
            before = raw.total_changes
            if group[0].long:
                outcomes = await self._writer.do(lambda: self._do(connection, group))
            else:
                outcomes = self._do(connection, group)
            if raw.total_changes != before and not self._memory:
                await self._writer.do(raw.commit)
        return outcomes

    def _do(self, connection: Connection, group: list[_Wanted]) -> list[tuple[Any, Exception | None]]:
        if len(group) == 1:
            return [(done(connection, group[0].work), None)]
        raw, outcomes = _raw(connection), list[tuple[Any, Exception | None]]()
        for wanted in group:
            raw.execute("SAVEPOINT one")
            try:
                outcomes.append((done(connection, wanted.work), None))
            except Exception as error:
                if not raw.in_transaction:  # the disk is full, say: what the others wrote is gone with it
                    raise
                raw.execute("ROLLBACK TO one")
                outcomes.append((None, error))
            raw.execute("RELEASE one")
        return outcomes

    async def _begin(self, raw: sqlite3.Connection) -> None:
        """Takes the right to write at once: a read that becomes a write would not wait for it, and fail."""
        raw.execute("PRAGMA busy_timeout=0")
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            # Somebody else writes, such as another process.
            raw.execute(f"PRAGMA busy_timeout={self.patience}")
            await self._writer.do(lambda: raw.execute("BEGIN IMMEDIATE"))

    def _connected(self, whose: str) -> Connection:
        made = self._connections.get(whose)
        if made is not None and made.in_transaction():  # its rollback failed, and nothing is known of it any more
            made.invalidate()
            made.close()
            made = None
        if made is None:
            made = self._connections[whose] = self.engine.connect()
        return made

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        for hand in (self._writer, self._aside):
            hand.close()
        for connection in self._connections.values():
            connection.close()
        self.engine.dispose()


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
