"""Grading against a reference answer alone, where nobody has written a rubric: its own clauses are the points.

A stopgap for authors and for comparison with other graders. There is nothing that says what would be wrong to say, so a
contradiction is only seen where the encoder sees it.
"""

from __future__ import annotations

from bot.content import Point, Rubric
from bot.grading.reading import segments

MOST_POINTS = 12
SHORTEST = 2
"""Words of a clause that can be a point."""


def rubric(question: str, reference: str) -> Rubric:
    """A rubric whose points are the clauses of `reference`, weighted by their length. Raises ValueError for an empty one."""
    clauses = [window.text for window in segments(reference) if len(window.text.split()) >= SHORTEST][:MOST_POINTS]
    clauses = clauses or [reference.strip()][: bool(reference.strip())]
    if not clauses:
        raise ValueError("the reference is empty")
    points = tuple(
        Point.model_construct(
            id=f"clause-{number}", weight=float(max(1, len(clause.split()))), statement=clause, phrasings=(), contrary=(), core=False,
            formulas=(), mistakes=(),
        )
        for number, clause in enumerate(clauses, 1)
    )  # fmt: skip
    return Rubric.model_construct(prompt=question, answer=reference, points=points, misconceptions=())
