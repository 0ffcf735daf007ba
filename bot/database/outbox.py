"""The outbox: what is due becomes owed, what is owed is claimed, sent and settled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlalchemy.orm import aliased
from sqlmodel import col, delete, exists, or_, select, update

from bot import days
from bot.database.connection import uncut
from bot.database.learners import Learners
from bot.database.rows import AttemptRow, InboxRow, LearnerRow, OutboxRow, owed_of
from bot.messages import Address, Reply
from bot.model import Changes
from bot.outbox import Lane, Owed, freeze

LEASE = timedelta(seconds=60)
"""How long a message may be in the middle of being sent before another try takes it over."""

KEEP_DONE = timedelta(days=14)
"""How long a handled update's key and a sent message are remembered. Platforms repeat updates for a day or so."""

DUE = ("id", "home_platform", "home_user", "home_chat", "zone", "minute", "next_due_at")
"""What the tick reads of a learner."""

WAITING = ("ready", "retry", "sending")


class Outbox(Learners):
    """Deliveries, from the moment they are due until they are settled."""

    @uncut
    async def claim_due(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the daily question to up to `limit` learners whose time has come, and moves each to their next time.

        The question itself is chosen when it is sent. Returns how many learners were due."""
        async with self.writing() as session:
            connection = await session.connection()
            due = await connection.execute(
                pick(*(col(getattr(LearnerRow, name)) for name in DUE))
                .where(col(LearnerRow.next_due_at) <= now, col(LearnerRow.home_platform).in_(platforms))
                .order_by(col(LearnerRow.next_due_at))
                .limit(limit)
            )
            rows = due.all()
            if not rows:
                return 0
            owed: list[dict[str, Any]] = []
            moved: list[dict[str, Any]] = []
            for id, platform, user, chat, zone, minute, due_at in rows:
                day, following = days.slot(due_at, minute, zone, now) if minute is not None else (None, None)
                moved.append({"id": id, "next_due_at": following})
                if day is None:
                    continue
                owed.append(
                    {
                        "key": f"daily:{id}:{day}", "platform": platform, "user": user, "chat": chat, "learner": id,
                        "lane": Lane.BULK.value, "kind": "daily", "about": day.isoformat(), "payload": "", "state": "ready",
                        "due_at": due_at, "not_before": due_at, "tries": 0, "unsure": False, "message": "",
                    }
                )  # fmt: skip
            if owed:
                await connection.execute(self.insert_new(OutboxRow.__table__, "key"), owed)  # type: ignore[attr-defined]
            await session.exec(update(LearnerRow), params=moved)
        return len(rows)

    @uncut
    async def composed(self, owed: Owed, reply: Reply | None, changes: Changes, now: datetime) -> bool:
        """Keeps what a delivery says before it is sent; None where nothing is to be said after all.

        False, and nothing kept, where it is not wanted any more."""
        async with self.writing() as session:
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is None or row.state == "excused":
                return False
            await self.apply(session, None, changes)
            if reply is None:
                row.state, row.settled_at = "excused", now
            else:
                row.payload = freeze(reply)
        return True

    @uncut
    async def claim(self, platforms: Sequence[str], now: datetime, limit: int, held: Collection[str] = ()) -> list[Owed]:
        async with self.writing() as session:
            earlier = aliased(OutboxRow)
            ready = or_(
                col(OutboxRow.state).in_(("ready", "retry")) & (col(OutboxRow.not_before) <= now),
                (col(OutboxRow.state) == "sending") & (col(OutboxRow.lease_until) < now),
            )
            statement = (
                select(OutboxRow)
                .where(
                    ready,
                    col(OutboxRow.key).not_in(held),
                    col(OutboxRow.platform).in_(platforms),
                    ~exists().where(
                        col(earlier.platform) == col(OutboxRow.platform),
                        col(earlier.chat) == col(OutboxRow.chat),
                        col(earlier.state).in_(WAITING),
                        col(earlier.seq) < col(OutboxRow.seq),
                    ),
                )
                .order_by(col(OutboxRow.lane), col(OutboxRow.seq))
                .limit(limit)
            )
            if self.engine.dialect.name == "postgresql":
                statement = statement.with_for_update(skip_locked=True)
            claimed = []
            for row in (await session.exec(statement)).all():
                if row.state == "sending":
                    row.unsure = True
                row.state, row.lease_until, row.tries = "sending", now + LEASE, row.tries + 1
                claimed.append(owed_of(row))
        return claimed

    @uncut
    async def put_back(self, owed: Owed, again_at: datetime) -> None:
        async with self.writing() as session:
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is not None:
                row.state, row.lease_until, row.not_before, row.tries = "ready", None, again_at, max(0, row.tries - 1)

    @uncut
    async def next_at(self, platforms: Sequence[str]) -> datetime | None:
        """When the next message that waits may be sent, or None where none waits."""
        async with self.reading() as session:
            rows = await session.exec(
                select(func.min(OutboxRow.not_before)).where(
                    col(OutboxRow.state).in_(("ready", "retry")), col(OutboxRow.platform).in_(platforms)
                )
            )
            return rows.first()

    @uncut
    async def settle(
        self, owed: Owed, outcome: str, now: datetime, *, again_at: datetime | None = None, message: str = "", unsure: bool = False
    ) -> None:
        async with self.writing() as session:
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is None:
                return
            row.state, row.lease_until = outcome, None
            if outcome == "retry":
                row.not_before = again_at or now
                row.unsure = row.unsure or unsure
            else:
                row.settled_at, row.message, row.payload = now, message, ""

    @uncut
    async def unreachable(self, address: Address, now: datetime) -> None:
        async with self.writing() as session:
            learner = await self.at(session, address)
            if learner is not None and (learner.home_platform, learner.home_chat) == (address.platform, address.chat):
                learner.reachable, learner.next_due_at = False, None
            await session.exec(
                update(OutboxRow)
                .where(
                    col(OutboxRow.platform) == address.platform,
                    col(OutboxRow.chat) == address.chat,
                    col(OutboxRow.state).in_(("ready", "retry")),
                )
                .values(state="dead", settled_at=now, payload="")
            )  # fmt: skip

    @uncut
    async def released(self, platforms: Sequence[str]) -> None:
        """After a restart: what the last process was in the middle of sending may have arrived, or not."""
        async with self.writing() as session:
            await session.exec(
                update(OutboxRow)
                .where(col(OutboxRow.state) == "sending", col(OutboxRow.platform).in_(platforms))
                .values(state="retry", unsure=True, lease_until=None)
            )

    @uncut
    async def tidy(self, now: datetime) -> None:
        """Forgets handled keys and sent messages that nobody can ask about any more."""
        async with self.writing() as session:
            await session.exec(delete(InboxRow).where(col(InboxRow.done_at) < now - KEEP_DONE))
            await session.exec(delete(OutboxRow).where(col(OutboxRow.settled_at) < now - KEEP_DONE))

    @uncut
    async def count(self) -> dict[str, int]:
        async with self.reading() as session:
            counts = {
                "learners": (await session.exec(select(func.count()).select_from(LearnerRow))).one(),
                "attempts": (await session.exec(select(func.count()).select_from(AttemptRow))).one(),
                "inbox": (await session.exec(select(func.count()).select_from(InboxRow).where(col(InboxRow.done_at).is_(None)))).one(),
            }
            states = await session.exec(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
            return counts | {f"outbox {state}": number for state, number in states.all()}
