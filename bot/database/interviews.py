"""Mock interviews and investigations: how they are kept, and what is read of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from bot.database.rows import AskedRow, AttemptRow, UTCDateTime, _only, asked_of, attempt_of, grade_of, grade_text, row_of
from bot.database.turns import OUTBOX, Turns
from bot.database.work import reads, writes
from bot.messages import Address
from bot.model import Format, Held, Interview, Investigation, Staged, State, Sure
from bot.outbox import Lane, Owed


class InterviewRow(SQLModel, table=True):
    __tablename__ = "interview"
    __table_args__ = (_only("ix_interview_nudge_at", "nudge_at", where="nudge_at IS NOT NULL"),)
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id", index=True, ondelete="CASCADE")
    platform: str
    user: str
    chat: str
    started_at: datetime = Field(sa_type=UTCDateTime)
    track: str = ""
    minutes: int
    level: int
    format: str
    real: bool = False
    state: str
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    nudge_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class InvestigationRow(SQLModel, table=True):
    __tablename__ = "investigation"
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id", index=True, ondelete="CASCADE")
    asked: str = Field(index=True)
    """No foreign key, so that it may be written in the same breath as what it belongs to."""
    incident: str
    at: datetime = Field(sa_type=UTCDateTime)
    course: str


@row_of.register
def interview_row(one: Interview) -> InterviewRow:
    return InterviewRow(
        id=one.id, learner=one.learner, platform=one.address.platform, user=one.address.user, chat=one.address.chat,
        started_at=one.started_at, track=one.track, minutes=one.minutes, level=one.level, format=one.format.value, real=one.real,
        state=one.state.value, ended_at=one.ended_at, nudge_at=one.nudge_at,
    )  # fmt: skip


def interview_of(row: InterviewRow) -> Interview:
    return Interview(
        row.id, row.learner, Address(row.platform, row.user, row.chat), row.started_at, row.track, row.minutes, row.level,
        Format(row.format), row.real, State(row.state), row.ended_at, row.nudge_at,
    )  # fmt: skip


@row_of.register
def investigation_row(one: Investigation) -> InvestigationRow:
    course: dict[str, Any] = asdict(one)
    for name in ("id", "learner", "asked", "incident", "at"):
        del course[name]
    course["staged"] = [{"stage": part.stage, "text": part.text, "grade": grade_text(part.grade)} for part in one.staged]
    return InvestigationRow(
        id=one.id, learner=one.learner, asked=one.asked, incident=one.incident, at=one.at, course=json.dumps(course, ensure_ascii=False)
    )


def investigation_of(row: InvestigationRow) -> Investigation:
    course = json.loads(row.course)
    staged = tuple(Staged(part["stage"], part["text"], grade_of(part["grade"])) for part in course["staged"])
    return Investigation(
        row.id, row.learner, row.asked, row.incident, row.at, tuple(course["looks"]), tuple(course["found"]), course["hints"],
        course["idle"], course["concluding"], staged, course["closed"],
    )  # fmt: skip


class Interviews(Turns):
    """Reads what `Changes.also` wrote, and owes the nudges."""

    @reads
    def interview(self, session: Session, learner: str) -> Interview | None:
        waiting = (State.RUNNING.value, State.PAUSED.value)
        found = session.exec(
            select(InterviewRow)
            .where(InterviewRow.learner == learner, col(InterviewRow.state).in_(waiting))
            .order_by(col(InterviewRow.started_at).desc())
            .limit(1)
        )
        row = found.first()
        return interview_of(row) if row is not None else None

    @reads
    def interviews(self, session: Session, learner: str) -> tuple[Interview, ...]:
        over = (State.DONE.value, State.CANCELLED.value)
        rows = session.exec(
            select(InterviewRow)
            .where(InterviewRow.learner == learner, col(InterviewRow.state).in_(over))
            .order_by(col(InterviewRow.started_at), col(InterviewRow.id))
        )
        return tuple(interview_of(row) for row in rows.all())

    @reads
    def held(self, session: Session, interviews: Sequence[str]) -> dict[str, tuple[Held, ...]]:
        made: dict[str, tuple[Held, ...]] = {id: () for id in interviews}
        rows = session.exec(
            select(AskedRow, AttemptRow)
            .join(AttemptRow, col(AttemptRow.asked) == col(AskedRow.id), isouter=True)
            .where(col(AskedRow.interview).in_(interviews))
            .order_by(col(AskedRow.at), col(AttemptRow.at))
        )
        for asked, attempt in rows.all():
            one = Held(asked_of(asked), attempt_of(attempt) if attempt is not None else None)
            made[asked.interview] = (*made[asked.interview], one)
        return made

    @reads
    def investigation(self, session: Session, learner: str, asked: str) -> Investigation | None:
        found = session.exec(select(InvestigationRow).where(InvestigationRow.learner == learner, InvestigationRow.asked == asked).limit(1))
        row = found.first()
        return investigation_of(row) if row is not None else None

    @reads
    def sure(self, session: Session, learner: str) -> list[tuple[Sure, int]]:
        rows = session.exec(
            select(AskedRow.sure, AttemptRow.score)
            .join(AttemptRow, col(AttemptRow.asked) == col(AskedRow.id))
            .where(AttemptRow.learner == learner, col(AskedRow.sure) > 0, col(AttemptRow.score).is_not(None))
            .order_by(col(AttemptRow.at))
        )
        return [(Sure(sure), score) for sure, score in rows.all() if score is not None]

    @writes
    def owe_nudges(self, session: Session, platforms: Sequence[str], now: datetime, limit: int) -> int:
        rows = session.exec(
            select(InterviewRow)
            .where(col(InterviewRow.nudge_at) <= now, col(InterviewRow.platform).in_(platforms))
            .order_by(col(InterviewRow.nudge_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        due = list(rows.all())
        owed = []
        for row in due:
            address = Address(row.platform, row.user, row.chat)
            if row.nudge_at is not None and row.state == State.RUNNING.value:
                about = f"{row.id} {row.nudge_at.isoformat()}"
                owed.append(Owed(f"nudge:{about}", address, Lane.REPLY, "nudge", None, row.learner, about))
            row.nudge_at = None
        session.flush()
        self.owe(session, owed, now)
        if owed:
            self.tell(session, OUTBOX)
        return len(owed)
