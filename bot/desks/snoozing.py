"""Snoozing: today's question comes later, or once more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot import days, phrases, timing
from bot.desks import Composer, Desk, Handler, Outcome, Turn
from bot.messages import Reply
from bot.model import Changes, Memory
from bot.outbox import Lane, Owed, Withdrawn, delivery_key
from bot.phrases import resting

LONGEST = timedelta(hours=12)

_SPAN = re.compile(r"(?:(\d{1,2})\s*h(?:ours?|rs?)?)?\s*(?:(\d{1,3})\s*m(?:in(?:ute)?s?)?)?", re.IGNORECASE)


class Snoozing(Desk):
    """Puts today's question off by some hours; it stays the question of its day."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"snooze": self._snooze}

    @property
    def composes(self) -> Mapping[str, Composer]:
        return {"snooze": self._compose}

    async def _snooze(self, turn: Turn) -> Outcome:
        learner, opened = turn.learner, turn.memory.open
        span = span_of(turn.argument)
        if not turn.message.private:
            return Outcome((phrases.in_private("snooze"),))
        if span is None:
            return Outcome((resting.snooze_unclear(),))
        zone = days.zone_of(learner.zone)
        today, at, due = days.local_day(turn.now, learner.zone), turn.now + span, learner.next_due_at
        if days.local_day(at, learner.zone) != today:
            return Outcome((resting.snooze_past_midnight(),))
        said = f"{at.astimezone(zone):%H:%M}"
        if opened is not None:
            key = f"snooze:{learner.id}:{turn.message.key}"
            owed = Owed(key, turn.message.address, Lane.BULK, "snooze", None, learner.id, opened.id, at)
            return Outcome((resting.snoozed(said, asked=True),), also=(Withdrawn(learner.id, "snooze"),), owed=(owed,))
        if due is None or learner.minute is None or days.local_day(due, learner.zone) != today:
            return Outcome((resting.nothing_to_snooze(),))
        if at <= due:
            return Outcome((resting.comes_later(f"{due.astimezone(zone):%H:%M}"),))
        owed = Owed(delivery_key("daily", learner.id, today), learner.home, Lane.BULK, "daily", None, learner.id, today.isoformat(), at)
        moved = replace(learner, next_due_at=days.next_due(learner.minute, learner.zone, turn.now, after_day=today))
        return Outcome((resting.snoozed(said, asked=False),), moved, owed=(owed,))

    async def _compose(self, owed: Owed, memory: Memory, now: datetime) -> tuple[Reply | None, Changes]:
        """The question once more, if it is still open."""
        opened = memory.open
        question = self.library.questions.get(opened.question) if opened is not None else None
        late = owed.due_at is not None and now - owed.due_at > timing.LATEST
        if opened is None or question is None or opened.id != owed.about or late:
            return None, Changes()
        further = question.followup(opened.followup) if opened.followup else None
        again = phrases.follow_up(opened, further) if further else phrases.question(opened, question, self.library)
        return resting.reminded(again), Changes()


def span_of(text: str) -> timedelta | None:
    """ "2h", "90 minutes", "1h30m" or "2" (hours) as a span from a minute to LONGEST; None where it is none."""
    text = text.strip()
    match = _SPAN.fullmatch(f"{text}h" if text.isdigit() and len(text) < 3 else text)
    if match is None or not text:
        return None
    span = timedelta(hours=int(match.group(1) or 0), minutes=int(match.group(2) or 0))
    return span if timedelta(minutes=1) <= span <= LONGEST else None
