"""The inbox, and the one write of a turn: what changed, what is owed for it, and that it is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, literal_column, text
from sqlalchemy import select as pick
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.database.connection import uncut
from bot.database.learners import Learners
from bot.database.rows import ChatRow, InboxRow, OutboxRow
from bot.messages import Address
from bot.model import Changes
from bot.outbox import Lane, Owed, Withdrawn, freeze

INBOX, OUTBOX = "coach_inbox", "coach_outbox"
"""The channels on which PostgreSQL tells other processes that there is something to do."""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(person, 0)) FROM unnest(CAST(:people AS text[])) AS person"

inbox, outbox = InboxRow.__table__, OutboxRow.__table__  # type: ignore[attr-defined]


class Turns(Learners):
    """Keeps updates until they are done, and does a turn whole or not at all.

    One person's updates are handled in the order in which they were taken, by one process at a time: who holds the oldest of
    them (worker, lease) and writes before the lease has passed to another."""

    @uncut
    async def take(
        self, platform: str, updates: Sequence[tuple[str, str]], now: datetime, whose: Mapping[str, str] | None = None,
        room: int = 1 << 30, read: Mapping[str, tuple[str, str]] | None = None,
    ) -> list[str]:  # fmt: skip
        people = {key: (whose or {}).get(key) or f"update {key}" for key, _ in updates}
        async with self.writing() as session:
            elsewhere: set[str] = set()
            if self.shared:
                # Until this is committed nobody else takes an update of the same person: their numbers then say their order.
                locked = sorted({f"{platform}:{person}" for person in people.values()})
                await self.core(session, text(LOCK), {"people": locked})
                held = await session.exec(
                    select(InboxRow.person)
                    .where(InboxRow.platform == platform, col(InboxRow.person).in_(set(people.values())))
                    .where(col(InboxRow.done_at).is_(None), InboxRow.worker != self.worker)
                )
                elsewhere = set(held.all())
            keys = list(people)
            known = set((await session.exec(select(InboxRow.key).where(InboxRow.platform == platform, col(InboxRow.key).in_(keys)))).all())
            fresh = {key: raw for key, raw in updates if key not in known}
            for number, (key, raw) in enumerate(fresh.items()):
                ours = people[key] not in elsewhere and number < room
                if not ours:
                    elsewhere.add(people[key])
                row = InboxRow(platform=platform, key=key, raw=raw, taken_at=now, person=people[key])
                row.worker, row.lease_until = (self.worker, now + self.lease) if ours else ("", None)
                session.add(row)
            for user, (chat, last) in (read or {}).items():
                await session.merge(ChatRow(platform=platform, user=user, chat=chat, last=last, used_at=now))
            if self.shared and len(fresh) > room:
                await self.tell(session, INBOX)
        return list(fresh)

    @uncut
    async def chats(self, platform: str, most: int) -> dict[str, tuple[str, str]]:
        async with self.reading() as session:
            latest = select(ChatRow).where(ChatRow.platform == platform).order_by(col(ChatRow.used_at).desc()).limit(most)
            return {row.user: (row.chat, row.last) for row in reversed((await session.exec(latest)).all())}

    @uncut
    async def pick_up(self, platform: str, now: datetime, most: int, but: Collection[str] = ()) -> list[tuple[str, str]]:
        undone = (inbox.c.platform == platform) & inbox.c.done_at.is_(None) & (inbox.c.raw != "")
        if but:
            undone &= inbox.c.person.not_in(but)
        async with self.writing() as session:
            mine = {"worker": self.worker, "lease_until": now + self.lease}
            if self.shared:
                earlier = inbox.alias("earlier")
                before: Select[Any] = pick(literal_column("1")).where(
                    earlier.c.platform == platform,
                    earlier.c.person == inbox.c.person,
                    earlier.c.done_at.is_(None),
                    earlier.c.seq < inbox.c.seq,
                )
                free = or_(inbox.c.worker == "", inbox.c.lease_until < now)
                oldest = pick(inbox.c.seq).where(undone, free, ~before.exists()).order_by(inbox.c.seq).limit(most)
                found = oldest.with_for_update(skip_locked=True).cte("found")
                statement = inbox.update().where(inbox.c.seq == found.c.seq).values(mine)
            else:
                if (await self.core(session, pick(literal_column("1")).where(undone).limit(1))).first() is None:
                    return []
                statement = inbox.update().where(undone).values(mine)
            rows = await self.core(session, statement.returning(inbox.c.seq, inbox.c.key, inbox.c.raw))
            return [(key, raw) for _, key, raw in sorted(tuple(row) for row in rows.all())]

    @uncut
    async def ours(self, platform: str, key: str) -> bool:
        async with self.reading() as session:
            row = (await session.exec(select(InboxRow).where(InboxRow.platform == platform, InboxRow.key == key))).first()
            if row is None:
                return True
            if row.done_at is not None:
                return False
            if not self.shared:
                return True
            earlier = await session.exec(
                select(InboxRow.seq)
                .where(InboxRow.platform == platform, InboxRow.person == row.person, col(InboxRow.done_at).is_(None))
                .where(col(InboxRow.seq) < row.seq)
                .limit(1)
            )
            return row.worker == self.worker and earlier.first() is None

    @uncut
    async def ahead(self, platform: str, key: str) -> int | None:
        async with self.reading() as session:
            row = (await session.exec(select(InboxRow).where(InboxRow.platform == platform, InboxRow.key == key))).first()
            if row is None or row.done_at is not None:
                return None
            earlier = (InboxRow.platform == platform, InboxRow.person == row.person, col(InboxRow.done_at).is_(None))
            return (await session.exec(select(func.count()).where(*earlier, col(InboxRow.seq) < row.seq))).one()

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

    async def _finish(self, session: AsyncSession, platform: str, key: str, now: datetime, *, fenced: bool = False) -> bool:
        """Marks a key done, keeping nothing of what was in it; False where it already was or, fenced, is in other hands."""
        undone = (inbox.c.platform == platform) & (inbox.c.key == key) & inbox.c.done_at.is_(None)
        if fenced and self.shared:
            undone &= inbox.c.worker == self.worker
        done = await self.core(session, inbox.update().where(undone).values(done_at=now, raw="", worker="", lease_until=None))
        if done.rowcount:
            if self.shared:  # whoever has room goes on with what the same person said meanwhile
                next_one = "WHERE EXISTS (SELECT 1 FROM inbox WHERE platform = :platform AND done_at IS NULL AND worker = '')"
                await self.core(session, text(f"SELECT pg_notify('{INBOX}', '') {next_one}"), {"platform": platform})
            return True
        fresh = self.insert_new(inbox, "platform", "key").values(platform=platform, key=key, raw="", taken_at=now, done_at=now)
        return bool((await self.core(session, fresh)).rowcount)

    async def tell(self, session: AsyncSession, channel: str) -> None:
        """Wakes the other processes when this transaction is committed."""
        if self.shared:
            await self.core(session, func.pg_notify(channel, "").select())

    @uncut
    async def record(self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime) -> bool:
        async with self.writing() as session:
            if not await self._finish(session, address.platform, key, now, fenced=True):
                return False
            await self.apply(session, address, changes)
            await self.owe(session, owed, now, address)
        return True

    async def keep(self, session: AsyncSession, thing: object) -> None:
        if isinstance(thing, Owed):
            if thing.due_at is None:
                raise ValueError("what is owed beside a turn says from when on")
            await self.owe(session, [thing], thing.due_at)
            return
        if not isinstance(thing, Withdrawn):
            await super().keep(session, thing)
            return
        waits = outbox.c.state.in_(("ready", "retry"))
        await self.core(session, outbox.delete().where(outbox.c.learner == thing.learner, outbox.c.kind == thing.kind, waits))

    async def owe(self, session: AsyncSession, owed: Sequence[Owed], now: datetime, to: Address | None = None) -> None:
        """Writes messages owed. Who handled a message is the first to send its replies `to` where it came from, as long as it
        lives: it alone may know how the platform wants to be answered."""
        rows = []
        for one in owed:
            due = one.due_at or now
            own = one.lane is Lane.REPLY and one.address == to
            rows.append(
                {
                    "key": one.key, "platform": one.address.platform, "user": one.address.user, "chat": one.address.chat,
                    "learner": one.learner, "lane": one.lane.value, "kind": one.kind, "about": one.about,
                    "payload": freeze(one.reply) if one.reply else "", "state": "ready", "due_at": due, "not_before": due, "tries": 0,
                    "unsure": False, "message": "", "worker": self.worker if own else "", "lease_until": now + self.lease if own else None,
                }
            )  # fmt: skip
        # A delivery is owed once, whoever says so again; a reply under a key that is there already is a mistake.
        for insert, lane in ((outbox.insert(), Lane.REPLY), (self.insert_new(outbox, "key"), Lane.BULK)):
            if mine := [row for row in rows if row["lane"] == lane.value]:
                await self.core(session, insert, mine)
        if any(one.lane is not Lane.REPLY or one.address != to for one in owed):
            await self.tell(session, OUTBOX)

    async def extend_turns(self, session: AsyncSession, held: Collection[tuple[str, str]], now: datetime) -> None:
        """Keeps the updates that this process is still at work on."""
        for platform in {platform for platform, _ in held}:
            keys = [key for one, key in held if one == platform]
            mine = (inbox.c.platform == platform, inbox.c.key.in_(keys), inbox.c.worker == self.worker)
            await self.core(session, inbox.update().where(*mine).values(lease_until=now + self.lease))
