"""The set-up and the settings: zone, time, tracks and level, by command, by button or typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bot import days, phrases, zones
from bot.desks import Desk, Handler, Outcome, Tools, Turn
from bot.desks.asking import Asking

SETUP = ("zone", "time", "tracks", "level")
"""The steps of the set-up, in their order."""

DEFAULT_MINUTE = 9 * 60
"""When the daily question comes for somebody who has not said so, minutes after midnight."""

LONE = ("place", "hour")
"""A zone or a time that is being changed by itself."""


class Settings(Desk):
    """Who the learner is and when they want to be asked."""

    expects = frozenset((*SETUP, *LONE))

    def __init__(self, tools: Tools, asking: Asking) -> None:
        super().__init__(tools)
        self._asking = asking

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "start": self.start, "zone": self._zone, "daily": self._daily, "track": self._track, "level": self._level,
            "settings": self._settings,
        }  # fmt: skip

    async def start(self, turn: Turn) -> Outcome:
        learner = days.scheduled(replace(turn.learner, expecting="zone"), turn.now)
        return Outcome((phrases.welcome(zones.likely(turn.message.language)),), learner)

    def _looks_like_a_reply(self, turn: Turn, text: str) -> bool:
        """While a question is open, a sentence that is no place and no time is not what a lone setting waits for."""
        if turn.learner.expecting not in LONE or turn.memory.open is None or len(text.split()) <= 3:
            return False
        return not zones.find(text, turn.now) if turn.learner.expecting == "place" else _time_and_place(text)[0] is None

    async def typed(self, turn: Turn, text: str) -> Outcome | None:
        if self._looks_like_a_reply(turn, text):
            return None
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
        learner = days.scheduled(replace(turn.learner, zone=found[0], expecting="time" if setting_up else ""), turn.now)
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
                    learner = days.scheduled(replace(learner, expecting="zone" if setting_up else "place"), turn.now)
                    return Outcome((phrases.daily_set(learner, turn.now), phrases.pick_zone(found, place)), learner)
                learner = replace(learner, zone=found[0])
        learner = days.scheduled(learner, turn.now)
        if turn.learner.expecting == "zone" and not place:
            learner = replace(learner, expecting="zone")
            return Outcome((phrases.daily_set(learner, turn.now), phrases.pick_zone(zones.likely(turn.message.language), "")), learner)
        if setting_up:
            return Outcome((phrases.ask_tracks(self.library),), learner)
        return Outcome((phrases.daily_set(learner, turn.now),), learner)

    async def _track(self, turn: Turn) -> Outcome:
        text, _, number = turn.argument.rpartition(" ")
        level = _level(number) if text else None
        chosen = self._tracks(text if level else turn.argument)
        if chosen is None:
            return Outcome((phrases.ask_tracks(self.library),))
        setting_up = turn.learner.expecting in ("tracks", "level")
        learner = replace(turn.learner, tracks=chosen, level=level or turn.learner.level)
        if setting_up and level:
            return await self._asking.ask_next(replace(turn, learner=replace(learner, expecting="")))
        if level and self._asking.just_asked(turn):
            return Outcome((phrases.already_asked(),))
        if setting_up:
            return Outcome((phrases.ask_level(),), replace(learner, expecting="level"))
        return Outcome((phrases.tracks_set(learner, self.library),), learner)

    async def _level(self, turn: Turn) -> Outcome:
        level = _level(turn.argument)
        if level is None:
            return Outcome((phrases.ask_level() if not turn.argument else phrases.level_unclear(),))
        learner = replace(turn.learner, level=level)
        if turn.learner.expecting == "level":
            return await self._asking.ask_next(replace(turn, learner=replace(learner, expecting="")))
        return Outcome((phrases.level_set(learner),), learner)

    def _tracks(self, text: str) -> frozenset[str] | None:
        """The tracks that are named by id or title; none of them stands for all; None where nothing is understood."""
        from rapidfuzz import fuzz, process, utils

        known = self.library.syllabus.tracks
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
        return Outcome((phrases.settings(turn.learner, self.library, turn.now),))


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
