"""Whether sure means right: how often a learner who says so is right, once they have said it ten times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bot.model import Sure

LEAST = 10
"""Replies with a confidence before anything is said of it."""

RIGHT = 65
"""From this score (0..100) a reply counts as right."""

CLAIMED = {Sure.SURE: 0.9, Sure.THINK_SO: 0.65, Sure.GUESSING: 0.35}
"""The share of right replies that the words stand for."""

FAIR = 0.12
"""How far the share that was claimed may be from the real one before that is said."""


@dataclass(frozen=True, slots=True)
class Level:
    """How often a level of confidence was named, how often the reply was right then, and its mean score (0..100)."""

    sure: Sure
    count: int
    right: int
    mean: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a learner's confidence is worth. gap: the share of right replies that they claimed, less the real one, -1..1."""

    levels: tuple[Level, ...]
    gap: float

    @property
    def count(self) -> int:
        return sum(one.count for one in self.levels)

    @property
    def verdict(self) -> str:
        """ "over" or "under" their real strength, or "fair"."""
        return "over" if self.gap > FAIR else "under" if self.gap < -FAIR else "fair"


def calibration(said: Sequence[tuple[Sure, int]]) -> Calibration | None:
    """From (confidence, score 0..100) of each reply; None before ten."""
    said = [(sure, score) for sure, score in said if sure is not Sure.UNSAID]
    if len(said) < LEAST:
        return None
    levels = []
    for level in (Sure.SURE, Sure.THINK_SO, Sure.GUESSING):
        scores = [score for sure, score in said if sure is level]
        if scores:
            levels.append(Level(level, len(scores), sum(score >= RIGHT for score in scores), fmean(scores)))
    claimed = fmean(CLAIMED[sure] for sure, _ in said)
    return Calibration(tuple(levels), claimed - sum(score >= RIGHT for _, score in said) / len(said))
