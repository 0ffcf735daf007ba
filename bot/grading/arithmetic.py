"""From verdicts to a score: the only place where it is computed.

1. The share of the rubric's weight that was earned:     share = sum(weight * strength) / sum(weight)
2. Markers give the first sound points more than the last refinements, so the share is bent:
                                                         base  = 100 * (1 - (1 - share) ** BEND)
3. A core idea reversed is not made good by two right details. Where the reply contradicts a point or states a fatal
   misconception, markers stop at about 25 however much else is right. The grader is `sure` of that to some degree, 0..1:
                                                         score = sure * min(base * KEPT, CAP) + (1 - sure) * base
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.content import Rubric
from bot.model import Finding, Mistaken, Verdict

BEND = 1.5
"""How strongly the share is bent; fitted on marked replies whose points two readers had labelled."""

CAP = 25.0
"""The most that a reply with a contradiction earns."""

KEPT = 0.6
"""What is left of the base where something is contradicted and the cap is not reached."""


def score(rubric: Rubric, verdicts: Iterable[Verdict], misconceptions: Iterable[Mistaken]) -> int:
    """0..100."""
    weights = {point.id: point.weight for point in rubric.points}
    fatal = {one.id for one in rubric.misconceptions if one.fatal}
    verdicts = list(verdicts)
    share = sum(weights[verdict.point] * verdict.strength for verdict in verdicts) / sum(weights.values())
    base: float = 100.0 * (1.0 - (1.0 - min(share, 1.0)) ** BEND)
    wrong = [verdict.sure for verdict in verdicts if verdict.finding is Finding.CONTRADICTED]
    wrong += [mistaken.sure for mistaken in misconceptions if mistaken.misconception in fatal]
    sure = max(wrong, default=0.0)
    return round(sure * min(base * KEPT, CAP) + (1.0 - sure) * base)
