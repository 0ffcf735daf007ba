"""When the coach speaks on its own: how late a question may come, when it is quiet, how a crowded minute is spread, when it asks less.

No clock is read here: `now` is always an argument, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zlib import crc32

from bot import days
from bot.model import Mark, MarkKind, Memory

LATEST = timedelta(hours=3)
"""How late the daily question may come. Later, the day is excused: the coach failed to ask, not the learner to answer."""

QUIET_FROM, QUIET_TO = 22 * 60, 8 * 60
"""Minutes after midnight between which the coach sends nothing on its own but at a minute that the learner chose."""

CHOSEN = frozenset(("daily", "snooze", "week", "aloud"))
"""Kinds of delivery that come at a minute which the learner chose, or beside what does."""

SPREAD = 45
"""Seconds over which a crowded minute is spread: the clock still shows the chosen minute when the question comes."""

PLACES = tuple(timedelta(seconds=tenth / 10) for tenth in range(SPREAD * 10))
"""Where in a crowded minute a question may come."""

CROWD = 25
"""Questions due together from which on a minute is crowded: what Telegram takes in a second."""

FEWER, NONE = 10, 20
"""Unanswered days after which the coach asks on three days a week, and after which it pauses."""

FEWER_DAYS = frozenset((0, 2, 4))
"""Monday, Wednesday and Friday, as `date.weekday` counts."""

MOST_EXCUSED = 400
"""Days that are excused at once, after a long time without a coach."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What follows from a due time that has come.

    day: the local day whose question is to go out now, or None; due_at: when it was to. following: the next due time.
    excused: the local days on which the coach failed to ask. Times are UTC."""

    day: date | None
    due_at: datetime
    following: datetime
    excused: tuple[date, ...] = ()


def slot(due_at: datetime, minute: int, zone: str, now: datetime) -> Slot:
    """What is owed by a due time that has come: never more than today's question, and not more than LATEST late."""
    day, following = days.slot(due_at, minute, zone, now)
    first = days.local_day(due_at, zone)
    end = day or days.local_day(now, zone)
    excused = [first + timedelta(days=n) for n in range(min((end - first).days, MOST_EXCUSED))]
    was_due = due_at if day in (first, None) else days.at_local(end, minute, zone)
    if day is not None and now - was_due > LATEST:
        excused.append(day)
        day = None
    return Slot(day, was_due, following, tuple(excused))


def quiet_until(now: datetime, zone: str) -> datetime | None:
    """When the quiet hours in which `now` lies end; None where it is not quiet."""
    local = now.astimezone(days.zone_of(zone))
    minute = local.hour * 60 + local.minute
    if QUIET_TO <= minute < QUIET_FROM:
        return None
    morning = local.date() + timedelta(days=1) if minute >= QUIET_FROM else local.date()
    return days.at_local(morning, QUIET_TO, zone)


def jitter(learner: str) -> timedelta:
    """A learner's own place in a crowded minute, the same every day: 0 to SPREAD seconds."""
    return PLACES[crc32(learner.encode()) % len(PLACES)]


def unanswered(memory: Memory, zone: str, marks: Iterable[Mark] = ()) -> int:
    """On how many local days a question was asked since the learner last replied to one, or changed when they are asked."""
    signs = [one.at for one in marks if one.kind is not MarkKind.EXCUSED]
    signs += [memory.past[-1].at] if memory.past else []
    last = max(signs, default=None)
    return len({days.local_day(at, zone) for _, at in memory.asked_lately if last is None or at > last})
