"""Minimal pairs: a true line of a rubric and a false one that differ by a word or two ("the harmonic mean", "the arithmetic mean").

Likeness can hardly tell them apart, and a short reply that says the true one gives it little else to go by. So where a segment is
made of a true line's words, in their order and with their signs, the word that tells the two lines apart decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.grading.polarity import Line, aligned, opposed

LEAST = 4
"""Words of content below which a segment is too short to be told."""

OWN = 0.8
"""Share of a segment's words that must be a true line's, in its order."""

WHOLE = 0.5
"""Share of a true line's words that a segment must have to say it."""


_OF_FORMULAS = frozenset(("sqrt", "sum", "exp", "log", "ln", "max", "min", "yhat", "tp", "fp", "tn", "fn"))
_NO_CONTENT = "averag"
"""The stem of a word that is one with "mean", which counts as no word of content."""


def content(line: Line) -> Line:
    """`line` without the words that tell nothing apart."""
    if _NO_CONTENT not in line.known:
        return line
    kept = [n for n, key in enumerate(line.keys) if key != _NO_CONTENT]
    return Line(
        tuple(line.keys[n] for n in kept),
        tuple(line.signs[n] for n in kept),
        tuple(line.denied[n] for n in kept),
        line.known - {_NO_CONTENT},
    )


def says(said: Line, truths: Iterable[Line], untruths: Sequence[Line]) -> float:
    """How much of a line of `truths` the segment `said` says, WHOLE..1; 0.0 where it says none or might as well be one of `untruths`.

    All of them as `content` gives them."""
    if len(said.keys) < LEAST:
        return 0.0
    best = 0.0
    for line in truths:
        if len(said.known & line.known) < OWN * len(said.known):
            continue
        pairs = aligned(said, line)
        words = sum(_is_word(key) for key in line.keys)
        whole = min(1.0, len(pairs) / words) if words else 0.0
        if len(pairs) < max(LEAST, OWN * len(said.keys)) or whole < WHOLE or opposed(said, line, pairs) or whole <= best:
            continue
        if any(_as_well(said, line, len(pairs), other) for other in untruths):
            continue
        best = whole
    return best


def _as_well(said: Line, line: Line, common: int, other: Line) -> bool:
    """Whether `said` could as well be `other`, a false line, as it is `line`, a true one with which it has `common` words in order."""
    if said.known & (other.known - line.known):  # a word that only the false one has
        return True
    if len(said.known & other.known) < OWN * len(said.known):
        return False
    pairs = aligned(said, other)
    return len(pairs) >= common and not opposed(said, other, pairs)


def _is_word(key: str) -> bool:
    """Whether a key is a word rather than a letter, a number or a name of a formula."""
    return len(key) > 1 and key[0].isalpha() and key not in _OF_FORMULAS
