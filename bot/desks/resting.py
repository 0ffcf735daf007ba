"""Resting: pausing the daily question, days of the week without one, going on, and stopping what is under way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from bot import days, phrases, rounds
from bot.desks import Desk, Handler, Outcome, Turn, closing
from bot.desks.appealing import WORDS
from bot.desks.settings import SETUP
from bot.model import Fate
from bot.phrases import streaks


class Resting(Desk):
    """Takes pressure off."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"pause": self._pause, "resume": self._resume, "rest": self._rest, "cancel": self._cancel}

    async def _pause(self, turn: Turn) -> Outcome:
        today = days.local_day(turn.now, turn.learner.zone)
        until = date.max
        if turn.argument:
            match = re.fullmatch(r"(\d{1,3})\s*(?:d|days?)?", turn.argument.lower())
            if match is None or not 1 <= int(match.group(1)) <= 365:
                return Outcome((phrases.pause_unclear(),))
            until = today + timedelta(days=int(match.group(1)))
        learner = days.scheduled(replace(turn.learner, paused_until=until), turn.now)
        return Outcome((phrases.paused(until, today),), learner)

    async def _resume(self, turn: Turn) -> Outcome:
        learner = days.scheduled(replace(turn.learner, paused_until=None), turn.now)
        return Outcome((phrases.resumed(learner, turn.now),), learner)

    async def _rest(self, turn: Turn) -> Outcome:
        if not turn.argument:
            return Outcome((streaks.resting(turn.learner),))
        if turn.argument.lower() in ("off", "none", "no", "never"):
            chosen: frozenset[int] | None = frozenset()
        else:
            chosen = rounds.weekdays(turn.argument)
        if chosen is None:
            return Outcome((streaks.rest_unclear(),))
        if len(chosen) == len(rounds.WEEK):
            return Outcome((streaks.rest_always(),))
        learner = days.scheduled(replace(turn.learner, rest=chosen), turn.now)
        return Outcome((streaks.resting(learner),), learner)

    async def _cancel(self, turn: Turn) -> Outcome:
        if turn.learner.expecting:
            awaited = turn.learner.expecting.partition(" ")[0]
            what = "setup" if awaited in SETUP else awaited if awaited in WORDS else "setting"
            return Outcome((phrases.cancelled(what),), days.scheduled(replace(turn.learner, expecting=""), turn.now))
        opened = turn.memory.open
        if opened is None:
            return Outcome((phrases.nothing_to_cancel(),))
        return Outcome((phrases.cancelled("followup" if opened.followup else "question"),), asked=closing(turn.memory, Fate.CANCELLED))
