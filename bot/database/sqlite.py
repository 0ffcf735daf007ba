"""SQLite: short work is done where it is asked for; only what waits, for another writer or for the disk, goes to a thread.

What a turn asks for is there in some microseconds, and handing it to a thread and back takes twenty times as long.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from bot.database.work import done

T = TypeVar("T")

PATIENCE = 5000
"""Milliseconds for which whoever writes elsewhere is waited for."""

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


class SQLite:
    """One file, or a database in memory. One connection writes, one reads, and one does the long looking.

    There is one writer at a time, and those who wait are served in turn: inside SQLite they would poll, and with fifty of them some
    waited until they were told that it is busy."""

    shared = False

    def __init__(self, url: str, *, memory: bool) -> None:
        self.engine = engine_of(url, **({"poolclass": StaticPool} if memory else {}))
        self.patience = PATIENCE
        """Milliseconds for which whoever writes elsewhere is waited for."""
        self._memory = memory
        self._connections: dict[str, Connection] = {}
        self._turn = asyncio.Lock()
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
        """Does work that writes; it is on the disk when this returns."""
        async with self._turn:
            connection = self._connected("writer")
            raw = _raw(connection)
            with connection.begin():
                await self._begin(raw)
                before = raw.total_changes
                if long and not self._memory:
                    result = await self._writer.do(lambda: done(connection, work))
                else:
                    result = done(connection, work)
                if raw.total_changes != before and not self._memory:
                    await self._writer.do(raw.commit)
            return result

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
        if made is None or made.invalidated:
            made = self._connections[whose] = self.engine.connect()
        return made

    async def close(self) -> None:
        for hand in (self._writer, self._aside):
            hand.close()
        for connection in self._connections.values():
            connection.close()
        self.engine.dispose()


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
