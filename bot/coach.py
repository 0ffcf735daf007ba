"""The engine: a message comes in, replies go out; a minute passes, questions go out.

Every turn reads once, decides, writes once and speaks. What is said is written in the same transaction as what was learned,
so that a crash loses neither. What a message means for the learner is decided at the desks (bot.desks).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from time import perf_counter
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from bot import commands, days, phrases, streaks, timing, zones
from bot.content import Library
from bot.desks import Composer, Desk, Handler, Outcome, Tools, Turn
from bot.desks.appealing import WORDS, Appealing
from bot.desks.asking import Asking
from bot.desks.hearing import Came, Fetch, Hearing
from bot.desks.hosting import Hosting
from bot.desks.interviewing import Interviewing
from bot.desks.investigating import Investigating
from bot.desks.keeping import Keeping
from bot.desks.linking import Linking
from bot.desks.overseeing import Overseeing
from bot.desks.replying import Replying
from bot.desks.reporting import Reporting
from bot.desks.resting import Resting
from bot.desks.rounds import Quizzing
from bot.desks.settings import DEFAULT_MINUTE, LONE, Settings
from bot.desks.snoozing import Snoozing
from bot.desks.speaking import ALOUD, HEARD, Speaking
from bot.desks.standing import Standing
from bot.desks.weeks import Weekly
from bot.errors import StoreError, StoreRefused, StoreStale
from bot.floods import MOST, Floods
from bot.incidents import Incident
from bot.messages import Address, Choice, Message, Reply
from bot.model import Changes, Forgotten, Learner, Mark, MarkKind, Memory, Occasion
from bot.outbox import Lane, Owed, PutOff
from bot.ports import Grader, Sender, Store, Venue
from bot.speech import Listener
from bot.voices.speaker import Speaker
from bot.watching import Watched, Watcher, timed

Meaning = commands.Called | commands.Unknown | commands.Plain

MOST_STALE = 5
"""Times that a turn is read again because another process wrote to the same learner meanwhile."""

WEEKS_AT_ONCE = 200
"""Learners whose weekly messages are planned in one transaction."""

GIVES_WAY, STILL = 0.05, 0.005
"""Seconds for which a crowded tick lets turns go before its next batch; and after a turn, for its replies to leave."""

MOST_AT_WORK = 64
"""Updates that one of several processes takes on; more wait in the inbox for whoever has room."""

log = structlog.get_logger("coach")


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return uuid4().hex[:12]


def _awaited(learner: Learner) -> str:
    """The kind of answer that is awaited; what it is about follows it after a space."""
    return learner.expecting.partition(" ")[0]


def _comes_home(learner: Learner, address: Address, meaning: Meaning) -> bool:
    """Whether what the coach sends on its own goes to `address` from now on: where it went already (the chat may be another
    one), where the learner sets its time, and wherever they write from while there is no chat that reaches them."""
    home = learner.home
    chosen = isinstance(meaning, commands.Called) and meaning.name in ("start", "daily")
    return chosen or not home.chat or not learner.reachable or (home.platform, home.user) == (address.platform, address.user)


def _quiet(owed: Owed, learner: Learner | None, now: datetime) -> datetime | None:
    """Until when something that the coach sends on its own to a learner waits because it is night there."""
    private = owed.address.chat == owed.address.user
    if learner is None or owed.lane is not Lane.BULK or owed.kind in timing.CHOSEN or not private:
        return None
    return timing.quiet_until(now, learner.zone)


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
        draw: Callable[[str], str] = secrets.choice,
        incidents: Mapping[str, Incident] | None = None,
        on_owed: Callable[[], None] = lambda: None,
        owners: Collection[tuple[str, str]] = (),
        watcher: Watcher | None = None,
        listener: Listener | None = None,
        speaker: Speaker | None = None,
        most_a_minute: int = MOST,
    ) -> None:
        """`on_owed` is called whenever messages were written that wait to be sent. `draw` takes one letter of a secret. owners: who
        may oversee it, each as a platform and a chat or user there. watcher: who is told of what goes on, also by those who work
        beside the coach. listener: hears voice notes; speaker: reads questions aloud. most_a_minute: messages of one person that
        are handled."""
        self._store = store
        self._library = library
        self._now = now
        self._new_id = new_id
        self.on_owed = on_owed
        self.sender: Callable[[str], Sender | None] = lambda _platform: None
        """Who sends to a platform; whoever runs a courier says so."""
        self.watcher = watcher or Watcher()
        self.at_work: set[tuple[str, str]] = set()
        """The updates, by platform and key, that this process is at work on."""
        self._last_left = 0.0
        self._listening: set[tuple[str, str]] = set()
        """Those of them that are recordings: they take none of the room for what is typed."""
        self.venues: dict[str, Venue] = {}
        """What each platform knows of its servers; a platform that has servers adds itself."""
        self._floods = Floods(most_a_minute)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        watched = Watched(grader, self.watcher)
        tools = Tools(
            store, library, watched, now, rng or Random(), new_id, draw, self.venues, lambda: self.on_owed(), incidents=incidents or {},
            speaker=speaker, listener=listener,
        )  # fmt: skip
        self._studio = tools.studio
        asking = Asking(tools)
        self._settings = Settings(tools, asking)
        self._replying = Replying(tools, asking)
        self._quizzing = Quizzing(tools, asking)
        self._hosting = Hosting(tools)
        investigating, reporting = Investigating(tools, self._replying), Reporting(tools)
        self._interviewing = Interviewing(tools, self._replying, investigating, reporting)
        self._overseeing = Overseeing(tools, owners)
        self._speaking = Speaking(tools, self._reply)
        self._hearing = Hearing(tools)
        self._desks: tuple[Desk, ...] = (
            self._settings, asking, self._replying, Standing(tools), Resting(tools), Appealing(tools, self._replying),
            Linking(tools), Weekly(tools), Keeping(tools), Snoozing(tools), self._quizzing, self._hosting, investigating, reporting,
            self._interviewing, self._overseeing, self._speaking,
        )  # fmt: skip
        self._handlers: dict[str, Handler] = {name: handler for desk in self._desks for name, handler in desk.handlers.items()}
        self._taking: dict[Occasion, Desk] = {occasion: desk for desk in self._desks for occasion in desk.while_open}
        self._expecting: dict[str, Desk] = {name: desk for desk in self._desks for name in desk.expects}
        self._involving = {name: involves for desk in self._desks for name, involves in desk.involves.items()}
        self._composers: dict[str, Composer] = {kind: composer for desk in self._desks for kind, composer in desk.composes.items()}

    # ------------------------------------------------------------------------------------------ a message

    async def handle(self, message: Message) -> tuple[Reply, ...]:
        """What the coach says to `message`; nothing where the same message was handled before, and where its sender says so much
        that it waits in the inbox for the next minute.

        The replies are owed (written to the outbox) when this returns. Raises StoreError where nothing could be read or
        written: then nothing has happened, and the message may be handled again.
        """
        if await self._left_for_later(message):
            return ()
        with structlog.contextvars.bound_contextvars(turn=f"{message.address.platform}:{message.key}"):
            return await self._handle(message, commands.understand(commands.clean(message.text)))

    async def hear(self, message: Message, fetch: Fetch) -> tuple[Reply, ...]:
        """`handle` for a message that is a recording, which `fetch` gives: it is listened to first, beside whatever else is said.

        That may take minutes. Until it returns the message is not done, and is heard again after a restart."""
        if await self._left_for_later(message):
            return ()
        self._floods.count(message.address, self._now())
        update = (message.address.platform, message.key)
        self._listening.add(update)
        try:
            with structlog.contextvars.bound_contextvars(turn=f"{message.address.platform}:{message.key}"):
                came = await self._hearing.hear(message, fetch)
                replies = await self._handle(message, commands.Plain(""), came)
        finally:
            self._listening.discard(update)
        self._hearing.forget(message)
        return replies

    async def _handle(self, message: Message, meaning: Meaning, came: Came | None = None) -> tuple[Reply, ...]:
        began = perf_counter()
        async with self._alone(lambda: self._concerned(message.address, meaning)):
            if not await self._store.ours(message.address.platform, message.key):
                self.leave(message.address.platform, message.key)
                return ()
            if came is None:  # what was heard was counted before that
                self._floods.count(message.address, self._now())
            for again in range(MOST_STALE):
                try:
                    outcome, owed, recorded, waits = await self._turn(message, meaning, came)
                    break
                except StoreStale:
                    if again == MOST_STALE - 1:
                        raise
        self.leave(message.address.platform, message.key)
        if not recorded:
            return ()
        if waits:
            self.on_owed()
        said = (
            f"/{meaning.name}"
            if isinstance(meaning, commands.Called)
            else "unknown command"
            if isinstance(meaning, commands.Unknown)
            else "text"
            if came is None
            else "voice note"
        )
        log.info("turn done", said=said, replies=len(owed), milliseconds=round((perf_counter() - began) * 1000))
        return outcome.replies

    async def _left_for_later(self, message: Message) -> bool:
        """Whether somebody says too much at once. It waits in the inbox, whatever they say meanwhile behind it, and they are told
        so once. What was not taken into the inbox can't wait there, and is handled."""
        who, now = message.address, self._now()
        closed = self._floods.closed(who, now)
        if closed or self._floods.late(who, now):
            ahead = await self._store.ahead(who.platform, message.key)
            if ahead is not None and (closed or ahead):
                if self._floods.left(who, now):
                    log.info("somebody is slowed", platform=who.platform)
                    word = Owed(f"slower:{who.platform}:{message.key}", who, Lane.REPLY, "reply", phrases.slower())
                    with suppress(StoreError):
                        await self._store.record(f"slower {message.key}", who, Changes(), [word], now)
                        self.on_owed()
                self.leave(who.platform, message.key)
                return True
        return False

    async def _turn(self, message: Message, meaning: Meaning, came: Came | None) -> tuple[Outcome, list[Owed], bool, bool]:
        """Reads, decides and writes; says whether it was written, and whether something that is owed for it waits to be claimed."""
        with timed(self.watcher, "read"):
            memory = await self._store.recall(message.address)
        now = max(self._now(), message.at)
        with timed(self.watcher, "decide"):
            outcome = await self._decide(message, meaning, memory, now, came)
        learner = outcome.learner
        who = learner.id if learner else memory.learner.id if memory.learner else ""
        if any(isinstance(one, Forgotten) for one in outcome.also):
            who = ""  # not even by the goodbye
        owed = [
            Owed(f"reply:{message.address.platform}:{message.key}:{number}", message.address, Lane.REPLY, "reply", reply, who)
            for number, reply in enumerate(outcome.replies)
        ]
        for one in owed if who else ():
            owed = [*owed, *self._speaking.beside(learner or memory.learner, message.address, one.key, one.reply or Reply(()), now)]
        owed += outcome.owed
        changes = Changes(learner, outcome.asked, outcome.attempt, outcome.practised, outcome.also, memory.seen)
        first = owed[0].key if outcome.replies else ""
        sender = self.sender(message.address.platform) if first else None
        if sender is not None and not sender.expects(first):
            sender = None
        begun = False
        try:
            with timed(self.watcher, "write"):
                begin = sender.begin if sender is not None else None
                recorded = await self._store.record(message.key, message.address, changes, owed, now, begin)
        finally:
            begun = sender is not None and sender.begun(first)
        return outcome, owed, recorded, len(owed) > begun

    # ------------------------------------------------------------------------------------------ the inbox

    async def take(
        self,
        platform: str,
        updates: Sequence[tuple[str, str]],
        whose: Mapping[str, str] | None = None,
        read: Mapping[str, tuple[str, str]] | None = None,
    ) -> list[str]:
        """Keeps raw updates, as (key, text) pairs, until the message with that key is handled; returns the keys that are new.

        An adapter calls it before it tells its platform that the updates arrived. whose: the person behind each key; one
        person's updates are handled in order, whichever process does so. read: who is in which private chat, and the last message
        that was read there, for a platform that does not repeat what nobody heard; `chats` gives it back."""
        fresh = await self._store.take(platform, updates, self._now(), whose, self._room, read)
        self.at_work.update((platform, key) for key in fresh)
        return fresh

    async def chats(self, platform: str, most: int) -> dict[str, tuple[str, str]]:
        """How far the private chats of a platform were read, as it was said to `take`; those used last come last."""
        return await self._store.chats(platform, most)

    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        """What was taken and is in nobody's hands, oldest first; whoever asked handles it now."""
        if self._room <= 0:
            return []
        now = self._now()
        silent = self._floods.silent(platform, now)
        picked = await self._store.pick_up(platform, now, self._room, [*silent, *(f"{one} aloud" for one in silent)])
        found = [one for one in picked if (platform, one[0]) not in self.at_work]
        self.at_work.update((platform, key) for key, _ in found)
        return found

    def leave(self, platform: str, key: str) -> None:
        """Nobody here is at work on this update any more. If it is not done, it is picked up again, here or elsewhere."""
        self.at_work.discard((platform, key))
        self._last_left = perf_counter()

    @property
    def _room(self) -> int:
        # A process alone has nobody to leave anything to.
        return max(0, MOST_AT_WORK - len(self.at_work - self._listening)) if self._store.shared else 1 << 30

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

    async def _concerned(self, address: Address, meaning: Meaning | None = None) -> frozenset[str]:
        """Whose turn it is: the learner, or the address of somebody unknown; and another learner whom a command changes too."""
        concerned = {await self._store.whose(address) or f"{address.platform} {address.user}"}
        if isinstance(meaning, commands.Called) and meaning.name in self._involving:
            concerned.add(await self._involving[meaning.name](meaning.argument))
        return frozenset(concerned - {""})

    @asynccontextmanager
    async def _alone(self, concerned: Callable[[], Awaitable[frozenset[str]]]) -> AsyncIterator[None]:
        """One turn at a time for everybody concerned, from whichever of their chats. The locks are taken in one order, so that
        two turns never wait for each other; whoever it was that a turn waited for may have been linked meanwhile."""
        while True:
            wanted = await concerned()
            async with AsyncExitStack() as held:
                for key in sorted(wanted):
                    lock = self._locks.get(key)
                    if lock is None:
                        lock = self._locks[key] = asyncio.Lock()
                    await held.enter_async_context(lock)
                if await concerned() == wanted:
                    yield
                    return

    async def _decide(self, message: Message, meaning: Meaning, memory: Memory, now: datetime, came: Came | None) -> Outcome:
        known = memory.learner
        if (order := self._overseeing.order(message)) is not None:
            return await self._overseeing.obey(order, memory, now)
        # Somebody who tries a command in a group has not asked for a question a day there.
        home = message.address if message.private else replace(message.address, chat="")
        learner = known or Learner(self._new_id(), now, home, minute=DEFAULT_MINUTE if message.private else None)
        if message.private and (known is None or _comes_home(known, message.address, meaning)):
            learner = replace(learner, home=message.address)
        if not learner.reachable:
            learner = days.scheduled(replace(learner, reachable=True), now)
        if _awaited(learner) in (*LONE, *WORDS, HEARD) and isinstance(meaning, commands.Called) and meaning.name != "cancel":
            learner = replace(learner, expecting="")
        turn = Turn(message, learner, memory, "", now, known is None)
        outcome = await self._dispatch(turn, meaning, came)
        if outcome.learner is None and (learner != known):
            outcome = replace(outcome, learner=days.scheduled(learner, now) if known is None else learner)
        if known is not None and outcome.learner is not None:
            outcome = replace(outcome, also=(*outcome.also, *streaks.changed(known, outcome.learner, now)))
        return outcome

    async def _dispatch(self, turn: Turn, meaning: Meaning, came: Came | None) -> Outcome:
        opened = turn.memory.open
        taking = self._taking.get(opened.occasion) if opened is not None else None
        if came is not None:
            return await (self._settings.start(turn) if turn.new and turn.message.private else self._speaking.heard(turn, came))
        if isinstance(meaning, commands.Plain) and not meaning.text:
            return Outcome((phrases.not_text(turn.message.other) if turn.message.other else phrases.no_words(),))
        if isinstance(meaning, commands.Unknown):
            return Outcome((phrases.unknown(meaning.name, meaning.meant),))
        if isinstance(meaning, commands.Called):
            if meaning.name == "start" and not turn.message.private:
                return Outcome((phrases.in_private("start"),))
            meanwhile = taking.while_open[opened.occasion].get(meaning.name) if opened is not None and taking is not None else None
            return await (meanwhile or self._handlers[meaning.name])(replace(turn, argument=meaning.argument))
        awaited = _awaited(turn.learner)
        if awaited in self._expecting:
            outcome = await self._expecting[awaited].typed(turn, meaning.text)
            if outcome is not None:
                return outcome
        if turn.new:
            return await self._settings.start(turn) if turn.message.private else Outcome((phrases.nothing_open(),))
        return await self._reply(turn, meaning.text)

    async def _reply(self, turn: Turn, text: str) -> Outcome:
        """A reply to the open question, at the desk whose question it is."""
        taking = self._taking.get(turn.memory.open.occasion) if turn.memory.open is not None else None
        return await (taking or self._replying).reply(turn, text)

    # ------------------------------------------------------------------------------------------ a minute

    async def deliver_due(self, platforms: Sequence[str], *, batch: int = 100, gives_way: float = GIVES_WAY) -> int:
        """Owes the daily question and the weekly message to every learner on `platforms` whose time has come, opens and closes
        rounds and owes boards. gives_way: seconds for which turns in hand go before each next batch.

        Returns how many learners were due a question."""
        total = 0
        while True:
            count = await self._store.claim_due(platforms, self._now(), batch)
            total += count
            if count:
                self.watcher.due("daily", count)
                self.on_owed()
            if count < batch:
                break
            await self._turns_first(gives_way)
        while count := await self._store.claim_weeks(platforms, self._now(), WEEKS_AT_ONCE):
            self.watcher.due("week", count)
            self.on_owed()
            if count < WEEKS_AT_ONCE:
                break
            await self._turns_first(gives_way)
        await self._hosting.tick(platforms)
        await self._interviewing.tick(platforms)
        self._overseeing.ticked = self._now()
        return total

    async def _turns_first(self, longest: float) -> None:
        """Turns in hand and their replies go before the next batch of a crowded tick, but do not put it off for ever."""
        await asyncio.sleep(0)
        for _ in range(round(longest / STILL)):
            if not self.at_work - self._listening and perf_counter() - self._last_left >= STILL:
                break
            await asyncio.sleep(STILL)

    async def compose(self, owed: Owed) -> Reply | PutOff | None:
        """Words a delivery that is about to be sent, or puts it off until the learner's quiet hours are over; None where it is no
        longer wanted (paused, too late, or its learner gone)."""
        if owed.kind == ALOUD and (off := await self._speaking.prepare(owed, self._now())) is not None:
            return off
        async with self._alone(lambda: self._concerned(owed.address)):
            for again in range(MOST_STALE):
                # Since it was owed its learner may have been linked with another one, or parted.
                memory = await self._store.recall_learner(await self._store.whose(owed.address) or owed.learner)
                now = self._now()
                if (until := _quiet(owed, memory.learner, now)) is not None:
                    return PutOff(until)
                if owed.reply is not None:
                    return owed.reply if await self._store.holds(owed, now) else None
                reply, changes = await self._composers[owed.kind](owed, memory, now)
                if memory.learner is not None and changes.learner is not None:
                    changes = replace(changes, also=(*changes.also, *streaks.changed(memory.learner, changes.learner, now)))
                if reply is not None:
                    whose = changes.learner or memory.learner
                    beside = self._speaking.beside(whose, owed.address, owed.key, reply, now)
                    changes = replace(changes, also=(*changes.also, *beside))
                try:
                    kept = await self._store.composed(owed, reply, replace(changes, seen=memory.seen), now)
                    return reply if kept else None
                except StoreStale:
                    if again == MOST_STALE - 1:
                        raise
        return None

    async def undelivered(self, owed: Owed, *, allowed: bool = True) -> None:
        """A delivery was given up; allowed: False where the coach may not post there."""
        if owed.kind == "daily" and (learner := (await self._store.recall_learner(owed.learner)).learner) is not None:
            with suppress(StoreRefused):  # forgotten meanwhile
                await self._store.excuse(Mark(learner.id, self._now(), learner.zone, MarkKind.EXCUSED, owed.about))
        await self._hosting.undelivered(owed, allowed=allowed)

    async def close(self) -> None:
        """Ends what goes on beside the conversation; the next start goes on with it."""
        await self._hosting.close()
        self._studio.close()

    # ------------------------------------------------------------------------------------------ while somebody types

    async def before_typing(self, text: str, at: datetime) -> Reply | None:
        """What is said instead of letting somebody type after a button that says `text`; None where they may. at: when, UTC."""
        meaning = commands.understand(text)
        if isinstance(meaning, commands.Called) and meaning.name == "quiz":
            return await self._quizzing.before_typing(meaning.argument, at)
        return None

    def suggest(self, kind: str, typed: str, most: int = 25) -> list[Choice]:
        """What the beginning of a "topic" (or of a "section" alone) or a "zone" may become, likeliest first.

        Its text is what a command then takes."""
        from rapidfuzz import fuzz, process

        if kind == "zone":
            found = [(zone.replace("_", " "), zone) for zone in zones.beginning(typed, self._now())]
        elif kind in ("topic", "section"):
            sections = [(self._library.syllabus.sections[id], id) for id in self._library.sections()]
            wanted = kind == "topic" and bool(typed.strip())
            questions = [(one.title, id) for id, one in self._library.questions.items()] if wanted else []
            word = re.compile(rf"(?<!\w){re.escape(' '.join(typed.lower().split()))}")
            wishes = [("Something weak", "weak"), ("Something new", "new")] if wanted else []
            found = [(title, id) for title, id in (*wishes, *sections, *questions) if word.search(title.lower()) or word.search(id)]
            if wanted and not found:
                near = process.extract(typed.lower(), [title.lower() for title, _ in questions], scorer=fuzz.partial_ratio, score_cutoff=70)
                found = [questions[index] for _, _, index in near]
        else:
            found = []
        return [Choice(label, text) for label, text in found[:most]]
