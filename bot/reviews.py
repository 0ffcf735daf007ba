"""What to ask next: a pure choice among the questions that a learner may be asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from bot.content import Library, Question
from bot.model import Learner, Memory, Past

REST = timedelta(hours=20)
"""A question is not asked again within this time unless it is asked for by name."""

WEAK = 60
"""Below this score (0..100) a question is worth asking again."""

RETRY = timedelta(days=2)


def eligible(library: Library, learner: Learner, section: str = "") -> list[Question]:
    """The questions of the learner's tracks, or all of a section that they ask for by name."""
    if section:
        return list(library.about(section))
    return [one for one in library.questions.values() if not learner.tracks or learner.tracks & set(one.tracks)]


def latest(past: Iterable[Past]) -> dict[str, Past]:
    """The last attempt at each question itself (not at its follow-ups)."""
    return {one.question: one for one in past if not one.followup}


def choose(library: Library, learner: Learner, memory: Memory, now: datetime, rng: Random, section: str = "") -> Question | None:
    """The question to ask now; None only where there is none at all.

    First what went badly at least two days ago, one time in two; then something new, nearest to the learner's level;
    then what was asked longest ago.
    """
    candidates = eligible(library, learner, section)
    asked = dict(memory.asked_lately)
    rested = [one for one in candidates if one.id not in asked or now - asked[one.id] >= REST] or candidates
    if not rested:
        return None
    last = latest(memory.past)
    weak = [
        one for one in rested
        if one.id in last and (score := last[one.id].score) is not None and score < WEAK and now - last[one.id].at >= RETRY
    ]  # fmt: skip
    fresh = [one for one in rested if one.id not in asked]
    if weak and (not fresh or rng.random() < 0.5):
        return min(weak, key=lambda one: (last[one.id].at, one.id))
    if fresh:
        nearest = min(abs(one.level - learner.level) for one in fresh)
        return rng.choice([one for one in fresh if abs(one.level - learner.level) == nearest])
    return min(rested, key=lambda one: (asked[one.id], one.id))


def wording(memory: Memory, question: Question) -> int:
    """0..2: another one than last time."""
    return sum(id == question.id for id, _ in memory.asked_lately) % (1 + len(question.wordings))
