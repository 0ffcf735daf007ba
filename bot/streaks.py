"""Streaks: the number of days practised in a row, replayed from the ledger each time it is asked for, day by day and with reasons.

Pure. The ledger holds every event with its instant and the zone it happened in; `bot.days` says which day that was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from bot import days
from bot.model import Learner, Mark, MarkKind, Practised

EARNED = 7
"""Days of a streak that earn a freeze."""

MOST_HELD = 2
"""Freezes that can be held at one time."""

REPAIR = 2
"""Days after a missed one within which doing double makes up for it."""

DOUBLE = 2
"""Replies to questions on one day that are double."""

FLOWN = timedelta(hours=12)
"""A day that lasted no longer than this by the learner's own clock, because they travelled, can't be missed."""

ONE = timedelta(days=1)


class Why(StrEnum):
    """What a day was to a streak."""

    PRACTISED = "practised"
    DOUBLED = "doubled"
    """Practised double, which brought a broken streak back."""

    MADE_UP = "made up"
    """Missed, and made up for by a later day."""

    REST = "rest"
    PAUSED = "paused"
    EXCUSED = "excused"
    FLOWN = "flown"
    FROZEN = "frozen"
    MISSED = "missed"
    OPEN = "open"
    """Today, while it may still come."""

    BEFORE = "before"
    """Before the first reply ever, or in a stretch with no streak to break."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the ledger. replies: how many were given. count, held: the streak and the freezes when it ended."""

    day: date
    why: Why
    replies: int
    count: int
    held: int


@dataclass(frozen=True, slots=True)
class Streak:
    """Where a streak stands. count: days practised in a row, those between that broke nothing left out.

    days: every day since the first reply, oldest first. done: whether today counts already. held: freezes.
    lost: the streak that doing double brings back, 0 for none; until: the last day for it."""

    count: int = 0
    longest: int = 0
    held: int = 0
    done: bool = False
    lost: int = 0
    until: date | None = None
    days: tuple[Day, ...] = ()


def changed(before: Learner, after: Learner, now: datetime) -> tuple[Mark, ...]:
    """What a change of the learner's settings adds to the ledger."""
    found: list[Mark] = []

    def mark(kind: MarkKind, about: str) -> None:
        found.append(Mark(after.id, now, after.zone, kind, about))

    if after.zone != before.zone:
        mark(MarkKind.ZONE, before.zone)
    if after.rest != before.rest:
        mark(MarkKind.REST, "".join(str(day) for day in sorted(after.rest)))
    if after.paused_until != before.paused_until:
        if after.paused_until is not None:
            mark(MarkKind.PAUSED, "" if after.paused_until == date.max else after.paused_until.isoformat())
        elif before.paused_until is not None and days.local_day(now, after.zone) < before.paused_until:
            mark(MarkKind.RESUMED, "")
    return tuple(found)


def replay(practised: Iterable[Practised], marks: Iterable[Mark], today: date) -> Streak:
    """The streak as the ledger tells it.

    A day with a reply counts one. Rest days, paused and excused days and days that were flown over count nothing and break
    nothing. Any other day breaks the streak, unless a freeze is held, which is then used up; one is earned with every 7th
    day. A broken streak comes back when on one of the two days after the missed one two questions are answered.
    """
    practised = sorted(practised, key=lambda one: one.at)
    neutral = _Neutral(practised, sorted(marks, key=lambda one: one.at))
    replies = Counter(days.local_day(one.at, one.zone) for one in practised)
    questions = Counter(days.local_day(one.at, one.zone) for one in practised if not one.followup)
    if not replies:
        return Streak()
    told: list[Day] = []
    count = held = longest = 0
    lost: tuple[int, date] | None = None
    day, last = min(replies), max(today, max(replies))
    while day <= last:
        if lost is not None and day > lost[1] + REPAIR * ONE:
            lost = None
        if replies[day]:
            why, was = Why.PRACTISED, count
            if lost is not None and questions[day] >= DOUBLE:
                why, was = Why.DOUBLED, lost[0]
                told = [replace(one, why=Why.MADE_UP) if one.why is Why.MISSED and one.day >= lost[1] else one for one in told]
                count, lost = count + lost[0], None
            count += 1
            held = min(MOST_HELD, held + count // EARNED - was // EARNED)
        elif (found := neutral.why(day)) is not None:
            why = found
        elif day >= today:
            why = Why.OPEN
        elif held:
            why, held = Why.FROZEN, held - 1
        elif count or lost is not None:
            why = Why.MISSED
            if lost is None or day == lost[1] + REPAIR * ONE:
                lost = (count, day) if count else lost
            count = 0
        else:
            why = Why.BEFORE
        longest = max(longest, count)
        told.append(Day(day, why, replies[day], count, held))
        day += ONE
    if lost is not None and today > lost[1] + REPAIR * ONE:
        lost = None
    until = lost[1] + REPAIR * ONE if lost is not None else None
    return Streak(count, longest, held, bool(replies[today]), lost[0] if lost else 0, until, tuple(told))


class _Neutral:
    """Says of a day without a reply why it breaks nothing."""

    def __init__(self, practised: Sequence[Practised], marks: Sequence[Mark]) -> None:
        self._excused = {one.about for one in marks if one.kind is MarkKind.EXCUSED}
        self._rest = [(days.local_day(one.at, one.zone), one.about) for one in marks if one.kind is MarkKind.REST]
        self._pauses = list(_pauses(marks))
        self._zone, self._zones = _lived(practised, marks)

    def why(self, day: date) -> Why | None:
        if any(first <= day <= last for first, last in self._pauses):
            return Why.PAUSED
        place = bisect_right(self._rest, (day, "9"))
        if place and str(day.weekday()) in self._rest[place - 1][1]:
            return Why.REST
        if day.isoformat() in self._excused:
            return Why.EXCUSED
        return Why.FLOWN if days.length(day, self._zones, self._zone) <= FLOWN else None


def _pauses(marks: Sequence[Mark]) -> Iterable[tuple[date, date]]:
    """The first and the last day of every pause; the days on which it began and ended are in it."""
    open_since: tuple[date, date] | None = None
    for one in marks:
        day = days.local_day(one.at, one.zone)
        if one.kind in (MarkKind.PAUSED, MarkKind.RESUMED) and open_since is not None:
            yield open_since[0], min(open_since[1], day)
            open_since = None
        if one.kind is MarkKind.PAUSED:
            open_since = (day, date.fromisoformat(one.about) - ONE if one.about else date.max)
    if open_since is not None:
        yield open_since


def _lived(practised: Sequence[Practised], marks: Sequence[Mark]) -> tuple[str, list[tuple[datetime, str]]]:
    """The zone that the learner began in, and the later ones, each with the instant from which it held."""
    changes = [(one.at, one.about, one.zone) for one in marks if one.kind is MarkKind.ZONE]
    if changes:
        return changes[0][1], [(at, zone) for at, _, zone in changes]
    # From before zones were written down: what is known is where the replies were given.
    moves = [(one.at, one.zone) for before, one in pairwise(practised) if one.zone != before.zone]
    return practised[0].zone if practised else "UTC", moves
