"""Which of two things a text calls the greater: "val loss > train loss", "a is below b"; and whether a reply turns that of a rubric round.

It only ever finds an inequality turned round, never one that makes a point: the sides of two inequalities are compared by a few
words, which is enough for an accusation only where both sides are the rubric's own and changed places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.content import Rubric
from bot.grading.formulas import Found
from bot.grading.reading import Window, sentences, stems

_ADVERBS = r"(?:(?:much|far|way|slightly|clearly|always|often|usually|a\s+(?:lot|bit|little)|well|strictly|still|then|thus)\s+){0,2}"
_IS = rf"(?:is|are|was|were|be|being|stays?|remains?|gets?|becomes?|comes?\s+out|lies?)\s+{_ADVERBS}"
_GREATER = rf"(?:{_IS})(?:greater|larger|higher|bigger|more)\s+than|(?:{_IS})above|{_ADVERBS}exceeds?|[>\u2265\u226b]+=?"
_LESS = rf"(?:{_IS})(?:smaller|lower|less|fewer)\s+than|(?:{_IS})below|[<\u2264\u226a]+=?"
_SIGN = re.compile(
    rf"(?<![-=<>])(?:\s|(?<=\w)|(?<=\)))(?:(?P<greater>{_GREATER})|(?P<less>{_LESS}))(?![-=<>])\s*(?:the\s+|its\s+|that\s+of\s+)?",
    re.IGNORECASE,
)
_BORDER = re.compile(
    r"[,;:.!?()](?=\s|$)|\b(?:and|or|but|so|if|when|while|because|since|then|means?|that|as|where|which|with)\b", re.IGNORECASE
)
_DENIED = re.compile(
    r"\b(?:not|never|isn't|aren't|no|nor|neither|wrong|mistake|unless|instead\s+of|rather\s+than|if|would|should)\b", re.IGNORECASE
)
_POINT = re.compile(r"(?<=\d)\.(?=\d)")

WIDEST = 4
"""Words of a side that are looked at, nearest to the sign."""


@dataclass(frozen=True, slots=True)
class Order:
    """One inequality. greater, less: the stems of its sides that are not on both; start, end: its place."""

    greater: frozenset[str]
    less: frozenset[str]
    start: int
    end: int

    def agrees(self, other: Order) -> bool:
        return bool(self.greater & other.greater) and bool(self.less & other.less)

    def turns(self, other: Order) -> bool:
        return bool(self.greater & other.less) and bool(self.less & other.greater)


Told = tuple[tuple[str, tuple[Order, ...]], ...]
"""Points with the inequalities of their lines."""


def orders(text: str) -> Iterator[Order]:
    """The inequalities of a text; of a chain "a < b < c" both."""
    found = list(_SIGN.finditer(text))
    for place, match in enumerate(found):
        before = text[found[place - 1].end() if place else 0 : match.start()]
        after = text[match.end() : found[place + 1].start() if place + 1 < len(found) else len(text)]
        borders = list(_BORDER.finditer(before))
        before = before[borders[-1].end() :] if borders else before
        border = _BORDER.search(after)
        after = after[: border.start()] if border else after
        left, right = _side(" ".join(before.split()[-WIDEST:])), _side(" ".join(after.split()[:WIDEST]))
        greater, less = (left - right, right - left) if match["greater"] else (right - left, left - right)
        if greater and less:
            yield Order(greater, less, match.start() - len(before.lstrip()), match.end() + len(after.rstrip()))


def _side(text: str) -> frozenset[str]:
    return frozenset(stem for stem in stems(_POINT.sub("p", text)) if stem[0].isalnum())


def turned(told: Told, text: str, windows: Sequence[Window]) -> tuple[Found, ...]:
    """The inequalities in `text` that turn one of the rubric's round (`told`: those of each point); only in one of `windows`."""
    made = []
    every = [one for _, own in told for one in own]
    for sentence in sentences(text) if every else ():
        if _DENIED.search(sentence.text):
            continue
        for said in orders(sentence.text):
            start, end = sentence.start + said.start, sentence.start + said.end
            if any(said.agrees(one) for one in every) or not any(window.start < end and start < window.end for window in windows):
                continue
            made += [Found(id, start, end, False) for id, own in told if any(said.turns(one) for one in own)]
    return tuple(made)


def of_rubric(rubric: Rubric) -> Told:
    """The inequalities of each point that has one in its lines, and none that any of its lines turns round."""
    made = []
    for point in rubric.points:
        found = [one for line in (point.statement, *point.phrasings) if not _DENIED.search(line) for one in orders(line)]
        own = tuple(one for one in found if not any(one.turns(other) for other in found))
        if own:
            made.append((point.id, own))
    return tuple(made)
