"""The week of a learner: what they did, what got better, what is weakest and why, and the one thing to do about it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from bot import days, progress
from bot.cards import MISSED
from bot.content import Library, Question
from bot.model import Attempt, Finding, Practised
from bot.progress import Standing

WEEK = timedelta(days=7)

FULL = 3
"""Replies from which on a week is told in full."""

QUIET = 2
"""Empty weeks that get a message; after them there is none until the learner returns."""

LATE = timedelta(days=2)
"""How long after its time a weekly message is still sent."""

RISE = 5.0
"""Points of 100 by which a section must have risen to be told."""

QUOTED = 120
"""Characters of the learner's own words that fit a message."""


@dataclass(frozen=True, slots=True)
class Count:
    """Replies in a week, the days they were given on, and their mean score (0..100), or None where none has a score."""

    replies: int
    days: int
    mean: float | None


@dataclass(frozen=True, slots=True)
class Quote:
    """The learner's own words that made a point which they did not make before."""

    title: str
    statement: str
    words: str


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days up to `until` (UTC), without what happened at that instant.

    before: the week before it, or None in the learner's first. risen: sections with the level then and now. cause: a mistake's id,
    "core", "false" or "", and how many missed points or replies it explains. begin: the section to practise.
    """

    until: datetime
    now: Count
    before: Count | None
    risen: tuple[tuple[str, float, float], ...]
    quote: Quote | None
    weakest: tuple[Standing, ...]
    cause: str
    explains: int
    begin: str


def week(
    attempts: Sequence[Attempt], practised: Sequence[Practised], scores: Mapping[str, int], scores_then: Mapping[str, int],
    library: Library, until: datetime,
) -> Week:  # fmt: skip
    """attempts: those of the last two weeks and all earlier ones at the questions of the last one, in order. scores: the last
    one of each question, now and a week ago."""
    since = until - WEEK
    these = [one for one in attempts if since <= one.at < until]
    first = min((one.at for one in practised), default=until) >= since
    standings = progress.sections(scores, library)
    then = {one.id: one.level for one in progress.sections(scores_then, library)}
    risen = [(one.id, then[one.id], one.level) for one in standings if one.id in then and one.level - then[one.id] >= RISE]
    weakest = sorted(standings, key=lambda one: (one.level, one.id))[:3]
    sure = progress.weakest_sections(standings, 1)
    cause, explains = _cause(these, library)
    return Week(
        until, _count(these, practised, since, until), None if first else _count(attempts, practised, since - WEEK, since),
        tuple(sorted(risen, key=lambda one: one[1] - one[2])[:2]), _quote(attempts, since, until, library), tuple(weakest),
        cause, explains, (sure or weakest)[0].id if standings else "",
    )  # fmt: skip


def _count(attempts: Sequence[Attempt], practised: Sequence[Practised], since: datetime, until: datetime) -> Count:
    found = [one for one in attempts if since <= one.at < until]
    scored = [one.grade.score for one in found if one.grade.score is not None]
    on = {days.local_day(one.at, one.zone) for one in practised if since <= one.at < until}
    return Count(len(found), len(on), fmean(scored) if scored else None)


def _quote(attempts: Sequence[Attempt], since: datetime, until: datetime, library: Library) -> Quote | None:
    """The heaviest point that was covered this week and was missed the time before."""
    best: tuple[float, Quote] | None = None
    last: dict[tuple[str, str], Finding] = {}
    for attempt in attempts:
        question = library.questions.get(attempt.question)
        if question is None or attempt.followup or attempt.at >= until:
            continue
        for verdict in attempt.grade.verdicts:
            point = question.point(verdict.point)
            before = last.get((question.id, verdict.point))
            last[question.id, verdict.point] = verdict.finding
            if point is None or attempt.at < since or verdict.finding is not Finding.COVERED or before not in MISSED:
                continue
            worth = point.weight + 5 * point.core
            if len(verdict.quote) <= QUOTED and (best is None or worth > best[0]):
                best = (worth, Quote(question.title, point.statement, verdict.quote))
    return best[1] if best is not None else None


def _cause(attempts: Sequence[Attempt], library: Library) -> tuple[str, int]:
    """The commonest of the syllabus's mistakes among the missed points; else core points left out, or something false said, where
    that holds for at least half of the replies."""
    asked = [(one, question) for one in attempts if not one.followup and (question := library.questions.get(one.question)) is not None]
    tags = Counter(tag for one, question in asked for point in _missed(one, question) for tag in question.point(point).mistakes)  # type: ignore[union-attr]
    if tags:
        tag, count = max(tags.items(), key=lambda one: (one[1], one[0]))
        if count >= 2:
            return tag, count
    core = sum(any(question.point(id).core for id in _missed(one, question)) for one, question in asked)  # type: ignore[union-attr]
    if core * 2 >= len(asked) > 0:
        return "core", core
    false = sum(bool(one.grade.misconceptions) for one, _ in asked)
    return ("false", false) if false * 2 >= len(asked) > 0 else ("", 0)


def _missed(attempt: Attempt, question: Question) -> list[str]:
    return [one.point for one in attempt.grade.verdicts if one.finding in MISSED and question.point(one.point) is not None]


def empty_weeks(last: datetime | None, until: datetime) -> int | None:
    """How many whole weeks up to `until` have passed since the last reply; None where there never was one."""
    return None if last is None else max(0, (until - last) // WEEK)
