"""The outbox: what is due becomes owed, what is owed is claimed, sent and settled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, case, false, func, literal_column, true
from sqlalchemy import select as pick
from sqlmodel import Session, col, delete, or_, select, update

from bot import days, timing
from bot.database import postgres
from bot.database.learners import learners
from bot.database.many import Many
from bot.database.postgres import PostgreSQL, Quick
from bot.database.rows import AttemptRow, InboxRow, LearnerRow, MarkRow, OutboxRow, WorkerRow, learner_of, owed_of
from bot.database.turns import INBOX, OUTBOX, Turns
from bot.database.work import long, reads, writes
from bot.errors import StoreError, StoreRefused
from bot.messages import Address, Reply
from bot.model import Changes, Mark, MarkKind
from bot.outbox import Dead, Lane, Owed, delivery_key, freeze

KEEP_DONE = timedelta(days=14)
"""How long a handled update's key and a sent message are remembered. Platforms repeat updates for a day or so."""

FAR = timedelta(days=4)
"""A question that is further away than this is so because of a pause, or because the clock was wrong when it was moved on."""

MOST_WAIT = timedelta(hours=1)
"""No reply waits longer than this, and nothing that is tried again: it is the longest ban that is believed."""

MOST_SETTLED = 100
"""Messages that are settled in one transaction."""

outbox, marks = OutboxRow.__table__, MarkRow.__table__  # type: ignore[attr-defined]


def _is(table: FromClause, *states: str) -> ColumnElement[bool]:
    # Spelled out, not as parameters: the indexes of what waits are of use only where the query shows that it means them.
    found: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in states]
    return table.c.state.in_(found) if len(found) > 1 else table.c.state == found[0]


_other = outbox.alias("other")
_sooner = or_(_other.c.not_before < outbox.c.not_before, and_(_other.c.not_before == outbox.c.not_before, _other.c.seq < outbox.c.seq))
FIRST_OF_CHAT = ~(
    pick(literal_column("1"))
    .where(_other.c.platform == outbox.c.platform, _other.c.chat == outbox.c.chat, _is(_other, "ready", "retry", "sending"))
    .where(
        or_(
            and_(_is(_other, "sending"), _other.c.seq != outbox.c.seq),
            _other.c.lane < outbox.c.lane,
            and_(_other.c.lane == outbox.c.lane, case((outbox.c.lane == Lane.REPLY.value, _other.c.seq < outbox.c.seq), else_=_sooner)),
        )
    )
    .exists()
)
"""Nothing is being sent to the chat and nothing waits for it that goes first: replies before all else and in their order, then what
may go soonest. What is due in some hours holds up nothing."""


def _claim() -> Any:
    c = outbox.c
    now = bindparam("now", type_=c.not_before.type)
    fresh = and_(_is(outbox, "ready", "retry"), c.not_before <= now)
    orphaned = and_(_is(outbox, "sending"), c.lease_until < now, c.key.not_in(bindparam("held", expanding=True)))
    heads = (
        pick(c.seq)
        # Found in the index in whose order it goes out, whatever waits for another platform.
        .where(_is(outbox, "ready", "retry", "sending"), or_(fresh, orphaned))
        .where(c.platform.in_(bindparam("platforms", expanding=True)), FIRST_OF_CHAT)
        .where(c.lane.in_(bindparam("lanes", expanding=True)))
        .order_by(c.lane, c.seq)
        .limit(bindparam("most", type_=c.seq.type))
        .cte("heads")
    )
    begun = {
        "state": "sending", "worker": bindparam("me"), "lease_until": bindparam("until", type_=c.not_before.type), "tries": c.tries + 1,
        "unsure": or_(c.unsure, _is(outbox, "sending")),
    }  # fmt: skip
    return outbox.update().where(c.seq == heads.c.seq).values(begun).returning(*c)


CLAIM = _claim()
"""Takes on what may be sent. On PostgreSQL it is `postgres.CLAIM`."""

NEXT = (
    pick(outbox.c.not_before)
    .where(_is(outbox, "ready", "retry"), outbox.c.platform.in_(bindparam("platforms", expanding=True)), FIRST_OF_CHAT)
    .order_by(outbox.c.not_before)
    .limit(1)
)
"""When the next message that waits may be sent."""

_l = learners.c
DUE = (
    pick(_l.id, _l.home_platform, _l.home_user, _l.home_chat, _l.zone, _l.minute, _l.next_due_at)
    .where(_l.next_due_at <= bindparam("now", type_=_l.next_due_at.type))
    .where(_l.home_platform.in_(bindparam("platforms", expanding=True)))
    .order_by(_l.next_due_at)
    .limit(bindparam("most", type_=outbox.c.tries.type))
    .with_for_update(skip_locked=True)
)
"""Learners whose time has come, and what the tick has to know of them."""

SETTLE = (
    outbox.update()
    .where(outbox.c.key == bindparam("the_key"), _is(outbox, "sending"), outbox.c.worker == bindparam("by"))
    .values(
        state=bindparam("becomes"), worker=bindparam("keeps"), lease_until=bindparam("until"), settled_at=bindparam("at"),
        message=bindparam("sent_as"),
        not_before=func.coalesce(bindparam("again", type_=outbox.c.not_before.type), outbox.c.not_before),
        unsure=or_(outbox.c.unsure, bindparam("unclear")), tries=outbox.c.tries - bindparam("untried"),
        payload=case((bindparam("erased") == true(), ""), else_=outbox.c.payload), reason=bindparam("because"),
    )
)  # fmt: skip
"""What became of a message, written only as long as it is still in the hands of who was sending it: a process that stood
still past its lease changes nothing of what another did meanwhile."""


class Outbox(Turns):
    """Deliveries, from the moment they are due until they are settled."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unsettled: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._settling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        # One for claims and one for what became of them, so that neither waits for the other's commit.
        self._quick: Sequence[Quick] = (Quick(self.base.engine), Quick(self.base.engine)) if isinstance(self.base, PostgreSQL) else ()

    @cached_property
    def _owing(self) -> Many:
        """Owes the daily question to many. What is the same for all is spelled out: ten thousand times nothing is still something."""
        c = outbox.c
        same = {
            c.lane: f"'{Lane.BULK.value}'", c.kind: "'daily'", c.payload: "''", c.state: "'ready'", c.tries: "0", c.message: "''",
            c.worker: "''", c.reason: "''",
        }  # fmt: skip
        own = (c.key, c.platform, c.user, c.chat, c.learner, c.about, c.due_at, c.not_before)
        values: dict[Any, Any] = {column: literal_column(text) for column, text in same.items()} | {c.unsure: false()}
        values |= {column: bindparam(f"a_{column.name}", type_=column.type) for column in own}
        return Many(self.insert_new(outbox, "key").values(values), self.base.engine.dialect)

    @cached_property
    def _moving(self) -> Many:
        """Moves learners on to their next question."""
        return Many(
            learners.update().where(_l.id == bindparam("the_id")).values(next_due_at=bindparam("following")), self.base.engine.dialect
        )

    @writes
    def claim_due(self, session: Session, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the daily question to up to `limit` learners whose time has come, and moves each to their next time.

        The question itself is chosen when it is sent. Days on which it would be too late are excused. Returns how many learners
        were due. Core statements, not objects: here alone ten thousand may be due at once."""
        connection = session.connection()
        due = connection.execute(DUE, {"now": now, "platforms": list(platforms), "most": limit})
        rows = due.all()
        if not rows:
            return 0
        owed: list[tuple[Any, ...]] = []
        moved: list[tuple[Any, ...]] = []
        excused: list[dict[str, Any]] = []
        crowded = len(rows) >= timing.CROWD
        slots: dict[tuple[Any, ...], timing.Slot] = {}  # many have the same one
        for id, platform, user, chat, zone, minute, due_at in rows:
            slot = slots.get((due_at, minute, zone)) if minute is not None else None
            if slot is None and minute is not None:
                slot = slots[due_at, minute, zone] = timing.slot(due_at, minute, zone, now)
            moved.append((id, slot.following if slot else None))
            if slot is None:
                continue
            excused += [
                {"learner": id, "at": now, "zone": zone, "kind": MarkKind.EXCUSED.value, "about": day.isoformat()} for day in slot.excused
            ]
            if slot.day is not None:
                start = slot.due_at + timing.jitter(id) if crowded and now - slot.due_at < timedelta(minutes=1) else slot.due_at
                key = delivery_key("daily", id, slot.day)
                owed.append((key, platform, user, chat, id, slot.day.isoformat(), slot.due_at, start))
        if owed:
            names = ("a_key", "a_platform", "a_user", "a_chat", "a_learner", "a_about", "a_due_at", "a_not_before")
            columns = dict(zip(names, zip(*owed, strict=True), strict=True))
            connection.exec_driver_sql(self._owing.text, self._owing.rows(columns))
            self.tell(session, OUTBOX)
        if excused:
            connection.execute(self.insert_new(marks, "learner", "at", "kind", "about"), excused)
        columns = dict(zip(("the_id", "following"), zip(*moved, strict=True), strict=True))
        connection.exec_driver_sql(self._moving.text, self._moving.rows(columns))
        return len(rows)

    @writes
    @long
    def reschedule(self, session: Session, now: datetime) -> int:
        far = (col(LearnerRow.next_due_at) > now + FAR, col(LearnerRow.minute).is_not(None), col(LearnerRow.paused_until).is_(None))
        rows = session.exec(select(LearnerRow).where(*far)).all()
        moved = 0
        for row in rows:
            learner = days.scheduled(replace(learner_of(row), next_due_at=None), now)
            if learner.next_due_at is not None and row.next_due_at is not None and learner.next_due_at < row.next_due_at:
                row.next_due_at, moved = learner.next_due_at, moved + 1
        # A reply, and what is tried again, never waits long: what seems to was written by a clock that was ahead.
        waits = or_(and_(_is(outbox, "ready"), outbox.c.lane == Lane.REPLY.value), _is(outbox, "retry"))
        self.core(session, outbox.update().where(waits, outbox.c.not_before > now + MOST_WAIT).values(not_before=now))
        return moved

    @writes
    def excuse(self, session: Session, mark: Mark) -> None:
        self.keep(session, mark)

    @writes
    def composed(self, session: Session, owed: Owed, reply: Reply | None, changes: Changes, now: datetime) -> bool:
        mine = (OutboxRow.key == owed.key, OutboxRow.state == "sending", OutboxRow.worker == self.worker)
        row = session.exec(select(OutboxRow).where(*mine).with_for_update()).first()
        if row is None:
            return False
        self.apply(session, None, changes)
        if reply is None:
            row.state, row.settled_at, row.worker, row.lease_until = "excused", now, "", None
        else:
            row.payload = freeze(reply)
        return True

    async def claim(
        self, platforms: Sequence[str], now: datetime, limit: int, held: Collection[str] = (), lanes: Collection[Lane] = tuple(Lane)
    ) -> list[Owed]:
        wanted = {
            "now": now, "me": self.worker, "platforms": list(platforms), "most": limit, "held": list(held), "until": now + self.lease,
            "lanes": [lane.value for lane in lanes],
        }  # fmt: skip
        try:
            if self._quick:
                rows: list[Any] = []
                for platform in platforms:
                    rows += await self._claim_quickly(wanted | {"platform": platform, "most": limit - len(rows)})
            else:
                rows = await self.write(lambda session: list(self.core(session, CLAIM, wanted).all()))
        except StoreRefused:  # another worker was quicker with a message of the same chat
            return []
        return [owed_of(row) for row in sorted(rows, key=lambda row: (row.lane, row.seq))]

    async def _claim_quickly(self, wanted: dict[str, Any]) -> list[Any]:
        found = await self.uncut(lambda: self._quick[0].fetch(postgres.CLAIM, *(wanted[name] for name in postgres.CLAIMED)))
        return [SimpleNamespace(**row) for row in found]

    @reads
    def next_at(self, session: Session, platforms: Sequence[str]) -> datetime | None:
        """When the next message that waits may be sent, or None where none waits."""
        statement = NEXT.where(outbox.c.worker.in_(("", self.worker))) if self.shared else NEXT
        found: datetime | None = self.core(session, statement, {"platforms": list(platforms)}).scalar()
        return found

    async def put_back(self, owed: Owed, again_at: datetime) -> None:
        await self._settle(owed, becomes="ready", again=again_at, untried=1)

    async def settle(
        self, owed: Owed, outcome: str, now: datetime, *, again_at: datetime | None = None, message: str = "", unsure: bool = False,
        untried: bool = False, reason: str = "",
    ) -> None:  # fmt: skip
        if outcome == "retry":
            await self._settle(owed, becomes=outcome, again=again_at or now, unclear=unsure, untried=int(untried))
        else:
            await self._settle(owed, becomes=outcome, at=now, sent_as=message, erased=True, because=reason[:200])

    async def _settle(self, owed: Owed, **what: Any) -> None:
        """Settles together what comes together: as many transactions as the disk is quick, not one for each message."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        usual = {"at": None, "again": None, "sent_as": "", "unclear": False, "untried": 0, "erased": False, "because": ""}
        # What is tried again stays first with who tried: it may know a way to answer that others do not.
        stays = {"keeps": self.worker, "until": what["again"] + self.lease} if what.get("again") and owed.lane is Lane.REPLY else {}
        row = {"the_key": owed.key, "by": self.worker, "keeps": "", "until": None} | usual | what | stays
        self._unsettled.append((row, done))
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle_all())
        await done

    async def _settle_all(self) -> None:
        await asyncio.sleep(0)
        while self._unsettled:
            group, self._unsettled = self._unsettled[:MOST_SETTLED], self._unsettled[MOST_SETTLED:]
            try:
                await self._write_surely([row for row, _ in group])
            except Exception as error:
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
            for _, done in group:
                if not done.done():
                    done.set_result(None)

    async def _write_surely(self, rows: list[dict[str, Any]]) -> None:
        """What was sent is sent: while the database takes nothing nobody else can take it over, so we wait for it."""
        while True:
            try:
                await self._write_settled(rows)
                return
            except StoreRefused:
                raise
            except StoreError:  # busy, its disk full, or only to be read for a while
                if self._closing.is_set():
                    raise
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), 0.5)

    async def _write_settled(self, rows: list[dict[str, Any]]) -> None:
        if self._quick:
            quick = self._quick[1]
            columns = [[row[name] for row in rows] for name in postgres.SETTLED]
            await self.uncut(lambda: quick.fetch(postgres.SETTLE, *columns, self.worker))
        else:
            await self.write(lambda session: self.core(session, SETTLE, rows))

    @writes
    def unreachable(self, session: Session, address: Address, now: datetime) -> None:
        learner = self.at(session, address)
        if learner is not None and (learner.home_platform, learner.home_chat) == (address.platform, address.chat):
            self.core(session, learners.update().where(learners.c.id == learner.id).values(reachable=False, next_due_at=None))
        session.exec(
            update(OutboxRow)
            .where(
                col(OutboxRow.platform) == address.platform,
                col(OutboxRow.chat) == address.chat,
                col(OutboxRow.state).in_(("ready", "retry")),
            )
            .values(state="gone", settled_at=now, payload="")
        )  # fmt: skip

    @writes
    def released(self, session: Session, platforms: Sequence[str]) -> None:
        if self.shared:
            return  # who is silent loses what it was sending when its lease runs out; others are at work on theirs
        session.exec(
            update(OutboxRow)
            .where(col(OutboxRow.state) == "sending", col(OutboxRow.platform).in_(platforms))
            .values(state="retry", unsure=True, lease_until=None)
        )

    async def hold(self, platforms: Sequence[str], updates: Collection[tuple[str, str]], messages: Collection[str], now: datetime) -> int:
        return await self._hold(platforms, updates, messages, now) if self.shared else 1

    @writes
    def _hold(
        self, session: Session, platforms: Sequence[str], updates: Collection[tuple[str, str]], messages: Collection[str], now: datetime
    ) -> int:
        connection = session.connection()
        self.extend_turns(session, updates, now)
        mine = (outbox.c.key.in_(messages), outbox.c.worker == self.worker)
        connection.execute(outbox.update().where(*mine).values(lease_until=now + self.lease))
        for platform in platforms:
            self.put(session, WorkerRow(id=self.worker, platform=platform, seen_at=now))
        living = (
            select(func.count()).where(col(WorkerRow.platform).in_(platforms), col(WorkerRow.seen_at) > now - self.lease)
            .group_by(WorkerRow.platform).order_by(func.count().desc()).limit(1)
        )  # fmt: skip
        return session.exec(living).first() or 1

    @writes
    def holds(self, session: Session, owed: Owed, now: datetime) -> bool:
        mine = (outbox.c.key == owed.key, _is(outbox, "sending"), outbox.c.worker == self.worker)
        held = self.core(session, outbox.update().where(*mine).values(lease_until=now + self.lease))
        return bool(held.rowcount)

    async def close(self) -> None:
        """Gives back what this process still has, so that others need not wait for its lease to run out."""
        self._closing.set()
        if self._settling is not None:
            await asyncio.wait([self._settling])
        if self.shared:
            with suppress(StoreError):
                await self._give_back()
        for quick in self._quick:
            await quick.close()
        await super().close()

    @writes
    def _give_back(self, session: Session) -> None:
        free = {"worker": "", "lease_until": None}
        mine = outbox.c.worker == self.worker
        lost = {**free, "state": "retry", "unsure": True}
        self.core(session, outbox.update().where(mine, _is(outbox, "sending")).values(lost))
        self.core(session, outbox.update().where(mine, _is(outbox, "ready", "retry")).values(free))
        self.core(session, update(InboxRow).where(col(InboxRow.worker) == self.worker).values(free))
        session.exec(delete(WorkerRow).where(col(WorkerRow.id) == self.worker))
        self.tell(session, OUTBOX)
        self.tell(session, INBOX)

    @writes
    @long
    def tidy(self, session: Session, now: datetime) -> None:
        """Forgets handled keys and sent messages that nobody can ask about any more."""
        session.exec(delete(InboxRow).where(col(InboxRow.done_at) < now - KEEP_DONE))
        session.exec(delete(OutboxRow).where(col(OutboxRow.settled_at) < now - KEEP_DONE))
        session.exec(delete(WorkerRow).where(col(WorkerRow.seen_at) < now - KEEP_DONE))

    @reads
    @long
    def dead(self, session: Session, limit: int = 100) -> tuple[Dead, ...]:
        dead = select(OutboxRow).where(_is(outbox, "dead")).order_by(col(OutboxRow.settled_at).desc()).limit(limit)
        rows = session.exec(dead).all()
        return tuple(Dead(row.key, row.kind, row.platform, row.tries, row.reason, row.settled_at or row.due_at) for row in rows)

    @reads
    @long
    def count(self, session: Session) -> dict[str, int]:
        counts = {
            "learners": session.exec(select(func.count()).select_from(LearnerRow)).one(),
            "attempts": session.exec(select(func.count()).select_from(AttemptRow)).one(),
            "inbox": session.exec(select(func.count()).select_from(InboxRow).where(col(InboxRow.done_at).is_(None))).one(),
        }
        states = session.exec(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
        return counts | {f"outbox {state}": number for state, number in states.all()}
