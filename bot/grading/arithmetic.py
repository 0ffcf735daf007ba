"""From verdicts to a score: the only place where it is computed.

    score = 100 * sum(weight * strength) / sum(weight), rounded

A misconception marked fatal, or a core point contradicted, caps the score: a core idea reversed is not made good by two right
details. A lesser misconception costs a fixed share.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.content import Rubric
from bot.model import Finding, Mistaken, Verdict

FATAL_CAP = 30
MISCONCEPTION_COST = 8


def score(rubric: Rubric, verdicts: Iterable[Verdict], misconceptions: Iterable[Mistaken]) -> int:
    """0..100."""
    weights = {point.id: point.weight for point in rubric.points}
    core = {point.id for point in rubric.points if point.core}
    known = {one.id: one for one in rubric.misconceptions}
    earned = 0.0
    capped = False
    for verdict in verdicts:
        earned += weights[verdict.point] * verdict.strength
        capped = capped or (verdict.finding is Finding.CONTRADICTED and verdict.point in core)
    total = 100.0 * earned / sum(weights.values())
    for mistaken in misconceptions:
        total -= MISCONCEPTION_COST
        capped = capped or known[mistaken.misconception].fatal
    if capped:
        total = min(total, FATAL_CAP)
    return max(0, min(100, round(total)))
