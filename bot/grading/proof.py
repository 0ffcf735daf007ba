"""What only a grader can say of a question: that its model answer passes, that each point hangs on its own sentence, and that
what is wrong, heaped up or about something else earns nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from bot.content import Library, Question, words
from bot.grading import Judge, gates
from bot.grading.reading import sentences
from bot.model import Finding, Grade

FULL = 95
"""Score (0..100) from which a model answer counts as full marks; a judge bends the share of the weight, so 100 is not demanded."""

HEAPED = 20
"""A heap of the rubric's own keywords has to stay under this score."""

BESIDE = 30
"""The model answer to another question of the same topic has to stay under this score."""

PROBLEM = "{file}: {id}: {field}: {what}"


def untrue(library: Library, judge: Judge, cache: Path | None = None) -> list[str]:
    """A line for every way in which a question fails by its own rubric; [] when none does.

    cache: a folder in which is kept what was proved before, by the texts it was proved of and by the judge's fingerprint."""
    known = _Known(cache, judge)
    lines = []
    for file, group in groupby(library.questions.values(), key=lambda one: one.file):
        topic = list(group)
        for question in topic:
            beside = _nearest(question, topic)
            failures = known.failures(question, beside)
            if failures is None:
                failures = [*failing(question, judge, beside)]
                known.keep(question, beside, failures)
            lines += [PROBLEM.format(file=file, id=question.id, field=field, what=what) for field, what in failures]
    known.save()
    return lines


def failing(question: Question, judge: Judge, beside: Question | None = None) -> Iterator[tuple[str, str]]:
    """Each field of a question that fails, and how. `beside`: another question of its topic."""
    whole = judge.judge(question, question.answer)
    yield from _answer(question, whole)
    yield from _sentences(question, judge, whole)
    for one in question.misconceptions:
        alone = judge.judge(question, one.statement)
        for verdict in alone.verdicts:
            if verdict.finding in (Finding.COVERED, Finding.PARTLY):
                yield f"misconceptions.{one.id}", f"alone it earns point {verdict.point!r}"
        if not any(mistaken.misconception == one.id for mistaken in alone.misconceptions):
            yield f"misconceptions.{one.id}", "alone it is not recognised"
    heaped = judge.judge(question, heap(question)).score
    if heaped is not None and heaped >= HEAPED:
        yield "points", f"its keywords in a heap earn {heaped}"
    if beside is not None:
        earned = judge.judge(question, beside.answer).score
        if earned is not None and earned >= BESIDE:
            yield "points", f"the model answer of {beside.id!r} earns {earned}"


def _answer(question: Question, whole: Grade) -> Iterator[tuple[str, str]]:
    for verdict in whole.verdicts:
        if verdict.finding is not Finding.COVERED:
            yield "answer", f"point {verdict.point!r} is {verdict.finding} in the model answer"
    for mistaken in whole.misconceptions:
        yield "answer", f"the model answer reads as the misconception {mistaken.misconception!r}: {mistaken.quote[:60]!r}"
    if (whole.score is None or whole.score < FULL) and all(verdict.finding is Finding.COVERED for verdict in whole.verdicts):
        yield "answer", f"the model answer earns {whole.score}, not {FULL} or more"


def _sentences(question: Question, judge: Judge, whole: Grade) -> Iterator[tuple[str, str]]:
    """Points that are still covered when the very sentence that covers them is taken out of the model answer."""
    parts = sentences(question.answer)
    for verdict in whole.verdicts:
        at = verdict.start
        key = next((part for part in parts if at is not None and part.start <= at < part.end), None)
        if key is None:
            continue
        rest = f"{question.answer[: key.start]}{question.answer[key.end :]}"
        left = judge.judge(question, rest).verdict(verdict.point)
        if left is not None and left.finding is Finding.COVERED:
            yield f"points.{verdict.point}", f"is covered without its sentence too, by {left.quote[:60]!r}"


def heap(question: Question) -> str:
    """The keywords of a rubric without anything that joins them, as somebody would paste them."""
    found = dict.fromkeys(word for point in question.points for word in words(point.statement) if word not in gates.JOINING)
    return " ".join(sorted(found))


def _nearest(question: Question, topic: list[Question]) -> Question | None:
    """The other question of a topic whose rubric shares most words with this one's; None where there is no other."""
    own = _vocabulary(question)
    others = [one for one in topic if one.id != question.id]
    return max(others, key=lambda one: (len(own & (theirs := _vocabulary(one))) / len(own | theirs), one.id), default=None)


def _vocabulary(question: Question) -> set[str]:
    return {word for point in question.points for word in words(point.statement) if word not in gates.JOINING}


class _Known:
    """What was proved before, in one file of JSON; one that can't be read or written only costs time."""

    def __init__(self, cache: Path | None, judge: Judge) -> None:
        self._file = cache / "proofs.json" if cache is not None else None
        self._judge = f"{judge.name} {getattr(judge, 'fingerprint', '')} {_sources()}"
        self._fresh: dict[str, list[list[str]]] = {}
        self._kept: Mapping[str, list[list[str]]] = {}
        try:
            self._kept = json.loads(self._file.read_text("utf-8")) if self._file else {}
        except (OSError, ValueError):
            pass

    def _key(self, question: Question, beside: Question | None) -> str:
        texts = (self._judge, question.model_dump_json(), beside.answer if beside else "")
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
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(dict(self._kept) | self._fresh), "utf-8")
        except OSError:
            pass


def _sources() -> str:
    """A fingerprint of the graders' own code and fitted numbers: after any change everything is proved again."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted([*here.glob("*.py"), *here.glob("weights/*.json")]):
        digest.update(file.read_bytes())
    digest.update(str((here / "weights" / "encoder.npz").stat().st_size).encode() if (here / "weights" / "encoder.npz").exists() else b"")
    return digest.hexdigest()[:16]
