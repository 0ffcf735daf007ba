"""Holds an answer against a reference alone, where there is no rubric: the reference's own clauses are the points.

Seven numbers a clause (NUMBERS) go through one line of weights that was fitted on public sets of marked short answers (see
`bot.grading.training.reference`); the score is the mean of the clauses, weighted by what each says that the question does not.
Deterministic and offline, with the encoder of `bot.grading.reader`. What the question gives away already counts little: words
are weighed by their rarity and by how far they are from anything in the question.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from bot.content import Point, Rubric
from bot.grading import Judge, gates
from bot.grading.encoder import Encoder, Read, WeightsError
from bot.grading.reader import WEIGHTS, ReaderGrader
from bot.grading.reading import LONGEST, NEGATORS, STOP, Window, negations, segments, shortened, stem, tokens
from bot.model import Finding, Grade, Verdict

VERSION = "reference 5"

NUMBERS = ("whole", "said", "stated", "new_words", "written", "ratio", "essay")
"""What is looked at, in the order of the columns.

whole: the cosine of answer and reference, each read whole. said: how much of the clause is said, word by word (the nearest cosine of
each word, weighted). stated: by the encoder's judge, the log-odds that the nearest segment states the clause rather than speaks of
something else, -6..6. new_words: the share of the answer's words that the question doesn't have and the reference has. written:
likeness of the letters (rapidfuzz). ratio: logarithm of the answer's words over the reference's, -2..2. essay: where the reference is
one of hundreds of words, the logarithm of the answer's words over USUAL, else 0: in an essay, much that is said is seldom nothing.

How long the reference is tells nothing by itself: markers of one set are milder where it is long, those of another are not."""

ESSAY, USUAL = 150, 90
"""Words: a reference of so many is half an essay's (of 75 a seventeenth, of 300 sixteen seventeenths); a usual answer to one."""

SOME, ENOUGH = 0.35, 0.6
"""Strengths from which a clause is partly said, and covered."""

TURNED = 0.8
"""Where a clause and a segment share this much of their words, both ways, and only one of the two is negated, the clause is
contradicted. In the public sets six in ten such answers were marked as contradicting; with less in common it was no sign at all."""

SUREST = 6.0
"""The most that `stated` counts, either way."""

FREE = 1996
"""The id of "the": from there on the vocabulary stands in the order of how often its pieces occur."""

STATES, NEITHER = 0, 2
"""Places of two labels of the encoder's judge."""

MOST_CLAUSES, MOST_SEGMENTS = 40, 60
KEPT = 64
"""References kept in memory."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """What an answer is held against. question: "" where it is not known; text: must have a word."""

    question: str
    text: str

    def clauses(self) -> list[Window]:
        """The points: the reference's own clauses, in order."""
        return segments(self.text[:LONGEST])[:MOST_CLAUSES]


@dataclass(frozen=True)
class Fitted:
    """What was fitted: a weight for each of NUMBERS, and a constant."""

    weights: Numbers
    constant: float

    @classmethod
    def load(cls, file: Path) -> Fitted:
        """Raises WeightsError where the file is missing or was fitted on other numbers."""
        try:
            raw = json.loads(file.read_text("utf-8"))
            if tuple(raw["numbers"]) != NUMBERS:
                raise WeightsError(f"{file.name} was fitted on other numbers")
            return cls(np.array([float(one) for one in raw["weights"]]), float(raw["constant"]))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise WeightsError(f"cannot read {file.name}: {problem}") from problem


@dataclass(frozen=True)
class Words:
    """A text, word piece by word piece: unit states, ids, rarity 0..1, and how near each is to the question's, 0..1."""

    states: Floats
    ids: NDArray[np.intp]
    rarity: Numbers
    given: Numbers

    @property
    def told(self) -> Numbers:
        """The weight of each piece: rare, and not said by the question. Never nothing at all."""
        made: Numbers = self.rarity * (1.0 - self.given) + 0.001
        return made


@dataclass(frozen=True)
class Prepared:
    """A reference, read. weights: of the clauses, their sum is 1; shares: how much of each clause's words the question has, 0..1."""

    clauses: tuple[Window, ...]
    vector: Floats
    read: tuple[Read, ...]
    words: tuple[Words, ...]
    weights: Numbers
    shares: Numbers
    question: Floats
    asked: frozenset[str]
    rarities: dict[str, float]
    length: int


@dataclass(frozen=True)
class Compared:
    """An answer held against a reference. numbers [clauses, NUMBERS]; strengths [clauses], 0..1; best: the segment that is nearest
    to each clause; turned: whether that segment turns the clause round. repeats: whether no word of the answer is new to the
    question, so that only what the question gives away of a clause counts."""

    numbers: Numbers
    strengths: Numbers
    best: tuple[int, ...]
    turned: tuple[bool, ...]
    repeats: bool


class ReferenceGrader:
    """Grades by references. The first answer to a reference reads it; it is kept for the next ones."""

    name = VERSION

    def __init__(self, encoder: Encoder, fitted: Fitted) -> None:
        self.encoder = encoder
        self.fitted = fitted
        self._rarity = np.array([_rarity(number, piece) for number, piece in enumerate(encoder.pieces.vocabulary)])
        self._prepared: OrderedDict[Reference, Prepared] = OrderedDict()

    def judge(self, reference: Reference, answer: str) -> Grade:
        """A grade with a verdict a clause, ids "r1", "r2" ...; never a misconception. Deterministic; never raises."""
        return self.watch(reference, answer)[0]

    def watch(self, reference: Reference, answer: str) -> tuple[Grade, list[Window], Compared | None]:
        """The grade, the segments that were read, and the comparison; None where there was nothing to compare."""
        text = shortened(answer)
        notes = ["cut"] if len(answer) > LONGEST else []
        count = len(reference.clauses())
        if not {gates.language(text), gates.language(reference.text[:LONGEST])} <= {"en", ""}:
            return Grade(None, tuple(Verdict(_id(k), Finding.CANNOT_TELL) for k in range(count)), (), VERSION, "language"), [], None
        windows, orders = evidence(text)
        notes += ["instructions"] if orders else []
        if not windows or not count:
            return Grade(0, tuple(Verdict(_id(k), Finding.MISSING) for k in range(count)), (), VERSION, " ".join(notes)), [], None
        prepared = self.prepared(reference)
        compared = self.compare(prepared, reference, windows)
        score = round(100 * float(np.sum(prepared.weights * compared.strengths)))
        return Grade(score, tuple(_verdicts(compared, windows)), (), VERSION, " ".join(notes)), windows, compared

    def prepared(self, reference: Reference) -> Prepared:
        """The reference, read; kept for the last 64 of them."""
        kept = self._prepared.get(reference)
        if kept is None:
            kept = self._prepared[reference] = self._prepare(reference)
            while len(self._prepared) > KEPT:
                self._prepared.popitem(last=False)
        return kept

    def compare(self, prepared: Prepared, reference: Reference, windows: Sequence[Window]) -> Compared:
        """`windows`: the segments of an answer that are evidence; at least one."""
        answer = " ".join(window.text for window in windows)
        read, whole = self._read([window.text for window in windows], answer)
        vectors = np.stack([one.vector for one in read])
        parts = [self._words(window.text, one, prepared.question) for window, one in zip(windows, read, strict=True)]
        stems = self._stems(answer)
        new = {one: weight for one, weight in stems.items() if one not in prepared.asked}
        length = len(answer.split())
        ratio = min(max(math.log((length + 1) / (prepared.length + 1)), -2.0), 2.0)
        shared = [
            float(whole @ prepared.vector),
            sum(weight for one, weight in new.items() if one in prepared.rarities) / (sum(new.values()) or 1.0),
            fuzz.token_sort_ratio(reference.text[:LONGEST], answer) / 100,
            ratio,
            math.log((length + 1) / USUAL) / (1 + (ESSAY / (prepared.length + 1)) ** 4),
        ]
        said, best, turned = [], [], []
        cosines = np.stack([one.vector for one in prepared.read]) @ vectors.T
        for k, words in enumerate(prepared.words):
            near = [(words.states @ part.states.T).max(axis=1) if len(part.states) else np.zeros(len(words.ids)) for part in parts]
            said.append(_mean(np.max(near, axis=0), words.told))
            each = [float(cosines[k, i]) + _mean(row, words.rarity + 0.001) for i, row in enumerate(near)]
            place = int(np.argmax(each))
            best.append(place)
            turned.append(self._turned(prepared.clauses[k].text, windows[place].text))
        logits = self.encoder.judge([(clause, read[place]) for clause, place in zip(prepared.read, best, strict=True)])
        stated = np.clip((logits[:, STATES] - logits[:, NEITHER]).astype(np.float64), -SUREST, SUREST)
        numbers = np.array([[shared[0], own, odds, *shared[1:]] for own, odds in zip(said, stated, strict=True)])
        strengths = 1.0 / (1.0 + np.exp(-(np.sum(numbers * self.fitted.weights, axis=1) + self.fitted.constant)))
        repeats = bool(prepared.asked) and not new and not negations(answer)
        if repeats:
            strengths *= prepared.shares
        strengths[np.array(turned)] = 0.0
        return Compared(numbers, strengths, tuple(best), tuple(turned), repeats)

    def _prepare(self, reference: Reference) -> Prepared:
        clauses = reference.clauses()
        question = reference.question[:LONGEST]
        asked = self.encoder.read([question])[0] if question.strip() else None
        given = asked.unit[1:-1] if asked is not None else np.zeros((0, self.encoder.width), np.float32)
        read, whole = self._read([clause.text for clause in clauses], reference.text[:LONGEST])
        words = tuple(self._words(clause.text, one, given) for clause, one in zip(clauses, read, strict=True))
        weights = np.array([float(np.sum(part.rarity * (1.0 - part.given)) + 0.2 * np.sum(part.rarity) + 0.05) for part in words])
        known = self._stems(question)
        shares = np.array([_shared(self._stems(clause.text), known) for clause in clauses])
        return Prepared(
            tuple(clauses), whole, tuple(read), words, weights / weights.sum(), shares, given,
            frozenset(known), self._stems(reference.text[:LONGEST]), len(reference.text.split()),
        )  # fmt: skip

    def _read(self, texts: list[str], whole: str) -> tuple[list[Read], Floats]:
        """The texts as the encoder reads them, and the vector of all together."""
        if texts == [whole]:
            read = self.encoder.read(texts)
            return read, read[0].vector
        *read, last = self.encoder.read([*texts, whole])
        return read, last.vector

    def _words(self, text: str, read: Read, question: Floats) -> Words:
        states = read.unit[1:-1]
        ids = np.array(self.encoder.pieces(text)[: len(states)], dtype=np.intp)
        given = np.clip((states @ question.T).max(axis=1), 0.0, 1.0) if len(question) and len(states) else np.zeros(len(states))
        return Words(states, ids, self._rarity[ids], given.astype(np.float64))

    def _stems(self, text: str) -> dict[str, float]:
        """The stems of the words that carry meaning, with their rarity."""
        found: dict[str, float] = {}
        for word in tokens(text):
            if word not in STOP and word not in NEGATORS:
                pieces = self.encoder.pieces(word)
                rarity = float(self._rarity[pieces[0]]) if len(pieces) == 1 else 1.0
                found[stem(word)] = max(rarity, found.get(stem(word), 0.0))
        return found

    def _turned(self, clause: str, segment: str) -> bool:
        if (negations(clause) > 0) == (negations(segment) > 0):
            return False
        one, other = self._stems(clause), self._stems(segment)
        return min(_shared(one, other), _shared(other, one)) >= TURNED


def evidence(text: str) -> tuple[list[Window], bool]:
    """The segments of an answer that may be evidence, and whether some were instructions to the grader."""
    windows, orders = gates.evidence(segments(text))
    return [window for window in windows if any(char.isalnum() for char in window.text)][:MOST_SEGMENTS], orders


class PlainReferences:
    """The plain grader, where the encoder can't be had: a reference's clauses as a rubric without other phrasings."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.name = judge.name
        self._kept: tuple[Reference, Rubric] | None = None

    def judge(self, reference: Reference, answer: str) -> Grade:
        if self._kept is None or self._kept[0] != reference:
            self._kept = (reference, rubric(reference))
        if not self._kept[1].points:
            return Grade(0, (), (), self.name)
        return self._judge.judge(self._kept[1], answer)


def against(judge: Judge) -> ReferenceGrader | PlainReferences:
    """What grades by references with what `judge` has. Raises WeightsError where its fitted numbers can't be read."""
    if isinstance(judge, ReaderGrader):
        return ReferenceGrader(judge.gatherer.encoder, Fitted.load(WEIGHTS / "reference.json"))
    return PlainReferences(judge)


def rubric(reference: Reference) -> Rubric:
    """The clauses of a reference as points of equal weight; it is none of a pack's, and not checked as those are."""
    points = tuple(
        Point.model_construct(id=_id(k), weight=1, statement=clause.text, phrasings=(), contrary=(), core=False, formulas=(), mistakes=())
        for k, clause in enumerate(reference.clauses())
    )
    return Rubric.model_construct(prompt=reference.question, answer=reference.text, points=points, misconceptions=())


def _id(k: int) -> str:
    return f"r{k + 1}"


def _verdicts(compared: Compared, windows: Sequence[Window]) -> list[Verdict]:
    found = []
    for k, (place, turned) in enumerate(zip(compared.best, compared.turned, strict=True)):
        window, strength = windows[place], round(float(compared.strengths[k]), 3)
        if turned:
            found.append(Verdict(_id(k), Finding.CONTRADICTED, window.text, window.start, window.end))
        elif strength < SOME:
            found.append(Verdict(_id(k), Finding.MISSING, strength=strength, sure=round(1 - strength, 3)))
        else:
            finding = Finding.COVERED if strength >= ENOUGH else Finding.PARTLY
            found.append(
                Verdict(_id(k), finding, window.text, window.start, window.end, strength, sure=max(strength, round(1 - strength, 3)))
            )
    return found


def _rarity(number: int, piece: str) -> float:
    """0..1: how much a word piece says by its mere rarity."""
    if not any(char.isalnum() for char in piece):
        return 0.0
    if piece in STOP or piece in NEGATORS:
        return 0.1 if piece in STOP else 0.3
    if any(char.isdigit() for char in piece):
        return 1.0
    return min(max(math.log(max(number, FREE) / FREE) / math.log(30522 / FREE), 0.15), 1.0)


def _mean(values: NDArray[np.floating], weights: Numbers) -> float:
    whole = float(np.sum(weights))
    return float(np.sum(values * weights)) / whole if whole > 0 else 0.0


def _shared(one: dict[str, float], other: dict[str, float]) -> float:
    """The share of `one` that is in `other`, by weight."""
    return sum(weight for name, weight in one.items() if name in other) / (sum(one.values()) or 1.0)
