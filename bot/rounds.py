"""Rounds: a question that a whole server answers at once; who came where in it, and what most of them missed.

Pure: the time and chance are arguments. Servers, channels and members are the platform's own opaque strings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from random import Random

from bot import days
from bot.content import Library, Misconception, Point, Question
from bot.messages import Address, Place
from bot.model import Finding, Grade

SHORTEST, LONGEST = 1, 7 * 24 * 60
"""Minutes that a round may be open."""

USUAL = 10
"""Minutes that a round is open where nobody says how long."""

ENOUGH = 2
"""Replies from which on a round has a ranking, and may say what was missed without saying who missed it."""


class Stage(StrEnum):
    """Where a round stands."""

    OPEN = "open"
    CLOSING = "closing"
    """Its time is over; what came in time is being handled and graded."""

    REVEALED = "revealed"
    CALLED_OFF = "called off"
    """It could not be posted."""


@dataclass(frozen=True, slots=True)
class Round:
    """One question in one channel.

    wording: 0 the prompt, 1 and 2 the other wordings. starter: who began it, or set up the daily question it is.
    due_at: when its close, or after that its reveal, is to be looked at; None where nothing more is to be done.
    closing_since: when its close was noticed. replies: how many were in it, once it was revealed.
    """

    id: str
    platform: str
    server: str
    channel: str
    question: str
    wording: int
    opened_at: datetime
    closes_at: datetime
    starter: Address
    stage: Stage = Stage.OPEN
    due_at: datetime | None = None
    closing_since: datetime | None = None
    replies: int = 0

    @property
    def address(self) -> Address:
        """Where it is posted."""
        return Address(self.platform, self.server, self.channel)

    def takes(self, at: datetime) -> bool:
        """Whether a reply that the platform received at this time is in time. What came in time may be handled after the close."""
        return self.stage in (Stage.OPEN, Stage.CLOSING) and at < self.closes_at


@dataclass(frozen=True, slots=True)
class Entry:
    """One member's reply in a round; the last one counts. name: what they were called then. grade: None until it is graded."""

    round: str
    member: str
    name: str
    text: str
    at: datetime
    grade: Grade | None = None

    @property
    def score(self) -> int | None:
        return self.grade.score if self.grade is not None else None


@dataclass(frozen=True, slots=True)
class Hidden:
    """Whether a member is left off boards and shown without a name."""

    platform: str
    member: str
    hidden: bool = True


@dataclass(frozen=True, slots=True)
class Setup:
    """A server's daily question, and what its rounds are like where nobody says otherwise.

    days: weekdays, 0 Monday to 6 Sunday. minute: local time in `zone`, 0..1439 after midnight, None for no daily question.
    topics: section ids, empty for all. level: 1..5, None for any. calls: the group that a daily question calls, or "".
    minutes: how long a round is open. admin: who set it up. shut: they were told that the coach can't post there any more.
    board_day, board_minute: when the weekly board is posted, 0 Monday to 6 Sunday, None for none.
    """

    platform: str
    server: str
    channel: str
    admin: Address
    days: frozenset[int] = frozenset(range(7))
    minute: int | None = None
    zone: str = "UTC"
    topics: frozenset[str] = frozenset()
    level: int | None = None
    calls: str = ""
    minutes: int = USUAL
    shut: bool = False
    next_due_at: datetime | None = None
    board_day: int | None = None
    board_minute: int = 18 * 60
    next_board_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """What a member has on a server's board: points (the sum of the scores) from so many rounds."""

    member: str
    name: str
    points: int
    rounds: int


# ---------------------------------------------------------------------------------------------- who came where


def ranks(scores: Sequence[int]) -> list[int]:
    """The rank of each of these scores, which fall: equal scores share the better rank, and the next one is left out."""
    found: list[int] = []
    for number, score in enumerate(scores, 1):
        found.append(found[-1] if number > 1 and score == scores[number - 2] else number)
    return found


def standing(entries: Iterable[Entry]) -> list[tuple[int | None, Entry]]:
    """The entries of a round with their ranks, the best first and of equals the earlier; those without a score come last."""
    scored = sorted((one for one in entries if one.score is not None), key=lambda one: (-(one.score or 0), one.at, one.member))
    rest = sorted((one for one in entries if one.score is None), key=lambda one: (one.at, one.member))
    return [*zip(ranks([one.score or 0 for one in scored]), scored, strict=True), *((None, one) for one in rest)]


def most_missed(question: Question, entries: Sequence[Entry]) -> tuple[Point, int] | None:
    """The point that most members did not make, and how many did not; None where nobody can be blamed or nobody missed any.

    Of points missed as often the heavier one, core ones first."""
    graded = [one.grade for one in entries if one.grade is not None and one.score is not None]
    missing = (Finding.MISSING, Finding.CONTRADICTED)
    counted = Counter(verdict.point for grade in graded for verdict in grade.verdicts if verdict.finding in missing)
    points = [point for point in question.points if counted[point.id]]
    if len(graded) < ENOUGH or not points:
        return None
    worst = max(points, key=lambda point: (counted[point.id], point.core, point.weight))
    return worst, counted[worst.id]


def commonest_mistake(question: Question, entries: Sequence[Entry]) -> tuple[Misconception, int] | None:
    """The misconception that most members stated, and how many did; None where nobody can be blamed or nobody stated any."""
    graded = [one.grade for one in entries if one.grade is not None and one.score is not None]
    counted = Counter(id for grade in graded for id in {one.misconception for one in grade.misconceptions})
    known = [one for one in question.misconceptions if counted[one.id]]
    if len(graded) < ENOUGH or not known:
        return None
    worst = max(known, key=lambda one: (counted[one.id], one.fatal))
    return worst, counted[worst.id]


def board(totals: Iterable[Total]) -> list[tuple[int, Total]]:
    """Totals with their ranks: most points first; of equals the one with fewer rounds stands first and shares the rank."""
    ordered = sorted(totals, key=lambda one: (-one.points, one.rounds, one.member))
    return list(zip(ranks([one.points for one in ordered]), ordered, strict=True))


def since(period: str, now: datetime, zone: str) -> datetime | None:
    """When a board's "week" (Monday) or "month" began in `zone`; None for one of all time."""
    today = days.local_day(now, zone)
    first = {"week": today - timedelta(days=today.weekday()), "month": today.replace(day=1)}.get(period)
    return days.at_local(first, 0, zone) if first is not None else None


# ---------------------------------------------------------------------------------------------- what is asked, and when


def choose(library: Library, sections: frozenset[str], level: int | None, asked: Mapping[str, datetime], rng: Random) -> Question | None:
    """A question for a server: one that it was not asked yet, nearest to the level, else the one asked longest ago.

    None only where the sections hold none."""
    candidates = [one for one in library.questions.values() if not sections or one.section in sections]
    if not candidates:
        return None
    fresh = [one for one in candidates if one.id not in asked]
    if not fresh:
        return min(candidates, key=lambda one: (asked[one.id], one.id))
    nearest = min(abs(one.level - level) if level else 0 for one in fresh)
    return rng.choice([one for one in fresh if (abs(one.level - level) if level else 0) == nearest])


def opened(id: str, place: Place, platform: str, question: Question, wording: int, now: datetime, minutes: int, starter: Address) -> Round:
    """A round that opens now and closes after so many minutes."""
    closes = now + timedelta(minutes=minutes)
    return Round(id, platform, place.server, place.channel, question.id, wording, now, closes, starter, due_at=closes)


WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def weekdays(text: str) -> frozenset[int] | None:
    """The days of "daily", "weekdays", "mon-fri", "sat, sun" or "fri-mon"; None where a word is no day."""
    text = " ".join(re.sub(r"\s*(?:-|\u2013|\bto\b)\s*", "-", text.lower()).split())
    named = {"daily": range(7), "every day": range(7), "all": range(7), "weekdays": range(5), "weekends": range(5, 7)}
    if text in named:
        return frozenset(named[text])
    found: set[int] = set()
    for part in re.split(r"[,;/\s]+|\band\b", text):
        if not part:
            continue
        ends = [_weekday(word) for word in part.split("-")]
        if len(ends) > 2 or None in ends:
            return None
        first, last = ends[0] or 0, ends[-1] or 0
        found |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(found) or None


def _weekday(word: str) -> int | None:
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return next((number for number, name in enumerate(full) if len(word) >= 2 and name.startswith(word.rstrip("."))), None)


def scheduled(setup: Setup, now: datetime, *, after_day: date | None = None) -> Setup:
    """The setup with its next due times, that of the daily question on a local day later than `after_day`."""
    board = None if setup.board_day is None else days.next_week(setup.board_day, setup.board_minute, setup.zone, now)
    setup = replace(setup, next_board_at=board)
    if setup.minute is None or not setup.days:
        return replace(setup, next_due_at=None)
    due = days.next_due(setup.minute, setup.zone, now, after_day=after_day)
    while (day := days.local_day(due, setup.zone)).weekday() not in setup.days:
        due = days.next_due(setup.minute, setup.zone, now, after_day=day)
    return replace(setup, next_due_at=due)


def slot(setup: Setup, now: datetime) -> tuple[date | None, Setup]:
    """What a due time that has come owes: the local day whose question is to be asked now, and the setup with the next time.

    After a time without a coach only today's question is asked; None where today is not one of its days, or its time is
    still to come."""
    if setup.minute is None or setup.next_due_at is None:
        return None, scheduled(setup, now)
    day, _ = days.slot(setup.next_due_at, setup.minute, setup.zone, now)
    if day is None:
        return None, scheduled(setup, now)
    return (day if day.weekday() in setup.days else None), scheduled(setup, now, after_day=day)
