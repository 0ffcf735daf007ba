"""Why a reply got its score: what the grader read, saw and reckoned, as text and as JSON.

Nothing is graded here. A `WatchedReader` is the grader itself, which keeps what its last grade was made of, and the arithmetic
is `bot.grading.arithmetic`'s own, so that an explanation can't disagree with the grade.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.content import Rubric
from bot.grading import Judge, arithmetic, directions
from bot.grading.claims import Numbers
from bot.grading.evidence import FEATURES, Evidence
from bot.grading.reader import CLASSES, ReaderGrader
from bot.grading.reading import LONGEST, Window, segments, shortened
from bot.grading.reference import NUMBERS, Compared, Fitted, Prepared, Reference, ReferenceGrader
from bot.model import Finding, Grade, Verdict

WIDTH = 100
"""Columns of the text."""

MOVERS = 4
"""Features shown for each point."""

LITTLE = 0.01
"""Effects below this one are not shown."""

GATES = {
    "language": "The reply is not in English, so it can't be graded: no score, which is not a zero.",
    "keywords": "The reply is a heap of keywords: words without sentences earn nothing.",
    "instructions": "What speaks to the grader was left out of the evidence.",
    "neighbour": "It answers a neighbouring question rather: segments that speak of that one make no point.",
    "off-topic": "Hardly any of its words are this question's: nothing of it makes a point.",
    "cut": f"Only the first {LONGEST:,} characters were read.",
}
"""What each word of `Grade.note` means."""


DIRECTIONS = "by what it says rises and falls with what"
FORMULAS = "by a formula or an inequality"
"""What may settle a verdict after the encoder's numbers."""


class WatchedReader(ReaderGrader):
    """The grader that comes with the coach, grading as it always does; keeps what its last grade was made of."""

    seen: tuple[Evidence, tuple[Window, ...], tuple[Verdict, ...]] | None = None
    """The evidence of the last grade, the segments that it speaks of, and the verdicts before directions and formulas were looked at;
    None where a gate ended it earlier."""

    @classmethod
    def of(cls, grader: ReaderGrader) -> WatchedReader:
        """`grader`, watched: the same encoder, fitted numbers and memory of rubrics."""
        return cls(grader.gatherer, grader.head)

    def judge(self, rubric: Rubric, reply: str) -> Grade:
        self.seen = None
        return super().judge(rubric, reply)

    def verdicts(self, rubric: Rubric, evidence: Evidence, windows: Sequence[Window]) -> tuple[Verdict, ...]:
        made = super().verdicts(rubric, evidence, windows)
        self.seen = (evidence, tuple(windows), made)
        return made

    def chances(self, features: Numbers) -> Numbers:
        """The class chances of each point, [points, 4], in the order of CLASSES."""
        return self.head.points(features)

    def stated(self, table: Numbers) -> Numbers:
        """The chance that each misconception is stated."""
        return self.head.misconceptions(table)

    def moved(self, features: Numbers) -> Numbers:
        """[points, FEATURES]: how much each number moves the expected share of its point, against the mean of the replies that the
        model was fitted on. Effects of single numbers; they don't add up, as the model is not linear."""
        mean = np.mean([model.mean for model in self.head.models], axis=0)
        now = _share(self.chances(features))
        made = np.zeros_like(features)
        for column in range(features.shape[1]):
            without = features.copy()
            without[:, column] = mean[column]
            made[:, column] = now - _share(self.chances(without))
        return made


def _share(chances: Numbers) -> Numbers:
    """What the models expect of each point, 0..1, before it is stretched into a strength."""
    made: Numbers = chances[:, 0] + 0.5 * chances[:, 1]
    return made


@dataclass(frozen=True)
class Seen:
    """What the judge made of one segment: its number from 1, and the chances that it states, denies, or does neither."""

    segment: int
    states: float
    denies: float
    neither: float


@dataclass(frozen=True)
class PointSeen:
    """One point. nearest: the rubric's text that is nearest to a segment, with their cosine -1..1. most: the highest chance, over
    all segments that were judged, of states and of denies, and their segments. chances: of each finding. moved: numbers that
    moved the share most, with their value and their effect. settled: what decided in their place, or ""."""

    nearest: str
    cosine: float
    judged: Seen
    states: tuple[float, int]
    denies: tuple[float, int]
    chances: dict[str, float]
    moved: tuple[tuple[str, float, float], ...]
    settled: str


@dataclass(frozen=True)
class MisconceptionSeen:
    """One misconception: the cosine of the segment that is nearest to it, what the judge says of that, and the chance that it is
    stated. named: whether the grade names it; why: why not, where the chance alone would have, or why although it would not."""

    id: str
    statement: str
    cosine: float
    judged: Seen
    chance: float
    named: bool
    why: str


@dataclass(frozen=True)
class Explanation:
    """A grade and all that it was made of; `points` and `misconceptions` are empty where no encoder looked at the reply."""

    rubric: Rubric
    reply: str
    grade: Grade
    segments: tuple[Window, ...]
    left_out: tuple[Window, ...]
    points: tuple[PointSeen, ...]
    misconceptions: tuple[MisconceptionSeen, ...]
    working: arithmetic.Working | None


@dataclass(frozen=True)
class ByReference:
    """A grade by a reference and all that it was made of; `compared` and `prepared` are None where nothing was compared."""

    reference: Reference
    answer: str
    grade: Grade
    segments: tuple[Window, ...]
    compared: Compared | None
    prepared: Prepared | None
    fitted: Fitted


def explain_reference(grader: ReferenceGrader, reference: Reference, answer: str) -> ByReference:
    """Grades `answer` and says why."""
    grade, windows, compared = grader.watch(reference, answer)
    prepared = grader.prepared(reference) if compared else None
    return ByReference(reference, answer, grade, tuple(windows), compared, prepared, grader.fitted)


def watched(judge: Judge) -> Judge:
    """`judge`, so that it can be explained in full where that is possible."""
    return WatchedReader.of(judge) if isinstance(judge, ReaderGrader) else judge


def explain(judge: Judge, rubric: Rubric, reply: str) -> Explanation:
    """Grades `reply` and says why. A judge that is not a WatchedReader is explained by its verdicts and the arithmetic alone."""
    grade = judge.judge(rubric, reply)
    whole = segments(shortened(reply))
    read = tuple(whole)
    points: tuple[PointSeen, ...] = ()
    misconceptions: tuple[MisconceptionSeen, ...] = ()
    if isinstance(judge, WatchedReader):
        read = ()
        if judge.seen is not None:
            evidence, read, before = judge.seen
            told = directions.found(directions.of_rubric(rubric), shortened(reply), read)
            settled = {
                verdict.point: DIRECTIONS if any(one.point == verdict.point for one in told) else FORMULAS
                for verdict, first in zip(grade.verdicts, before, strict=True)
                if verdict != first
            }
            points = tuple(_points(judge, rubric, evidence, settled))
            misconceptions = tuple(_misconceptions(judge, rubric, evidence, grade))
    left_out = tuple(window for window in whole if window not in read)
    working = None if grade.score is None else arithmetic.working(rubric, grade.verdicts, grade.misconceptions)
    return Explanation(rubric, reply, grade, read, left_out, points, misconceptions, working)


def _points(judge: WatchedReader, rubric: Rubric, evidence: Evidence, otherwise: Mapping[str, str]) -> Iterator[PointSeen]:
    chances, moved = judge.chances(evidence.points), judge.moved(evidence.points)
    for k in range(len(rubric.points)):
        numbers = dict(zip(FEATURES, (float(number) for number in evidence.points[k]), strict=True))
        first = [
            column
            for column in sorted(range(len(FEATURES)), key=lambda column: (-abs(moved[k, column]), column))[:MOVERS]
            if abs(moved[k, column]) >= LITTLE
        ]
        said, unsaid = evidence.verbatim[k], evidence.reversed[k]
        settled = otherwise.get(rubric.points[k].id, "")
        place = evidence.best[k] if said is None else said
        if settled:
            pass
        elif place in evidence.beside and unsaid is None:
            settled = f"segment {place + 1} speaks of a neighbouring question"
        elif said is not None:
            settled = f"segment {said + 1} says it in the rubric's own words"
        elif unsaid is not None:
            settled = f"segment {unsaid + 1} says the contrary in the rubric's own words"
        elif evidence.best[k] in evidence.believed:
            settled = f"segment {evidence.best[k] + 1} states a misconception in the rubric's own words, which makes no point"
        yield PointSeen(
            evidence.nearest[k],
            numbers["right"],
            Seen(evidence.near[k] + 1, *(float(np.exp(numbers[name])) for name in ("states", "denies", "neither"))),
            (float(np.exp(numbers["states_any"])), evidence.best[k] + 1),
            (float(np.exp(numbers["denies_any"])), evidence.worst[k] + 1),
            {finding.value: float(chance) for finding, chance in zip(CLASSES, chances[k], strict=True)},
            tuple((FEATURES[column], numbers[FEATURES[column]], float(moved[k, column])) for column in first),
            settled,
        )


def _misconceptions(judge: WatchedReader, rubric: Rubric, evidence: Evidence, grade: Grade) -> Iterator[MisconceptionSeen]:
    chances = judge.stated(evidence.misconceptions)
    named = {mistaken.misconception for mistaken in grade.misconceptions}
    covered = {verdict.point for verdict in grade.verdicts if verdict.finding is Finding.COVERED}
    for j, one in enumerate(rubric.misconceptions):
        cosine, *judged = (float(number) for number in evidence.misconceptions[j][:4])
        said = evidence.believed[j]
        why = ""
        if said is not None:
            why = f"segment {said + 1} says it in the rubric's own words"
        elif one.id not in named and one.reverses in covered:
            why = f"the reply gets right what it reverses: {one.reverses}"
        seen = Seen(evidence.stated[j] + 1, *(float(np.exp(number)) for number in judged))
        yield MisconceptionSeen(one.id, one.statement, cosine, seen, float(chances[j]), one.id in named, why)


# ---------------------------------------------------------------------------------------------- as text


def text(told: Explanation | ByReference) -> str:
    """The explanation in lines of at most WIDTH columns."""
    return "\n".join(_reference_lines(told) if isinstance(told, ByReference) else _lines(told)) + "\n"


def _head(question: str, reply: str, grade: Grade) -> Iterator[str]:
    yield from _wrapped("Question: ", question)
    yield f"Score: {'none' if grade.score is None else grade.score}, by {grade.graded_by}"
    yield ""
    yield f"Segments of the reply ({len(reply.split())} words)"


def _gates(grade: Grade) -> Iterator[str]:
    yield ""
    yield "Gates"
    for note in grade.note.split():
        yield from _wrapped("  ", GATES.get(note, note))
    if not grade.note:
        yield "  none fired"
    yield ""


def _lines(told: Explanation) -> Iterator[str]:
    grade = told.grade
    yield from _head(told.rubric.prompt, told.reply, grade)
    for number, window in enumerate(told.segments, 1):
        yield from _wrapped(f"  {number:2d} [{window.start}:{window.end}] ", window.text)
    for window in told.left_out:
        yield from _wrapped(f"   - [{window.start}:{window.end}] left out: ", window.text)
    if not told.segments and not told.left_out:
        yield "  none"
    yield from _gates(grade)
    yield "Points"
    for k, verdict in enumerate(grade.verdicts):
        yield from _point(told, k, verdict)
    if told.misconceptions:
        yield ""
        yield "Misconceptions"
        for one in told.misconceptions:
            yield from _misconception(told, one)
    yield ""
    yield "Arithmetic"
    yield from _arithmetic(told)


def _point(told: Explanation, k: int, verdict: Verdict) -> Iterator[str]:
    point = told.rubric.points[k]
    core = ", core" if point.core else ""
    yield f"  {point.id} (weight {point.weight:g}{core}): {verdict.finding.value}, strength {verdict.strength:.3f}, sure {verdict.sure:.3f}"
    yield from _wrapped("      says     ", point.statement)
    if told.points:
        seen = told.points[k]
        yield from _wrapped("      nearest  ", f"segment {seen.judged.segment}, cosine {seen.cosine:.2f}: {seen.nearest}")
        yield f"      judge    {_judged(seen.judged)}"
        yield (
            f"      most     states {seen.states[0]:.2f} in segment {seen.states[1]}, "
            f"denies {seen.denies[0]:.2f} in segment {seen.denies[1]}"
        )
        movers = ", ".join(f"{name} {value:.2f} ({effect:+.2f})" for name, value, effect in seen.moved)
        yield from _wrapped("      moved by ", movers or "nothing by more than 0.01")
        yield "      chances  " + ", ".join(f"{name} {chance:.2f}" for name, chance in seen.chances.items())
        if seen.settled:
            yield from _wrapped("      settled  ", seen.settled)
    if verdict.quote:
        yield from _wrapped("      quote    ", f"[{verdict.start}:{verdict.end}] {verdict.quote}")


def _misconception(told: Explanation, one: MisconceptionSeen) -> Iterator[str]:
    yield f"  {one.id}: {'named' if one.named else 'not named'}, chance {one.chance:.2f}"
    yield from _wrapped("      says     ", one.statement)
    yield f"      nearest  segment {one.judged.segment}, cosine {one.cosine:.2f}"
    yield f"      judge    {_judged(one.judged)}"
    if one.why:
        yield from _wrapped("      settled  ", one.why)
    for mistaken in told.grade.misconceptions:
        if mistaken.misconception == one.id:
            yield from _wrapped("      quote    ", f"[{mistaken.start}:{mistaken.end}] {mistaken.quote}")


def _arithmetic(told: Explanation) -> Iterator[str]:
    working, grade = told.working, told.grade
    if working is None:
        yield "  none: there is nothing that could be graded"
        return
    for verdict in grade.verdicts:
        point = told.rubric.point(verdict.point)
        if point is not None:
            earned = point.weight * verdict.strength
            yield f"  {point.id:40.40s} {point.weight:g} x {verdict.strength:.3f} = {earned:.3f}"
    whole = sum(point.weight for point in told.rubric.points)
    yield f"  share = earned / {whole:g} = {working.share:.4f}"
    yield f"  base  = 100 x (1 - (1 - {working.share:.4f}) ^ {arithmetic.BEND:g}) = {working.base:.2f}"
    for name, sure in working.wrong:
        yield f"  wrong: {name}, sure {sure:.3f}"
    if working.wrong:
        yield f"  capped = the lower of {arithmetic.KEPT:g} x base and {arithmetic.CAP:g} = {working.capped:.2f}"
        yield (f"  score = {working.sure:.3f} x {working.capped:.2f} + {1 - working.sure:.3f} x {working.base:.2f} = {working.score}")
    else:
        yield f"  score = the base, as nothing is contradicted = {working.score}"


def _reference_lines(told: ByReference) -> Iterator[str]:
    yield from _head(told.reference.question or "not given", told.answer, told.grade)
    for number, window in enumerate(told.segments, 1):
        yield from _wrapped(f"  {number:2d} [{window.start}:{window.end}] ", window.text)
    yield from _gates(told.grade)
    yield "Clauses of the reference"
    clauses = told.reference.clauses()
    for k, verdict in enumerate(told.grade.verdicts):
        yield f"  {verdict.point}: {verdict.finding.value}, strength {verdict.strength:.3f}"
        yield from _wrapped("      says     ", clauses[k].text)
        if told.compared is None:
            continue
        yield f"      nearest  segment {told.compared.best[k] + 1}"
        yield from _wrapped("      numbers  ", ", ".join(f"{name} {value:.2f} ({part:+.2f})" for name, value, part in _parts(told, k)))
        if told.compared.turned[k]:
            yield "      settled  the same words, and only one of the two is negated: contradicted"
        if verdict.quote:
            yield from _wrapped("      quote    ", f"[{verdict.start}:{verdict.end}] {verdict.quote}")
    yield ""
    yield "Arithmetic"
    if told.compared is None or told.prepared is None:
        yield "  none: there was nothing to compare"
        return
    for k, (weight, strength) in enumerate(zip(told.prepared.weights, told.compared.strengths, strict=True)):
        inside = told.fitted.constant + sum(part for _, _, part in _parts(told, k))
        why = f"1 / (1 + e^-({inside:.3f}))"
        if told.compared.turned[k]:
            why = "contradicted"
        elif told.compared.repeats:
            why += f" x {told.prepared.shares[k]:.3f}"
        yield f"  r{k + 1:<3d} strength {why} = {strength:.3f}, x weight {weight:.3f} = {100 * weight * strength:.2f}"
    if told.compared.repeats:
        yield "  No word is new to the question: a clause counts as far as the question gives it away."
    yield f"  score = the sum, rounded = {told.grade.score}"


def _parts(told: ByReference, k: int) -> Iterator[tuple[str, float, float]]:
    """Each number of a clause, and its number times its weight."""
    if told.compared is not None:
        for name, value, weight in zip(NUMBERS, told.compared.numbers[k], told.fitted.weights, strict=True):
            yield name, float(value), float(value * weight)


def _judged(seen: Seen) -> str:
    return f"states {seen.states:.2f}, denies {seen.denies:.2f}, neither {seen.neither:.2f}"


def _wrapped(head: str, words: str) -> Iterator[str]:
    """`words` after `head`, in lines of at most WIDTH columns that stand under each other."""
    yield from textwrap.wrap(" ".join(words.split()), WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]


# ---------------------------------------------------------------------------------------------- as JSON


def data(told: Explanation | ByReference) -> dict[str, Any]:
    """The explanation as plain values. Segments are counted from 1; places are offsets into the reply."""
    return _reference_data(told) if isinstance(told, ByReference) else _data(told)


def _reference_data(told: ByReference) -> dict[str, Any]:
    clauses, compared, prepared = told.reference.clauses(), told.compared, told.prepared
    points = []
    for k, verdict in enumerate(told.grade.verdicts):
        made: dict[str, Any] = {
            "point": verdict.point, "statement": clauses[k].text, "verdict": verdict.finding.value, "quote": verdict.quote,
            "start": verdict.start, "end": verdict.end, "weight": 0.0, "strength": 0.0,
        }  # fmt: skip
        if compared is not None and prepared is not None:
            made |= {
                "weight": float(prepared.weights[k]), "strength": float(compared.strengths[k]), "segment": compared.best[k] + 1,
                "turned": compared.turned[k],
                "numbers": [{"name": name, "value": _short(value), "part": _short(part)} for name, value, part in _parts(told, k)],
            }  # fmt: skip
        points.append(made)
    return {
        "score": told.grade.score,
        "graded_by": told.grade.graded_by,
        "gates": told.grade.note.split(),
        "segments": [{"start": window.start, "end": window.end, "text": window.text} for window in told.segments],
        "points": points,
        "constant": told.fitted.constant,
        "repeats": compared is not None and compared.repeats,
    }


def _data(told: Explanation) -> dict[str, Any]:
    grade, working = told.grade, told.working
    points = []
    for k, verdict in enumerate(grade.verdicts):
        point = told.rubric.points[k]
        made: dict[str, Any] = {
            "point": point.id, "weight": point.weight, "core": point.core, "statement": point.statement,
            "verdict": verdict.finding.value, "strength": verdict.strength, "sure": verdict.sure,
            "quote": verdict.quote, "start": verdict.start, "end": verdict.end,
        }  # fmt: skip
        if told.points:
            seen = told.points[k]
            made |= {
                "nearest": seen.nearest, "cosine": _short(seen.cosine), "judge": _judgement(seen.judged),
                "states_most": {"chance": _short(seen.states[0]), "segment": seen.states[1]},
                "denies_most": {"chance": _short(seen.denies[0]), "segment": seen.denies[1]},
                "chances": {name: _short(chance) for name, chance in seen.chances.items()},
                "moved": [{"feature": name, "value": _short(value), "effect": _short(effect)} for name, value, effect in seen.moved],
                "settled": seen.settled,
            }  # fmt: skip
        points.append(made)
    spans = {one.misconception: (one.quote, one.start, one.end) for one in grade.misconceptions}
    return {
        "score": grade.score,
        "graded_by": grade.graded_by,
        "gates": grade.note.split(),
        "segments": [{"start": window.start, "end": window.end, "text": window.text} for window in told.segments],
        "left_out": [{"start": window.start, "end": window.end, "text": window.text} for window in told.left_out],
        "points": points,
        "misconceptions": [
            {
                "misconception": one.id, "statement": one.statement, "named": one.named, "chance": _short(one.chance),
                "cosine": _short(one.cosine), "judge": _judgement(one.judged), "settled": one.why,
                **dict(zip(("quote", "start", "end"), spans.get(one.id, ("", None, None)), strict=True)),
            }
            for one in told.misconceptions
        ],
        "arithmetic": working
        and {
            "share": _short(working.share), "base": _short(working.base),
            "wrong": [{"what": name, "sure": sure} for name, sure in working.wrong],
            "sure": working.sure, "capped": _short(working.capped), "score": working.score,
        },
    }  # fmt: skip


def _judgement(seen: Seen) -> dict[str, float]:
    return {"segment": seen.segment, "states": _short(seen.states), "denies": _short(seen.denies), "neither": _short(seen.neither)}


def _short(number: float) -> float:
    return round(number, 4)
