"""What is kept of rounds: the rounds, the entries in them, each server's set-up, and who is hidden."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, func
from sqlmodel import Field, Session, SQLModel, col, exists, select, update

from bot.database.rows import (
    AddressRow,
    AskedRow,
    AttemptRow,
    InboxRow,
    LearnerRow,
    OutboxRow,
    PractisedRow,
    UTCDateTime,
    grade_of,
    grade_text,
    row_of,
)
from bot.database.turns import Turns
from bot.database.work import long, reads, writes
from bot.messages import Address
from bot.model import Fate, Grade, Occasion
from bot.outbox import Lane, Owed
from bot.rounds import ENOUGH, Entry, Hidden, Round, Setup, Stage, Total

PATIENCE = timedelta(seconds=30)
"""How long a close waits for a reply that came in time and can't be handled."""


class RoundRow(SQLModel, table=True):
    __tablename__ = "round"
    __table_args__ = (Index("ix_round_server", "platform", "server", "opened_at"),)
    id: str = Field(primary_key=True)
    platform: str
    server: str
    channel: str
    question: str
    wording: int = 0
    opened_at: datetime = Field(sa_type=UTCDateTime)
    closes_at: datetime = Field(sa_type=UTCDateTime)
    starter_user: str
    starter_chat: str
    stage: str
    due_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)
    closing_since: datetime | None = Field(default=None, sa_type=UTCDateTime)
    replies: int = 0


class EntryRow(SQLModel, table=True):
    __tablename__ = "entry"
    round: str = Field(primary_key=True, foreign_key="round.id")
    member: str = Field(primary_key=True)
    name: str
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
    score: int | None = None
    grade: str = ""


class SetupRow(SQLModel, table=True):
    __tablename__ = "quiz_setup"
    platform: str = Field(primary_key=True)
    server: str = Field(primary_key=True)
    channel: str
    admin_user: str
    admin_chat: str
    days: str
    minute: int | None = None
    zone: str
    topics: str = ""
    level: int | None = None
    calls: str = ""
    minutes: int
    shut: bool = False
    next_due_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)
    board_day: int | None = None
    board_minute: int = Field(default=1080, sa_column_kwargs={"server_default": "1080"})
    next_board_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)


class HiddenRow(SQLModel, table=True):
    __tablename__ = "hidden_member"
    platform: str = Field(primary_key=True)
    member: str = Field(primary_key=True)
    hidden: bool = True


def round_of(row: RoundRow) -> Round:
    return Round(
        id=row.id, platform=row.platform, server=row.server, channel=row.channel, question=row.question, wording=row.wording,
        opened_at=row.opened_at, closes_at=row.closes_at, starter=Address(row.platform, row.starter_user, row.starter_chat),
        stage=Stage(row.stage), due_at=row.due_at, closing_since=row.closing_since, replies=row.replies,
    )  # fmt: skip


@row_of.register
def round_row(one: Round) -> RoundRow:
    return RoundRow(
        id=one.id, platform=one.platform, server=one.server, channel=one.channel, question=one.question, wording=one.wording,
        opened_at=one.opened_at, closes_at=one.closes_at, starter_user=one.starter.user, starter_chat=one.starter.chat,
        stage=one.stage.value, due_at=one.due_at, closing_since=one.closing_since, replies=one.replies,
    )  # fmt: skip


def entry_of(row: EntryRow) -> Entry:
    return Entry(row.round, row.member, row.name, row.text, row.at, grade_of(row.grade) if row.grade else None)


@row_of.register
def entry_row(entry: Entry) -> EntryRow:
    grade = grade_text(entry.grade) if entry.grade is not None else ""
    return EntryRow(
        round=entry.round, member=entry.member, name=entry.name, text=entry.text, at=entry.at, score=entry.score, grade=grade
    )  # fmt: skip


def setup_of(row: SetupRow) -> Setup:
    return Setup(
        platform=row.platform, server=row.server, channel=row.channel, admin=Address(row.platform, row.admin_user, row.admin_chat),
        days=frozenset(int(day) for day in row.days), minute=row.minute, zone=row.zone, topics=frozenset(row.topics.split()),
        level=row.level, calls=row.calls, minutes=row.minutes, shut=row.shut, next_due_at=row.next_due_at,
        board_day=row.board_day, board_minute=row.board_minute, next_board_at=row.next_board_at,
    )  # fmt: skip


@row_of.register
def setup_row(setup: Setup) -> SetupRow:
    return SetupRow(
        platform=setup.platform, server=setup.server, channel=setup.channel, admin_user=setup.admin.user, admin_chat=setup.admin.chat,
        days="".join(str(day) for day in sorted(setup.days)), minute=setup.minute, zone=setup.zone,
        topics=" ".join(sorted(setup.topics)), level=setup.level, calls=setup.calls, minutes=setup.minutes, shut=setup.shut,
        next_due_at=setup.next_due_at, board_day=setup.board_day, board_minute=setup.board_minute,
        next_board_at=setup.next_board_at,
    )  # fmt: skip


@row_of.register
def hidden_row(one: Hidden) -> HiddenRow:
    return HiddenRow(platform=one.platform, member=one.member, hidden=one.hidden)


class Rounds(Turns):
    """Rounds from their opening to their reveal."""

    # ------------------------------------------------------------------------------------------ what is known

    @reads
    def round(self, session: Session, id: str) -> Round | None:
        row = session.get(RoundRow, id)
        return round_of(row) if row is not None else None

    @reads
    def rounds_open(self, session: Session, platform: str, server: str) -> list[Round]:
        rows = session.exec(
            select(RoundRow)
            .where(RoundRow.platform == platform, RoundRow.server == server, RoundRow.stage == Stage.OPEN.value)
            .order_by(col(RoundRow.closes_at))
        )
        return [round_of(row) for row in rows.all()]

    @reads
    def entry(self, session: Session, round: str, member: str) -> Entry | None:
        row = session.get(EntryRow, (round, member))
        return entry_of(row) if row is not None else None

    @reads
    def entries(self, session: Session, round: str) -> list[Entry]:
        rows = session.exec(select(EntryRow).where(EntryRow.round == round).order_by(col(EntryRow.at)))
        return [entry_of(row) for row in rows.all()]

    @reads
    def replied(self, session: Session, round: str) -> int:
        return session.exec(select(func.count()).select_from(EntryRow).where(EntryRow.round == round)).one()

    @reads
    def setup(self, session: Session, platform: str, server: str) -> Setup | None:
        row = session.get(SetupRow, (platform, server))
        return setup_of(row) if row is not None else None

    @reads
    def asked_there(self, session: Session, platform: str, server: str) -> dict[str, datetime]:
        rows = session.exec(
            select(RoundRow.question, func.max(RoundRow.opened_at))
            .where(RoundRow.platform == platform, RoundRow.server == server)
            .group_by(RoundRow.question)
        )
        return dict(rows.all())

    @reads
    def hidden(self, session: Session, platform: str, members: Collection[str]) -> frozenset[str]:
        rows = session.exec(
            select(HiddenRow.member).where(
                HiddenRow.platform == platform, col(HiddenRow.member).in_(members), col(HiddenRow.hidden).is_(True)
            )
        )
        return frozenset(rows.all())

    @reads
    @long
    def totals(self, session: Session, platform: str, server: str, since: datetime | None) -> list[Total]:
        counted: list[Any] = [
            RoundRow.platform == platform, RoundRow.server == server, RoundRow.stage == Stage.REVEALED.value,
            RoundRow.replies >= ENOUGH, col(EntryRow.score).is_not(None),
            *([RoundRow.closes_at >= since] if since is not None else []),
        ]  # fmt: skip
        shown = ~exists().where(
            col(HiddenRow.platform) == platform, col(HiddenRow.member) == col(EntryRow.member), col(HiddenRow.hidden).is_(True)
        )
        rows = session.exec(
            select(EntryRow.member, func.sum(EntryRow.score), func.count(), func.max(EntryRow.at))
            .join(RoundRow, col(RoundRow.id) == col(EntryRow.round))
            .where(*counted, shown)
            .group_by(EntryRow.member)
        )
        found = rows.all()
        names = session.exec(
            select(EntryRow.member, EntryRow.name)
            .join(RoundRow, col(RoundRow.id) == col(EntryRow.round))
            .where(*counted, shown)
            .order_by(col(EntryRow.at))
        )
        latest = dict(names.all())
        return [Total(member, latest.get(member, ""), int(points or 0), rounds) for member, points, rounds, _ in found]

    # ------------------------------------------------------------------------------------------ what comes due

    @reads
    def setups_due(self, session: Session, platforms: Sequence[str], now: datetime, limit: int) -> list[Setup]:
        rows = session.exec(
            select(SetupRow)
            .where(col(SetupRow.next_due_at) <= now, col(SetupRow.platform).in_(platforms))
            .order_by(col(SetupRow.next_due_at))
            .limit(limit)
        )
        return [setup_of(row) for row in rows.all()]

    @writes
    def begin(self, session: Session, was_due: datetime, setup: Setup, opened: Round | None, owed: Owed | None, now: datetime) -> bool:
        row = session.get(SetupRow, (setup.platform, setup.server))
        if row is None or row.next_due_at != was_due:
            return False
        row.next_due_at, row.shut = setup.next_due_at, setup.shut
        if opened is not None and owed is not None and session.get(RoundRow, opened.id) is None:
            session.add(round_row(opened))
            self.owe(session, [owed], now)
        return True

    @reads
    def boards_due(self, session: Session, platforms: Sequence[str], now: datetime, limit: int) -> list[Setup]:
        rows = session.exec(
            select(SetupRow)
            .where(col(SetupRow.next_board_at) <= now, col(SetupRow.platform).in_(platforms))
            .order_by(col(SetupRow.next_board_at))
            .limit(limit)
        )
        return [setup_of(row) for row in rows.all()]

    @writes
    def owe_board(self, session: Session, was_due: datetime, setup: Setup, owed: Owed | None, now: datetime) -> bool:
        row = session.get(SetupRow, (setup.platform, setup.server), with_for_update=True)
        if row is None or row.next_board_at != was_due:
            return False
        row.next_board_at = setup.next_board_at
        if owed is not None:
            self.owe(session, [owed], now)
        return True

    async def close_rounds(self, platforms: Sequence[str], now: datetime) -> int:
        due = (col(RoundRow.stage) == Stage.OPEN.value, col(RoundRow.due_at) <= now, col(RoundRow.platform).in_(platforms))
        # None is, nearly every second: no reason to hold up those who write.
        if await self.read(lambda session: session.exec(select(RoundRow.id).where(*due).limit(1)).first()) is None:
            return 0
        closing = update(RoundRow).where(*due).values(stage=Stage.CLOSING.value, closing_since=now)
        return await self.write(lambda session: int(session.exec(closing).rowcount))

    @reads
    def ungraded(self, session: Session, platforms: Sequence[str], limit: int) -> list[tuple[Entry, str, str]]:
        rows = session.exec(
            select(EntryRow, RoundRow.question, AddressRow.learner)
            .join(RoundRow, col(RoundRow.id) == col(EntryRow.round))
            .join(
                AddressRow,
                (col(AddressRow.platform) == col(RoundRow.platform)) & (col(AddressRow.user) == col(EntryRow.member)),
                isouter=True,
            )
            .where(
                EntryRow.grade == "",
                col(RoundRow.platform).in_(platforms),
                col(RoundRow.due_at).is_not(None),
                col(RoundRow.stage).in_((Stage.OPEN.value, Stage.CLOSING.value)),
            )
            .order_by(col(RoundRow.closes_at), col(EntryRow.at))
            .limit(limit)
        )
        return [(entry_of(row), question, learner or "") for row, question, learner in rows.all()]

    @writes
    def mark(self, session: Session, entry: Entry, grade: Grade) -> None:
        row = session.get(EntryRow, (entry.round, entry.member))
        if row is not None and row.text == entry.text:  # else it was replaced meanwhile
            row.score, row.grade = grade.score, grade_text(grade)

    @reads
    def closing(self, session: Session, platforms: Sequence[str], now: datetime) -> list[str]:
        waiting = exists().where(col(EntryRow.round) == col(RoundRow.id), col(EntryRow.grade) == "")
        rows = session.exec(
            select(RoundRow.id)
            .where(
                RoundRow.stage == Stage.CLOSING.value,
                col(RoundRow.due_at) <= now,
                col(RoundRow.platform).in_(platforms),
                ~waiting,
            )
            .order_by(col(RoundRow.closes_at))
        )
        return list(rows.all())

    @writes
    def owe_reveal(self, session: Session, id: str, now: datetime) -> bool:
        row = session.get(RoundRow, id)
        if row is None or row.stage != Stage.CLOSING.value:
            return False
        # A reply that was taken in time may not be handled yet: it is waited for, though not for ever.
        if now < (row.closing_since or now) + PATIENCE and self._expected(session, row):
            return False
        entries = session.exec(select(EntryRow).where(EntryRow.round == id).order_by(col(EntryRow.at))).all()
        if any(not entry.grade for entry in entries):
            return False
        key = f"reveal:{id}"
        before = session.exec(select(OutboxRow).where(OutboxRow.key == key)).first()
        if before is not None and before.settled_at is None:
            return False  # what became of it is still being written down
        row.stage, row.due_at, row.replies = Stage.REVEALED.value, None, len(entries)
        if before is not None:  # it could not be posted, and is tried again
            before.state, before.not_before, before.tries, before.settled_at = "ready", now, 0, None
            return True
        self.owe(session, [Owed(key, round_of(row).address, Lane.REPLY, "reveal", None, about=id, due_at=now)], now)
        self._count_as_attempts(session, row, entries)
        return True

    def _expected(self, session: Session, row: RoundRow) -> bool:
        found = session.exec(
            select(InboxRow.seq)
            .where(InboxRow.platform == row.platform, col(InboxRow.done_at).is_(None), col(InboxRow.raw).contains(row.id))
            .limit(1)
        )
        return found.first() is not None

    def _count_as_attempts(self, session: Session, row: RoundRow, entries: Sequence[EntryRow]) -> None:
        """Each entry is an attempt of the learner who wrote it."""
        learners = session.exec(
            select(AddressRow.user, LearnerRow.id, LearnerRow.zone)
            .join(LearnerRow, col(LearnerRow.id) == col(AddressRow.learner))
            .where(AddressRow.platform == row.platform, col(AddressRow.user).in_([entry.member for entry in entries]))
        )
        known = {user: (learner, zone) for user, learner, zone in learners.all()}
        mine = [(number, entry, *known[entry.member]) for number, entry in enumerate(entries) if entry.member in known]
        for number, entry, learner, zone in mine:
            session.add(
                AskedRow(
                    id=f"{row.id}.{number}", learner=learner, question=row.question, occasion=Occasion.ROUND.value, at=row.opened_at,
                    wording=row.wording, fate=Fate.ANSWERED.value,
                )
            )  # fmt: skip
            session.add(PractisedRow(learner=learner, at=entry.at, zone=zone))
        session.flush()
        for number, entry, learner, _ in mine:
            session.add(
                AttemptRow(
                    id=f"{row.id}.{number}", learner=learner, asked=f"{row.id}.{number}", question=row.question, text=entry.text,
                    at=entry.at, score=entry.score, graded_by=json.loads(entry.grade)["graded_by"], grade=entry.grade,
                )
            )  # fmt: skip

    @writes
    def unposted(self, session: Session, changed: Round, setup: Setup | None, notice: Owed | None, now: datetime) -> None:
        self.put(session, round_row(changed))
        if setup is not None:
            row = session.get(SetupRow, (setup.platform, setup.server))
            if row is not None:
                row.shut = setup.shut
        if notice is not None and session.exec(select(OutboxRow.seq).where(OutboxRow.key == notice.key)).first() is None:
            self.owe(session, [notice], now)
