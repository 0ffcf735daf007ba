"""Local days, due times and times of day: what day it is for somebody, decided in one place.

No clock is read here: `now` is always an argument, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.model import Learner, Practised


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name; UTC where this machine's data doesn't know it any more."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_day(instant: datetime, zone: str) -> date:
    """The calendar day at `instant` (UTC) for somebody in `zone`."""
    return instant.astimezone(zone_of(zone)).date()


def at_local(day: date, minute: int, zone: str) -> datetime:
    """The instant (UTC) at which `day`'s clock in `zone` shows `minute` (0..1439 after midnight).

    A time that comes twice is taken the first time. A time that the clocks skip is moved forward by the gap; where that
    would leave the day (a gap up to midnight) it is the day's last minute before the gap. A day that the zone
    skipped whole (Samoa, 30 December 2011) has no such instant: the next one that exists is returned.
    """
    tz = zone_of(zone)
    wall = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=tz)
    instant = wall.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    if instant.astimezone(tz).date() == day:
        return instant
    earlier = datetime.combine(day, time(0), tzinfo=tz)
    for step in range(minute, -1, -1):
        probe = (earlier + timedelta(minutes=step)).replace(tzinfo=tz).astimezone(UTC)
        back = probe.astimezone(tz)
        if back.date() == day and (back.hour * 60 + back.minute) == step:
            return probe
    return instant


def next_due(minute: int, zone: str, now: datetime, *, after_day: date | None = None) -> datetime:
    """The first instant after `now` at which the local clock shows `minute`, on a local day later than `after_day`."""
    day = local_day(now, zone)
    if after_day is not None and after_day >= day:
        day = after_day + timedelta(days=1)
    due = at_local(day, minute, zone)
    while due <= now or (after_day is not None and local_day(due, zone) <= after_day):
        day += timedelta(days=1)
        due = at_local(day, minute, zone)
    return due


def next_week(weekday: int, minute: int, zone: str, now: datetime) -> datetime:
    """The first instant after `now` at which it is `weekday` (0 Monday to 6 Sunday) and the local clock shows `minute`."""
    today = local_day(now, zone)
    day = today + timedelta(days=(weekday - today.weekday()) % 7)
    due = at_local(day, minute, zone)
    while due <= now or local_day(due, zone) != day:  # over already, or a day that the zone skipped
        day += timedelta(days=7)
        due = at_local(day, minute, zone)
    return due


def scheduled(learner: Learner, now: datetime) -> Learner:
    """The learner with the next due times that follow from their settings."""
    week = learner.week_day
    learner = replace(learner, next_week_at=None if week is None else next_week(week, learner.week_minute, learner.zone, now))
    if learner.minute is None or not learner.reachable or learner.paused_until == date.max:
        return replace(learner, next_due_at=None)
    last_day_off = learner.paused_until - timedelta(days=1) if learner.paused_until else None
    due = next_due(learner.minute, learner.zone, now, after_day=last_day_off)
    while (day := local_day(due, learner.zone)).weekday() in learner.rest:
        due = next_due(learner.minute, learner.zone, now, after_day=day)
    today = local_day(now, learner.zone)
    before = learner.next_due_at
    resting = (last_day_off is not None and last_day_off >= today) or today.weekday() in learner.rest
    if before is not None and not resting and local_day(before, learner.zone) == today < local_day(due, learner.zone):
        return learner  # today's question, not yet asked, comes when it was to come: no day goes without one for a change
    return replace(learner, next_due_at=due)


def slot(due_at: datetime, minute: int, zone: str, now: datetime) -> tuple[date | None, datetime]:
    """What is owed by a due time that has come: the local day whose question is to go out now, and the due time after it.

    After a time without a coach only today's question is owed, never those of the days before; None where today's own
    time is still to come.
    """
    today = local_day(now, zone)
    day = local_day(due_at, zone)
    if day < today:
        todays = at_local(today, minute, zone)
        if todays > now:
            return None, todays
        day = today
    return day, next_due(minute, zone, now, after_day=day)


def days_practised(ledger: Iterable[Practised]) -> frozenset[date]:
    """The local days of a ledger, each in the zone that held when it happened."""
    return frozenset(local_day(entry.at, entry.zone) for entry in ledger)


def length(day: date, zones: Sequence[tuple[datetime, str]], zone: str) -> timedelta:
    """How long a calendar day lasted by the clock of somebody who lived in `zone` and, from each of the instants (UTC, in
    order) on, in another one: a day that was flown over is short or empty, and one that came twice is long."""
    borders = [datetime.min.replace(tzinfo=UTC), *(at for at, _ in zones), datetime.max.replace(tzinfo=UTC)]
    total = timedelta(0)
    for name, begins, ends in zip((zone, *(name for _, name in zones)), borders, borders[1:], strict=False):
        first, last = at_local(day, 0, name), at_local(day + timedelta(days=1), 0, name)
        total += max(timedelta(0), min(last, ends) - max(first, begins))
    return total


# ---------------------------------------------------------------------------------------------- times of day

_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm|a\.m\.|p\.m\.|h|uhr|o'clock)?\Z", re.IGNORECASE)


def minute_of(text: str) -> int | None:
    """Minutes after midnight (0..1439) of "9", "09:00", "9.30 pm", "21h15", "noon"; None where it is no time."""
    text = text.strip().lower()
    named = {"noon": 720, "midday": 720, "midnight": 0, "morning": 540, "evening": 1140}
    if text in named:
        return named[text]
    if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", text):
        return int(text[:2]) * 60 + int(text[2:])
    match = _TIME.match(text)
    if match is None:
        return None
    hour, minute = int(match.group(1)), int(match.group(2) or 0)
    half = (match.group(3) or "").replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def clock(minute: int) -> str:
    """ "09:05" for 545."""
    return f"{minute // 60:02d}:{minute % 60:02d}"
