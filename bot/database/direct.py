"""SQLite without a thread between every statement and its answer.

What a turn asks for is there in some microseconds, and handing it to the connection's thread and back takes twenty times as long.
So statements are run where they are asked for, and only what waits - for another writer, or for the disk - goes to the thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import aiosqlite

BEGIN = "BEGIN IMMEDIATE"
"""Waits until nobody else writes."""

DIRECT: ContextVar[bool] = ContextVar("direct", default=False)
"""Whether the statements of what runs now are short."""

P = ParamSpec("P")
T = TypeVar("T")


def long(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Its statements may read or write very many rows: they go to the thread, and the loop goes on."""

    @wraps(method)
    async def aside(*args: P.args, **kwargs: P.kwargs) -> T:
        before = DIRECT.set(False)
        try:
            return await method(*args, **kwargs)
        finally:
            DIRECT.reset(before)

    return aside


class Connection(aiosqlite.Connection):
    """A connection of which the loop's thread and its own make use in turn, never at the same time."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        waits = fn.__name__ == "commit" or BEGIN in args[:1]
        if waits or not DIRECT.get() or self._connection is None:
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return fn(*args, **kwargs)


def connect(database: str, **options: Any) -> Connection:
    """As aiosqlite.connect, for SQLAlchemy's `async_creator_fn`."""

    def connector() -> sqlite3.Connection:
        opened: sqlite3.Connection = sqlite3.connect(database, **{**options, "check_same_thread": False})
        return opened

    made = Connection(connector, iter_chunk_size=64)
    made._thread.daemon = True
    return made
