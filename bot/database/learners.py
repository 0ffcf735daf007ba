"""What is remembered of one learner, and how a turn's changes are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from bot.database.connection import Connected, values_of
from bot.database.rows import (
    AddressRow,
    AskedRow,
    AttemptRow,
    LearnerRow,
    MarkRow,
    PractisedRow,
    asked_of,
    asked_row,
    attempt_of,
    attempt_row,
    learner_of,
    learner_row,
    row_of,
)
from bot.database.work import reads
from bot.errors import StoreStale
from bot.messages import Address
from bot.model import Asked, Attempt, Changes, Fate, Lately, Learner, Mark, MarkKind, Memory, Past, Practised

RECENT = 400
"""Attempts and questions that choosing and progress look back on."""

learners, addresses = LearnerRow.__table__, AddressRow.__table__  # type: ignore[attr-defined]
asked, attempts, practised = AskedRow.__table__, AttemptRow.__table__, PractisedRow.__table__  # type: ignore[attr-defined]

# What every turn reads, spelled once: a statement that is put together anew costs more than its answer.
WHOSE = pick(addresses.c.learner).where(addresses.c.platform == bindparam("platform"), addresses.c.user == bindparam("user"))
AT = pick(learners).where(learners.c.id == WHOSE.scalar_subquery())
BY_ID = pick(learners).where(learners.c.id == bindparam("learner"))
_theirs = asked.c.learner == bindparam("learner")
OPEN = pick(asked).where(_theirs, asked.c.fate == Fate.OPEN.value).order_by(asked.c.at.desc()).limit(1)
PAST = (
    pick(attempts.c.question, attempts.c.at, attempts.c.score, attempts.c.followup)
    .where(attempts.c.learner == bindparam("learner"))
    .order_by(attempts.c.at.desc())
    .limit(RECENT)
)
LATELY = (
    pick(asked.c.question, asked.c.at, asked.c.wording, asked.c.followup, asked.c.reason)
    .where(_theirs)
    .order_by(asked.c.at.desc())
    .limit(RECENT)
)
LEDGER = (
    pick(practised.c.at, practised.c.zone, practised.c.followup).where(practised.c.learner == bindparam("learner")).order_by(practised.c.at)
)
COUNTED = (
    learners.update().where(learners.c.id == bindparam("the_id"), learners.c.turn == bindparam("seen")).values(turn=learners.c.turn + 1)
)
"""Counts a turn, as long as no other one came in between."""


class Learners(Connected):
    """Reads whole memories; `apply` writes a turn's changes into a transaction that somebody else holds."""

    @reads
    def recall(self, session: Session, address: Address) -> Memory:
        return self._memory(session, self.at(session, address))

    @reads
    def recall_learner(self, session: Session, id: str) -> Memory:
        return self._memory(session, self.core(session, BY_ID, {"learner": id}).first())

    def at(self, session: Session, address: Address) -> Row[Any] | None:
        """The row of the learner at `address`."""
        return self.core(session, AT, {"platform": address.platform, "user": address.user}).first()

    def _memory(self, session: Session, learner: Row[Any] | None) -> Memory:
        if learner is None:
            return Memory(None)
        theirs = {"learner": learner.id}
        opened = self.core(session, OPEN, theirs).first()
        past, lately, ledger = (self._found(session, which, theirs) for which in (PAST, LATELY, LEDGER))
        return Memory(
            learner_of(learner),
            asked_of(opened) if opened is not None else None,
            tuple(Past(*one) for one in reversed(past)),
            tuple(Lately(*one) for one in reversed(lately)),
            tuple(Practised(*one) for one in ledger),
            learner.turn,
        )

    def _found(self, session: Session, statement: Any, parameters: dict[str, Any]) -> Sequence[Any]:
        return self.core(session, statement, parameters).all()

    @reads
    def asked(self, session: Session, learner: str, id: str) -> Asked | None:
        row = session.get(AskedRow, id)
        return asked_of(row) if row is not None and row.learner == learner else None

    @reads
    def attempt(self, session: Session, learner: str, id: str) -> Attempt | None:
        row = session.get(AttemptRow, id)
        return attempt_of(row) if row is not None and row.learner == learner else None

    @reads
    def follow_ups_asked(self, session: Session, attempt: str) -> frozenset[str]:
        return frozenset(session.exec(select(AskedRow.followup).where(AskedRow.attempt == attempt)).all())

    @reads
    def marks(self, session: Session, learner: str) -> tuple[Mark, ...]:
        rows = session.exec(select(MarkRow).where(MarkRow.learner == learner).order_by(col(MarkRow.at)))
        return tuple(Mark(row.learner, row.at, row.zone, MarkKind(row.kind), row.about) for row in rows.all())

    @reads
    def last_attempt(self, session: Session, learner: str) -> Attempt | None:
        rows = session.exec(select(AttemptRow).where(AttemptRow.learner == learner).order_by(col(AttemptRow.at).desc()).limit(1))
        row = rows.first()
        return attempt_of(row) if row is not None else None

    def apply(self, session: Session, address: Address | None, changes: Changes) -> None:
        """Raises StoreStale where another turn of the learner came in between."""
        if changes.seen is not None:
            id, turn = changes.seen
            if self.core(session, COUNTED, {"the_id": id, "seen": turn}).rowcount == 0:
                raise StoreStale("another turn of this learner was written meanwhile")
        if changes.learner is not None:
            self.put(session, learner_row(changes.learner), but="turn")
            if address is not None:
                self._lives_at(session, changes.learner, address)
        for one in changes.asked:
            self.put(session, asked_row(one))
        if changes.attempt is not None:
            self.put(session, attempt_row(changes.attempt))
        if changes.practised is not None and changes.attempt is not None:
            entry = changes.practised
            held = {"learner": changes.attempt.learner, "at": entry.at, "zone": entry.zone, "followup": entry.followup}
            self.core(session, practised.insert(), held)
        for thing in changes.also:
            self.keep(session, thing)

    def keep(self, session: Session, thing: object) -> None:
        """Writes something of `Changes.also`; a part of the store that writes more than a row does so here."""
        self.put(session, row_of(thing))

    def _lives_at(self, session: Session, learner: Learner, address: Address) -> None:
        row = AddressRow(platform=address.platform, user=address.user, chat=address.chat, learner=learner.id)
        if self.core(session, WHOSE, {"platform": address.platform, "user": address.user}).first() is not None:
            self.put(session, row)
        elif not self.core(session, self.insert_new(addresses, "platform", "user"), values_of(row)).rowcount:
            raise StoreStale("somebody at this address was written down meanwhile")
