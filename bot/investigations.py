"""The course of an investigation: what has been found and when, what is asked next, and what it earns.

An investigation is its messages: everything else follows from them, so that nothing but them is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from bot.incidents import STAGES, Clue, Incident
from bot.model import Finding, Grade, Investigation, Staged, Verdict

AT_ONCE = 2
"""Clues that one message brings: what is found ought to decide what is looked at next."""

PATIENCE = 2
"""Messages in a row that find nothing before the coach offers a hint."""

WORTH = {"checked": 25, "order": 10, "conclusion": 25, "actions": 25, "summary": 15}
"""What each part is worth, in points of 100."""

HINT = 3
"""Points that a hint costs, of those for what was checked."""

CONCLUDED = re.compile(
    r"^\W*(?:so\s+|ok\s+)?(?:i\s+(?:conclude|think\s+(?:that\s+)?the\s+(?:root\s+)?cause\s+is|know\s+the\s+cause)|my\s+conclusion|(?:the\s+)?(?:root\s+)?cause\s+is\b)",
    re.IGNORECASE,
)
"""Somebody who says so has stopped looking."""

JARGON = frozenset(
    """auc roc auroc logit logloss rmse mse f1 precision recall psi ks shap embedding embeddings hyperparameter hyperparameters
    gradient regularisation regularization overfit overfitting overfitted covariate heteroscedastic serialization schema dag etl
    featurizer vectorizer softmax one-hot backpropagation p-value p99 p95 retriever reranker tokens chunking holdout cross-validation
    hallucination quantile leakage skew""".split()  # noqa: SIM905
)
"""Words that somebody from the business would have to ask about."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one message brought. fresh: clues found now; again: known already; early: what can't be asked yet; more: asked for
    too, and left for the next message."""

    fresh: tuple[Clue, ...] = ()
    again: bool = False
    early: bool = False
    more: bool = False


def stage(course: Investigation) -> str:
    """What is awaited: "looking", one of STAGES, or "over"."""
    if course.closed:
        return "over"
    return (
        STAGES[len(course.staged)] if course.concluding and len(course.staged) < len(STAGES) else "over" if course.concluding else "looking"
    )


def look(incident: Incident, course: Investigation, wanted: Sequence[str]) -> tuple[Investigation, Looked]:
    """The investigation after a message that asks for the clues `wanted`, and what it brought."""
    fresh: list[Clue] = []
    early = more = again = False
    for id in wanted:
        clue = incident.clue(id)
        if clue is None:
            continue
        if id in course.found:
            again = True
        elif not set(clue.needs) <= set(course.found):
            early = True
        elif len(fresh) < AT_ONCE:
            fresh.append(clue)
        else:
            more = True
    idle = 0 if fresh else course.idle + 1
    after = replace(course, found=(*course.found, *(clue.id for clue in fresh)), idle=idle)
    return after, Looked(tuple(fresh), again, early, more)


def next_nudge(incident: Incident, found: Collection[str]) -> Clue | None:
    """The clue that a hint leads to: the first in a good investigator's order that is open and leads somewhere."""
    left = [clue for clue in incident.true if clue.id not in found and set(clue.needs) <= set(found)]
    return min(left, key=lambda clue: (clue.rank, -clue.weight), default=None)


def order(incident: Incident, found: Sequence[str]) -> float | None:
    """0..1: the share of pairs of true clues that were found in a good investigator's order; None where there is no pair."""
    ranks = [clue.rank for id in found if (clue := incident.clue(id)) is not None and not clue.herring]
    pairs = [(one, other) for one, other in combinations(ranks, 2) if one != other]
    return sum(one < other for one, other in pairs) / len(pairs) if pairs else None


def jargon(text: str) -> list[str]:
    """The words of a summary that a business person would stumble over, each once, in order."""
    said = re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", text.lower())
    return list(dict.fromkeys(word for word in said if word in JARGON))


@dataclass(frozen=True, slots=True)
class Marks:
    """What an investigation earned: 0..100 in each part, None where a part could not be judged, and in all."""

    checked: float
    order: float | None
    conclusion: int | None
    actions: int | None
    summary: int | None
    score: int

    def parts(self) -> dict[str, float | None]:
        return {
            "checked": self.checked,
            "order": self.order,
            "conclusion": self.conclusion,
            "actions": self.actions,
            "summary": self.summary,
        }


def marks(incident: Incident, course: Investigation) -> Marks:
    """What it earned so far. A part that can't be judged counts neither for nor against."""
    weights = {clue.id: clue.weight for clue in incident.true}
    checked = 100 * sum(weights.get(id, 0.0) for id in course.found) / sum(weights.values())
    checked = max(0.0, checked - 100 * HINT / WORTH["checked"] * course.hints)
    in_order = order(incident, course.found)
    scores = {one.stage: one.grade.score for one in course.staged}
    summary = scores.get("summary")
    if summary is not None:
        told = next(one.text for one in course.staged if one.stage == "summary")
        summary = max(0, summary - 10 * min(3, len(jargon(told))))
    parts: dict[str, float | None] = {
        "checked": checked, "order": None if in_order is None else 100 * in_order,
        "conclusion": scores.get("conclusion", 0 if course.closed else None),
        "actions": scores.get("actions", 0 if course.closed else None),
        "summary": summary if summary is not None or "summary" in scores else 0 if course.closed else None,
    }  # fmt: skip
    judged = {name: part for name, part in parts.items() if part is not None}
    score = sum(WORTH[name] * part for name, part in judged.items()) / sum(WORTH[name] for name in judged)
    return Marks(checked, parts["order"], _whole(parts["conclusion"]), _whole(parts["actions"]), _whole(parts["summary"]), round(score))


def _whole(part: float | None) -> int | None:
    return None if part is None else round(part)


def grade(incident: Incident, course: Investigation) -> Grade:
    """The investigation as one grade, for history and reports: a verdict for each part."""
    earned = marks(incident, course)
    text = said(course)
    verdicts = []
    for name, part in earned.parts().items():
        if part is None:
            verdicts.append(Verdict(name, Finding.CANNOT_TELL))
        elif part >= 70 and text:
            verdicts.append(Verdict(name, Finding.COVERED, text[:80], 0, min(80, len(text)), part / 100))
        elif part >= 30 and text:
            verdicts.append(Verdict(name, Finding.PARTLY, text[:80], 0, min(80, len(text)), part / 100))
        else:
            verdicts.append(Verdict(name, Finding.MISSING, strength=part / 100))
    graders = sorted({one.grade.graded_by for one in course.staged})
    note = "memorised" if any("memorised" in one.grade.note.split() for one in course.staged) else ""
    return Grade(earned.score, tuple(verdicts), (), graders[0] if graders else "incident 1", note)


def said(course: Investigation) -> str:
    """All that the learner wrote, a line for each message."""
    return "\n".join((*course.looks, *(one.text for one in course.staged)))


def staged(course: Investigation, text: str, given: Grade) -> Investigation:
    """The investigation after the reply to one of STAGES."""
    return replace(course, staged=(*course.staged, Staged(stage(course), text, given)))
