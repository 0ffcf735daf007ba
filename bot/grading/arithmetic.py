"""From verdicts to a score: the only place where it is computed.

1. The share of the rubric's weight that was earned:     share = sum(weight * strength) / sum(weight)
2. Markers give the first sound points more than the last refinements, so the share is bent:
                                                         base  = 100 * (1 - (1 - share) ** BEND)
3. A core idea reversed is not made good by two right details. Where the reply contradicts a point or states a fatal
   misconception, markers stop at about 25 however much else is right. The grader is `sure` of that to some degree, 0..1:
   Several doubts add up as independent ones do; a point that is not called contradicted counts where the grader doubts it
   (`Verdict.doubted`):                                sure = 1 - product(1 - sure of each)
                                                         score = sure * min(base * KEPT, CAP) + (1 - sure) * base
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bot.content import Rubric
from bot.model import Finding, Mistaken, Verdict

BEND = 1.5
"""How strongly the share is bent; fitted on marked replies whose points two readers had labelled."""

CAP = 25.0
"""The most that a reply with a contradiction earns."""

KEPT = 0.6
"""What is left of the base where something is contradicted and the cap is not reached."""


@dataclass(frozen=True, slots=True)
class Working:
    """The way to a score. share: 0..1, of the rubric's weight; base: 0..100, before what is wrong counts; wrong: what was
    contradicted, doubted or fatally mistaken (ids) with how sure the grader is of it, 0..1; sure: that any of those is so; capped: what is
    left of the base where the grader is wholly sure."""

    share: float
    base: float
    wrong: tuple[tuple[str, float], ...]
    sure: float
    capped: float

    @property
    def score(self) -> int:
        """0..100."""
        return round(self.sure * self.capped + (1.0 - self.sure) * self.base)


def working(rubric: Rubric, verdicts: Iterable[Verdict], misconceptions: Iterable[Mistaken]) -> Working:
    """Every step from the verdicts to the score."""
    weights = {point.id: point.weight for point in rubric.points}
    fatal = {one.id for one in rubric.misconceptions if one.fatal}
    verdicts = list(verdicts)
    share = sum(weights[verdict.point] * verdict.strength for verdict in verdicts) / sum(weights.values())
    base: float = 100.0 * (1.0 - (1.0 - min(share, 1.0)) ** BEND)
    wrong = [(verdict.point, verdict.sure) for verdict in verdicts if verdict.finding is Finding.CONTRADICTED]
    wrong += [(verdict.point, verdict.doubt) for verdict in verdicts if verdict.doubted]
    wrong += [(mistaken.misconception, mistaken.sure) for mistaken in misconceptions if mistaken.misconception in fatal]
    sure = 1.0 - math.prod(1.0 - one for _, one in wrong)
    return Working(share, base, tuple(wrong), sure, min(base * KEPT, CAP))


def score(rubric: Rubric, verdicts: Iterable[Verdict], misconceptions: Iterable[Mistaken]) -> int:
    """0..100."""
    return working(rubric, verdicts, misconceptions).score
