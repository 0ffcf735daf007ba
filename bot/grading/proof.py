"""What only a grader can say of a question: that its model answer passes and its misconceptions don't."""

from __future__ import annotations

from collections.abc import Iterator

from bot.content import Library, Question
from bot.grading.plain import PlainGrader
from bot.model import Finding


def untrue(library: Library, grader: PlainGrader) -> list[str]:
    """A line for every way in which a question fails by its own rubric; [] when none does."""
    return [
        f"{question.file}: {question.id}: {field}: {what}"
        for question in library.questions.values()
        for field, what in _failures(question, grader)
    ]


def _failures(question: Question, grader: PlainGrader) -> Iterator[tuple[str, str]]:
    grade = grader.judge(question, question.answer)
    for verdict in grade.verdicts:
        if verdict.finding is not Finding.COVERED:
            yield "answer", f"point {verdict.point!r} is {verdict.finding} in the model answer"
    for mistaken in grade.misconceptions:
        yield "answer", f"the model answer reads as the misconception {mistaken.misconception!r}: {mistaken.quote[:60]!r}"
    if grade.score != 100 and all(verdict.finding is Finding.COVERED for verdict in grade.verdicts):
        yield "answer", f"the model answer earns {grade.score}, not 100"
    for one in question.misconceptions:
        alone = grader.judge(question, one.statement)
        for verdict in alone.verdicts:
            if verdict.finding in (Finding.COVERED, Finding.PARTLY):
                yield f"misconceptions.{one.id}", f"alone it earns point {verdict.point!r}"
        if not any(mistaken.misconception == one.id for mistaken in alone.misconceptions):
            yield f"misconceptions.{one.id}", "alone it is not recognised"
