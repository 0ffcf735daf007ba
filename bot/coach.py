"""The engine: a message comes in, replies go out; a minute passes, questions go out.

Every turn reads once, decides, writes once and speaks. What is said is written in the same transaction as what was learned,
so that a crash loses neither. What a message means for the learner is decided at the desks (bot.desks).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from bot import commands, days, phrases, zones
from bot.content import Library
from bot.desks import Composer, Desk, Handler, Outcome, Tools, Turn
from bot.desks.asking import Asking
from bot.desks.replying import Replying
from bot.desks.resting import Resting
from bot.desks.settings import LONE, Settings
from bot.desks.standing import Standing
from bot.errors import StoreStale
from bot.messages import Address, Choice, Message, Reply
from bot.model import Changes, Learner, Memory
from bot.outbox import Lane, Owed
from bot.ports import Grader, Store

DEFAULT_MINUTE = 9 * 60

MOST_STALE = 5
"""Times that a turn is read again because another process wrote to the same learner meanwhile."""

MOST_AT_WORK = 64
"""Updates that one of several processes takes on; more wait in the inbox for whoever has room."""

log = structlog.get_logger("coach")


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return uuid4().hex[:12]


class Coach:
    """The engine. `handle` and `deliver_due` are its two verbs; `compose` words a delivery when it is about to be sent."""

    def __init__(
        self,
        store: Store,
        library: Library,
        grader: Grader,
        *,
        now: Callable[[], datetime] = _now,
        rng: Random | None = None,
        new_id: Callable[[], str] = _new_id,
        on_owed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_owed` is called whenever messages were written that wait to be sent."""
        self._store = store
        self._library = library
        self._now = now
        self._new_id = new_id
        self.on_owed = on_owed
        self.at_work: set[tuple[str, str]] = set()
        """The updates, by platform and key, that this process is at work on."""
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        tools = Tools(store, library, grader, now, rng or Random(), new_id)
        asking = Asking(tools)
        self._settings = Settings(tools, asking)
        self._replying = Replying(tools, asking)
        self._desks: tuple[Desk, ...] = (self._settings, asking, self._replying, Standing(tools), Resting(tools))
        self._handlers: dict[str, Handler] = {name: handler for desk in self._desks for name, handler in desk.handlers.items()}
        self._expecting: dict[str, Desk] = {name: desk for desk in self._desks for name in desk.expects}
        self._composers: dict[str, Composer] = {kind: composer for desk in self._desks for kind, composer in desk.composes.items()}

    # ------------------------------------------------------------------------------------------ a message

    async def handle(self, message: Message) -> tuple[Reply, ...]:
        """What the coach says to `message`; nothing where the same message was handled before.

        The replies are owed (written to the outbox) when this returns. Raises StoreError where nothing could be read or
        written: then nothing has happened, and the message may be handled again.
        """
        async with self._one_at_a_time(message.address):
            if not await self._store.ours(message.address.platform, message.key):
                self.leave(message.address.platform, message.key)
                return ()
            for again in range(MOST_STALE):
                try:
                    outcome, owed, recorded = await self._turn(message)
                    break
                except StoreStale:
                    if again == MOST_STALE - 1:
                        raise
        self.leave(message.address.platform, message.key)
        if not recorded:
            return ()
        if owed:
            self.on_owed()
        return outcome.replies

    async def _turn(self, message: Message) -> tuple[Outcome, list[Owed], bool]:
        """Reads, decides and writes; says whether it was written."""
        memory = await self._store.recall(message.address)
        now = max(self._now(), message.at)
        outcome = await self._decide(message, memory, now)
        learner = outcome.learner
        who = learner.id if learner else memory.learner.id if memory.learner else ""
        owed = [
            Owed(f"reply:{message.address.platform}:{message.key}:{number}", message.address, Lane.REPLY, "reply", reply, who)
            for number, reply in enumerate(outcome.replies)
        ]
        owed += outcome.owed
        changes = Changes(learner, outcome.asked, outcome.attempt, outcome.practised, outcome.also, memory.seen)
        return outcome, owed, await self._store.record(message.key, message.address, changes, owed, now)

    # ------------------------------------------------------------------------------------------ the inbox

    async def take(self, platform: str, updates: Sequence[tuple[str, str]], whose: Mapping[str, str] | None = None) -> list[str]:
        """Keeps raw updates, as (key, text) pairs, until the message with that key is handled; returns the keys that are new.

        An adapter calls it before it tells its platform that the updates arrived. whose: the person behind each key; one
        person's updates are handled in order, whichever process does so."""
        fresh = await self._store.take(platform, updates, self._now(), whose, self._room)
        self.at_work.update((platform, key) for key in fresh)
        return fresh

    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        """What was taken and is in nobody's hands, oldest first; whoever asked handles it now."""
        if self._room <= 0:
            return []
        found = [one for one in await self._store.pick_up(platform, self._now(), self._room) if (platform, one[0]) not in self.at_work]
        self.at_work.update((platform, key) for key, _ in found)
        return found

    def leave(self, platform: str, key: str) -> None:
        """Nobody here is at work on this update any more. If it is not done, it is picked up again, here or elsewhere."""
        self.at_work.discard((platform, key))

    @property
    def _room(self) -> int:
        # A process alone has nobody to leave anything to.
        return max(0, MOST_AT_WORK - len(self.at_work)) if self._store.shared else 1 << 30

    async def drop(self, platform: str, key: str) -> None:
        """An update that needs no answer is done."""
        self.leave(platform, key)
        await self._store.drop(platform, key)

    async def apologise(self, address: Address, key: str) -> None:
        """Marks a message done that could not be handled, and tells its sender so."""
        owed = [Owed(f"sorry:{address.platform}:{key}", address, Lane.REPLY, "reply", phrases.failed())] if address.chat else []
        self.leave(address.platform, key)
        await self._store.record(key, address, Changes(), owed, self._now())
        self.on_owed()

    async def gone(self, address: Address) -> None:
        """The learner at `address` can't be written to until they write again."""
        await self._store.unreachable(address, self._now())

    async def knows(self, address: Address) -> bool:
        """Whether somebody at `address` has spoken with the coach before."""
        return (await self._store.recall(address)).learner is not None

    def _one_at_a_time(self, address: Address) -> AbstractAsyncContextManager[None]:
        key = (address.platform, address.user)
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def _decide(self, message: Message, memory: Memory, now: datetime) -> Outcome:
        known = memory.learner
        # Somebody who tries a command in a group has not asked for a question a day there.
        home = message.address if message.private else replace(message.address, chat="")
        learner = known or Learner(self._new_id(), now, home, minute=DEFAULT_MINUTE if message.private else None)
        if message.private:
            learner = replace(learner, home=message.address)
        if not learner.reachable:
            learner = days.scheduled(replace(learner, reachable=True), now)
        meaning = commands.understand(commands.clean(message.text))
        if learner.expecting in LONE and isinstance(meaning, commands.Called) and meaning.name != "cancel":
            learner = replace(learner, expecting="")
        turn = Turn(message, learner, memory, "", now, known is None)
        outcome = await self._dispatch(turn, meaning)
        if outcome.learner is None and (learner != known):
            outcome = replace(outcome, learner=days.scheduled(learner, now) if known is None else learner)
        return outcome

    async def _dispatch(self, turn: Turn, meaning: commands.Called | commands.Unknown | commands.Plain) -> Outcome:
        if isinstance(meaning, commands.Plain) and not meaning.text:
            return Outcome((phrases.not_text(turn.message.other) if turn.message.other else phrases.no_words(),))
        if isinstance(meaning, commands.Unknown):
            return Outcome((phrases.unknown(meaning.name, meaning.meant),))
        if isinstance(meaning, commands.Called):
            if meaning.name == "start" and not turn.message.private:
                return Outcome((phrases.in_private("start"),))
            return await self._handlers[meaning.name](replace(turn, argument=meaning.argument))
        if turn.learner.expecting in self._expecting:
            outcome = await self._expecting[turn.learner.expecting].typed(turn, meaning.text)
            if outcome is not None:
                return outcome
        if turn.new:
            return await self._settings.start(turn) if turn.message.private else Outcome((phrases.nothing_open(),))
        return await self._replying.reply(turn, meaning.text)

    # ------------------------------------------------------------------------------------------ a minute

    async def deliver_due(self, platforms: Sequence[str], *, batch: int = 50) -> int:
        """Owes the daily question to every learner on `platforms` whose time has come; returns how many were due."""
        total = 0
        while True:
            count = await self._store.claim_due(platforms, self._now(), batch)
            total += count
            if count:
                self.on_owed()
            if count < batch:
                return total
            await asyncio.sleep(0)

    async def compose(self, owed: Owed) -> Reply | None:
        """Words a delivery that is about to be sent; None where it is no longer wanted (paused, or its day is over)."""
        async with self._one_at_a_time(owed.address):
            for again in range(MOST_STALE):
                memory = await self._store.recall_learner(owed.learner)
                now = self._now()
                reply, changes = await self._composers[owed.kind](owed, memory, now)
                try:
                    kept = await self._store.composed(owed, reply, replace(changes, seen=memory.seen), now)
                    return reply if kept else None
                except StoreStale:
                    if again == MOST_STALE - 1:
                        raise
        return None

    # ------------------------------------------------------------------------------------------ while somebody types

    def suggest(self, kind: str, typed: str, most: int = 25) -> list[Choice]:
        """What the beginning of a "topic" or a "zone" may become, likeliest first; its text is what a command then takes."""
        from rapidfuzz import fuzz, process

        if kind == "zone":
            found = [(zone.replace("_", " "), zone) for zone in zones.beginning(typed, self._now())]
        elif kind == "topic":
            sections = [(self._library.syllabus.sections[id], id) for id in self._library.sections()]
            questions = [(one.title, id) for id, one in self._library.questions.items()] if typed.strip() else []
            word = re.compile(rf"(?<!\w){re.escape(' '.join(typed.lower().split()))}")
            found = [(title, id) for title, id in (*sections, *questions) if word.search(title.lower()) or word.search(id)]
            if typed.strip() and not found:
                near = process.extract(typed.lower(), [title.lower() for title, _ in questions], scorer=fuzz.partial_ratio, score_cutoff=70)
                found = [questions[index] for _, _, index in near]
        else:
            found = []
        return [Choice(label, text) for label, text in found[:most]]
