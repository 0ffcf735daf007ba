"""The week: the message that looks back on it, when it is asked for and when its time has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot import days, progress, rounds, streaks, weeks
from bot.desks import Composer, Desk, Handler, Outcome, Turn
from bot.desks.recalling import recollect, stand, with_picture
from bot.messages import Reply
from bot.model import Card, Changes, Learner, Memory
from bot.outbox import Owed
from bot.phrases import weeks as phrases


class Weekly(Desk):
    """Looks back on seven days."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"week": self._week}

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"week": self._compose}

    async def _week(self, turn: Turn) -> Outcome:
        if turn.argument:
            return self._set(turn)
        if not turn.memory.practised:
            return Outcome((phrases.nothing_yet(),))
        reply, changed = await self._told(turn.memory, turn.now + timedelta(seconds=1))  # with what came just now
        return Outcome((reply,), also=changed)

    def _set(self, turn: Turn) -> Outcome:
        if turn.argument.lower() in ("off", "no", "never", "none"):
            learner = days.scheduled(replace(turn.learner, week_day=None), turn.now)
            return Outcome((phrases.settings(learner),), learner)
        name, _, time = turn.argument.partition(" ")
        chosen = rounds.weekdays(name)
        minute = days.minute_of(time) if time else turn.learner.week_minute
        if chosen is None or len(chosen) != 1 or minute is None:
            return Outcome((phrases.unclear(),))
        learner = days.scheduled(replace(turn.learner, week_day=min(chosen), week_minute=minute), turn.now)
        return Outcome((phrases.settings(learner),), learner)

    async def _told(self, memory: Memory, until: datetime) -> tuple[Reply, tuple[Card, ...]]:
        learner = memory.learner
        assert learner is not None
        known, changed = await recollect(self.store, self.library, memory, self.rng)
        attempts = await self.store.looked_back(learner.id, until - weeks.WEEK, until)
        then = progress.scores_at(memory.past, until - weeks.WEEK)
        told = weeks.week(attempts, memory.practised, progress.scores(known.cards), then, self.library, until)
        if not told.begin:  # nothing of it could be graded
            return phrases.empty() if not told.now.replies else phrases.nothing_yet(), changed
        marks = await self.store.marks(learner.id)
        streak = streaks.replay(memory.practised, marks, days.local_day(until, learner.zone)).count
        reply = phrases.week(told, streak, self.library)
        if told.now.replies:
            reply = await with_picture(self.studio, reply, stand(memory, known, until, self.library), self.library)
        return reply, changed

    async def _compose(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        learner, until = memory.learner, datetime.fromisoformat(owed.about)
        if learner is None or not self._wanted(learner, memory, until, now):
            return None, Changes()
        reply, changed = await self._told(memory, until)
        return reply, Changes(also=changed)

    def _wanted(self, learner: Learner, memory: Memory, until: datetime, now: datetime) -> bool:
        if learner.week_day is None or not learner.reachable or now - until > weeks.LATE:
            return False
        last = max((one.at for one in memory.practised if one.at < until), default=None)
        empty = weeks.empty_weeks(last, until)
        paused = learner.paused_until is not None and learner.paused_until > days.local_day(until, learner.zone)
        return empty is not None and empty <= weeks.QUIET and not (empty and paused)
