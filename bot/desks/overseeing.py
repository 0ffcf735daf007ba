"""Overseeing: what whoever runs the coach may ask of it. To everybody else it is not there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from bot import commands, days
from bot.desks import Composer, Desk, Outcome, Tools
from bot.messages import Message, Reply
from bot.model import Changes, Memory
from bot.outbox import Owed
from bot.owners import LONGEST, Broadcast, Process, SendOut, Stage, gets, owns
from bot.phrases import owners as phrases

DAYS = 14
"""Days that are looked back on."""

LATEST = 3
"""Messages to everybody whose progress is told."""

_ORDER = re.compile(r"/admin(?:@\w+)?(?:\s+(\w+)(?:\s+(.*))?)?\Z", re.DOTALL | re.IGNORECASE)


class Overseeing(Desk):
    """Health, what learners sent to the owner, and messages to everybody."""

    def __init__(self, tools: Tools, owners: Collection[tuple[str, str]]) -> None:
        super().__init__(tools)
        self._owners = frozenset(owners)
        self._started = tools.now()
        self.ticked: datetime | None = None
        """When the last tick ended."""

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"broadcast": self._compose}

    def order(self, message: Message) -> tuple[str, str] | None:
        """The word after /admin and what follows it, where an owner says so in private; None for everybody and everything else."""
        if not owns(message.address, message.private, self._owners):
            return None
        match = _ORDER.match(commands.clean(message.text))
        return ((match[1] or "").lower(), (match[2] or "").strip()) if match is not None else None

    async def obey(self, order: tuple[str, str], memory: Memory, now: datetime) -> Outcome:
        """Does what an owner said."""
        word, rest = order
        if word in ("", "health"):
            return Outcome((await self._health(memory, now),))
        if word == "learners":
            return Outcome((phrases.learners(await self.store.per_day(now, DAYS)),))
        if word == "appeals":
            return Outcome((phrases.appeals(await self.store.appealed(), self.library),))
        if word == "flags":
            return Outcome((phrases.flags(await self.store.flags(), self.library),))
        if word == "broadcast":
            return await self._broadcast(rest, now)
        if word in ("send", "drop", "stop"):
            return await self._decide(word, rest, now)
        return Outcome((phrases.usage(),))

    async def _health(self, memory: Memory, now: datetime) -> Reply:
        zone = memory.learner.zone if memory.learner is not None else "UTC"
        vitals = await self.store.vitals(days.at_local(days.local_day(now, zone), 0, zone), now)
        # The grader may just be loading: the conversation of others goes on.
        grader = await asyncio.to_thread(lambda: self.grader.name)
        return phrases.health(vitals, Process(_version(), grader, now - self._started, self.ticked), now)

    async def _broadcast(self, text: str, now: datetime) -> Outcome:
        if not text:
            return Outcome((phrases.how_far(await self.store.broadcasts(LATEST), now),))
        if len(text) > LONGEST:
            return Outcome((phrases.too_long(len(text)),))
        those, others = await self.store.audience(now)
        if not those:
            return Outcome((phrases.nobody(),))
        draft = Broadcast(self.new_id(), text, now)
        return Outcome((phrases.preview(draft, those, others),), also=(draft,))

    async def _decide(self, word: str, id: str, now: datetime) -> Outcome:
        """A button under a preview, or under the word that it is on its way."""
        known = await self.store.broadcast(id)
        if known is None or known.stage is Stage.DROPPED:
            return Outcome((phrases.no_draft(),))
        if word == "stop":
            if known.stage is Stage.DRAFT:
                return Outcome((phrases.no_draft(),))
            return Outcome((phrases.stopped(),), also=(replace(known, stage=Stage.STOPPED),))
        if known.stage is not Stage.DRAFT:
            return Outcome((phrases.sent_before(),))
        if word == "drop":
            return Outcome((phrases.dropped(),), also=(replace(known, stage=Stage.DROPPED),))
        those, _ = await self.store.audience(now)
        return Outcome((phrases.on_its_way(id, those),), also=(SendOut(id, now),))

    async def _compose(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        """What goes to everybody, unless it was stopped, or its learner stopped meanwhile."""
        known, learner = await self.store.broadcast(owed.about), memory.learner
        wanted = known is not None and known.stage is Stage.SENT and learner is not None
        if not wanted or known is None or learner is None or not gets(learner, days.local_day(now, learner.zone)):
            return None, Changes()
        return phrases.to_all(known), Changes()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("interview-coach")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "unknown"
