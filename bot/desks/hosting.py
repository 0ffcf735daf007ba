"""Hosting: what rounds do by themselves. A server's daily question opens, a round closes, its entries are graded and it is revealed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot import days, rounds, weeks
from bot.desks import Composer, Desk, Tools
from bot.desks.rounds import missing
from bot.errors import CoachError, StoreError
from bot.messages import Address, Place, Reply
from bot.model import Changes, Finding, Grade, Memory, Verdict
from bot.outbox import Lane, Owed
from bot.phrases import rounds as phrases
from bot.ports import grading_for
from bot.rounds import Entry, Round, Setup, Stage

TOGETHER = 8
"""Entries that are being graded at one time."""

SERVERS = 50
"""Daily rounds that are opened in one go."""

AGAIN = timedelta(minutes=10)
"""How long after a reveal could not be posted it is tried again."""

FOR = timedelta(days=1)
"""How long after its close a reveal is tried."""

log = structlog.get_logger("rounds")


class Hosting(Desk):
    """Runs beside the conversation: a slow grader holds up a round's reveal and nothing else."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._platforms: tuple[str, ...] = ()
        self._grading: asyncio.Task[None] | None = None

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"reveal": self._compose_reveal}

    async def tick(self, platforms: Sequence[str]) -> None:
        """Opens and closes what is due, and sees to it that entries are graded and rounds revealed."""
        self._platforms = tuple(platforms)
        for setup in await self.store.setups_due(platforms, self.now(), SERVERS):
            try:
                await self._open(setup)
            except (CoachError, LookupError, ValueError) as error:  # one server never stops the rest
                log.error("daily round not opened", server=setup.server, kind=type(error).__name__)
        for setup in await self.store.boards_due(platforms, self.now(), SERVERS):
            await self._board(setup)
        await self.store.close_rounds(platforms, self.now())
        await self._reveal()
        if (self._grading is None or self._grading.done()) and await self.store.ungraded(platforms, 1):
            self._grading = asyncio.create_task(self._grade())

    async def close(self) -> None:
        """Stops grading; what is not graded yet is graded after the next start."""
        if self._grading is not None:
            self._grading.cancel()
            with suppress(asyncio.CancelledError):
                await self._grading

    # ------------------------------------------------------------------------------------------ the daily question of a server

    async def _open(self, setup: Setup) -> None:
        now, was_due = self.now(), setup.next_due_at
        assert was_due is not None
        day, moved = rounds.slot(setup, now)
        if setup.shut and await missing(self.venues, setup.platform, setup.server, setup.channel, setup.calls) == ():
            moved = replace(moved, shut=False)  # it may post again, and would be told anew if not
        asked = await self.store.asked_there(setup.platform, setup.server)
        question = rounds.choose(self.library, setup.topics, setup.level, asked, self.rng) if day is not None else None
        if question is None:
            await self.store.begin(was_due, moved, None, None, now)
            return
        place, wording = Place(setup.server, setup.channel), self.rng.randrange(1 + len(question.wordings))
        one = rounds.opened(self.new_id(), place, setup.platform, question, wording, now, setup.minutes, setup.admin)
        posted = phrases.opened(one, question, self.library, daily=True, calls=setup.calls)
        owed = Owed(f"round:{one.id}", one.address, Lane.REPLY, "round", posted, about=one.id)
        if await self.store.begin(was_due, moved, one, owed, now):
            self.owing()

    async def _board(self, setup: Setup) -> None:
        """Owes the weekly board; one that is days late is left out."""
        now, was_due = self.now(), setup.next_board_at
        assert was_due is not None
        moved, owed = rounds.scheduled(setup, now), None
        if now - was_due <= weeks.LATE:
            day = days.local_day(was_due, setup.zone)
            key, to = f"board:{setup.platform}:{setup.server}:{day}", Address(setup.platform, setup.server, setup.channel)
            owed = Owed(key, to, Lane.BULK, "board", None, about=was_due.isoformat())
        if await self.store.owe_board(was_due, moved, owed, now) and owed is not None:
            self.owing()

    # ------------------------------------------------------------------------------------------ grading

    async def _grade(self) -> None:
        """Grades what is not graded yet, round after round in the order of their closes, and reveals what is ready."""
        try:
            while waiting := await self.store.ungraded(self._platforms, TOGETHER):
                await asyncio.gather(*(self._grade_one(*one) for one in waiting))
                await self._reveal()
        except StoreError as error:
            log.warning("grading rests", reason=str(error))

    async def _grade_one(self, entry: Entry, question: str, learner: str) -> None:
        rubric = self.library.questions.get(question)
        token = grading_for.set(learner)
        try:
            grade = await self.grader.grade(rubric, entry.text) if rubric is not None else _untold(())
        except Exception as error:  # a grader that breaks its word: the others' reveal does not wait for it
            log.error("entry not graded", round=entry.round, kind=type(error).__name__)
            grade = _untold([point.id for point in rubric.points] if rubric is not None else ())
        finally:
            grading_for.reset(token)
        await self.store.mark(entry, grade)

    # ------------------------------------------------------------------------------------------ the reveal

    async def _reveal(self) -> None:
        for id in await self.store.closing(self._platforms, self.now()):
            try:
                if await self.store.owe_reveal(id, self.now()):
                    self.owing()
            except StoreError as error:  # one round never stops the rest
                log.warning("reveal not owed", round=id, reason=str(error))

    async def _compose_reveal(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        one = await self.store.round(owed.about)
        if one is None:
            return None, Changes()
        entries = await self.store.entries(one.id)
        hidden = await self.store.hidden(one.platform, [entry.member for entry in entries])
        question = self.library.questions.get(one.question)
        standing = rounds.standing(entries)
        if question is None:
            return phrases.reveal_without(one, standing, hidden), Changes()
        missed, mistake = rounds.most_missed(question, entries), rounds.commonest_mistake(question, entries)
        return phrases.reveal(one, question, standing, hidden, missed, mistake), Changes()

    # ------------------------------------------------------------------------------------------ what could not be posted

    async def undelivered(self, owed: Owed, *, allowed: bool) -> None:
        """A question that could not be posted is called off; a reveal is tried again for a day.

        Where the coach was not allowed to post, whoever set the quiz up (or started this round) is told so, once."""
        one = await self.store.round(owed.about) if owed.kind in ("round", "reveal") else None
        if one is None:
            return
        now = self.now()
        if owed.kind == "reveal" and now < one.closes_at + FOR:
            changed = replace(one, stage=Stage.CLOSING, due_at=now + AGAIN)
        elif owed.kind == "reveal":
            changed = one  # it stays as it is: everybody's feedback is there, and the board counts it
        else:
            changed = replace(one, stage=Stage.CALLED_OFF, due_at=None)
        setup = await self.store.setup(one.platform, one.server)
        notice = await self._notice(one, setup, owed.kind) if not allowed else None
        shut = replace(setup, shut=True) if setup is not None and not allowed else None
        await self.store.unposted(changed, shut, notice, now)
        if notice is not None:
            self.owing()

    async def _notice(self, one: Round, setup: Setup | None, what: str) -> Owed | None:
        if setup is not None and setup.shut:
            return None
        calls = setup.calls if setup is not None and setup.channel == one.channel else ""
        lacking = await missing(self.venues, one.platform, one.server, one.channel, calls) or ()
        to = setup.admin if setup is not None else one.starter
        return Owed(f"shut:{one.id}", to, Lane.BULK, "notice", phrases.shut(one.channel, lacking, what))


def _untold(points: Sequence[str]) -> Grade:
    return Grade(None, tuple(Verdict(id, Finding.CANNOT_TELL) for id in points), (), "nobody")
