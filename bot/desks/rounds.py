"""The quiz of a server: beginning and ending a round, replying in it, one's own feedback, the board, and the set-up."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bot import commands, days, rounds, weeks, zones
from bot.content import Question
from bot.desks import Composer, Desk, Handler, Outcome, Tools, Turn
from bot.desks.asking import Asking
from bot.messages import Place, Reply, Right
from bot.model import Attempt, Changes, Memory
from bot.outbox import Lane, Owed
from bot.phrases import rounds as phrases
from bot.ports import Venue
from bot.rounds import Entry, Hidden, Round, Setup, Stage, Total

NAME = 32
"""Characters of a member's name that are kept."""

KNOWN = 1000
"""Rounds whose close is known without asking the database."""

LOOKED_UP = 30
"""Members of a board whom the platform is asked about: those who left are not shown."""


class Quizzing(Desk):
    """What members say about rounds. Rounds that open, close and are revealed by themselves are at another desk (hosting)."""

    def __init__(self, tools: Tools, asking: Asking) -> None:
        super().__init__(tools)
        self._asking = asking
        self._closes: OrderedDict[str, datetime] = OrderedDict()
        """When rounds close that somebody wanted to answer lately: fifty people press at once, and each waits for a form."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"quiz": self._quiz}

    async def before_typing(self, argument: str, at: datetime) -> Reply | None:
        """What is said instead of opening a form for a reply; None where a reply would be in time."""
        what, _, id = argument.partition(" ")
        if at < self._closes.get(id, at):
            return None
        one = await self.store.round(id) if what == "reply" else None
        if one is None:
            return phrases.unknown_round()
        if not one.takes(at):
            return _over(one)
        self._closes[id] = one.closes_at
        while len(self._closes) > KNOWN:
            self._closes.popitem(last=False)
        return None

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"board": self._compose_board}

    async def _quiz(self, turn: Turn) -> Outcome:
        what, _, rest = turn.argument.partition(" ")
        turn = replace(turn, argument=rest.strip())
        if what == "feedback":
            return Outcome((await self._feedback(turn),))
        if turn.message.place is None:
            return Outcome((phrases.not_here(),))
        if what == "reply":
            return await self._reply(turn)
        known = {
            "start": self._start, "close": self._close, "status": self._status, "board": self._board, "hide": self._hide,
            "setup": self._setup,
        }  # fmt: skip
        if what not in known:
            return Outcome((phrases.how(),))
        return await known[what](turn, turn.message.place)

    # ------------------------------------------------------------------------------------------ a round

    async def _start(self, turn: Turn, place: Place) -> Outcome:
        platform = turn.message.address.platform
        setup = await self.store.setup(platform, place.server)
        minutes = _number(turn.message.given.get("minutes", ""), setup.minutes if setup else rounds.USUAL)
        level = _number(turn.message.given.get("level", ""), 0)
        if minutes is None or not rounds.SHORTEST <= minutes <= rounds.LONGEST:
            return Outcome((phrases.minutes_unclear(),))
        if level is None or not 0 <= level <= 5:
            return Outcome((phrases.unclear("level"),))
        lacking = await missing(self.venues, platform, place.server, place.channel)
        if lacking:
            return Outcome((phrases.cannot_post(place.channel, lacking),))
        for one in await self.store.rounds_open(platform, place.server):
            if one.channel == place.channel and one.takes(turn.now):
                return Outcome((phrases.open_already(one),))
        topic = turn.message.given.get("topic", turn.argument)
        question = await self._question(platform, place.server, topic, level, setup)
        if question is None:
            return Outcome((phrases.no_question(topic),))
        wording = self.rng.randrange(1 + len(question.wordings))
        one = rounds.opened(self.new_id(), place, platform, question, wording, turn.now, minutes, turn.message.address)
        posted = phrases.opened(one, question, self.library, daily=False)
        owed = Owed(f"round:{one.id}", one.address, Lane.REPLY, "round", posted, about=one.id)
        return Outcome((phrases.started(one),), also=(one,), owed=(owed,))

    async def _question(self, platform: str, server: str, topic: str, level: int, setup: Setup | None) -> Question | None:
        found = self._asking.named(topic) if topic else ""
        if found is None or isinstance(found, Question):
            return found
        sections = frozenset([found]) if found else setup.topics if setup else frozenset()
        asked = await self.store.asked_there(platform, server)
        return rounds.choose(self.library, sections, level or (setup.level if setup else None), asked, self.rng)

    async def _close(self, turn: Turn, place: Place) -> Outcome:
        here = await self._open_here(turn, place)
        if not here:
            return Outcome((phrases.none_to_close(),))
        mine = [one for one in here if place.rights or one.starter.user == turn.message.address.user]
        if not mine:
            return Outcome((phrases.not_yours_to_close(),))
        for one in mine:
            self._closes.pop(one.id, None)
        count = sum([await self.store.replied(one.id) for one in mine])
        return Outcome((phrases.closing(count),), also=tuple(replace(one, closes_at=turn.now, due_at=turn.now) for one in mine))

    async def _open_here(self, turn: Turn, place: Place) -> list[Round]:
        everywhere = await self.store.rounds_open(turn.message.address.platform, place.server)
        return [one for one in everywhere if one.channel == place.channel and one.takes(turn.now)]

    async def _status(self, turn: Turn, place: Place) -> Outcome:
        open_now = await self.store.rounds_open(turn.message.address.platform, place.server)
        known = [
            (one, await self.store.replied(one.id), await self.store.entry(one.id, turn.message.address.user) is not None)
            for one in sorted(open_now, key=lambda one: (one.channel != place.channel, one.closes_at))
            if one.takes(turn.now)
        ]
        return Outcome((phrases.status(known),))

    async def _reply(self, turn: Turn) -> Outcome:
        one = await self.store.round(turn.argument)
        if one is None:
            return Outcome((phrases.unknown_round(),))
        if not one.takes(turn.message.at):
            return Outcome((_over(one),))
        text = commands.clean(turn.message.given.get("reply", ""))
        if not re.search(r"\w", text):
            return Outcome((phrases.no_words(),))
        member = turn.message.address.user
        before = await self.store.entry(one.id, member)
        name = " ".join(commands.clean(turn.message.name).split())[:NAME]
        entry = Entry(one.id, member, name, text, turn.message.at)
        return Outcome((phrases.kept(one, again=before is not None),), also=(entry,))

    async def _feedback(self, turn: Turn) -> Reply:
        one = await self.store.round(turn.argument)
        if one is None:
            return phrases.unknown_round()
        member = turn.message.address.user
        entry = await self.store.entry(one.id, member)
        if entry is None:
            return phrases.no_feedback()
        if one.stage is not Stage.REVEALED or entry.grade is None:
            return phrases.called_off() if one.stage is Stage.CALLED_OFF else phrases.not_yet()
        question = self.library.questions.get(one.question)
        if question is None:
            return phrases.feedback_without(entry.score)
        standing = rounds.standing(await self.store.entries(one.id))
        rank = next(rank for rank, other in standing if other.member == member)
        attempt = Attempt("", turn.learner.id, "", question.id, "", entry.text, entry.at, 0, entry.grade)
        return phrases.feedback(attempt, question, rank, len(standing))

    # ------------------------------------------------------------------------------------------ the board

    async def _board(self, turn: Turn, place: Place) -> Outcome:
        platform, member = turn.message.address.platform, turn.message.address.user
        period = turn.message.given.get("period", turn.argument) or "week"
        setup = await self.store.setup(platform, place.server)
        since = rounds.since(period, turn.now, setup.zone if setup else "UTC")
        totals = await self.store.totals(platform, place.server, since)
        ranked = rounds.board(await self._still_there(platform, place.server, totals))
        mine = next(((rank, total) for rank, total in ranked[phrases.SHOWN :] if total.member == member), None)
        return Outcome((phrases.board(period, ranked[: phrases.SHOWN], mine),))

    async def _compose_board(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        """The board of the week that ends with it: names and points, and nobody's words."""
        until = datetime.fromisoformat(owed.about)
        platform, server = owed.address.platform, owed.address.user
        setup = await self.store.setup(platform, server)
        totals = await self.store.totals(platform, server, until - weeks.WEEK)
        if setup is None or setup.board_day is None or now - until > weeks.LATE or not totals:
            return None, Changes()
        ranked = rounds.board(await self._still_there(platform, server, totals))
        return phrases.weekly_board(ranked[: phrases.SHOWN], len(ranked)), Changes()

    async def _still_there(self, platform: str, server: str, totals: list[Total]) -> list[Total]:
        """Without those who left, as far down as a board is looked at."""
        venue = self.venues.get(platform)
        first = [total.member for _, total in rounds.board(totals)[:LOOKED_UP]]
        if venue is None or not first:
            return totals
        gone = set(first) - await venue.present(server, first)
        return [total for total in totals if total.member not in gone]

    async def _hide(self, turn: Turn, place: Place) -> Outcome:
        platform, member = turn.message.address.platform, turn.message.address.user
        one = Hidden(platform, member, hidden=not await self.store.hidden(platform, [member]))
        return Outcome((phrases.hidden(one),), also=(one,))

    # ------------------------------------------------------------------------------------------ the set-up

    async def _setup(self, turn: Turn, place: Place) -> Outcome:
        if Right.MANAGE not in place.rights:
            return Outcome((phrases.managers_only(),))
        platform, given = turn.message.address.platform, turn.message.given
        known = await self.store.setup(platform, place.server)
        setup = known or Setup(platform, place.server, place.channel, turn.message.address)
        if given:
            found = self._changed(replace(setup, admin=turn.message.address, shut=False), given, turn.now)
            if isinstance(found, Reply):
                return Outcome((found,))
            setup = rounds.scheduled(found, turn.now)
        lacking = await missing(self.venues, platform, setup.server, setup.channel, setup.calls)
        return Outcome((phrases.setup(setup, self.library, lacking or ()),), also=(setup,) if given else ())

    def _changed(self, setup: Setup, given: Mapping[str, str], now: datetime) -> Setup | Reply:
        """The set-up with what was filled in; or what is said where something of it can't be understood."""
        setup = replace(setup, channel=given.get("channel", setup.channel), calls=given.get("role", setup.calls))
        if "days" in given:
            found = rounds.weekdays(given["days"])
            if found is None:
                return phrases.unclear("days")
            setup = replace(setup, days=found)
        if "time" in given:
            minute = days.minute_of(given["time"])
            if minute is None and given["time"].strip().lower() not in ("off", "never", "none", "no"):
                return phrases.unclear("time")
            setup = replace(setup, minute=minute)
        if "weekly" in given:
            name, _, time = given["weekly"].strip().lower().partition(" ")
            chosen, minute = rounds.weekdays(name), days.minute_of(time) if time else setup.board_minute
            if name in ("off", "never", "none", "no"):
                setup = replace(setup, board_day=None)
            elif chosen is None or len(chosen) != 1 or minute is None:
                return phrases.unclear("weekly")
            else:
                setup = replace(setup, board_day=min(chosen), board_minute=minute)
        if "zone" in given:
            places = zones.find(given["zone"], now)
            if len(places) != 1:
                return phrases.unclear("zone")
            setup = replace(setup, zone=places[0])
        if "topics" in given:
            topics = self._topics(given["topics"])
            if topics is None:
                return phrases.unclear("topics")
            setup = replace(setup, topics=topics)
        if "level" in given:
            level = 0 if given["level"].strip().lower() == "any" else _number(given["level"], 0)
            if level is None or not 0 <= level <= 5:
                return phrases.unclear("level")
            setup = replace(setup, level=level or None)
        minutes = _number(given.get("minutes", ""), setup.minutes)
        if minutes is None or not rounds.SHORTEST <= minutes <= rounds.LONGEST:
            return phrases.minutes_unclear()
        return replace(setup, minutes=minutes)

    def _topics(self, text: str) -> frozenset[str] | None:
        """The sections that are named, none of them for all; None where one is not known."""
        if text.strip().lower() in ("all", "any", "everything"):
            return frozenset()
        named = [self._asking.named(part) for part in text.split(",") if part.strip()]
        found = frozenset(one.section if isinstance(one, Question) else one for one in named if one)
        return found if found and None not in named else None


async def missing(venues: Mapping[str, Venue], platform: str, server: str, channel: str, calls: str = "") -> tuple[str, ...] | None:
    """The permissions that the coach lacks to post there; None where nobody can say."""
    venue = venues.get(platform)
    return await venue.lacking(server, channel, calls) if venue is not None else None


def _over(one: Round) -> Reply:
    return phrases.called_off() if one.stage is Stage.CALLED_OFF else phrases.late()


def _number(text: str, usual: int) -> int | None:
    """What is written, or the usual where nothing is; None where it is no number."""
    if not text.strip():
        return usual
    return int(text) if re.fullmatch(r"\d{1,6}", text.strip()) else None
