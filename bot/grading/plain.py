"""The plain grader: word likeness to every phrasing of a point, against likeness to everything that would be wrong to say.

It needs no model and no numpy. It can't see through a paraphrase that shares no words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import OSA

from bot.content import Rubric
from bot.grading import arithmetic, gates
from bot.grading.reading import LONGEST, Window, negations, sentences, shortened, stems, windows
from bot.model import Finding, Grade, Mistaken, Verdict

NAME = "plain 2"
COVERED = 0.66
PARTLY = 0.5
MISTAKEN = 0.72


@dataclass(frozen=True, slots=True)
class _Text:
    """A phrasing, ready to be compared."""

    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    weight: float
    negated: bool


class PlainGrader:
    """Grades by the words alone. Deterministic; a few milliseconds a reply."""

    name = NAME

    def __init__(self) -> None:
        self._prepared: dict[int, tuple[Rubric, Lexical]] = {}

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        return self.judge(rubric, reply)

    def judge(self, rubric: Rubric, reply: str) -> Grade:
        """As `grade`, without waiting."""
        text = shortened(reply)
        notes = ["cut"] if len(reply) > LONGEST else []
        if gates.language(text) not in ("en", ""):
            return Grade(None, tuple(Verdict(point.id, Finding.CANNOT_TELL) for point in rubric.points), (), NAME, "language")
        found, orders = gates.evidence(windows(text) if sentences(text) else [])
        if orders:
            notes.append("instructions")
        if not found or gates.heap(text):
            missing = tuple(Verdict(point.id, Finding.MISSING) for point in rubric.points)
            return Grade(0, missing, (), NAME, " ".join([*notes, *(["keywords"] if found else [])]))
        kept = self._prepared.get(id(rubric))
        if kept is None or kept[0] is not rubric:
            kept = self._prepared[id(rubric)] = (rubric, Lexical(rubric))
        prepared = kept[1]
        read = [(window, prepared.read(window)) for window in found]
        mistaken = prepared.mistaken(read)
        verdicts = tuple(prepared.verdict(index, read) for index in range(len(rubric.points)))
        score = arithmetic.score(rubric, verdicts, mistaken)
        return Grade(score, verdicts, mistaken, NAME, " ".join(notes))


class Lexical:
    """A rubric's texts by their words, prepared once."""

    def __init__(self, rubric: Rubric) -> None:
        self.rubric = rubric
        texts: list[str] = [rubric.prompt]
        for point in rubric.points:
            texts += [point.statement, *point.phrasings, *point.contrary]
        for one in rubric.misconceptions:
            texts += [one.statement, *one.phrasings]
        counts = Counter(stem for text in texts for stem in set(stems(text)))
        self.rarity = {stem: 1.0 + math.log(len(texts) / count) for stem, count in counts.items()}
        for stem in set(stems(rubric.prompt)):
            self.rarity[stem] = self.rarity[stem] * 0.5
        self.right = [[self._text(text) for text in (point.statement, *point.phrasings)] for point in rubric.points]
        self.contrary = [[self._text(text) for text in point.contrary] for point in rubric.points]
        self.false = [[self._text(text) for text in (one.statement, *one.phrasings)] for one in rubric.misconceptions]
        self.wrong = [
            [
                *self.contrary[index],
                *(text for n, one in enumerate(rubric.misconceptions) if one.reverses == point.id for text in self.false[n]),
            ]
            for index, point in enumerate(rubric.points)
        ]

    def _text(self, text: str) -> _Text:
        found = stems(text)
        return _Text(
            frozenset(found),
            frozenset(pairwise(found)),
            sum(self.rarity.get(stem, 1.0) for stem in set(found)) or 1.0,
            negations(text) % 2 == 1,
        )

    def read(self, window: Window) -> _Text:
        """A window's words, with its misspellings taken for the rubric's own words."""
        found = [self.mended(stem) for stem in stems(window.text)]
        return _Text(
            frozenset(found),
            frozenset(pairwise(found)),
            sum(self.rarity.get(stem, 1.0) for stem in set(found)) or 1.0,
            negations(window.text) % 2 == 1,
        )

    def mended(self, word: str) -> str:
        """A stem, or the rubric's own one that it is a misspelling of."""
        if word in self.rarity or len(word) < 5:
            return word
        near = [known for known in self.rarity if known[0] == word[0] and abs(len(known) - len(word)) <= 1 and len(known) >= 5]
        return next((known for known in near if OSA.distance(known, word, score_cutoff=1) <= 1), word)

    def _likeness(self, said: _Text, text: _Text) -> float:
        """0..1: how much of `text` is said, and how little else."""
        shared = sum(self.rarity.get(stem, 1.0) for stem in said.stems & text.stems)
        if not shared:
            return 0.0
        recall = shared / text.weight
        precision = shared / said.weight
        order = len(said.pairs & text.pairs) / len(text.pairs) if text.pairs else recall
        return 0.6 * recall + 0.2 * precision + 0.2 * order

    def best(self, said: _Text, texts: Iterable[_Text]) -> tuple[float, bool]:
        """The likeness to the nearest of `texts`, and whether the two agree in being negated."""
        best, agree = 0.0, True
        for text in texts:
            likeness = self._likeness(said, text)
            if likeness > best:
                best, agree = likeness, said.negated == text.negated
        return best, agree

    def mistaken(self, read: list[tuple[Window, _Text]]) -> tuple[Mistaken, ...]:
        found = []
        for index, one in enumerate(self.rubric.misconceptions):
            best: tuple[float, Window] | None = None
            for window, said in read:
                likeness, agree = self.best(said, self.false[index])
                if not agree or likeness < MISTAKEN:
                    continue
                truth = max(self.best(said, texts)[0] for texts in self.right)
                if likeness > truth and (best is None or likeness > best[0]):
                    best = (likeness, window)
            if best is not None:
                found.append(Mistaken(one.id, best[1].text, best[1].start, best[1].end))
        return tuple(found)

    def verdict(self, index: int, read: list[tuple[Window, _Text]]) -> Verdict:
        point = self.rubric.points[index]
        best: tuple[float, Window] | None = None
        worst: tuple[float, Window] | None = None
        wrong = self.wrong[index]
        anything_false = [text for texts in (*self.false, *self.contrary) for text in texts]
        for window, said in read:
            right, agree = self.best(said, self.right[index])
            if right < PARTLY - 0.1:
                contrary, opposed = self.best(said, wrong)
                if contrary >= COVERED and opposed and (worst is None or contrary > worst[0]):
                    worst = (contrary, window)
                continue
            contrary, opposed = self.best(said, wrong)
            false, false_agree = self.best(said, anything_false)
            if (false > right and false_agree) or (right >= 0.85 and not agree):
                against = max(contrary if opposed else 0.0, right if not agree else 0.0)
                if against >= COVERED and (worst is None or against > worst[0]):
                    worst = (against, window)
                continue
            value = right if agree else right - 0.12
            if best is None or value > best[0]:
                best = (value, window)
        if best is not None and best[0] >= COVERED and (worst is None or best[0] >= worst[0] - 0.1):
            return Verdict(point.id, Finding.COVERED, best[1].text, best[1].start, best[1].end, 1.0)
        if worst is not None:
            return Verdict(point.id, Finding.CONTRADICTED, worst[1].text, worst[1].start, worst[1].end)
        if best is not None and best[0] >= PARTLY:
            return Verdict(point.id, Finding.PARTLY, best[1].text, best[1].start, best[1].end, 0.5)
        return Verdict(point.id, Finding.MISSING)
