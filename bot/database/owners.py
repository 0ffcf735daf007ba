"""What the owner sees, counted where it is kept; and messages to everybody, owed in one statement."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, literal, or_, text
from sqlalchemy import select as pick
from sqlmodel import Field, Session, SQLModel, col, select

from bot.database.connection import sqlite_file
from bot.database.rows import AttemptRow, InboxRow, LearnerRow, OutboxRow, UTCDateTime, row_of
from bot.database.turns import OUTBOX, Turns
from bot.database.work import long, reads
from bot.outbox import Lane
from bot.owners import Broadcast, Day, Progress, SendOut, Stage, Vitals

KIND = "broadcast"

learners: Table = LearnerRow.__table__  # type: ignore[attr-defined]
attempts: Table = AttemptRow.__table__  # type: ignore[attr-defined]
outbox: Table = OutboxRow.__table__  # type: ignore[attr-defined]


class BroadcastRow(SQLModel, table=True):
    __tablename__ = "broadcast"
    id: str = Field(primary_key=True)
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
    state: str


@row_of.register
def broadcast_row(one: Broadcast) -> BroadcastRow:
    return BroadcastRow(id=one.id, text=one.text, at=one.at, state=one.stage.value)


def broadcast_of(row: BroadcastRow) -> Broadcast:
    return Broadcast(row.id, row.text, row.at, Stage(row.state))


def _get(today: date) -> ColumnElement[bool]:
    """Who gets what goes to everybody, as `bot.owners.gets` has it."""
    c = learners.c
    return and_(
        c.reachable.is_(True),
        c.home_chat != "",
        or_(c.paused_until.is_(None), c.paused_until <= today),
        or_(c.minute.is_not(None), c.week_day.is_not(None)),
    )


class Owners(Turns):
    """Counts; and keeps and owes what goes to everybody."""

    @reads
    @long
    def vitals(self, session: Session, since: datetime, now: datetime) -> Vitals:
        c = outbox.c
        waits, due = c.state.in_(("ready", "retry", "sending")), c.not_before <= now

        def count(session: Session, *where: Any) -> int:
            return int(self.core(session, pick(func.count()).where(*where)).scalar_one())

        schema = self.core(session, text("SELECT version_num FROM alembic_version")).scalar_one()
        return Vitals(
            learners=self.core(session, pick(func.count()).select_from(learners)).scalar_one(),
            new=count(session, learners.c.joined_at >= since),
            replies=count(session, attempts.c.at >= since),
            due=count(session, learners.c.next_due_at <= now),
            updates=count(session, col(InboxRow.done_at).is_(None)),
            waiting=count(session, waits, due, c.lane == Lane.REPLY.value),
            bulk=count(session, waits, due, c.lane == Lane.BULK.value),
            later=count(session, waits, c.not_before > now),
            dead=count(session, c.state == "dead"),
            schema=str(schema),
            **self._place(session),
        )

    def _place(self, session: Session) -> dict[str, Any]:
        if self.shared:
            size = self.core(session, text("SELECT pg_database_size(current_database())")).scalar_one()
            return {"bytes": int(size), "room": None, "kind": "PostgreSQL"}
        pages = self.core(session, text("PRAGMA page_count")).scalar_one()
        each = self.core(session, text("PRAGMA page_size")).scalar_one()
        file = sqlite_file(str(self.base.engine.url))
        room = shutil.disk_usage(file.absolute().parent).free if file is not None else None
        return {"bytes": int(pages) * int(each), "room": room, "kind": "SQLite"}

    @reads
    @long
    def per_day(self, session: Session, now: datetime, many: int) -> list[Day]:
        today = now.astimezone(UTC).date()
        wanted = [today - timedelta(days=back) for back in range(many)]
        since = datetime(wanted[-1].year, wanted[-1].month, wanted[-1].day, tzinfo=UTC)
        joined, replied = self._day(learners.c.joined_at), self._day(attempts.c.at)
        new = self.core(session, pick(joined, func.count()).where(learners.c.joined_at >= since).group_by(joined))
        who = func.count(attempts.c.learner.distinct())
        did = self.core(session, pick(replied, who, func.count()).where(attempts.c.at >= since).group_by(replied))
        joining: Sequence[Any] = new.all()
        replying: Sequence[Any] = did.all()
        news = {str(day): number for day, number in joining}
        replies = {str(day): (active, number) for day, active, number in replying}
        return [Day(day, news.get(str(day), 0), *replies.get(str(day), (0, 0))) for day in wanted]

    def _day(self, at: Any) -> Any:
        """The day of an instant, by UTC."""
        return func.date(func.timezone("UTC", at) if self.shared else at)

    # ------------------------------------------------------------------------------------------ to everybody

    @reads
    @long
    def audience(self, session: Session, now: datetime) -> tuple[int, int]:
        """How many learners get what goes to everybody, and how many don't."""
        everybody = self.core(session, pick(func.count()).select_from(learners)).scalar_one()
        those = self.core(session, pick(func.count()).select_from(learners).where(_get(now.date()))).scalar_one()
        return int(those), int(everybody) - int(those)

    @reads
    @long
    def broadcast(self, session: Session, id: str) -> Broadcast | None:
        row = session.get(BroadcastRow, id)
        return broadcast_of(row) if row is not None else None

    @reads
    @long
    def broadcasts(self, session: Session, most: int) -> list[Progress]:
        """The latest that were sent, with what became of them."""
        begun = (Stage.SENT.value, Stage.STOPPED.value)
        latest = select(BroadcastRow).where(col(BroadcastRow.state).in_(begun)).order_by(col(BroadcastRow.at).desc()).limit(most)
        told = []
        for row in session.exec(latest).all():
            states = pick(outbox.c.state, func.count()).where(outbox.c.kind == KIND, outbox.c.about == row.id)
            found: dict[str, int] = dict(self.core(session, states.group_by(outbox.c.state)).all())  # type: ignore[arg-type]
            waiting = sum(found.get(state, 0) for state in ("ready", "retry", "sending"))
            sent = found.get("sent", 0)
            owed = sum(found.values())
            told.append(Progress(broadcast_of(row), owed, sent, waiting, owed - sent - waiting))
        return told

    def keep(self, session: Session, thing: object) -> None:
        if isinstance(thing, SendOut):
            self._send_out(session, thing)
        else:
            super().keep(session, thing)

    def _send_out(self, session: Session, thing: SendOut) -> None:
        """Owes it to everybody; a second time, from another tap or process, nothing is owed."""
        drafts: Table = BroadcastRow.__table__  # type: ignore[attr-defined]
        draft = (drafts.c.id == thing.id, drafts.c.state == Stage.DRAFT.value)
        sent = self.core(session, drafts.update().where(*draft).values(state=Stage.SENT.value, at=thing.at))
        if not sent.rowcount:
            return
        c = learners.c
        values = {
            "key": literal(f"{KIND}:{thing.id}:") + c.id, "platform": c.home_platform, "user": c.home_user, "chat": c.home_chat,
            "learner": c.id, "lane": literal(Lane.BULK.value), "kind": literal(KIND), "about": literal(thing.id),
            "payload": literal(""), "state": literal("ready"), "due_at": literal(thing.at, outbox.c.due_at.type),
            "not_before": literal(thing.at, outbox.c.not_before.type), "tries": literal(0), "unsure": literal(False),
            "message": literal(""),
        }  # fmt: skip
        everybody = pick(*values.values()).where(_get(thing.at.date())).order_by(c.id)
        self.core(session, outbox.insert().from_select(list(values), everybody))
        self.tell(session, OUTBOX)
