"""The use cases, in the order things happen: a message comes in, replies go out; a minute passes, questions go out.

Every turn reads once, decides, writes once and speaks. What is said is written in the same transaction as what was learned,
so that a crash loses neither.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Protocol
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from bot import commands, days, interviews, phrases, reviews, zones
from bot.content import Library, Question, Rubric
from bot.content import words as words_of
from bot.messages import Address, Choice, Message, Reply
from bot.model import Asked, Attempt, Changes, Fate, Learner, Memory, Occasion, Practised
from bot.outbox import Lane, Owed
from bot.ports import Grader, Store

DEFAULT_MINUTE = 9 * 60
AGAIN = timedelta(seconds=3)
"""Within this time a second /next is the same tap once more."""

SETUP = ("zone", "time", "tracks", "level")
"""The steps of the set-up, in their order."""

LONE = ("place", "hour")
"""A zone or a time that is being changed by itself."""

GLANCE = timedelta(seconds=2)
"""Nobody reads a grade or a follow-up, and replies to it, faster than this."""

log = structlog.get_logger("coach")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message with everything that is needed to decide about it."""

    message: Message
    learner: Learner
    memory: Memory
    argument: str
    now: datetime
    new: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn decided: what to say and what to write."""

    replies: tuple[Reply, ...]
    learner: Learner | None = None
    asked: tuple[Asked, ...] = ()
    attempt: Attempt | None = None
    practised: Practised | None = None


class _Handler(Protocol):
    def __call__(self, turn: Turn) -> Awaitable[Outcome]: ...


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
        self._grader = grader
        self._now = now
        self._rng = rng or Random()
        self._new_id = new_id
        self.on_owed = on_owed
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._handlers: dict[str, _Handler] = {
            "start": self._start, "next": self._next, "hint": self._hint, "skip": self._skip, "answer": self._answer,
            "daily": self._daily, "pause": self._pause, "resume": self._resume, "topics": self._topics,
            "progress": self._progress, "streak": self._streak, "settings": self._settings, "help": self._help,
            "cancel": self._cancel, "deeper": self._deeper, "zone": self._zone, "track": self._track, "level": self._level,
            "redo": self._next,
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ a message

    async def handle(self, message: Message) -> tuple[Reply, ...]:
        """What the coach says to `message`; nothing where the same message was handled before.

        The replies are owed (written to the outbox) when this returns. Raises StoreError where nothing could be read or
        written: then nothing has happened, and the message may be handled again.
        """
        async with self._one_at_a_time(message.address):
            if await self._store.done(message.address.platform, message.key):
                return ()
            memory = await self._store.recall(message.address)
            now = max(self._now(), message.at)
            outcome = await self._decide(message, memory, now)
            learner = outcome.learner
            who = learner.id if learner else memory.learner.id if memory.learner else ""
            owed = [
                Owed(f"reply:{message.address.platform}:{message.key}:{number}", message.address, Lane.REPLY, "reply", reply, who)
                for number, reply in enumerate(outcome.replies)
            ]
            changes = Changes(learner, outcome.asked, outcome.attempt, outcome.practised)
            recorded = await self._store.record(message.key, message.address, changes, owed, now)
        if not recorded:
            return ()
        if owed:
            self.on_owed()
        return outcome.replies

    # ------------------------------------------------------------------------------------------ the inbox

    async def take(self, platform: str, updates: Sequence[tuple[str, str]]) -> list[str]:
        """Keeps raw updates, as (key, text) pairs, until the message with that key is handled; returns the keys that are new.

        An adapter calls it before it tells its platform that the updates arrived."""
        return await self._store.take(platform, updates, self._now())

    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        """What an earlier run took and did not finish, oldest first."""
        return await self._store.waiting(platform)

    async def drop(self, platform: str, key: str) -> None:
        """An update that needs no answer is done."""
        await self._store.drop(platform, key)

    async def apologise(self, address: Address, key: str) -> None:
        """Marks a message done that could not be handled, and tells its sender so."""
        owed = [Owed(f"sorry:{address.platform}:{key}", address, Lane.REPLY, "reply", phrases.failed())] if address.chat else []
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
            learner = self._scheduled(replace(learner, reachable=True), now)
        meaning = commands.understand(commands.clean(message.text))
        if learner.expecting in LONE and isinstance(meaning, commands.Called) and meaning.name != "cancel":
            learner = replace(learner, expecting="")
        turn = Turn(message, learner, memory, "", now, known is None)
        outcome = await self._dispatch(turn, meaning)
        if outcome.learner is None and (learner != known):
            outcome = replace(outcome, learner=self._scheduled(learner, now) if known is None else learner)
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
        if turn.learner.expecting and not self._looks_like_a_reply(turn, meaning.text):
            return await self._typed_setting(turn, meaning.text)
        if turn.new:
            return await self._start(turn) if turn.message.private else Outcome((phrases.nothing_open(),))
        return await self._reply(turn, meaning.text)

    # ------------------------------------------------------------------------------------------ set-up

    async def _start(self, turn: Turn) -> Outcome:
        learner = self._scheduled(replace(turn.learner, expecting="zone"), turn.now)
        return Outcome((phrases.welcome(zones.likely(turn.message.language)),), learner)

    def _looks_like_a_reply(self, turn: Turn, text: str) -> bool:
        """While a question is open, a sentence that is no place and no time is not what a lone setting waits for."""
        if turn.learner.expecting not in LONE or turn.memory.open is None or len(text.split()) <= 3:
            return False
        return not zones.find(text, turn.now) if turn.learner.expecting == "place" else _time_and_place(text)[0] is None

    async def _typed_setting(self, turn: Turn, text: str) -> Outcome:
        handler = {
            "zone": self._zone, "place": self._zone, "time": self._daily, "hour": self._daily, "tracks": self._track, "level": self._level,
        }[turn.learner.expecting]  # fmt: skip
        return await handler(replace(turn, argument=" ".join(text.split())))

    async def _zone(self, turn: Turn) -> Outcome:
        setting_up = turn.learner.expecting in SETUP
        asking = replace(turn.learner, expecting="zone" if setting_up else "place")
        if not turn.argument:
            return Outcome((phrases.pick_zone(zones.likely(turn.message.language), ""),), asking)
        found = zones.find(turn.argument, turn.now)
        if len(found) != 1:
            return Outcome((phrases.pick_zone(found, turn.argument),), asking)
        learner = self._scheduled(replace(turn.learner, zone=found[0], expecting="time" if setting_up else ""), turn.now)
        if setting_up:
            return Outcome((phrases.ask_time(learner, turn.now),), learner)
        return Outcome((phrases.zone_set(learner, turn.now),), learner)

    async def _daily(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((phrases.in_private("daily"),))
        setting_up = turn.learner.expecting in SETUP
        if not turn.argument:
            return Outcome((phrases.ask_time(turn.learner, turn.now),), replace(turn.learner, expecting="time" if setting_up else "hour"))
        learner, place = replace(turn.learner, expecting="tracks" if setting_up else ""), ""
        if turn.argument.lower().strip(".! ") in ("off", "no", "never", "stop", "none", "no daily question", "no thanks"):
            learner = replace(learner, minute=None)
        else:
            minute, place = _time_and_place(turn.argument)
            if minute is None:
                return Outcome((phrases.daily_unclear(),))
            learner = replace(learner, minute=minute)
            if place:
                found = zones.find(place, turn.now)
                if len(found) != 1:
                    learner = self._scheduled(replace(learner, expecting="zone" if setting_up else "place"), turn.now)
                    return Outcome((phrases.daily_set(learner, turn.now), phrases.pick_zone(found, place)), learner)
                learner = replace(learner, zone=found[0])
        learner = self._scheduled(learner, turn.now)
        if turn.learner.expecting == "zone" and not place:
            learner = replace(learner, expecting="zone")
            return Outcome((phrases.daily_set(learner, turn.now), phrases.pick_zone(zones.likely(turn.message.language), "")), learner)
        if setting_up:
            return Outcome((phrases.ask_tracks(self._library),), learner)
        return Outcome((phrases.daily_set(learner, turn.now),), learner)

    async def _track(self, turn: Turn) -> Outcome:
        text, _, number = turn.argument.rpartition(" ")
        level = _level(number) if text else None
        chosen = self._tracks(text if level else turn.argument)
        if chosen is None:
            return Outcome((phrases.ask_tracks(self._library),))
        setting_up = turn.learner.expecting in ("tracks", "level")
        learner = replace(turn.learner, tracks=chosen, level=level or turn.learner.level)
        if setting_up and level:
            return self._ask_next(replace(turn, learner=replace(learner, expecting="")))
        if level and self._just_asked(turn):
            return Outcome((phrases.already_asked(),))
        if setting_up:
            return Outcome((phrases.ask_level(),), replace(learner, expecting="level"))
        return Outcome((phrases.tracks_set(learner, self._library),), learner)

    async def _level(self, turn: Turn) -> Outcome:
        level = _level(turn.argument)
        if level is None:
            return Outcome((phrases.ask_level() if not turn.argument else phrases.level_unclear(),))
        learner = replace(turn.learner, level=level)
        if turn.learner.expecting == "level":
            return self._ask_next(replace(turn, learner=replace(learner, expecting="")))
        return Outcome((phrases.level_set(learner),), learner)

    def _tracks(self, text: str) -> frozenset[str] | None:
        """The tracks that are named by id or title; none of them stands for all; None where nothing is understood."""
        from rapidfuzz import fuzz, process, utils

        known = self._library.syllabus.tracks
        words = text.lower().split()
        if {"all", "everything", "any"} & set(words):
            return frozenset()
        if words and set(words) <= known.keys():
            return frozenset(words)
        titles = {id: f"{id} {title.removesuffix(' interview')}" for id, title in known.items()}
        chosen = set()
        for part in re.split(r",|;|\band\b", text.lower()):
            found = process.extractOne(part, titles, scorer=fuzz.token_set_ratio, processor=utils.default_process, score_cutoff=80)
            chosen |= {found[2]} if found else set()
        return frozenset(chosen) or None

    async def _settings(self, turn: Turn) -> Outcome:
        return Outcome((phrases.settings(turn.learner, self._library, turn.now),))

    # ------------------------------------------------------------------------------------------ asking

    async def _next(self, turn: Turn) -> Outcome:
        topic = self._named(turn.argument) if turn.argument else ""
        if topic is None:
            return Outcome((phrases.no_such_topic(turn.argument, self._library),))
        if self._just_asked(turn, topic):
            return Outcome((phrases.already_asked(),))
        turn = replace(turn, learner=replace(turn.learner, expecting=""))
        if isinstance(topic, Question):
            return self._ask(turn, topic)
        return self._ask_next(turn, topic)

    def _just_asked(self, turn: Turn, topic: Question | str = "") -> bool:
        """Whether the same was asked for a moment ago: a button that was tapped twice."""
        opened = turn.memory.open
        if opened is None or turn.now - opened.at >= AGAIN:
            return False
        question = self._library.questions.get(opened.question)
        return topic in ("", question) or (question is not None and question.section == topic)

    def _named(self, name: str) -> Question | str | None:
        """A question by its id or title, or a section; the nearest where the spelling is off; else what speaks of it most."""
        from rapidfuzz import fuzz, process, utils

        wanted = name.strip().lower().replace(" ", "-")
        if wanted in self._library.questions:
            return self._library.questions[wanted]
        sections = {id: f"{id} {self._library.syllabus.sections[id]}" for id in self._library.sections()}
        if wanted in sections:
            return wanted
        titles = {one.id: one.title for one in self._library.questions.values()}
        best: tuple[float, Question | str] | None = None
        for names, scorer in ((sections, fuzz.token_set_ratio), (titles, fuzz.WRatio)):
            for _, score, id in process.extract(name, names, scorer=scorer, processor=utils.default_process, limit=1, score_cutoff=80):
                if best is None or score > best[0]:
                    best = (score, id if names is sections else self._library.questions[id])
        return best[1] if best else self._speaking_of(name)

    def _speaking_of(self, name: str) -> Question | None:
        """The question whose prompt and answer have all the words of `name`, and have them most often."""
        wanted = set(words_of(name))
        best: tuple[int, Question] | None = None
        for one in self._library.questions.values():
            counted = Counter(words_of(f"{one.prompt} {one.answer}"))
            least = min((counted[word] for word in wanted), default=0)
            if least and (best is None or least > best[0]):
                best = (least, one)
        return best[1] if best else None

    def _ask_next(self, turn: Turn, section: str = "") -> Outcome:
        question = reviews.choose(self._library, turn.learner, turn.memory, turn.now, self._rng, section)
        if question is None:
            return Outcome((phrases.topics(self._library, turn.learner),), turn.learner)
        return self._ask(turn, question)

    def _ask(self, turn: Turn, question: Question, occasion: Occasion = Occasion.CHOSEN) -> Outcome:
        asked = Asked(
            self._new_id(), turn.learner.id, question.id, occasion, turn.now, reviews.wording(turn.memory, question)
        )  # fmt: skip
        learner = turn.learner if turn.learner != turn.memory.learner else None
        if turn.new and learner is not None:
            learner = self._scheduled(learner, turn.now)
        return Outcome((phrases.question(asked, question, self._library),), learner, (*_closing(turn.memory, Fate.REPLACED), asked))

    async def _hint(self, turn: Turn) -> Outcome:
        opened = self._meant(turn)
        if opened is None:
            return Outcome((phrases.closed() if turn.argument else phrases.nothing_open(),))
        question = self._library.questions.get(opened.question)
        if opened.followup or question is None:
            return Outcome((phrases.no_hint_for_follow_up(),))
        if opened.hints >= len(question.hints):
            return Outcome((phrases.no_more_hints(opened),))
        given = replace(opened, hints=opened.hints + 1)
        return Outcome((phrases.hint(given.hints, question.hints[given.hints - 1], given),), asked=(given,))

    async def _skip(self, turn: Turn) -> Outcome:
        opened = self._meant(turn)
        if opened is None:
            return Outcome((phrases.closed() if turn.argument else phrases.nothing_open(),))
        return Outcome((phrases.skipped(),), asked=(replace(opened, fate=Fate.SKIPPED),))

    async def _answer(self, turn: Turn) -> Outcome:
        asked = self._meant(turn)
        if asked is None and turn.argument:
            asked = await self._store.asked(turn.learner.id, turn.argument)
        if asked is None and not turn.argument:
            last = await self._store.last_attempt(turn.learner.id)
            asked = await self._store.asked(turn.learner.id, last.asked) if last else None
        rubric = self._rubric(asked) if asked else None
        if asked is None or rubric is None:
            return Outcome((phrases.nothing_open(),))
        closing = (replace(asked, fate=Fate.SHOWN),) if asked.fate is Fate.OPEN else ()
        return Outcome((phrases.model_answer(rubric),), asked=closing)

    def _meant(self, turn: Turn) -> Asked | None:
        """The open question, if it is the one that a button was about."""
        opened = turn.memory.open
        return opened if opened is not None and turn.argument in ("", opened.id) else None

    def _rubric(self, asked: Asked) -> Rubric | None:
        question = self._library.questions.get(asked.question)
        return question.followup(asked.followup) if question is not None and asked.followup else question

    # ------------------------------------------------------------------------------------------ grading

    async def _reply(self, turn: Turn, text: str) -> Outcome:
        opened = turn.memory.open
        rubric = self._rubric(opened) if opened else None
        if opened is None or rubric is None:
            last = turn.memory.past[-1] if turn.memory.past else None
            if last is not None and turn.message.at < last.at + GLANCE:
                return Outcome((phrases.two_messages("" if last.followup else last.question),))
            return Outcome((phrases.nothing_open(),))
        question = self._library.questions[opened.question]
        if opened.followup and opened.occasion is Occasion.DAILY and turn.message.at < opened.at + GLANCE:
            return Outcome((phrases.too_soon(),))
        if not re.search(r"\w", text):
            return Outcome((phrases.no_words(),))
        if _gives_up(text):
            return Outcome((phrases.give_up(opened),))
        grade = await self._grader.grade(rubric, text)
        attempt = Attempt(
            self._new_id(), turn.learner.id, opened.id, question.id, opened.followup, text, turn.message.at, opened.hints, grade
        )
        deeper = None if opened.followup else interviews.follow_up(question, grade)
        unasked = opened.occasion is Occasion.DAILY and not opened.followup and interviews.core_missing(question, grade)
        title = "follow-up" if opened.followup else question.title
        replies = [phrases.graded(attempt, rubric, title, deeper=deeper is not None and not unasked)]
        asked = [replace(opened, fate=Fate.ANSWERED)]
        if deeper is not None and unasked:
            following = Asked(
                self._new_id(), turn.learner.id, question.id, Occasion.DAILY, self._now(), followup=deeper.id, attempt=attempt.id
            )
            asked.append(following)
            replies.append(phrases.follow_up(following, deeper))
        return Outcome(tuple(replies), None, tuple(asked), attempt, Practised(turn.message.at, turn.learner.zone))

    async def _deeper(self, turn: Turn) -> Outcome:
        attempt = await (
            self._store.attempt(turn.learner.id, turn.argument) if turn.argument else self._store.last_attempt(turn.learner.id)
        )
        question = self._library.questions.get(attempt.question) if attempt else None
        if attempt is None or question is None or attempt.followup:
            return Outcome((phrases.no_follow_up(),))
        opened = turn.memory.open
        if opened is not None and opened.attempt == attempt.id:
            return Outcome((phrases.follow_up_open(),))
        following = interviews.follow_up(question, attempt.grade, await self._store.follow_ups_asked(attempt.id))
        if following is None:
            return Outcome((phrases.no_follow_up(),))
        asked = Asked(self._new_id(), turn.learner.id, question.id, Occasion.FOLLOWUP, turn.now, followup=following.id, attempt=attempt.id)
        return Outcome((phrases.follow_up(asked, following),), None, (*_closing(turn.memory, Fate.REPLACED), asked))

    # ------------------------------------------------------------------------------------------ where one stands

    async def _progress(self, turn: Turn) -> Outcome:
        scored = [one for one in reviews.latest(turn.memory.past).values() if one.score is not None]
        by_section: dict[str, list[int]] = {}
        for one in scored:
            question = self._library.questions.get(one.question)
            if question is not None and one.score is not None:
                by_section.setdefault(question.section, []).append(one.score)
        titles = self._library.syllabus.sections
        rows = [(titles[id], sum(found) / len(found), len(found)) for id in titles if (found := by_section.get(id))]
        weakest = sorted(scored, key=lambda one: (one.score or 0, one.question))[:3]
        names = [
            self._library.questions[one.question].title
            for one in weakest
            if (one.score or 0) < 80 and one.question in self._library.questions
        ]
        today = days.local_day(turn.now, turn.learner.zone)
        practised = days.days_practised(turn.memory.practised)
        return Outcome((phrases.progress(len(turn.memory.past), rows, days.streak(practised, today), names),))

    async def _streak(self, turn: Turn) -> Outcome:
        today = days.local_day(turn.now, turn.learner.zone)
        practised = days.days_practised(turn.memory.practised)
        return Outcome((phrases.streak(days.streak(practised, today), days.longest_streak(practised), today in practised),))

    async def _topics(self, turn: Turn) -> Outcome:
        return Outcome((phrases.topics(self._library, turn.learner),))

    async def _help(self, turn: Turn) -> Outcome:
        return Outcome((phrases.help(),))

    # ------------------------------------------------------------------------------------------ resting

    async def _pause(self, turn: Turn) -> Outcome:
        today = days.local_day(turn.now, turn.learner.zone)
        until = date.max
        if turn.argument:
            match = re.fullmatch(r"(\d{1,3})\s*(?:d|days?)?", turn.argument.lower())
            if match is None or not 1 <= int(match.group(1)) <= 365:
                return Outcome((phrases.pause_unclear(),))
            until = today + timedelta(days=int(match.group(1)))
        learner = self._scheduled(replace(turn.learner, paused_until=until), turn.now)
        return Outcome((phrases.paused(until, today),), learner)

    async def _resume(self, turn: Turn) -> Outcome:
        learner = self._scheduled(replace(turn.learner, paused_until=None), turn.now)
        return Outcome((phrases.resumed(learner, turn.now),), learner)

    async def _cancel(self, turn: Turn) -> Outcome:
        if turn.learner.expecting:
            what = "setup" if turn.learner.expecting in SETUP else "setting"
            return Outcome((phrases.cancelled(what),), self._scheduled(replace(turn.learner, expecting=""), turn.now))
        opened = turn.memory.open
        if opened is None:
            return Outcome((phrases.nothing_to_cancel(),))
        return Outcome((phrases.cancelled("followup" if opened.followup else "question"),), asked=_closing(turn.memory, Fate.CANCELLED))

    def _scheduled(self, learner: Learner, now: datetime) -> Learner:
        """The learner with the next due time that follows from their settings."""
        if learner.minute is None or not learner.reachable or learner.paused_until == date.max:
            return replace(learner, next_due_at=None)
        last_day_off = learner.paused_until - timedelta(days=1) if learner.paused_until else None
        return replace(learner, next_due_at=days.next_due(learner.minute, learner.zone, now, after_day=last_day_off))

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
            memory = await self._store.recall_learner(owed.learner)
            now = self._now()
            learner = memory.learner
            reply, changes = None, Changes()
            if learner is not None and self._wanted(owed, learner, now):
                question = reviews.choose(self._library, learner, memory, now, self._rng)
                if question is not None:
                    turn = Turn(Message(owed.key, owed.address, "", now), learner, memory, "", now, False)
                    outcome = self._ask(turn, question, Occasion.DAILY)
                    learner = replace(learner, paused_until=None, expecting="")
                    reply, changes = outcome.replies[0], Changes(learner, outcome.asked)
            await self._store.composed(owed, reply, changes, now)
        return reply

    def _wanted(self, owed: Owed, learner: Learner, now: datetime) -> bool:
        today = days.local_day(now, learner.zone)
        if learner.minute is None or not learner.reachable:
            return False
        if learner.paused_until is not None and today < learner.paused_until:
            return False
        return owed.about == today.isoformat()

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


def _closing(memory: Memory, fate: Fate) -> tuple[Asked, ...]:
    return (replace(memory.open, fate=fate),) if memory.open is not None else ()


def _level(text: str) -> int | None:
    text = text.strip().lower()
    if text in {"1", "2", "3", "4", "5"}:
        return int(text)
    return next((number for number, name in phrases.LEVELS.items() if name.lower() == text), None)


def _time_and_place(text: str) -> tuple[int | None, str]:
    """ "7:30 pm Berlin" as (1170, "Berlin"); the minute is None where no time begins the text."""
    words = text.replace("@", " ").split()
    if words and words[0].lower() == "at":
        words = words[1:]
    for count in (2, 1):
        minute = days.minute_of(" ".join(words[:count])) if len(words) >= count else None
        if minute is not None:
            place = " ".join(words[count:])
            return minute, place.removeprefix("in ").strip()
    return None, ""


_GIVING_UP = re.compile(
    r"(?:i\s+)?(?:really\s+)?(?:do\s*n[o']?t|dont|don\u2019t|do not|have no)\s+(?:know|idea|clue)(?:\s+(?:this|that|it|sorry))?"
    r"|idk|no\s+(?:idea|clue)|pass|\?+|dunno|not sure",
    re.IGNORECASE,
)


def _gives_up(text: str) -> bool:
    return _GIVING_UP.fullmatch(text.strip(" .!,")) is not None
