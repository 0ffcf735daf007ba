"""What becomes of "I did say that": where the learner's words stand in their reply, and what one more reading of them changes.

Nothing is read by a grader here; readings are arguments.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Container
from dataclasses import dataclass, replace

from rapidfuzz import fuzz

from bot.content import Point, Rubric
from bot.grading import arithmetic, gates
from bot.grading.plain import Lexical
from bot.grading.reading import LONGEST, NEGATORS, Window, segments, stems, tokens
from bot.model import Attempt, Finding, Grade, Ruling, Verdict

MOST = 3
"""Appeals to one attempt."""

WIDEST = 60
"""Words that a learner may point at: who points at everything points at nothing."""

ALIKE = 86.0
"""Likeness (0..100) from which mistyped words are taken for a stretch of the reply."""

NOT_A_QUOTE = 62.0
"""Likeness (0..100) below which a text is no quote of the reply at all."""

SHORTEST_MISTYPED = 10
"""Characters; anything shorter must be quoted to the letter."""

ENOUGH = 0.55
"""Strength from which words that were pointed at cover a point. Unasked the reader wants .65: that the learner says which
words are meant removes the doubt where to look, not the doubt whether they say it."""

LIKELY, VERY_LIKELY = 0.42, 0.58
"""Likeness of words (0..1, see `Lexical`) from which words that were pointed at make a point partly, and cover it. Unasked the
plain grader wants .5 and .66. What these lines let through is measured by tests/bench/appeals.py (see docs/grading.md)."""

HALF = 0.5
"""The strength of what its likeness of words raises to partly."""

NOTE = "appealed"
"""Stands in `Grade.note` of a grade that an appeal changed."""

_RANK = {Finding.CONTRADICTED: 0, Finding.MISSING: 1, Finding.CANNOT_TELL: 1, Finding.PARTLY: 2, Finding.COVERED: 3}

_REVERSING = NEGATORS | frozenset(
    "wrong false falsely myth incorrect incorrectly untrue mistake mistaken misconception instead rather unlike opposite contrary".split()  # noqa: SIM905
)


# ---------------------------------------------------------------------------------------------- what may be appealed


def appealable(rubric: Rubric, grade: Grade, appealed: Container[str] = ()) -> list[Point]:
    """The points that are not fully covered and not in `appealed`, in the rubric's order; none where there is no score,
    where the reply as a whole is no evidence, or where the rubric has changed so much that the grade can't be computed again."""
    known = {point.id for point in rubric.points}
    if grade.score is None or "keywords" in grade.note.split() or any(verdict.point not in known for verdict in grade.verdicts):
        return []
    return [
        point
        for point in rubric.points
        if point.id not in appealed and (verdict := grade.verdict(point.id)) is not None and verdict.finding is not Finding.COVERED
    ]


def _alone(rubric: Rubric, point: Point) -> Lexical:
    """The words of that point only; what is false stays false."""
    return Lexical(Rubric(prompt=rubric.prompt, answer=rubric.answer, points=(point,), misconceptions=rubric.misconceptions))


# ---------------------------------------------------------------------------------------------- where the words stand


@dataclass(frozen=True, slots=True)
class Found:
    """Where the reply has words that were typed, if it has; likeness (0..100): how near the nearest stretch is."""

    place: Window | None
    likeness: float


def located(reply: str, quote: str) -> Found:
    """The stretch of `reply` that `quote` stands for: to the letter, whatever its case and spacing, or slightly mistyped. A
    place never begins or ends within a word."""
    folded, places = _folded(reply[:LONGEST])
    wanted = _folded(quote)[0].strip(" \"'“”„«»….,;:")
    if not any(char.isalnum() for char in wanted):
        return Found(None, 0.0)
    at = folded.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if not (_within(folded, at) or _within(folded, end)):
            return Found(_window(reply, places[at], places[end - 1] + 1), 100.0)
        at = folded.find(wanted, at + 1)
    if len(wanted) < SHORTEST_MISTYPED:
        return Found(None, 0.0)
    best = fuzz.partial_ratio_alignment(wanted, folded)
    if best is None or best.dest_end <= best.dest_start:
        return Found(None, 0.0)
    whole = best.src_end - best.src_start >= 0.9 * len(wanted)  # of a text longer than the reply only a part is compared
    likeness = best.score if whole else min(best.score, NOT_A_QUOTE - 1)
    if likeness < ALIKE:
        return Found(None, likeness)
    start, end = best.dest_start, best.dest_end
    while _within(folded, start):
        start -= 1
    while _within(folded, end):
        end += 1
    while start < end and folded[start] == " ":
        start += 1
    while end > start and folded[end - 1] == " ":
        end -= 1
    return Found(_window(reply, places[start], places[end - 1] + 1), likeness)


def _window(reply: str, start: int, end: int) -> Window:
    return Window(reply[start:end], start, end)


def _within(text: str, at: int) -> bool:
    """Whether a cut before `at` goes through a word."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


_SAME = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "‐": "-", "‑": "-", "–": "-", "—": "-"})


def _folded(text: str) -> tuple[str, list[int]]:
    """`text` in one case, with one space for any run of them and nothing invisible; and each character's place in it."""
    folded: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text.translate(_SAME)):
        if char.isspace():
            if folded and folded[-1] != " ":
                folded.append(" ")
                places.append(place)
        elif not unicodedata.category(char).startswith("C"):
            made = char.casefold()
            folded.extend(made)
            places.extend([place] * len(made))
    return "".join(folded), places


def sentences(reply: str) -> list[Window]:
    """The stretches of a reply that are offered as buttons, by their number."""
    return segments(reply[:LONGEST])


def offered(reply: str, rubric: Rubric, point: Point, most: int) -> list[int]:
    """The numbers of the `most` stretches that are nearest to the point, by their words, in the order of the reply."""
    lexical = _alone(rubric, point)
    found = sentences(reply)
    near = sorted(range(len(found)), key=lambda number: (-lexical.best(lexical.read(found[number]), lexical.right[0])[0], number))
    return sorted(near[:most])


def in_context(reply: str, span: Window) -> Window:
    """`span`, widened to the clauses that it stands in where those hold a word that may turn it round: nobody may point at the
    half of a sentence that the other half denies."""
    around = [piece for piece in sentences(reply) if piece.start < span.end and span.start < piece.end]
    if not around:
        return span
    start, end = min(span.start, around[0].start), max(span.end, around[-1].end)
    outside = (*tokens(reply[start : span.start]), *tokens(reply[span.end : end]))
    return _window(reply, start, end) if any(word in _REVERSING or word.endswith("n't") for word in outside) else span


def too_wide(span: Window) -> bool:
    return len(span.text.split()) > WIDEST


def refused(rubric: Rubric, reply: str, span: Window) -> bool:
    """Whether the words are no evidence: an instruction to the grader or next to one, keywords without a sentence, or
    nothing but the question's own words."""
    around = [piece.text for piece in sentences(reply) if piece.start < span.end and span.start < piece.end]
    said = set(stems(span.text))
    return (
        any(gates.orders(text) for text in (span.text, *around))
        or any(_heap(text) for text in (span.text, reply[:LONGEST]))
        or not said
        or said <= set(stems(rubric.prompt))
    )


def _heap(text: str) -> bool:
    """As the gate has it; of words that were picked out seven are enough to tell, where the gate wants ten."""
    return gates.heap(text) or (len(tokens(text)) >= 7 and gates.heap(f"{text} {text}"))


# ---------------------------------------------------------------------------------------------- what follows


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of an appeal: the ruling, the grade that now holds, and the misconception that the words state, or ""."""

    ruling: Ruling
    grade: Grade
    misconception: str = ""


def rule(rubric: Rubric, attempt: Attempt, point: Point, span: Window, reading: Grade, struck: Grade | None) -> Heard:
    """What the `reading` of `span`, as if it were a whole reply, changes in the attempt's verdict on `point`.

    struck: the same of the words that the grade holds to contradict the point; they must not do so any more. The verdict is
    never lowered, and the score never raised by more than the point's share of the rubric's weight."""
    grade = attempt.grade
    before = grade.verdict(point.id)
    if before is None or grade.score is None:
        raise ValueError("this verdict can't be appealed")
    if refused(rubric, attempt.text, span):
        return Heard(Ruling.REFUSED, grade)
    if reading.misconceptions:
        return Heard(Ruling.CONTRARY, grade, reading.misconceptions[0].misconception)
    read = reading.verdict(point.id)
    if read is None or read.finding is Finding.CONTRADICTED:
        return Heard(Ruling.CONTRARY, grade)
    if before.finding is Finding.CONTRADICTED and (
        struck is None or struck.misconceptions or (other := struck.verdict(point.id)) is None or other.finding is Finding.CONTRADICTED
    ):
        return Heard(Ruling.CONTRARY, grade)
    finding, strength = _lenient(rubric, point, span, read)
    if finding is Finding.MISSING or reading.score is None or _RANK[finding] <= _RANK[before.finding]:
        return Heard(Ruling.KEPT, grade)  # that a point is not contradicted after all does not make it
    after = replace(
        before,
        finding=finding,
        quote=span.text,
        start=span.start,
        end=span.end,
        strength=max(strength, before.strength),
        sure=read.sure,
        doubt=read.doubt,
    )
    return Heard(Ruling.RAISED, regraded(rubric, grade, after))


def _lenient(rubric: Rubric, point: Point, span: Window, read: Verdict) -> tuple[Finding, float]:
    """What a reading comes to, now that the learner has said which words are meant."""
    if read.finding is Finding.COVERED or (read.finding is Finding.PARTLY and read.strength >= ENOUGH):
        return Finding.COVERED, max(read.strength, ENOUGH)
    lexical = _alone(rubric, point)
    said = lexical.read(span)
    right, agree = lexical.best(said, lexical.right[0])
    wrong, _ = lexical.best(said, (*lexical.wrong[0], *(text for texts in lexical.false for text in texts)))
    alike = right if agree and right > wrong else 0.0
    if alike >= VERY_LIKELY:
        return Finding.COVERED, max(read.strength, ENOUGH)
    if read.finding is Finding.PARTLY:
        return Finding.PARTLY, read.strength
    return (Finding.PARTLY, HALF) if alike >= LIKELY else (Finding.MISSING, 0.0)


def regraded(rubric: Rubric, grade: Grade, after: Verdict) -> Grade:
    """The grade with one verdict replaced by a better one, and its score computed again; not lower, and not higher than by the
    point's share of the rubric's weight."""
    verdicts = tuple(after if verdict.point == after.point else verdict for verdict in grade.verdicts)
    weights = {point.id: point.weight for point in rubric.points}
    old = grade.score or 0
    most = math.floor(old + 100 * weights[after.point] / sum(weights.values()))
    score = max(old, min(arithmetic.score(rubric, verdicts, grade.misconceptions), most))
    note = grade.note if NOTE in grade.note.split() else f"{grade.note} {NOTE}".lstrip()
    return replace(grade, score=score, verdicts=verdicts, note=note)
