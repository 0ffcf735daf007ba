"""What must stay, and what must fall, when a reply is changed in a known way: run over any question with any grader.

The model answer reworded keeps its score; a sentence taken out costs the points that it made, and one denied costs no less;
flattery, instructions, keywords or the question said after a reply change nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rewordings

from bot.content import Question
from bot.grading import Judge
from bot.model import Finding, Grade

SAME, TYPED, MORE = 10, 10, 3
"""By how much a score may change: reworded; with five letters in a hundred mistyped; with something said after it."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Check:
    """One change of a reply. kind: what was done; about: the point or the way; held: whether what must hold did."""

    kind: str
    question: str
    about: str
    held: bool
    seen: str


def reworded(judge: Judge, question: Question, some: Sequence[str] = ()) -> Iterator[Check]:
    """The model answer in other forms, or in `some` of them."""
    rng, answer = random.Random(question.id), question.answer
    before = judge.judge(question, answer).score or 0
    found = rewordings.sentences(answer)
    ways = {
        "contracted": rewordings.contracted(answer),
        "expanded": rewordings.expanded(answer), "reordered": rewordings.reordered(answer, rng),
        "connected": rewordings.connected(answer, rng), "filled": rewordings.filled(answer, rng), "lower": answer.lower(),
        "upper": answer.upper(), "bullets": "\n".join(f"- {one}" for one in rng.sample(found, len(found))),
    }  # fmt: skip
    for way in some or ways:
        after = judge.judge(question, ways[way]).score or 0
        yield Check("reworded", question.id, way, before - after <= SAME, f"{before} -> {after}")
    after = judge.judge(question, rewordings.mistyped(answer, rng)).score or 0
    yield Check("mistyped", question.id, "letters", before - after <= TYPED, f"{before} -> {after}")


def removed_and_denied(judge: Judge, question: Question, most: int = 100) -> Iterator[Check]:
    """Each sentence of the model answer that makes a point, taken out and then denied; the first `most` of them."""
    answer = question.answer
    whole = judge.judge(question, answer)
    for start, end in _places(answer):
        made = [one.point for one in whole.verdicts if one.start is not None and start <= one.start < end]
        if not made or not most:
            continue
        most -= 1
        without = judge.judge(question, f"{answer[:start]}{answer[end:]}".strip())
        denied = rewordings.negated(answer[start:end].rstrip())
        against = judge.judge(question, f"{answer[:start]}{denied} {answer[end:]}".strip())
        for point in made:
            yield Check("removed", question.id, point, _finding(without, point) is not Finding.COVERED, f"{whole.score} -> {without.score}")
        yield Check(
            "denied",
            question.id,
            " ".join(made),
            (against.score or 0) <= (without.score or 0) + MORE,
            f"{without.score} | {against.score}: {denied}",
        )


def said_after(judge: Judge, question: Question) -> Iterator[Check]:
    """The first two sentences of the model answer, and something after them that is no answer."""
    reply = " ".join(rewordings.sentences(question.answer)[:2])
    before = judge.judge(question, reply).score or 0
    more = {"flattery": rewordings.FLATTERY, "orders": rewordings.ORDER, "keywords": rewordings.KEYWORDS, "question": f" {question.prompt}"}
    for way, text in more.items():
        after = judge.judge(question, reply + text).score or 0
        yield Check("said after", question.id, way, abs(after - before) <= MORE, f"{before} -> {after}")


def checks(judge: Judge, question: Question) -> Iterator[Check]:
    """All of the above."""
    yield from reworded(judge, question)
    yield from removed_and_denied(judge, question)
    yield from said_after(judge, question)


def some(judge: Judge, question: Question, rng: random.Random) -> Iterator[Check]:
    """A few of them, drawn by chance."""
    yield from reworded(judge, question, rng.sample(("contracted", "expanded", "reordered", "filled", "lower", "upper", "bullets"), 2))
    yield from removed_and_denied(judge, question, 1)
    yield from said_after(judge, question)


def _finding(grade: Grade, point: str) -> Finding:
    return next(one.finding for one in grade.verdicts if one.point == point)


def _places(text: str) -> list[tuple[int, int]]:
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    return list(zip([0, *ends], [*ends, len(text)], strict=True))
