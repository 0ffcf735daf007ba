"""Where a learner stands: the level in each section and competency, how sure that is, and what is weakest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from statistics import fmean, stdev

from bot import days
from bot.cards import missed, weakness
from bot.content import Library, Question
from bot.model import Card, Past, Practised

ENOUGH = 3
"""Graded questions from which on a section may be called weak."""

MANY = 8
"""Graded questions from which on a level may be sure."""

STRONG = 75
"""A level (0..100) that is no weakness."""

STEADY = 8.0
"""Standard error, in points of 100, up to which a level is sure."""


MONTH = timedelta(days=30)
"""How far back the mark of last month lies."""


class Sure(StrEnum):
    """How much a level can be relied on."""

    GUESS = "a guess"
    FAIRLY = "fairly sure"
    SURE = "sure"


@dataclass(frozen=True, slots=True)
class Standing:
    """The level (0..100) in a section or competency: the mean of the last scores of the questions graded in it."""

    id: str
    level: float
    questions: int
    sure: Sure


def _standing(id: str, scores: Sequence[int]) -> Standing:
    few = len(scores) < ENOUGH
    error = stdev(scores) / len(scores) ** 0.5 if not few else 100.0
    sure = Sure.GUESS if few else Sure.SURE if len(scores) >= MANY and error <= STEADY else Sure.FAIRLY
    return Standing(id, fmean(scores), len(scores), sure)


def sections(scores: Mapping[str, int], library: Library) -> list[Standing]:
    """The level in every section that has a graded question, in the syllabus's order. scores: the last one of each question."""
    return _by(library.syllabus.sections, scores, library, lambda question: (question.section,))


def competencies(scores: Mapping[str, int], library: Library) -> list[Standing]:
    """The level in every competency that has a graded question, in the syllabus's order."""
    return _by(library.syllabus.competencies, scores, library, lambda question: question.competencies)


def _by(ids: Iterable[str], scores: Mapping[str, int], library: Library, of: Callable[[Question], Sequence[str]]) -> list[Standing]:
    found: dict[str, list[int]] = {}
    for question, score in scores.items():
        if (one := library.questions.get(question)) is not None:
            for id in of(one):
                found.setdefault(id, []).append(score)
    return [_standing(id, found[id]) for id in ids if id in found]


def scores(cards: Mapping[str, Card]) -> dict[str, int]:
    """The last score of each question."""
    return {id: card.score for id, card in cards.items()}


def scores_at(past: Iterable[Past], at: datetime) -> dict[str, int]:
    """The last score of each question as it was at an instant, UTC."""
    return {one.question: one.score for one in past if one.score is not None and not one.followup and one.at <= at}


def weakest_sections(standings: Iterable[Standing], most: int = 3) -> list[Standing]:
    """The sections with enough evidence in which the level is lowest, the lowest first; none that is strong."""
    weak = [one for one in standings if one.questions >= ENOUGH and one.level < STRONG]
    return sorted(weak, key=lambda one: (one.level, one.id))[:most]


@dataclass(frozen=True, slots=True)
class Weak:
    """A question that is not known well, and the points that were missed in it last time."""

    question: Question
    score: int
    points: tuple[str, ...]


def weakest_questions(cards: Mapping[str, Card], library: Library, most: int = 3) -> list[Weak]:
    """The questions of which most is missing, with the very points that were missed."""
    known = [(card, library.questions[id]) for id, card in cards.items() if id in library.questions]
    weak = [(card, question) for card, question in known if card.score < STRONG or missed(card, question)]
    weak.sort(key=lambda one: (-weakness(*one), one[1].id))
    return [Weak(question, card.score, tuple(one.point for one in missed(card, question))) for card, question in weak[:most]]


WEEKS = 12


@dataclass(frozen=True, slots=True)
class Stand:
    """All that is told of where a learner stands at one time.

    before: the levels of sections a month ago. replies: how many on each day from `monday` on, twelve weeks up to today."""

    sections: tuple[Standing, ...]
    competencies: tuple[Standing, ...]
    before: Mapping[str, float]
    monday: date
    replies: tuple[int, ...]

    @property
    def by_week(self) -> tuple[int, ...]:
        """Replies in each of the weeks."""
        return tuple(sum(self.replies[start : start + 7]) for start in range(0, WEEKS * 7, 7))


def stand(
    cards: Mapping[str, Card], past: Iterable[Past], practised: Iterable[Practised], now: datetime, zone: str, library: Library
) -> Stand:
    """Where a learner in `zone` stands now."""
    today = days.local_day(now, zone)
    monday = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    counted = Counter(days.local_day(one.at, one.zone) for one in practised)
    latest, before = scores(cards), scores_at(past, now - MONTH)
    return Stand(
        tuple(sections(latest, library)), tuple(competencies(latest, library)),
        {one.id: one.level for one in sections(before, library)}, monday,
        tuple(counted[monday + timedelta(days=offset)] for offset in range((today - monday).days + 1)),
    )  # fmt: skip
