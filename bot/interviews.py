"""What a good interviewer asks next: the follow-up that this very reply calls for, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.content import Followup, Question
from bot.content import words as words_of
from bot.model import Finding, Grade, Verdict

STRONG = 80
"""From this score (0..100) on a reply earns the question that goes deeper."""

FAIR = 50
"""Below this score a reply that leaves nothing else to ask about is left alone: one level deeper would only lose the learner."""

SOMETHING = 20
"""Below this score no words of a reply are taken up, unless they are wrong: what earned nothing is no place to begin from."""

IN_A_DRILL = 2
"""Follow-ups to one question, at most."""

ANSWERED = 70
"""From this score (0..100) of a follow-up on, the point that it asked for counts as covered with help."""

HELPED = 0.5
"""The share of its weight that a point earns with help."""

SUPPORT = "support-"
"""How the id of a follow-up begins that asks for the reason of a claim; the point's id follows."""

ASKS_WHY = "What makes you say so? Give the reason, a number or a case."

_SUPPORTED = re.compile(
    r"\b(?:because|since|as\s+(?:it|they|the)|so\s+that|therefore|hence|due\s+to|for\s+(?:example|instance)|e\.?g|such\s+as|say\b|if\b|when\b|which\s+means)"
    r"|[\d=]",
    re.IGNORECASE,
)


class Reason(StrEnum):
    """Why a follow-up is asked."""

    MISCONCEPTION = "a misconception was stated"
    CORE = "a core point is missing"
    UNSUPPORTED = "a claim was made without support"
    STRONG = "a strong reply goes one level deeper"
    POINT = "a point is missing"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A follow-up, the reason for it, and the learner's own words that it takes up ("" where there are none)."""

    followup: Followup
    reason: Reason
    quote: str = ""


def core_missing(question: Question, grade: Grade) -> list[str]:
    """The core points that the reply did not make, in the rubric's order."""
    absent = {verdict.point for verdict in grade.verdicts if verdict.finding in (Finding.MISSING, Finding.CONTRADICTED)}
    return [point.id for point in question.points if point.core and point.id in absent]


def follow_up(
    question: Question,
    grade: Grade,
    asked: Collection[str] = (),
    said: Callable[[Followup], bool] = lambda _: False,
    most: int = IN_A_DRILL,
) -> Chosen | None:
    """The follow-up for this reply; None where nothing fits or `most` were asked.

    asked: the ids of those that this attempt had already. said: whether the learner gave the answer to one unasked, which is
    looked at only where it matters. In this order: a misconception that the reply states, a core point that it lacks, a claim
    that it leaves without support, after a strong reply one level deeper, and another point that it lacks or has only in part.
    """
    if len(asked) >= most or (grade.score is None and not grade.verdicts):
        return None

    def left(when: str) -> Followup | None:
        return next((one for one in question.followups if one.when == when and one.id not in asked and not said(one)), None)

    for one in grade.misconceptions:
        if found := left(f"misconception:{one.misconception}"):
            return Chosen(found, Reason.MISCONCEPTION, one.quote)
    for id in core_missing(question, grade):
        if found := left(f"missing:{id}"):
            return Chosen(found, Reason.CORE, _taken_up(question, grade, id))
    for verdict in grade.verdicts:
        if verdict.finding is Finding.PARTLY and not _SUPPORTED.search(verdict.quote):
            why = left(f"missing:{verdict.point}") or asks_why(question, verdict.point)
            if why is not None and why.id not in asked:
                return Chosen(why, Reason.UNSUPPORTED, verdict.quote)
    deeper = left("strong") if grade.score is not None and grade.score >= FAIR else None
    if deeper is not None and grade.score is not None and grade.score >= STRONG:
        return Chosen(deeper, Reason.STRONG, _taken_up(question, grade))
    for verdict in grade.verdicts:
        absent = verdict.finding in (Finding.MISSING, Finding.CONTRADICTED, Finding.PARTLY)
        if absent and (found := left(f"missing:{verdict.point}")):
            return Chosen(found, Reason.POINT, _taken_up(question, grade, verdict.point))
    return Chosen(deeper, Reason.STRONG, _taken_up(question, grade)) if deeper is not None else None


def _taken_up(question: Question, grade: Grade, point: str = "") -> str:
    """The learner's words to begin from: those that contradict the point, else those that made the heaviest one."""
    verdict = grade.verdict(point)
    if verdict is not None and verdict.quote:
        return verdict.quote
    if (grade.score or 0) < SOMETHING:
        return ""
    weights = {one.id: one.weight for one in question.points}
    made = [one for one in grade.verdicts if one.finding in (Finding.COVERED, Finding.PARTLY)]
    return max(made, key=lambda one: (one.strength, weights.get(one.point, 0.0))).quote if made else ""


def asks_why(question: Question, point: str) -> Followup | None:
    """The follow-up that asks for the support of a claim about `point`, and is graded on that point."""
    one = question.point(point)
    if one is None:
        return None
    return Followup(id=f"{SUPPORT}{point}"[:40].rstrip("-"), when=f"missing:{point}", prompt=ASKS_WHY, answer=one.statement, points=(one,))


def find(question: Question, id: str) -> Followup | None:
    """The follow-up with this id, be it the question's own or one that asks for support."""
    written = question.followup(id)
    if written is not None or not id.startswith(SUPPORT):
        return written
    return next((one for point in question.points if (one := asks_why(question, point.id)) is not None and one.id == id), None)


def on_its_own(grade: Grade, followup: Followup) -> Grade:
    """What a grade against the question's whole rubric says of a follow-up's points alone.

    Where a follow-up asks for the support of one claim, the reply is read against the whole: a rubric of one point would be
    unlike all that the grader was fitted on."""
    own = {point.id: point.weight for point in followup.points}
    verdicts = tuple(verdict for verdict in grade.verdicts if verdict.point in own)
    if grade.score is None or not verdicts:
        return replace(grade, verdicts=verdicts, misconceptions=())
    earned = sum(own[verdict.point] * verdict.strength for verdict in verdicts) / sum(own.values())
    return replace(grade, score=round(100 * earned), verdicts=verdicts, misconceptions=())


def helped(first: Grade, followup: Followup, reply: Grade) -> tuple[Verdict, ...] | None:
    """The first grade's verdicts with the point that a follow-up asked for raised to covered, with help; None where it stays.

    The words that it then quotes are those of the reply to the follow-up."""
    kind, _, point = followup.when.partition(":")
    old = first.verdict(point) if kind == "missing" else None
    if old is None or old.finding not in (Finding.MISSING, Finding.PARTLY) or (reply.score or 0) < ANSWERED:
        return None
    said = max((one for one in reply.verdicts if one.finding is Finding.COVERED), key=lambda one: (one.strength, one.sure), default=None)
    if said is None:
        return None
    raised = replace(said, point=point, strength=max(old.strength, HELPED), helped=True, doubt=0.0)
    return tuple(raised if one.point == point else one for one in first.verdicts)


# ---------------------------------------------------------------------------------------------- learnt by heart

RUN, RECITED, LEAST = 5, 0.6, 30
"""A reply of 30 words or more is recited where six in ten of its runs of five words stand so in the model answer."""


def memorised(reply: str, answer: str) -> bool:
    """Whether a reply is the model answer word for word, or nearly."""
    said = words_of(reply)
    if len(said) < LEAST:
        return False
    known = words_of(answer)
    runs = [tuple(said[at : at + RUN]) for at in range(len(said) - RUN + 1)]
    there = {tuple(known[at : at + RUN]) for at in range(len(known) - RUN + 1)}
    return sum(run in there for run in runs) >= RECITED * len(runs)
