"""The plan towards an interview: what is to be covered until its day, how much that is a day, and what there is no time for. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from bot.cards import WANTED
from bot.content import Library, Question
from bot.model import Learner

DAILY = 6
"""Questions that are due, and in a plan new ones, that a day holds at most."""

LIGHT = 3
"""Questions on the day before the interview, all of them known ones."""

RISES = 28
"""Days before an interview at which the chance of knowing that is wanted begins to rise."""

HIGHEST = 0.97
"""That chance (0..1) on the day itself."""

FARTHEST = 730
"""Days that an interview may be ahead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The days until an interview.

    left: days until it, 0 on its day. core: how many core questions the tracks have. new: those that were never answered, in the
    order in which they are to come. today: how many of them belong to each day. left_out: those there is no time for.
    """

    on: date
    left: int
    core: int
    new: tuple[Question, ...]
    today: int
    left_out: tuple[Question, ...]

    @property
    def last_day(self) -> bool:
        """Whether it is the day before, or the day itself."""
        return self.left <= 1

    @property
    def wanted(self) -> float:
        """The chance of knowing a question (0..1) under which it is due."""
        return WANTED + (HIGHEST - WANTED) * max(0.0, 1 - self.left / RISES)


def tracked(library: Library, learner: Learner) -> list[Question]:
    """The questions of the learner's tracks."""
    return [one for one in library.questions.values() if not learner.tracks or learner.tracks & set(one.tracks)]


def core(library: Library, learner: Learner) -> list[Question]:
    """The core questions of the learner's tracks: those that the syllabus asks for, and those that name a chosen track first, up to
    one level above the learner's; all of the tracks where there are none."""
    candidates = tracked(library, learner)
    return [
        one
        for one in candidates
        if one.id in library.syllabus.required or (one.tracks[0] in learner.tracks and one.level <= learner.level + 1)
    ] or candidates


def plan(library: Library, learner: Learner, answered: Collection[str], today: date) -> Plan | None:
    """The plan as it stands today; None where no interview lies ahead.

    Where the days are too few, what comes first is what is asked most: questions nearest to the learner's level."""
    if learner.interview_on is None or learner.interview_on < today:
        return None
    left = (learner.interview_on - today).days
    wanted = core(library, learner)
    new = [one for one in wanted if one.id not in answered]
    # Section by section in turn, so that whatever is left out is not a whole section.
    taken: dict[str, int] = {}
    turn: dict[str, int] = {}
    for one in sorted(new, key=lambda one: (abs(one.level - learner.level), one.id)):
        turn[one.id] = taken[one.section] = taken.get(one.section, 0) + 1
    new.sort(key=lambda one: (turn[one.id], abs(one.level - learner.level), one.id))
    days = max(0, left - 1)
    room = DAILY * days
    kept, left_out = new[:room], new[room:]
    today_s = -(-len(kept) // days) if days else 0
    return Plan(learner.interview_on, left, len(wanted), tuple(kept), today_s, tuple(left_out))


# ---------------------------------------------------------------------------------------------- days as people write them

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def day_of(text: str, today: date) -> date | None:
    """The day of "2027-01-15", "15.1.2027", "15 January", "Jan 15, 2027", "tomorrow" or "in 3 weeks"; None where it is no day.

    A day without a year is the next one of that name."""
    text = " ".join(text.lower().replace(",", " ").split())
    if text in ("today", "tomorrow"):
        return today + timedelta(days=text == "tomorrow")
    if match := re.fullmatch(r"(?:in )?(\d{1,3}) (day|week|month)s?", text):
        return today + timedelta(days=int(match[1]) * {"day": 1, "week": 7, "month": 30}[match[2]])
    if match := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", text):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    if match := re.fullmatch(r"(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}))?", text):
        return _next(int(match[2]), int(match[1]), match[3], today)
    if match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?\.? (?:of )?([a-z]{3,9})\.?(?: (\d{4}))?", text):
        return _named(match[2], match[1], match[3], today)
    if match := re.fullmatch(r"([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?(?: (\d{4}))?", text):
        return _named(match[1], match[2], match[3], today)
    return None


def _named(month: str, day: str, year: str | None, today: date) -> date | None:
    return _next(_MONTHS.index(month[:3]) + 1, int(day), year, today) if month[:3] in _MONTHS else None


def _next(month: int, day: int, year: str | None, today: date) -> date | None:
    if year is not None:
        return _date(int(year), month, day)
    found = _date(today.year, month, day)
    return found if found is not None and found >= today else _date(today.year + 1, month, day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
