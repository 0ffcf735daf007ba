"""The plain grader: word likeness to every phrasing of a point, against likeness to everything that would be wrong to say.

It needs no model and no numpy. It can't see through a paraphrase that shares no words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
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
REMEMBERED = 5_000
"""Words whose misspelling is looked up once, for each rubric."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A line of a rubric, ready to be compared. place: its number among the rubric's lines."""

    place: int
    negated: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """A window's words. near: its likeness to each line of the rubric, 0..1."""

    near: Sequence[float]
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
        counts = Counter(stem for text in texts for stem in dict.fromkeys(stems(text)))
        self.rarity = {stem: 1.0 + math.log(len(texts) / count) for stem, count in counts.items()}
        for stem in dict.fromkeys(stems(rubric.prompt)):
            self.rarity[stem] = self.rarity[stem] * 0.5
        self._texts: list[tuple[float, int]] = []
        """For each line the weight of its words and the number of its pairs."""
        self._having: dict[str, list[int]] = {}
        self._paired: dict[tuple[str, str], list[int]] = {}
        self._mended: dict[str, str] = {}
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
        self._untrue = [text for texts in (*self.false, *self.contrary) for text in texts]

    def _text(self, text: str) -> _Text:
        """A line of the rubric; its words are entered in the index."""
        found, place = stems(text), len(self._texts)
        words, pairs = dict.fromkeys(found), dict.fromkeys(pairwise(found))
        for word in words:
            self._having.setdefault(word, []).append(place)
        for pair in pairs:
            self._paired.setdefault(pair, []).append(place)
        self._texts.append((sum(self.rarity[word] for word in words) or 1.0, len(pairs)))
        return _Text(place, negations(text) % 2 == 1)

    def read(self, window: Window) -> _Said:
        """A window's words against all lines of the rubric, with its misspellings taken for the rubric's own words.

        Sums run in the order of the words, never of a set, so that the last bit is the same in any process."""
        found = [self.mended(stem) for stem in stems(window.text)]
        words = dict.fromkeys(found)
        shared: dict[int, float] = {}
        joint: dict[int, int] = {}
        whole = 0.0
        for word in words:
            rarity = self.rarity.get(word, 1.0)
            whole += rarity
            for place in self._having.get(word, ()):
                shared[place] = shared.get(place, 0.0) + rarity
        for pair in dict.fromkeys(pairwise(found)):
            for place in self._paired.get(pair, ()):
                joint[place] = joint.get(place, 0) + 1
        near = [0.0] * len(self._texts)
        for place, share in shared.items():  # how much of the line is said, how little else, and in what order
            weight, pairs = self._texts[place]
            recall = share / weight
            near[place] = 0.6 * recall + 0.2 * share / whole + 0.2 * (joint.get(place, 0) / pairs if pairs else recall)
        return _Said(near, negations(window.text) % 2 == 1)

    def mended(self, word: str) -> str:
        """A stem, or the rubric's own one that it is a misspelling of."""
        if word in self.rarity or len(word) < 5:
            return word
        made = self._mended.get(word)
        if made is None:
            near = [known for known in self.rarity if known[0] == word[0] and abs(len(known) - len(word)) <= 1 and len(known) >= 5]
            made = next((known for known in near if OSA.distance(known, word, score_cutoff=1) <= 1), word)
            if len(self._mended) < REMEMBERED:
                self._mended[word] = made
        return made

    def best(self, said: _Said, texts: Iterable[_Text]) -> tuple[float, bool]:
        """The likeness to the nearest of `texts`, and whether the two agree in being negated."""
        best, agree = 0.0, True
        for text in texts:
            likeness = said.near[text.place]
            if likeness > best:
                best, agree = likeness, said.negated == text.negated
        return best, agree

    def mistaken(self, read: list[tuple[Window, _Said]]) -> tuple[Mistaken, ...]:
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

    def verdict(self, index: int, read: list[tuple[Window, _Said]]) -> Verdict:
        point = self.rubric.points[index]
        best: tuple[float, Window] | None = None
        worst: tuple[float, Window] | None = None
        wrong = self.wrong[index]
        for window, said in read:
            right, agree = self.best(said, self.right[index])
            if right < PARTLY - 0.1:
                contrary, opposed = self.best(said, wrong)
                if contrary >= COVERED and opposed and (worst is None or contrary > worst[0]):
                    worst = (contrary, window)
                continue
            contrary, opposed = self.best(said, wrong)
            false, false_agree = self.best(said, self._untrue)
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
