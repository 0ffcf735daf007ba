"""What a good interviewer asks next: the follow-up that this very reply calls for."""

from __future__ import annotations

from collections.abc import Container

from bot.content import Followup, Question
from bot.model import Finding, Grade

STRONG = 80
"""From this score (0..100) on a reply earns the question that goes deeper."""


def core_missing(question: Question, grade: Grade) -> list[str]:
    """The core points that the reply did not make, in the rubric's order."""
    absent = {verdict.point for verdict in grade.verdicts if verdict.finding in (Finding.MISSING, Finding.CONTRADICTED)}
    return [point.id for point in question.points if point.core and point.id in absent]


def follow_up(question: Question, grade: Grade, asked: Container[str] = ()) -> Followup | None:
    """The follow-up for this reply, among those not in `asked`; None where nothing fits.

    In this order: a misconception that it states, a core point that it lacks, after a strong reply one level deeper, and
    another point that it lacks or has only in part.
    """
    left = [one for one in question.followups if one.id not in asked]
    stated = [f"misconception:{one.misconception}" for one in grade.misconceptions]
    core = [f"missing:{id}" for id in core_missing(question, grade)]
    absent = [
        f"missing:{verdict.point}"
        for verdict in grade.verdicts
        if verdict.finding in (Finding.MISSING, Finding.CONTRADICTED, Finding.PARTLY)
    ]
    strong = ["strong"] if grade.score is not None and grade.score >= STRONG else []
    for when in (*stated, *core, *strong, *absent):
        for one in left:
            if one.when == when:
                return one
    return next((one for one in left if one.when == "strong"), None) if grade.score else None
