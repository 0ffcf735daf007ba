"""Weekly messages: planned for a whole batch at once, and the attempts that one looks back on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlmodel import Session, col, or_, select, update

from bot import days, weeks
from bot.database.rows import AttemptRow, LearnerRow, OutboxRow, PractisedRow, attempt_of
from bot.database.turns import OUTBOX, Turns
from bot.database.work import reads, writes
from bot.model import Attempt
from bot.outbox import Lane

DUE = ("id", "home_platform", "home_user", "home_chat", "zone", "week_day", "week_minute", "next_week_at")

outbox = OutboxRow.__table__  # type: ignore[attr-defined]


class Weeks(Turns):
    """What is owed of weeks."""

    async def claim_weeks(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        soonest = await self._soonest_week(platforms)  # nobody's is due, nearly every second: no reason to hold up those who write
        return await self._claim_weeks(platforms, now, limit) if soonest is not None and soonest <= now else 0

    @reads
    def _soonest_week(self, session: Session, platforms: Sequence[str]) -> datetime | None:
        next_week = col(LearnerRow.next_week_at)
        here = pick(next_week).where(next_week.is_not(None), col(LearnerRow.home_platform).in_(platforms))
        found: datetime | None = self.core(session, here.order_by(next_week).limit(1)).scalar()
        return found

    @writes
    def _claim_weeks(self, session: Session, platforms: Sequence[str], now: datetime, limit: int) -> int:
        connection = session.connection()
        last = pick(func.max(PractisedRow.at)).where(col(PractisedRow.learner) == col(LearnerRow.id)).scalar_subquery()
        due = connection.execute(
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
            connection.execute(self.insert_new(outbox, "key"), owed)
            self.tell(session, OUTBOX)
        session.exec(update(LearnerRow), params=moved)
        return len(rows)

    @reads
    def looked_back(self, session: Session, learner: str, since: datetime, until: datetime) -> list[Attempt]:
        here = (col(AttemptRow.learner) == learner, col(AttemptRow.at) < until)
        questions = select(AttemptRow.question).where(*here, col(AttemptRow.at) >= since)
        rows = session.exec(
            select(AttemptRow)
            .where(*here, or_(col(AttemptRow.at) >= since - weeks.WEEK, col(AttemptRow.question).in_(questions)))
            .order_by(col(AttemptRow.at), AttemptRow.id)
        )
        return [attempt_of(row) for row in rows.all()]
