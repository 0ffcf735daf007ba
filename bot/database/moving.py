"""The whole of one database into another, empty one: SQLite to PostgreSQL or back, in one transaction, compared row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Integer, Table, func
from sqlalchemy import select as pick
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from bot.database import Database
from bot.database.connection import translating
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
    async with translating(), source.engine.connect() as given, target.engine.connect() as taken:
        if source.shared:
            await given.execution_options(isolation_level="REPEATABLE READ")
        if not target.shared:
            await taken.execution_options(writes=True)
        async with given.begin(), taken.begin():
            await _idle(given, source)
            await _empty(taken)
            copied: dict[str, int] = {}
            for table in SQLModel.metadata.sorted_tables:
                copied[table.name] = await _copied(table, given, taken)
            if target.shared:
                await _count_on(taken)
        return copied


async def _idle(connection: AsyncConnection, source: Database) -> None:
    if source.shared:
        living = pick(func.count()).select_from(WorkerRow).where(WorkerRow.seen_at > datetime.now(UTC) - source.lease)  # type: ignore[arg-type]
        if (await connection.execute(living)).scalar_one():
            raise StoreError("a coach is at work on the database; stop it first, or what it writes meanwhile is left behind")


async def _empty(connection: AsyncConnection) -> None:
    for table in SQLModel.metadata.sorted_tables:
        if (await connection.execute(pick(func.count()).select_from(table))).scalar_one():
            raise StoreError(f"the target is not empty: there are rows in {table.name}. Nothing was copied")


async def _copied(table: Table, given: AsyncConnection, taken: AsyncConnection) -> int:
    before, after = Sum(), Sum()
    async with given.stream(pick(table)) as found:
        async for rows in found.partitions(BATCH):
            await taken.execute(table.insert(), [dict(row._mapping) for row in rows])
            before.add(rows)
    async with taken.stream(pick(table)) as found:
        async for rows in found.partitions(BATCH):
            after.add(rows)
    if before != after:
        raise StoreError(f"what arrived of {table.name} is not what was there ({after.rows} of {before.rows} rows). Nothing was copied")
    return after.rows


async def _count_on(connection: AsyncConnection) -> None:
    """PostgreSQL numbers its next rows from where the copied ones end."""
    for table in SQLModel.metadata.sorted_tables:
        keys = list(table.primary_key)
        if len(keys) == 1 and isinstance(keys[0].type, Integer):
            last = (await connection.execute(pick(func.max(keys[0])))).scalar()
            sequence = func.pg_get_serial_sequence(table.name, keys[0].name)
            await connection.execute(pick(func.setval(sequence, last or 1, last is not None)))
