"""The inbox, and the one write of a turn: what changed, what is owed for it, and that it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, literal_column, text
from sqlalchemy import select as pick
from sqlmodel import Session, col, or_, select

from bot.database.learners import Learners
from bot.database.rows import WAITING, ChatRow, InboxRow, OutboxRow
from bot.database.work import reads, writes
from bot.errors import StoreRefused
from bot.messages import Address
from bot.model import Changes
from bot.outbox import Lane, Owed, Withdrawn, freeze

INBOX, OUTBOX = "coach_inbox", "coach_outbox"
"""The channels on which PostgreSQL tells other processes that there is something to do."""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(person, 0)) FROM unnest(CAST(:people AS text[])) AS person"

inbox, outbox = InboxRow.__table__, OutboxRow.__table__  # type: ignore[attr-defined]

BEFORE = (
    pick(outbox.c.seq)
    .where(outbox.c.platform == bindparam("platform"), outbox.c.chat == bindparam("chat"), text(WAITING))
    .where(or_(outbox.c.lane == Lane.REPLY.value, outbox.c.state == "sending"))
    .limit(1)
)
"""Whether something goes before a new reply to a chat."""

KNOWN = pick(inbox.c.key).where(inbox.c.platform == bindparam("platform"), inbox.c.key.in_(bindparam("keys", expanding=True)))
TAKEN = pick(inbox.c.seq, inbox.c.person, inbox.c.worker, inbox.c.done_at).where(
    inbox.c.platform == bindparam("platform"), inbox.c.key == bindparam("key")
)
EARLIER = pick(inbox.c.seq).where(
    inbox.c.platform == bindparam("platform"), inbox.c.person == bindparam("person"), inbox.c.done_at.is_(None),
    inbox.c.seq < bindparam("before"),
)  # fmt: skip
"""What the same person said before and is not done."""

FINISH = (
    inbox.update()
    .where(inbox.c.platform == bindparam("the_platform"), inbox.c.key == bindparam("the_key"), inbox.c.done_at.is_(None))
    .values(done_at=bindparam("at"), raw="", worker="", lease_until=None)
)
FINISH_OURS = FINISH.where(inbox.c.worker == bindparam("by"))


class Turns(Learners):
    """Keeps updates until they are done, and does a turn whole or not at all.

    One person's updates are handled in the order in which they were taken, by one process at a time: who holds the oldest of
    them (worker, lease) and writes before the lease has passed to another."""

    @writes
    def take(
        self, session: Session, platform: str, updates: Sequence[tuple[str, str]], now: datetime, whose: Mapping[str, str] | None = None,
        room: int = 1 << 30, read: Mapping[str, tuple[str, str]] | None = None,
    ) -> list[str]:  # fmt: skip
        people = {key: (whose or {}).get(key) or f"update {key}" for key, _ in updates}
        elsewhere: set[str] = set()
        if self.shared:
            # Until this is committed nobody else takes an update of the same person: their numbers then say their order.
            locked = sorted({f"{platform}:{person}" for person in people.values()})
            self.core(session, text(LOCK), {"people": locked})
            held = session.exec(
                select(InboxRow.person)
                .where(InboxRow.platform == platform, col(InboxRow.person).in_(set(people.values())))
                .where(col(InboxRow.done_at).is_(None), InboxRow.worker != self.worker)
            )
            elsewhere = set(held.all())
        keys = list(people)
        known = set(self.core(session, KNOWN, {"platform": platform, "keys": keys}).scalars())
        fresh = {key: raw for key, raw in updates if key not in known}
        rows: list[dict[str, Any]] = []
        for number, (key, raw) in enumerate(fresh.items()):
            row = {"platform": platform, "key": key, "raw": raw, "taken_at": now, "person": people[key], "worker": "", "lease_until": None}
            if people[key] not in elsewhere and number < room:
                row |= {"worker": self.worker, "lease_until": now + self.lease}
            else:
                elsewhere.add(people[key])
            rows.append(row)
        if rows:
            self.core(session, inbox.insert(), rows)
        for user, (chat, last) in (read or {}).items():
            self.put(session, ChatRow(platform=platform, user=user, chat=chat, last=last, used_at=now))
        if self.shared and len(fresh) > room:
            self.tell(session, INBOX)
        return list(fresh)

    @reads
    def chats(self, session: Session, platform: str, most: int) -> dict[str, tuple[str, str]]:
        latest = select(ChatRow).where(ChatRow.platform == platform).order_by(col(ChatRow.used_at).desc()).limit(most)
        return {row.user: (row.chat, row.last) for row in reversed(session.exec(latest).all())}

    @writes
    def pick_up(self, session: Session, platform: str, now: datetime, most: int, but: Collection[str] = ()) -> list[tuple[str, str]]:
        undone = (inbox.c.platform == platform) & inbox.c.done_at.is_(None) & (inbox.c.raw != "")
        if but:
            undone &= inbox.c.person.not_in(but)
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
            if self.core(session, pick(literal_column("1")).where(undone).limit(1)).first() is None:
                return []
            statement = inbox.update().where(undone).values(mine)
        rows = self.core(session, statement.returning(inbox.c.seq, inbox.c.key, inbox.c.raw))
        return [(key, raw) for _, key, raw in sorted(tuple(row) for row in rows.all())]

    @reads
    def ours(self, session: Session, platform: str, key: str) -> bool:
        row = self.core(session, TAKEN, {"platform": platform, "key": key}).first()
        if row is None:
            return True
        if row.done_at is not None:
            return False
        if not self.shared:
            return True
        earlier = self.core(session, EARLIER.limit(1), {"platform": platform, "person": row.person, "before": row.seq})
        return row.worker == self.worker and earlier.first() is None

    @reads
    def ahead(self, session: Session, platform: str, key: str) -> int | None:
        row = self.core(session, TAKEN, {"platform": platform, "key": key}).first()
        if row is None or row.done_at is not None:
            return None
        return len(self.core(session, EARLIER, {"platform": platform, "person": row.person, "before": row.seq}).all())

    @reads
    def waiting(self, session: Session, platform: str) -> list[tuple[str, str]]:
        rows = session.exec(
            select(InboxRow.key, InboxRow.raw)
            .where(InboxRow.platform == platform, col(InboxRow.done_at).is_(None), InboxRow.raw != "")
            .order_by(col(InboxRow.seq))
        )
        return [(key, raw) for key, raw in rows.all()]

    @writes
    def drop(self, session: Session, platform: str, key: str) -> None:
        self._finish(session, platform, key, datetime.now(UTC))

    @reads
    def done(self, session: Session, platform: str, key: str) -> bool:
        row = session.exec(
            select(InboxRow.seq).where(InboxRow.platform == platform, InboxRow.key == key, col(InboxRow.done_at).is_not(None))
        )
        return row.first() is not None

    def _finish(self, session: Session, platform: str, key: str, now: datetime, *, fenced: bool = False) -> bool:
        """Marks a key done, keeping nothing of what was in it; False where it already was or, fenced, is in other hands."""
        which = {"the_platform": platform, "the_key": key, "at": now}
        by = {"by": self.worker} if fenced and self.shared else {}
        if self.core(session, FINISH_OURS if by else FINISH, which | by).rowcount:
            if self.shared:  # whoever has room goes on with what the same person said meanwhile
                next_one = "WHERE EXISTS (SELECT 1 FROM inbox WHERE platform = :platform AND done_at IS NULL AND worker = '')"
                self.core(session, text(f"SELECT pg_notify('{INBOX}', '') {next_one}"), {"platform": platform})
            return True
        fresh = {"platform": platform, "key": key, "raw": "", "taken_at": now, "done_at": now, "person": "", "worker": ""}
        return bool(self.core(session, self.insert_new(inbox, "platform", "key"), fresh).rowcount)

    def tell(self, session: Session, channel: str) -> None:
        """Wakes the other processes when this transaction is committed."""
        if self.shared:
            self.core(session, func.pg_notify(channel, "").select())

    async def record(
        self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime,
        begin: Callable[[Owed], None] | None = None,
    ) -> bool:  # fmt: skip
        async def whole(first: Owed | None) -> bool:
            done, begun = await self.base.write(lambda session: self._record(session, key, address, changes, owed, now, first))
            if begin is not None and begun is not None:
                begin(begun)
            return done

        if begin is not None and owed:
            try:
                return await self.uncut(lambda: whole(owed[0]))
            except StoreRefused:
                if not self.shared:
                    raise
                # Another worker has begun to send to the same chat in this very moment: the reply waits for its turn.
        return await self.uncut(lambda: whole(None))

    def _record(
        self, session: Session, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime, first: Owed | None
    ) -> tuple[bool, Owed | None]:
        """Whether the turn was written, and the message that is being sent from now on."""
        if not self._finish(session, address.platform, key, now, fenced=True):
            return False, None
        self.apply(session, address, changes)
        if first is not None and self.core(session, BEFORE, {"platform": first.address.platform, "chat": first.address.chat}).first():
            first = None
        self.owe(session, owed, now, address, first)
        return True, first and replace(first, due_at=first.due_at or now, tries=1, until=now + self.lease)

    def keep(self, session: Session, thing: object) -> None:
        if isinstance(thing, Owed):
            if thing.due_at is None:
                raise ValueError("what is owed beside a turn says from when on")
            self.owe(session, [thing], thing.due_at)
            return
        if not isinstance(thing, Withdrawn):
            super().keep(session, thing)
            return
        waits = outbox.c.state.in_(("ready", "retry"))
        self.core(session, outbox.delete().where(outbox.c.learner == thing.learner, outbox.c.kind == thing.kind, waits))

    def owe(self, session: Session, owed: Sequence[Owed], now: datetime, to: Address | None = None, begun: Owed | None = None) -> None:
        """Writes messages owed. Who handled a message is the first to send its replies `to` where it came from, as long as it
        lives: it alone may know how the platform wants to be answered. begun: the one of them that is being sent from now on."""
        rows = []
        for one in owed:
            due = one.due_at or now
            own = one.lane is Lane.REPLY and one.address == to
            rows.append(
                {
                    "key": one.key, "platform": one.address.platform, "user": one.address.user, "chat": one.address.chat,
                    "learner": one.learner, "lane": one.lane.value, "kind": one.kind, "about": one.about,
                    "payload": freeze(one.reply) if one.reply else "", "state": "sending" if one is begun else "ready", "due_at": due,
                    "not_before": due, "tries": int(one is begun),
                    "unsure": False, "message": "", "reason": "", "worker": self.worker if own else "",
                    "lease_until": now + self.lease if own else None,
                }
            )  # fmt: skip
        # A delivery is owed once, whoever says so again; a reply under a key that is there already is a mistake.
        for insert, lane in ((outbox.insert(), Lane.REPLY), (self.insert_new(outbox, "key"), Lane.BULK)):
            if mine := [row for row in rows if row["lane"] == lane.value]:
                self.core(session, insert, mine)
        if any(one.lane is not Lane.REPLY or one.address != to for one in owed):
            self.tell(session, OUTBOX)

    def extend_turns(self, session: Session, held: Collection[tuple[str, str]], now: datetime) -> None:
        """Keeps the updates that this process is still at work on."""
        for platform in {platform for platform, _ in held}:
            keys = [key for one, key in held if one == platform]
            mine = (inbox.c.platform == platform, inbox.c.key.in_(keys), inbox.c.worker == self.worker)
            self.core(session, inbox.update().where(*mine).values(lease_until=now + self.lease))
