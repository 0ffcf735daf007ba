"""The tables, and how their rows become what the engine knows and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import singledispatch
from typing import Any

import sqlmodel
from sqlalchemy import Dialect, Index, Row, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from bot.messages import Address
from bot.model import Asked, Attempt, Fate, Finding, Grade, Learner, Mark, Mistaken, Occasion, Sure, Verdict
from bot.outbox import Lane, Owed, thaw


class UTCDateTime(sqlmodel.UTCDateTime):
    """An instant, aware and in UTC. SQLite keeps it as text, which is written and read in one step instead of four: a learner's
    history is a thousand of them."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return _kept if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _kept(value: datetime | None) -> str | None:
    """The text of an instant, by which texts are in order as their instants are."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant without a zone can't be kept")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


def _only(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of few rows: those that still wait. What is done costs it nothing."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


WAITING = "state IN ('ready', 'retry', 'sending')"
"""Messages that are not settled. Spelled as the database keeps it, so that a query can be seen to fit the index."""

UNDONE = "done_at IS NULL"

EMPTY = {"server_default": ""}
ZERO = {"server_default": "0"}
FALSE = {"server_default": false()}


class LearnerRow(SQLModel, table=True):
    __tablename__ = "learner"
    id: str = Field(primary_key=True)
    joined_at: datetime = Field(sa_type=UTCDateTime)
    home_platform: str
    home_user: str
    home_chat: str
    zone: str
    minute: int | None = None
    tracks: str = ""
    level: int = 3
    paused_until: date | None = None
    expecting: str = ""
    reachable: bool = True
    next_due_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)
    turn: int = Field(default=0, sa_column_kwargs=ZERO)
    rest: str = Field(default="", sa_column_kwargs=EMPTY)
    interview_on: date | None = None
    week_day: int | None = Field(default=6, sa_column_kwargs={"server_default": "6"})
    week_minute: int = Field(default=1080, sa_column_kwargs={"server_default": "1080"})
    next_week_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)
    aloud: bool = Field(default=False, sa_column_kwargs=ZERO)
    at_once: bool = Field(default=False, sa_column_kwargs=ZERO)


class AddressRow(SQLModel, table=True):
    __tablename__ = "address"
    platform: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    chat: str
    learner: str = Field(foreign_key="learner.id", index=True)


class AskedRow(SQLModel, table=True):
    __tablename__ = "asked"
    __table_args__ = (
        Index("ix_asked_learner_at", "learner", "at"),
        _only("ix_asked_interview", "interview", where="interview <> ''"),
    )
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    question: str
    occasion: str
    at: datetime = Field(sa_type=UTCDateTime)
    wording: int = 0
    followup: str = ""
    attempt: str = ""
    hints: int = 0
    fate: str = Fate.OPEN.value
    reason: str = Field(default="", sa_column_kwargs=EMPTY)
    focus: str = Field(default="", sa_column_kwargs=EMPTY)
    interview: str = Field(default="", sa_column_kwargs=EMPTY)
    sure: int = Field(default=0, sa_column_kwargs=ZERO)


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_learner_at", "learner", "at"),
        # Which attempts are in no card yet is found in this index alone.
        Index("ix_attempt_learner_question_at", "learner", "question", "at"),
    )
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    asked: str = Field(foreign_key="asked.id")
    question: str
    followup: str = ""
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
    hints: int = 0
    score: int | None = None
    graded_by: str
    grade: str
    spoken: bool = Field(default=False, sa_column_kwargs=ZERO)


class PractisedRow(SQLModel, table=True):
    __tablename__ = "practised"
    __table_args__ = (Index("ix_practised_learner_at", "learner", "at"),)
    id: int | None = Field(default=None, primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    at: datetime = Field(sa_type=UTCDateTime)
    zone: str
    followup: bool = Field(default=False, sa_column_kwargs=FALSE)


class MarkRow(SQLModel, table=True):
    __tablename__ = "mark"
    learner: str = Field(primary_key=True, foreign_key="learner.id")
    at: datetime = Field(primary_key=True, sa_type=UTCDateTime)
    kind: str = Field(primary_key=True)
    about: str = Field(default="", primary_key=True)
    zone: str


class InboxRow(SQLModel, table=True):
    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("platform", "key"),
        _only("ix_inbox_undone", "platform", "person", "seq", where=UNDONE),
    )
    seq: int | None = Field(default=None, primary_key=True)
    platform: str
    key: str
    raw: str = ""
    taken_at: datetime = Field(sa_type=UTCDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)
    person: str = Field(default="", sa_column_kwargs=EMPTY)
    worker: str = Field(default="", sa_column_kwargs=EMPTY)
    lease_until: datetime | None = Field(default=None, sa_type=UTCDateTime)


class OutboxRow(SQLModel, table=True):
    __tablename__ = "outbox"
    __table_args__ = (
        _only("ix_outbox_waiting", "platform", "lane", "seq", where=WAITING),
        _only("ix_outbox_waiting_chat", "platform", "chat", "seq", where=WAITING),
        _only("ix_outbox_not_before", "platform", "not_before", where="state IN ('ready', 'retry')"),
        # However many workers there are: one message a chat is being sent.
        _only("ix_outbox_sending", "platform", "chat", where="state = 'sending'", unique=True),
    )
    seq: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    platform: str
    user: str
    chat: str
    learner: str = ""
    lane: str
    kind: str
    about: str = ""
    payload: str = ""
    state: str = "ready"
    due_at: datetime = Field(sa_type=UTCDateTime)
    not_before: datetime = Field(sa_type=UTCDateTime)
    lease_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    tries: int = 0
    unsure: bool = False
    message: str = ""
    settled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    worker: str = Field(default="", sa_column_kwargs=EMPTY)
    reason: str = Field(default="", sa_column_kwargs=EMPTY)


class ChatRow(SQLModel, table=True):
    """A private chat of a platform that does not repeat what was written while nobody listened, and how far it was read."""

    __tablename__ = "chat"
    platform: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    chat: str
    last: str
    used_at: datetime = Field(sa_type=UTCDateTime)


class WorkerRow(SQLModel, table=True):
    """A living process that sends for a platform; each says every few seconds that it lives."""

    __tablename__ = "worker"
    id: str = Field(primary_key=True)
    platform: str = Field(primary_key=True)
    seen_at: datetime = Field(sa_type=UTCDateTime)


@singledispatch
def row_of(thing: object) -> SQLModel:
    """The row of something that a turn may change. Every table whose rows come from `Changes.also` registers itself here."""
    raise TypeError(f"no table keeps a {type(thing).__name__}")


def learner_of(row: LearnerRow | Row[Any]) -> Learner:
    return Learner(
        id=row.id, joined_at=row.joined_at, home=Address(row.home_platform, row.home_user, row.home_chat), zone=row.zone,
        minute=row.minute, tracks=frozenset(row.tracks.split()), level=row.level, paused_until=row.paused_until,
        expecting=row.expecting, reachable=row.reachable, next_due_at=row.next_due_at,
        rest=frozenset(int(day) for day in row.rest), interview_on=row.interview_on,
        week_day=row.week_day, week_minute=row.week_minute, next_week_at=row.next_week_at,
        aloud=row.aloud, at_once=row.at_once,
    )  # fmt: skip


@row_of.register
def learner_row(learner: Learner) -> LearnerRow:
    return LearnerRow(
        id=learner.id, joined_at=learner.joined_at, home_platform=learner.home.platform, home_user=learner.home.user,
        home_chat=learner.home.chat, zone=learner.zone, minute=learner.minute, tracks=" ".join(sorted(learner.tracks)),
        level=learner.level, paused_until=learner.paused_until, expecting=learner.expecting, reachable=learner.reachable,
        next_due_at=learner.next_due_at, rest="".join(str(day) for day in sorted(learner.rest)),
        interview_on=learner.interview_on, week_day=learner.week_day, week_minute=learner.week_minute,
        next_week_at=learner.next_week_at, aloud=learner.aloud, at_once=learner.at_once,
    )  # fmt: skip


def asked_of(row: AskedRow | Row[Any]) -> Asked:
    return Asked(
        id=row.id, learner=row.learner, question=row.question, occasion=Occasion(row.occasion), at=row.at, wording=row.wording,
        followup=row.followup, attempt=row.attempt, hints=row.hints, fate=Fate(row.fate),
        reason=row.reason, focus=row.focus,
        interview=row.interview, sure=Sure(row.sure),
    )  # fmt: skip


@row_of.register
def mark_row(mark: Mark) -> MarkRow:
    return MarkRow(**{**flat(mark), "kind": mark.kind.value})


@row_of.register
def asked_row(asked: Asked) -> AskedRow:
    return AskedRow(**{**flat(asked), "occasion": asked.occasion.value, "fate": asked.fate.value, "sure": asked.sure.value})


def grade_of(text: str) -> Grade:
    raw = json.loads(text)
    return Grade(
        raw["score"],
        tuple(Verdict(**{**verdict, "finding": Finding(verdict["finding"])}) for verdict in raw["verdicts"]),
        tuple(Mistaken(**mistaken) for mistaken in raw["misconceptions"]),
        raw["graded_by"],
        raw["note"],
    )


def grade_text(grade: Grade) -> str:
    kept = flat(grade) | {"verdicts": [flat(one) for one in grade.verdicts], "misconceptions": [flat(one) for one in grade.misconceptions]}
    return json.dumps(kept, ensure_ascii=False)


def flat(thing: Any) -> dict[str, Any]:
    """A frozen dataclass's fields by name; `dataclasses.asdict` copies all that is in them, and takes ten times as long."""
    return {name: getattr(thing, name) for name in thing.__slots__}


def attempt_of(row: AttemptRow) -> Attempt:
    grade = grade_of(row.grade)
    return Attempt(row.id, row.learner, row.asked, row.question, row.followup, row.text, row.at, row.hints, grade, row.spoken)


@row_of.register
def attempt_row(attempt: Attempt) -> AttemptRow:
    return AttemptRow(
        id=attempt.id, learner=attempt.learner, asked=attempt.asked, question=attempt.question, followup=attempt.followup,
        text=attempt.text, at=attempt.at, hints=attempt.hints, score=attempt.grade.score, graded_by=attempt.grade.graded_by,
        grade=grade_text(attempt.grade), spoken=attempt.spoken,
    )  # fmt: skip


def owed_of(row: OutboxRow) -> Owed:
    return Owed(
        key=row.key, address=Address(row.platform, row.user, row.chat), lane=Lane(row.lane), kind=row.kind,
        reply=thaw(row.payload) if row.payload else None, learner=row.learner, about=row.about, due_at=row.due_at,
        tries=row.tries, unsure=row.unsure, until=row.lease_until,
    )  # fmt: skip
