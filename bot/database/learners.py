"""What is remembered of one learner, and how a turn's changes are written."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import select as pick
from sqlmodel import SQLModel, col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.database.connection import Connected, uncut
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
from bot.errors import StoreStale
from bot.messages import Address
from bot.model import Asked, Attempt, Changes, Fate, Lately, Learner, Mark, MarkKind, Memory, Past, Practised

RECENT = 400
"""Attempts and questions that choosing and progress look back on."""

LATELY = ("question", "at", "wording", "followup", "reason")


learners, addresses = LearnerRow.__table__, AddressRow.__table__  # type: ignore[attr-defined]


class Learners(Connected):
    """Reads whole memories; `apply` writes a turn's changes into a transaction that somebody else holds."""

    @uncut
    async def recall(self, address: Address) -> Memory:
        async with self.reading() as session:
            learner = await self.at(session, address)
            if learner is None:
                return Memory(None)
            return await self._memory(session, learner)

    @uncut
    async def recall_learner(self, id: str) -> Memory:
        async with self.reading() as session:
            row = await session.get(LearnerRow, id)
            return Memory(None) if row is None else await self._memory(session, row)

    async def _memory(self, session: AsyncSession, learner: LearnerRow) -> Memory:
        open_row = (
            await session.exec(
                select(AskedRow)
                .where(AskedRow.learner == learner.id, AskedRow.fate == Fate.OPEN.value)
                .order_by(col(AskedRow.at).desc())
                .limit(1)
            )
        ).first()
        past = await session.exec(
            select(AttemptRow.question, AttemptRow.at, AttemptRow.score, AttemptRow.followup)
            .where(AttemptRow.learner == learner.id)
            .order_by(col(AttemptRow.at).desc())
            .limit(RECENT)
        )
        asked = await self.core(
            session,
            pick(*(col(getattr(AskedRow, name)) for name in LATELY))
            .where(col(AskedRow.learner) == learner.id)
            .order_by(col(AskedRow.at).desc())
            .limit(RECENT),
        )
        ledger = await session.exec(
            select(PractisedRow.at, PractisedRow.zone, PractisedRow.followup)
            .where(PractisedRow.learner == learner.id)
            .order_by(col(PractisedRow.at))
        )
        return Memory(
            learner_of(learner),
            asked_of(open_row) if open_row is not None else None,
            tuple(Past(question, at, score, followup) for question, at, score, followup in reversed(past.all())),
            tuple(Lately(*one) for one in reversed(asked.all())),
            tuple(Practised(*entry) for entry in ledger.all()),
            learner.turn,
        )

    async def at(self, session: AsyncSession, address: Address) -> LearnerRow | None:
        found = await session.exec(
            select(LearnerRow)
            .join(AddressRow, col(AddressRow.learner) == col(LearnerRow.id))
            .where(AddressRow.platform == address.platform, AddressRow.user == address.user)
        )
        return found.first()

    @uncut
    async def asked(self, learner: str, id: str) -> Asked | None:
        async with self.reading() as session:
            row = await session.get(AskedRow, id)
            return asked_of(row) if row is not None and row.learner == learner else None

    @uncut
    async def attempt(self, learner: str, id: str) -> Attempt | None:
        async with self.reading() as session:
            row = await session.get(AttemptRow, id)
            return attempt_of(row) if row is not None and row.learner == learner else None

    @uncut
    async def follow_ups_asked(self, attempt: str) -> frozenset[str]:
        async with self.reading() as session:
            return frozenset((await session.exec(select(AskedRow.followup).where(AskedRow.attempt == attempt))).all())

    @uncut
    async def marks(self, learner: str) -> tuple[Mark, ...]:
        async with self.reading() as session:
            rows = await session.exec(select(MarkRow).where(MarkRow.learner == learner).order_by(col(MarkRow.at)))
            return tuple(Mark(row.learner, row.at, row.zone, MarkKind(row.kind), row.about) for row in rows.all())

    @uncut
    async def last_attempt(self, learner: str) -> Attempt | None:
        async with self.reading() as session:
            rows = await session.exec(select(AttemptRow).where(AttemptRow.learner == learner).order_by(col(AttemptRow.at).desc()).limit(1))
            row = rows.first()
            return attempt_of(row) if row is not None else None

    async def apply(self, session: AsyncSession, address: Address | None, changes: Changes) -> None:
        """Raises StoreStale where another turn of the learner came in between."""
        if changes.seen is not None:
            id, turn = changes.seen
            here = (col(LearnerRow.id) == id) & (col(LearnerRow.turn) == turn)
            counted = await session.exec(update(LearnerRow).where(here).values(turn=turn + 1))
            if counted.rowcount == 0:
                raise StoreStale("another turn of this learner was written meanwhile")
        if changes.learner is not None:
            await self._keep(session, changes.learner)
            if address is not None:
                await self._lives_at(session, changes.learner, address)
        for asked in changes.asked:
            await session.merge(asked_row(asked))
        await session.flush()
        if changes.attempt is not None:
            session.add(attempt_row(changes.attempt))
        if changes.practised is not None and changes.attempt is not None:
            session.add(PractisedRow(learner=changes.attempt.learner, **asdict(changes.practised)))
        for thing in changes.also:
            await self.keep(session, thing)

    async def keep(self, session: AsyncSession, thing: object) -> None:
        """Writes something of `Changes.also`; a part of the store that writes more than a row does so here."""
        await session.merge(row_of(thing))

    async def _keep(self, session: AsyncSession, learner: Learner) -> None:
        row = learner_row(learner)
        known = await session.get(LearnerRow, learner.id)
        if known is None:
            await self.core(session, self.insert_new(learners, "id").values(_values(row)))
        else:
            row.turn = known.turn
        await session.merge(row)
        await session.flush()

    async def _lives_at(self, session: AsyncSession, learner: Learner, address: Address) -> None:
        row = AddressRow(platform=address.platform, user=address.user, chat=address.chat, learner=learner.id)
        if await session.get(AddressRow, (address.platform, address.user)) is None:
            added = await self.core(session, self.insert_new(addresses, "platform", "user").values(_values(row)))
            if not added.rowcount:
                raise StoreStale("somebody at this address was written down meanwhile")
        await session.merge(row)


def _values(row: SQLModel) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).model_fields}
