"""The numbers in texts: which of those that a point is about a reply has, and which of a reply's stand nowhere in its rubric."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from bot.content import Rubric

UNTOLD = 0.5
"""What stands for the share of a point's numbers where it has none."""

_WORDS = (
    "three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()  # noqa: SIM905
)
_NUMBER = re.compile(rf"(?<![\w.])\d[\d,]*(?:\.\d+)?|(?<![\w.])\.\d+|\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)

SMALL = frozenset((0.0, 1.0, 2.0))
"""Numbers that stand in any text and tell nothing."""


@lru_cache(maxsize=20_000)
def numbers(text: str) -> frozenset[float]:
    """The numbers of a text, but for the smallest; a percentage and the fraction that it is are the same."""
    found = set()
    for match in _NUMBER.finditer(text):
        word = match.group().lower()
        value = float(_WORDS.index(word) + 3) if word in _WORDS else float(word.replace(",", "")[:15])
        if text[match.end() : match.end() + 2].lstrip().startswith("%") and value <= 100:
            value /= 100
        found.add(round(value, 6))
    return frozenset(found - SMALL)


@dataclass(frozen=True)
class Figures:
    """The numbers of a rubric. points: those that stand in at least half of a point's lines; known: all of them."""

    points: tuple[frozenset[float], ...]
    known: frozenset[float]

    @classmethod
    def of_rubric(cls, rubric: Rubric) -> Figures:
        points = []
        texts = [rubric.prompt, rubric.answer]
        for point in rubric.points:
            lines = (point.statement, *point.phrasings)
            counts = Counter(number for line in lines for number in numbers(line))
            points.append(frozenset(number for number, count in counts.items() if 2 * count >= len(lines)))
            texts += [*lines, *point.contrary, *point.formulas]
        for one in rubric.misconceptions:
            texts += [one.statement, *one.phrasings]
        return cls(tuple(points), frozenset().union(*map(numbers, texts)))

    def compared(self, k: int, text: str) -> tuple[float, float]:
        """For point k and a text: the share of the point's numbers that the text has, UNTOLD where it has none of its own; and the
        share of the text's numbers that stand nowhere in the rubric, 0 where it has none."""
        said, own = numbers(text), self.points[k]
        return len(own & said) / len(own) if own else UNTOLD, len(said - self.known) / len(said) if said else 0.0
