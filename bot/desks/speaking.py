"""Speaking: what was heard of a voice note is shown, corrected and graded; questions are read aloud to those who want that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot import phrases as common
from bot.desks import Composer, Desk, Handler, Outcome, Tools, Turn
from bot.desks.hearing import Came
from bot.messages import Address, Reply, VoiceNote
from bot.model import Asked, Changes, Dictation, Learner, Memory, Occasion
from bot.outbox import Lane, Owed, PutOff
from bot.phrases import hearing
from bot.phrases import speaking as phrases
from bot.phrases.interviewing import waits

ALOUD = "aloud"
"""The kind of delivery that is a voice note beside a text."""

HEARD = "heard"
"""What is awaited, before the id of what was heard: the corrected text."""

SOON, AGAIN = 0.3, timedelta(seconds=1)
"""Seconds for which a voice note is waited for before it is sent, and how much later it is looked for otherwise: what else is
to be said goes first."""

STALE = timedelta(minutes=10)
"""After that long nobody wants to hear a question that they read."""

AHEAD = timedelta(seconds=30)
"""How far a platform's clock may be behind ours: a question asked that much after a voice note came is not what it answers."""

ON, OFF = ("on", "aloud", "yes"), ("off", "no", "silent")
FIRST, AT_ONCE = ("first", "show first"), ("once", "at once", "directly")

Replied = Callable[[Turn, str], Awaitable[Outcome]]


class Speaking(Desk):
    """reply: what a reply to the open question leads to, whichever desk it belongs to."""

    expects = frozenset((HEARD,))

    def __init__(self, tools: Tools, reply: Replied) -> None:
        super().__init__(tools)
        self._reply = reply
        self._made: dict[str, VoiceNote | None] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"voice": self._voice, "heard": self._chosen}

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {ALOUD: self._compose}

    # ------------------------------------------------------------------------------------------ a voice note came

    async def heard(self, turn: Turn, came: Came) -> Outcome:
        """A voice note that was listened to, or was not, because nothing is open or nobody listens here."""
        learner = replace(turn.learner, expecting="") if turn.learner.expecting.startswith(HEARD) else turn.learner
        changed = learner if learner != turn.memory.learner else None
        opened, transcript = turn.memory.open, came.transcript
        if self.listener is None:
            return Outcome((phrases.no_ear(),), changed)
        if opened is None:
            waiting = await self.store.interview(turn.learner.id) is not None
            return Outcome((waits() if waiting else phrases.nothing_open(),), changed)
        if came.reason is not None:
            return Outcome((hearing.unusable(came.reason),), changed)
        if not came.asked:  # it was asked after the voice note came
            return Outcome((phrases.nothing_open(),), changed)
        if transcript is None:
            return Outcome((phrases.lost(),), changed)
        if opened.id != came.asked or opened.at > turn.message.at + AHEAD:
            return Outcome((phrases.closed(transcript.text),), changed)
        at = max(turn.message.at, opened.at)
        said = Dictation(turn.learner.id, self.new_id(), opened.id, transcript.text, at, hearing.pace(transcript.pace))
        if turn.learner.at_once and not transcript.draft:
            outcome = await self._graded(replace(turn, learner=learner), said, said.text)
            return replace(outcome, replies=(phrases.heard(said.text), *outcome.replies), learner=outcome.learner or changed)
        return Outcome((phrases.confirm(said, draft=transcript.draft, looking=_looking(opened)),), changed, also=(said,))

    async def _graded(self, turn: Turn, said: Dictation, text: str) -> Outcome:
        """What a reply that was spoken leads to: it was given when it was said, and is marked as spoken."""
        message = replace(turn.message, at=said.at, text=text)
        outcome = await self._reply(replace(turn, message=message, spoken=said), text)
        return replace(outcome, also=(*outcome.also, replace(said, text="")))

    # ------------------------------------------------------------------------------------------ what is to become of it

    async def _chosen(self, turn: Turn) -> Outcome:
        what, _, id = turn.argument.partition(" ")
        said = await self.store.dictation(turn.learner.id)
        if said is None or said.id != id:
            return Outcome((phrases.newer(),))
        if not said.text:
            return Outcome((phrases.done(),))
        if what == "again":
            return Outcome((phrases.again(),), also=(replace(said, text=""),))
        if turn.memory.open is None or turn.memory.open.id != said.asked:
            return Outcome((common.closed(),), also=(replace(said, text=""),))
        if what == "edit":
            return Outcome((phrases.edit(said.text),), replace(turn.learner, expecting=f"{HEARD} {said.id}"))
        return await self._graded(turn, said, said.text)

    async def typed(self, turn: Turn, text: str) -> Outcome | None:
        """The corrected text; where it corrects nothing any more, it is a reply like any other."""
        said = await self.store.dictation(turn.learner.id)
        learner = replace(turn.learner, expecting="")
        turn = replace(turn, learner=learner)
        stale = said is None or turn.memory.open is None or turn.memory.open.id != said.asked
        outcome = await self._reply(turn, text) if stale or said is None else await self._graded(turn, said, text)
        return replace(outcome, learner=outcome.learner or learner)

    # ------------------------------------------------------------------------------------------ what a learner wants

    async def _voice(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("voice"),))
        word, draft = turn.argument.lower().strip(" .!"), self.listener.ear.draft if self.listener is not None else False
        if word in ON:
            if self.speaker is None:
                return Outcome((phrases.no_voice(),))
            return Outcome((phrases.aloud(),), replace(turn.learner, aloud=True))
        if word in OFF:
            return Outcome((phrases.silent(),), replace(turn.learner, aloud=False))
        if word in FIRST:
            return Outcome((phrases.first(),), replace(turn.learner, at_once=False))
        if word in AT_ONCE:
            if self.listener is None:
                return Outcome((phrases.no_ear(),))
            return Outcome((phrases.at_once(draft=draft),), replace(turn.learner, at_once=True))
        return Outcome((phrases.voice(turn.learner, speaks=self.speaker is not None, hears=self.listener is not None),))

    # ------------------------------------------------------------------------------------------ reading aloud

    def beside(self, learner: Learner | None, address: Address, key: str, reply: Reply, now: datetime) -> tuple[Owed, ...]:
        """The voice note that is owed beside a reply: none where there is nothing to say, or nobody who wants to hear it."""
        private = address.user == address.chat
        if self.speaker is None or learner is None or not learner.aloud or not reply.aloud or not private:
            return ()
        return (Owed(f"{ALOUD}:{key}", address, Lane.BULK, ALOUD, None, learner.id, reply.aloud, now),)

    async def prepare(self, owed: Owed, now: datetime) -> PutOff | None:
        """Makes a voice note before the learner's turn is taken for it; puts it off where that takes longer than a moment."""
        if self.speaker is None or (owed.due_at is not None and now - owed.due_at > STALE):
            self._made[owed.key] = None
            return None
        making = self.speaker.begin(owed.about)
        await asyncio.wait([making], timeout=SOON)
        if not making.done():
            making.add_done_callback(lambda _: self.owing())
            return PutOff(now + AGAIN)
        self._made[owed.key] = None if making.cancelled() else making.result()
        return None

    async def _compose(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        note = self._made.pop(owed.key, None)
        wanted = memory.learner is not None and memory.learner.aloud and note is not None
        return (Reply((), note=note) if wanted else None), Changes()


def _looking(asked: Asked) -> bool:
    """Whether what is said is not graded by itself: a step of an investigation."""
    return asked.occasion is Occasion.INCIDENT
