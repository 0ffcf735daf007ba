"""Cards: how well each question is remembered, by FSRS-6 over the learner's own grades, and which of its points were missed.

Pure: the clock and the fuzz are arguments. A card is what its attempts say, and can be made again from them at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

from bot import days
from bot.content import Library, Question
from bot.model import Attempt, Card, Finding, PointRecord

if TYPE_CHECKING:
    from fsrs import Card as Scheduled
    from fsrs import Rating, Scheduler

WANTED = 0.9
"""The chance (0..1) of knowing a question at which it is due again, where no interview is near."""

REST = timedelta(hours=20)
"""A question is not asked again within this time unless it is asked for by name."""

PASSED = 60
"""The score (0..100) from which a reply passes, and a question for one point shows that the point is there."""

RATINGS = ((85, "Easy", "Good", "Hard"), (PASSED, "Good", "Hard", "Hard"), (40, "Hard", "Again", "Again"), (0, "Again", "Again", "Again"))
"""FSRS's rating of a score from this one on: without a hint, with one, with two. The one table from a grade to a rating."""

FUZZ = ((2.5, 7.0, 0.15), (7.0, 20.0, 0.1), (20.0, float("inf"), 0.05))
"""FSRS's own: an interval is moved by at most 1 day and, of its days between the first two numbers, the third one's share."""

MISSED = (Finding.MISSING, Finding.CONTRADICTED)


def rating(score: int, hints: int) -> Rating:
    """FSRS's rating of a score (0..100) that took so many hints."""
    from fsrs import Rating

    row = next(row for row in RATINGS if score >= row[0])
    return Rating[str(row[1 + min(hints, 2)])]


@lru_cache(maxsize=1)
def _scheduler() -> Scheduler:
    from fsrs import Scheduler

    # A coach asks once a day: the steps of minutes that FSRS begins with elsewhere are left out.
    return Scheduler(desired_retention=WANTED, learning_steps=(), relearning_steps=(), enable_fuzzing=False)


def _as_scheduled(card: Card) -> Scheduled:
    from fsrs import Card as Scheduled
    from fsrs import State

    return Scheduled(
        card_id=0, state=State.Review, stability=card.stability, difficulty=card.difficulty, due=card.due, last_review=card.reviewed_at
    )  # fmt: skip


def retrievability(card: Card, now: datetime) -> float:
    """The chance, 0..1, that the question would be known now."""
    return float(_scheduler().get_card_retrievability(_as_scheduled(card), now))


def is_due(card: Card, now: datetime, zone: str, wanted: float = WANTED) -> bool:
    """Whether a card's day has come in `zone`, or the chance of knowing it has fallen below one that is wanted for an interview."""
    if days.local_day(card.due, zone) <= days.local_day(now, zone):
        return True
    return wanted > WANTED and now - card.reviewed_at >= REST and retrievability(card, now) < wanted


def reviewed(card: Card | None, learner: str, question: str, score: int, hints: int, at: datetime, rng: Random) -> Card:
    """The card after a reply with this score at this time, UTC. Chance moves the next time a little, so that cards that were
    begun together do not stay together."""
    from fsrs import Card as Scheduled

    given = rating(score, hints)
    before = Scheduled(card_id=0) if card is None else _as_scheduled(card)
    after, _ = _scheduler().review_card(before, given, at)
    assert after.stability is not None
    assert after.difficulty is not None
    interval = _fuzzed((after.due - at).days, rng)
    kept = card or Card(learner, question, at, at, at, 0.0, 0.0, score)
    return replace(
        kept, due=at + timedelta(days=interval), reviewed_at=at, seen_at=max(at, kept.seen_at), stability=after.stability,
        difficulty=after.difficulty, score=score, reviews=kept.reviews + 1, lapses=kept.lapses + (given.name == "Again"),
    )  # fmt: skip


def _fuzzed(interval: int, rng: Random) -> int:
    if interval < FUZZ[0][0]:
        return interval
    delta = 1.0 + sum(share * max(min(float(interval), last) - first, 0.0) for first, last, share in FUZZ)
    return rng.randint(max(2, round(interval - delta)), round(interval + delta))


def fold(known: Mapping[str, Card], attempts: Iterable[Attempt], library: Library, rng: Random) -> dict[str, Card]:
    """The cards that these later attempts, in order, change or begin."""
    cards, changed = dict(known), {}
    for attempt in attempts:
        question = library.questions.get(attempt.question)
        card = cards.get(attempt.question)
        if question is None or (card is None and (attempt.followup or attempt.grade.score is None)):
            continue
        cards[question.id] = changed[question.id] = _taken(card, attempt, question, rng)
    return changed


def _taken(card: Card | None, attempt: Attempt, question: Question, rng: Random) -> Card:
    score = attempt.grade.score
    if score is not None and (card is None or not attempt.followup or attempt.at - card.reviewed_at >= REST):
        # A follow-up just after the question is the same review; one that came days later was asked to review it.
        overall = card.score if card is not None and attempt.followup else score
        card = replace(reviewed(card, attempt.learner, question.id, score, attempt.hints, attempt.at, rng), score=overall)
    assert card is not None
    if attempt.followup:
        kind, _, point = next((one.when for one in question.followups if one.id == attempt.followup), "").partition(":")
        found = {point: Finding.COVERED if score >= PASSED else Finding.MISSING} if kind == "missing" and score is not None else {}
    else:
        found = {one.point: one.finding for one in attempt.grade.verdicts if one.finding is not Finding.CANNOT_TELL}
    return replace(card, points=_counted(card.points, found), seen_at=max(card.seen_at, attempt.at))


def _counted(records: tuple[PointRecord, ...], found: Mapping[str, Finding]) -> tuple[PointRecord, ...]:
    counted = {one.point: one for one in records}
    for point, finding in found.items():
        one = counted.get(point, PointRecord(point, 0, 0, finding))
        counted[point] = PointRecord(point, one.asked + 1, one.missed + (finding in MISSED), finding)
    return tuple(counted.values())


def missed(card: Card, question: Question) -> list[PointRecord]:
    """The points that the learner did not make last time, the core and heavy ones first, of equals the oftener missed one."""
    worth = {point.id: (point.core, point.weight) for point in question.points}
    found = [one for one in card.points if one.last in MISSED and one.point in worth]
    return sorted(found, key=lambda one: (worth[one.point], one.missed), reverse=True)


def weakness(card: Card, question: Question) -> float:
    """How much of a question is missing, 0..1: the missed points' share of the weight, or what the score lacks where that is more."""
    weights = {point.id: point.weight for point in question.points}
    share = sum(weights[one.point] for one in missed(card, question)) / sum(weights.values())
    return max(share, 1 - card.score / 100)
