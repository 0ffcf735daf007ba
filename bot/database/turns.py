"""The inbox, and the one write of a turn: what changed, what is owed for it, and that it is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.database.connection import uncut
from bot.database.learners import Learners
from bot.database.rows import InboxRow, OutboxRow
from bot.messages import Address
from bot.model import Changes
from bot.outbox import Owed, freeze


class Turns(Learners):
    """Keeps updates until they are done, and does a turn whole or not at all."""

    @uncut
    async def take(self, platform: str, updates: Sequence[tuple[str, str]], now: datetime) -> list[str]:
        async with self.writing() as session:
            keys = [key for key, _ in updates]
            known = set((await session.exec(select(InboxRow.key).where(InboxRow.platform == platform, col(InboxRow.key).in_(keys)))).all())
            fresh = {key: raw for key, raw in updates if key not in known}
            session.add_all(InboxRow(platform=platform, key=key, raw=raw, taken_at=now) for key, raw in fresh.items())
        return list(fresh)

    @uncut
    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        async with self.reading() as session:
            rows = await session.exec(
                select(InboxRow.key, InboxRow.raw)
                .where(InboxRow.platform == platform, col(InboxRow.done_at).is_(None), InboxRow.raw != "")
                .order_by(col(InboxRow.seq))
            )
            return [(key, raw) for key, raw in rows.all()]

    @uncut
    async def drop(self, platform: str, key: str) -> None:
        async with self.writing() as session:
            await self._finish(session, platform, key, datetime.now(UTC))

    @uncut
    async def done(self, platform: str, key: str) -> bool:
        async with self.reading() as session:
            row = await session.exec(
                select(InboxRow.seq).where(InboxRow.platform == platform, InboxRow.key == key, col(InboxRow.done_at).is_not(None))
            )
            return row.first() is not None

    async def _finish(self, session: AsyncSession, platform: str, key: str, now: datetime) -> bool:
        """Marks a key done, keeping nothing of what was in it; False where it already was."""
        row = (await session.exec(select(InboxRow).where(InboxRow.platform == platform, InboxRow.key == key))).first()
        if row is None:
            session.add(InboxRow(platform=platform, key=key, taken_at=now, done_at=now))
            return True
        if row.done_at is not None:
            return False
        row.done_at, row.raw = now, ""
        return True

    @uncut
    async def record(self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime) -> bool:
        async with self.writing() as session:
            if not await self._finish(session, address.platform, key, now):
                return False
            await self.apply(session, address, changes)
            await self.owe(session, owed, now)
        return True

    async def owe(self, session: AsyncSession, owed: Sequence[Owed], now: datetime) -> None:
        for one in owed:
            due = one.due_at or now
            session.add(
                OutboxRow(
                    key=one.key, platform=one.address.platform, user=one.address.user, chat=one.address.chat, learner=one.learner,
                    lane=one.lane.value, kind=one.kind, about=one.about, payload=freeze(one.reply) if one.reply else "",
                    due_at=due, not_before=due,
                )
            )  # fmt: skip
