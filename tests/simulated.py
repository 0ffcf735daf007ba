"""Simulated learners with known strengths, who are asked in the coach's order, a shuffled one and a fixed one.

How they remember is no copy of how the coach believes that people remember: each point of a question has a half-life of its own,
which grows when the point is recalled and begins anew when it had to be told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import fmean

from bot import cards, days, reviews
from bot.content import Library, Question
from bot.messages import Address
from bot.model import Attempt, Card, Finding, Grade, Lately, Learner, Reason, Verdict
from bot.reviews import Known, Pick

BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SPAN = 180
"""Days."""

LEARNER = Learner("sim", BEGAN, Address("console", "sim", "sim"), zone="UTC", level=3)


@dataclass
class Mind:
    """What a learner really knows. weak: the sections in which they know little and learn slowly."""

    weak: frozenset[str]
    rng: Random
    told: dict[tuple[str, str], tuple[datetime, float]] = field(default_factory=dict)
    """When each point was last recalled or told, and its half-life in days."""

    def chance(self, question: Question, point: str, now: datetime) -> float:
        """The chance, 0..1, of recalling a point."""
        before = 0.15 if question.section in self.weak else 0.65
        held = self.told.get((question.id, point))
        if held is None:
            return before
        return max(before * 0.5, 0.5 ** ((now - held[0]) / timedelta(days=1) / held[1]))

    def replies(self, question: Question, now: datetime, *, only: str = "") -> Grade:
        """A reply and what it teaches: every point is read in the grade."""
        verdicts = []
        slow = 0.7 if question.section in self.weak else 1.0
        for point in question.points:
            if only and point.id != only:
                continue
            recalled = self.rng.random() < self.chance(question, point.id, now)
            half = self.told.get((question.id, point.id), (now, 0.0))[1]
            self.told[question.id, point.id] = (now, max(half * (1 + 1.6 * slow), 8.0 * slow) if recalled else 6.0 * slow)
            finding = Finding.COVERED if recalled else Finding.MISSING
            verdicts.append(Verdict(point.id, finding, "w" if recalled else "", *((0, 1) if recalled else (None, None)), float(recalled)))
        weights = {point.id: point.weight for point in question.points}
        total = sum(weights[one.point] for one in verdicts)
        score = round(100 * sum(weights[one.point] for one in verdicts if one.finding is Finding.COVERED) / total)
        return Grade(score, tuple(verdicts), (), "simulated")

    def strength(self, library: Library, now: datetime) -> float:
        """How much of the weak sections is known, 0..1."""
        questions = [one for one in library.questions.values() if one.section in self.weak]
        return fmean(fmean(self.chance(one, point.id, now) for point in one.points) for one in questions)


@dataclass
class Run:
    """What happened in one simulation. waits: days that each due card waited; most_due: due questions on the fullest day."""

    strength: float = 0.0
    waits: list[float] = field(default_factory=list)
    most_due: int = 0
    picks: list[tuple[datetime, Pick]] = field(default_factory=list)


def coached(
    library: Library, weak: frozenset[str], seed: int, per_day: int, *, span: int = SPAN,
    at_work: Callable[[int], bool] = lambda day: True, learner: Learner = LEARNER,
) -> Run:  # fmt: skip
    """A learner who takes the coach's choice `per_day` times on each day on which they are at work."""
    rng, mind, run = Random(seed), Mind(weak, Random(seed + 1)), Run()
    held: dict[str, Card] = {}
    lately: list[Lately] = []
    for day in range(span):
        due_today = 0
        for number in range(per_day if at_work(day) else 0):
            now = BEGAN + timedelta(days=day, minutes=10 * number)
            pick = reviews.choose(library, learner, Known(held, lately), now, rng)
            if pick is None:
                continue
            run.picks.append((now, pick))
            question = pick.question
            if question.id in held and pick.reason is Reason.DUE:
                due_today += 1
                run.waits.append(max(0.0, (now - held[question.id].due) / timedelta(days=1)))
            wording = reviews.wording(lately, question)
            lately = [*lately[-399:], Lately(question.id, now, wording, pick.followup, pick.reason.value)]
            grade = mind.replies(question, now, only=pick.focus if pick.followup else "")
            attempt = Attempt("a", learner.id, "q", question.id, pick.followup, "w", now, 0, grade)
            held |= cards.fold(held, [attempt], library, rng)
        run.most_due = max(run.most_due, due_today)
    end = BEGAN + timedelta(days=span)
    left = [one for one in held.values() if cards.is_due(one, end, "UTC")]
    run.waits += [max(0.0, (end - one.due) / timedelta(days=1)) for one in left]
    run.strength = mind.strength(library, end)
    return run


def ordered(library: Library, weak: frozenset[str], seed: int, per_day: int, *, shuffled: bool, span: int = SPAN) -> float:
    """The strength of a learner who goes through everything again and again, in the packs' order or in a shuffled one."""
    mind, rng = Mind(weak, Random(seed + 1)), Random(seed)
    round_: list[Question] = []
    for day in range(span):
        for number in range(per_day):
            if not round_:
                round_ = list(library.questions.values())
                if shuffled:
                    rng.shuffle(round_)
            mind.replies(round_.pop(0), BEGAN + timedelta(days=day, minutes=10 * number))
    return mind.strength(library, BEGAN + timedelta(days=span))


def at_level(level: int) -> Learner:
    return replace(LEARNER, level=level)


def local(now: datetime) -> object:
    return days.local_day(now, LEARNER.zone)
