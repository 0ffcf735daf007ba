"""Appeals and flags: what learners say of verdicts and questions, and how the owner sees them gathered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case, func
from sqlalchemy import select as pick
from sqlmodel import Field, Session, SQLModel, col, select

from bot.database.learners import Learners
from bot.database.rows import AttemptRow, UTCDateTime, grade_of, grade_text, row_of
from bot.database.work import long, reads
from bot.model import Appeal, Appealed, Finding, Flag, Ruling


class AppealRow(SQLModel, table=True):
    __tablename__ = "appeal"
    attempt: str = Field(primary_key=True, foreign_key="attempt.id", ondelete="CASCADE")
    point: str = Field(primary_key=True)
    span: str
    start: int
    end: int
    before: str
    after: str
    at: datetime = Field(sa_type=UTCDateTime)
    outcome: str
    grade: str
    """The grade before the appeal."""
    copied: bool = False


class FlagRow(SQLModel, table=True):
    __tablename__ = "flag"
    __table_args__ = {"info": {"stays": True}}
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id", index=True, ondelete="CASCADE")
    question: str
    followup: str = ""
    attempt: str = ""
    attempt_before: str = ""
    reason: str
    at: datetime = Field(sa_type=UTCDateTime)


@row_of.register
def appeal_row(appeal: Appeal) -> AppealRow:
    return AppealRow(
        attempt=appeal.attempt, point=appeal.point, span=appeal.span, start=appeal.start, end=appeal.end,
        before=appeal.before.value, after=appeal.after.value, at=appeal.at, outcome=appeal.ruling.value,
        grade=grade_text(appeal.old), copied=appeal.copied,
    )  # fmt: skip


def appeal_of(row: AppealRow) -> Appeal:
    return Appeal(
        row.attempt, row.point, row.span, row.start, row.end, Finding(row.before), Finding(row.after), row.at,
        Ruling(row.outcome), grade_of(row.grade), row.copied,
    )  # fmt: skip


@row_of.register
def flag_row(flag: Flag) -> FlagRow:
    return FlagRow(
        id=flag.id, learner=flag.learner, question=flag.question, followup=flag.followup, attempt=flag.attempt,
        attempt_before=flag.attempt_before, reason=flag.reason, at=flag.at,
    )  # fmt: skip


def flag_of(row: FlagRow) -> Flag:
    return Flag(row.id, row.learner, row.question, row.followup, row.reason, row.at, row.attempt, row.attempt_before)


class Appeals(Learners):
    """Reads what `Changes.also` wrote."""

    @reads
    @long
    def appeals(self, session: Session, attempt: str) -> tuple[Appeal, ...]:
        rows = session.exec(select(AppealRow).where(AppealRow.attempt == attempt).order_by(col(AppealRow.at)))
        return tuple(appeal_of(row) for row in rows.all())

    @reads
    def appealed(self, session: Session) -> tuple[Appealed, ...]:
        raised = func.sum(case((col(AppealRow.outcome) == Ruling.RAISED.value, 1), else_=0))
        place = (col(AttemptRow.question), col(AttemptRow.followup), col(AppealRow.point))
        connection = session.connection()
        rows = connection.execute(
            pick(*place, func.count(), raised)
            .join(AttemptRow, col(AttemptRow.id) == col(AppealRow.attempt))
            .where(col(AppealRow.copied).is_(False))
            .group_by(*place)
            .order_by(func.count().desc(), *place)
        )
        return tuple(Appealed(*row) for row in rows.all())

    @reads
    def flag(self, session: Session, learner: str, id: str) -> Flag | None:
        row = session.get(FlagRow, id)
        return flag_of(row) if row is not None and row.learner == learner else None

    @reads
    @long
    def flags_since(self, session: Session, learner: str, since: datetime) -> int:
        return session.exec(select(func.count()).where(FlagRow.learner == learner, col(FlagRow.at) > since)).one()

    @reads
    @long
    def flags(self, session: Session) -> tuple[Flag, ...]:
        rows = session.exec(select(FlagRow).order_by(FlagRow.question, FlagRow.followup, col(FlagRow.at), FlagRow.id))
        return tuple(flag_of(row) for row in rows.all())
