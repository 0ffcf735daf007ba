"""What only a grader can say of a question: that its model answer passes, that each point hangs on its own sentence, and that
what is wrong, heaped up or about something else earns nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.content import Library, Question, words
from bot.grading import Judge, gates, sums
from bot.grading.reading import sentences
from bot.model import Finding, Grade

FULL = 95
"""Score (0..100) from which a model answer counts as full marks; a judge bends the share of the weight, so 100 is not demanded."""

HEAPED = 20
"""A heap of the rubric's own keywords has to stay under this score."""

BESIDE = 30
"""The model answer to another question of the same topic has to stay under this score."""

KEPT = 10_000
"""Proofs that are remembered; the oldest are forgotten first."""

SAID_IN = 3
"""Sentences of a model answer that may make one point together: lines of code count as sentences too."""

PROBLEM = "{file}: {id}: {field}: {what}"

Failures = Iterator[tuple[str, str]]
"""Each field of a question that fails, and how."""


@dataclass(frozen=True)
class Case:
    """What is proved of one question: its model answer's grade, and another question of its topic, if there is one."""

    question: Question
    judge: Judge
    whole: Grade
    beside: Question | None


def answers(case: Case) -> Failures:
    """The model answer earns every point and full marks, and states no misconception."""
    for verdict in case.whole.verdicts:
        if verdict.finding is not Finding.COVERED:
            yield "answer", f"point {verdict.point!r} is {verdict.finding} in the model answer"
    for mistaken in case.whole.misconceptions:
        yield "answer", f"the model answer reads as the misconception {mistaken.misconception!r}: {mistaken.quote[:60]!r}"
    score = case.whole.score
    if (score is None or score < FULL) and all(verdict.finding is Finding.COVERED for verdict in case.whole.verdicts):
        yield "answer", f"the model answer earns {score}, not {FULL} or more"


def beliefs(case: Case) -> Failures:
    """Each misconception alone earns nothing, and is named."""
    for one in case.question.misconceptions:
        alone = case.judge.judge(case.question, one.statement)
        for verdict in alone.verdicts:
            if verdict.finding in (Finding.COVERED, Finding.PARTLY):
                yield f"misconceptions.{one.id}", f"alone it earns point {verdict.point!r}"
        if not any(mistaken.misconception == one.id for mistaken in alone.misconceptions):
            yield f"misconceptions.{one.id}", "alone it is not recognised"


def key_sentences(case: Case) -> Failures:
    """A point is lost when the very sentence that covers it is taken out of the model answer, or the few where it is said in more."""
    for verdict in case.whole.verdicts:
        text, left = case.question.answer, verdict
        for _ in range(SAID_IN):
            key = next((part for part in sentences(text) if left.start is not None and part.start <= left.start < part.end), None)
            if key is None:
                break
            text = text[: key.start] + text[key.end :]
            left = case.judge.judge(case.question, text).verdict(verdict.point) or left
            if left.finding is not Finding.COVERED:
                break
        else:
            yield f"points.{verdict.point}", f"is covered without its sentences too, by {left.quote[:60]!r}"


def heaped(case: Case) -> Failures:
    """The rubric's own keywords in a heap earn next to nothing."""
    earned = case.judge.judge(case.question, heap(case.question)).score
    if earned is not None and earned >= HEAPED:
        yield "points", f"its keywords in a heap earn {earned}"


def besides(case: Case) -> Failures:
    """The model answer to another question of the topic, the next one, earns little: a rubric asks for more than its subject."""
    if case.beside is not None:
        earned = case.judge.judge(case.question, case.beside.answer).score
        if earned is not None and earned >= BESIDE:
            yield "points", f"the model answer of {case.beside.id!r} earns {earned}"


def calculations(case: Case) -> Failures:
    """Every sum that the question states as true comes to what it says."""
    for field, text in taught(case.question):
        for one in sums.sums(text):
            if not one.right:
                yield field, f"{one.written!r} is wrong: it comes to {one.worked:.6g}"


def taught(question: Question) -> Iterator[tuple[str, str]]:
    """Each text that a question states as true, with the field that it stands in: all but prompts, what is contrary and misconceptions."""
    for at, rubric in ("", question), *((f"followups.{one.id}.", one) for one in question.followups):
        yield f"{at}answer", rubric.answer
        for point in rubric.points:
            yield from ((f"{at}points.{point.id}", text) for text in (point.statement, *point.phrasings, *point.formulas))
        yield from ((f"{at}misconceptions.{one.id}", one.correction) for one in rubric.misconceptions)


Proofs = Sequence[Callable[[Case], Failures]]

BY_WORDS: Proofs = (answers, beliefs, key_sentences, heaped, calculations)
"""What the plain grader proves: that a rubric and its model answer hang together, word by word and number by number."""

BY_READING: Proofs = (answers, beliefs, heaped, besides)
"""What the grader that learners meet proves."""


def untrue(library: Library, judge: Judge, proofs: Proofs, *, cache: Path | None = None) -> list[str]:
    """A line for every way in which a question fails by its own rubric; [] when none does.

    cache: a folder in which is kept what was proved before, by the texts it was proved of, the judge and its numbers."""
    known = _Known(cache, f"{judge.name} {[proof.__name__ for proof in proofs]}")
    lines = []
    topics: dict[str, list[Question]] = {}
    for question in library.questions.values():
        topics.setdefault(question.file, []).append(question)
    for file, topic in topics.items():
        for number, question in enumerate(topic):
            beside = topic[(number + 1) % len(topic)] if len(topic) > 1 else None
            failures = known.failures(question, beside)
            if failures is None:
                case = Case(question, judge, judge.judge(question, question.answer), beside)
                failures = [failure for proof in proofs for failure in proof(case)]
                known.keep(question, beside, failures)
            lines += [PROBLEM.format(file=file, id=question.id, field=field, what=what) for field, what in failures]
    known.save()
    return lines


def heap(question: Question) -> str:
    """The keywords of a rubric without anything that joins them, as somebody would paste them."""
    found = dict.fromkeys(word for point in question.points for word in words(point.statement) if word not in gates.JOINING)
    return " ".join(sorted(found))


class _Known:
    """What was proved before, in one file of JSON; one that can't be read or written only costs time."""

    def __init__(self, cache: Path | None, what: str) -> None:
        self._file = cache / "proofs.json" if cache is not None else None
        self._what = f"{what} {_sources()}"
        self._fresh: dict[str, list[list[str]]] = {}
        self._kept: Mapping[str, list[list[str]]] = {}
        with suppress(OSError, ValueError):
            self._kept = json.loads(self._file.read_text("utf-8")) if self._file else {}

    def _key(self, question: Question, beside: Question | None) -> str:
        texts = (self._what, question.model_dump_json(), beside.answer if beside else "")
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]

    def failures(self, question: Question, beside: Question | None) -> list[tuple[str, str]] | None:
        key = self._key(question, beside)
        if key not in self._kept:
            return None
        self._fresh[key] = self._kept[key]
        return [(field, what) for field, what in self._kept[key]]

    def keep(self, question: Question, beside: Question | None, failures: list[tuple[str, str]]) -> None:
        self._fresh[self._key(question, beside)] = [list(one) for one in failures]

    def save(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            known = [*(dict(self._kept) | self._fresh).items()][-KEPT:]
            fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
            fresh.write_text(json.dumps(dict(known)), "utf-8")
            fresh.replace(self._file)


def _sources() -> str:
    """A fingerprint of the graders' own code and fitted numbers: after any change everything is proved again."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted([*here.glob("*.py"), *here.glob("weights/*.json")]):
        digest.update(file.read_bytes())
    digest.update(str((here / "weights" / "encoder.npz").stat().st_size).encode() if (here / "weights" / "encoder.npz").exists() else b"")
    return digest.hexdigest()[:16]
