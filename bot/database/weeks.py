"""Weekly messages: planned for a whole batch at once, and the attempts that one looks back on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlmodel import col, or_, select, update

from bot import days, weeks
from bot.database.connection import uncut
from bot.database.rows import AttemptRow, LearnerRow, OutboxRow, PractisedRow, attempt_of
from bot.database.turns import OUTBOX, Turns
from bot.model import Attempt
from bot.outbox import Lane

DUE = ("id", "home_platform", "home_user", "home_chat", "zone", "week_day", "week_minute", "next_week_at")

outbox = OutboxRow.__table__  # type: ignore[attr-defined]


class Weeks(Turns):
    """What is owed of weeks."""

    @uncut
    async def claim_weeks(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        async with self.reading() as session:  # nobody is, nearly every second: no reason to hold up those who write
            here = pick(col(LearnerRow.next_week_at)).where(
                col(LearnerRow.next_week_at).is_not(None), col(LearnerRow.home_platform).in_(platforms)
            )
            soonest = (await self.core(session, here.order_by(col(LearnerRow.next_week_at)).limit(1))).scalar()
            if soonest is None or soonest > now:
                return 0
        async with self.writing() as session:
            connection = await session.connection()
            last = pick(func.max(PractisedRow.at)).where(col(PractisedRow.learner) == col(LearnerRow.id)).scalar_subquery()
            due = await connection.execute(
                pick(*(col(getattr(LearnerRow, name)) for name in DUE), last)
                .where(col(LearnerRow.next_week_at) <= now, col(LearnerRow.home_platform).in_(platforms))
                .order_by(col(LearnerRow.next_week_at))
                .limit(limit)
                .with_for_update(skip_locked=True, of=LearnerRow)
            )
            rows: Sequence[Any] = due.all()
            if not rows:
                return 0
            owed: list[dict[str, Any]] = []
            moved: list[dict[str, Any]] = []
            for id, platform, user, chat, zone, weekday, minute, due_at, practised in rows:
                moved.append({"id": id, "next_week_at": days.next_week(weekday, minute, zone, now) if weekday is not None else None})
                empty = weeks.empty_weeks(practised, due_at)
                day = days.local_day(due_at, zone)
                if empty is None or empty > weeks.QUIET or not chat or day.weekday() != weekday or now - due_at > weeks.LATE:
                    continue
                owed.append(
                    {
                        "key": f"week:{id}:{day}", "platform": platform, "user": user, "chat": chat, "learner": id,
                        "lane": Lane.BULK.value, "kind": "week", "about": due_at.isoformat(), "payload": "", "state": "ready",
                        "due_at": due_at, "not_before": due_at, "tries": 0, "unsure": False, "message": "", "worker": "",
                    }
                )  # fmt: skip
            if owed:
                await connection.execute(self.insert_new(outbox, "key"), owed)
                await self.tell(session, OUTBOX)
            await session.exec(update(LearnerRow), params=moved)
        return len(rows)

    @uncut
    async def looked_back(self, learner: str, since: datetime, until: datetime) -> list[Attempt]:
        here = (col(AttemptRow.learner) == learner, col(AttemptRow.at) < until)
        async with self.reading() as session:
            questions = select(AttemptRow.question).where(*here, col(AttemptRow.at) >= since)
            rows = await session.exec(
                select(AttemptRow)
                .where(*here, or_(col(AttemptRow.at) >= since - weeks.WEEK, col(AttemptRow.question).in_(questions)))
                .order_by(col(AttemptRow.at), AttemptRow.id)
            )
            return [attempt_of(row) for row in rows.all()]
