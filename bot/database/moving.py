"""The whole of one database into another, empty one: SQLite to PostgreSQL or back, in one transaction, compared row by row."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Integer, Table, func
from sqlalchemy import select as pick
from sqlmodel import SQLModel

from bot.database import Database
from bot.database.connection import translating
from bot.database.postgres import PostgreSQL
from bot.database.rows import WorkerRow
from bot.errors import StoreError

BATCH = 1000
"""Rows that are read and written at once."""


@dataclass(slots=True)
class Sum:
    """How many rows there are and what is in them, in whatever order they come."""

    rows: int = 0
    content: int = 0

    def add(self, rows: Sequence[Any]) -> None:
        self.rows += len(rows)
        for row in rows:
            self.content += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest())
        self.content %= 1 << 256


async def copy(source: Database, target: Database) -> dict[str, int]:
    """Copies every row of every table; returns how many, by table.

    What arrived is read again and compared with what was given before anything is kept. Raises StoreError, and leaves the target
    empty, where it is not empty, where a coach is at work on the source, or where they differ."""
    with translating():
        async with _transaction(source, writes=False) as given, _transaction(target, writes=True) as taken:
            await given(_idle, source)
            await taken(_empty)
            copied = {table.name: await _copied(table, given, taken) for table in SQLModel.metadata.sorted_tables}
            if target.shared:
                await taken(_count_on)
            return copied


@asynccontextmanager
async def _transaction(store: Database, *, writes: bool) -> AsyncIterator[Any]:
    """A transaction in which one thing after another is done: what is entered takes a function of a connection, and its arguments."""
    if isinstance(store.base, PostgreSQL):
        async with store.base.engine.connect() as remote:
            if not writes:
                await remote.execution_options(isolation_level="REPEATABLE READ")
            async with remote.begin():
                yield remote.run_sync
        return
    with store.base.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
            return work(connection, *arguments)

        yield at_once


def _idle(connection: Connection, source: Database) -> None:
    if source.shared:
        living = pick(func.count()).select_from(WorkerRow).where(WorkerRow.seen_at > datetime.now(UTC) - source.lease)  # type: ignore[arg-type]
        if connection.execute(living).scalar_one():
            raise StoreError("a coach is at work on the database; stop it first, or what it writes meanwhile is left behind")


def _empty(connection: Connection) -> None:
    for table in SQLModel.metadata.sorted_tables:
        if connection.execute(pick(func.count()).select_from(table)).scalar_one():
            raise StoreError(f"the target is not empty: there are rows in {table.name}. Nothing was copied")


async def _copied(table: Table, given: Any, taken: Any) -> int:
    before, after = Sum(), Sum()
    async for rows in _batches(table, given):
        await taken(_insert, table, rows)
        before.add(rows)
    async for rows in _batches(table, taken):
        after.add(rows)
    if before != after:
        raise StoreError(f"what arrived of {table.name} is not what was there ({after.rows} of {before.rows} rows). Nothing was copied")
    return after.rows


async def _batches(table: Table, do: Any) -> AsyncIterator[Sequence[Any]]:
    """The rows of a table, some at a time, so that no table has to fit into memory."""
    found = await do(_read, table)
    while rows := await do(_next, found):
        yield rows


def _read(connection: Connection, table: Table) -> CursorResult[Any]:
    return connection.execute(pick(table).execution_options(stream_results=True, max_row_buffer=BATCH))


def _next(_connection: Connection, found: CursorResult[Any]) -> Sequence[Any]:
    return found.fetchmany(BATCH)


def _insert(connection: Connection, table: Table, rows: Sequence[Any]) -> None:
    connection.execute(table.insert(), [dict(row._mapping) for row in rows])


def _count_on(connection: Connection) -> None:
    """PostgreSQL numbers its next rows from where the copied ones end."""
    for table in SQLModel.metadata.sorted_tables:
        keys = list(table.primary_key)
        if len(keys) == 1 and isinstance(keys[0].type, Integer):
            last = connection.execute(pick(func.max(keys[0]))).scalar()
            sequence = func.pg_get_serial_sequence(table.name, keys[0].name)
            connection.execute(pick(func.setval(sequence, last or 1, last is not None)))
