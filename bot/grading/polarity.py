"""Whether a stretch of a reply says a line of the rubric, or denies it in the line's own words.

Likeness can't tell "raises precision" from "does not raise precision" or from "lowers precision": they share nearly every word.
So where the words are nearly those of a line, they are laid side by side, and the signs are compared: a word within reach of a
negator counts as negative, and a word that has an opposite ("higher", "lower") stands for one scale with a sign. Only words that
both have are compared, so a paraphrase that negates differently says nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

from bot.grading.reading import STOP, stem, tokens

REACH = 4
"""Words of content after a negator that it denies, within its clause."""

LEAST = 4
"""Words in common below which nothing is compared."""

NEAR = 0.85
"""Share of the shorter text's words that must stand in the other, in order, for a denial to be one."""

_SCALES = (
    ("""raise raises raised raising
        rise rises rising increase increases increased increasing grow grows growing higher highest high more most
        larger largest large big bigger gain gains up climbs climb inflates many""",
     """lower lowers lowered lowering fall falls falling decrease decreases decreased decreasing shrink shrinks shrinking low lowest less
        least fewer few smaller smallest small little drop drops reduce reduces reduced reducing down cuts cut deflates"""),
    ("before earlier first", "after afterwards later last"),
    ("same equal equally identical similar alike", "different differently differing unequal dissimilar"),
    ("expensive costly dear", "cheap cheaper inexpensive"),
    ("easy easier easily simple simpler", "hard harder difficult complex complicated"),
    ("strong stronger strongly", "weak weaker weakly"),
    ("fast faster quick quickly quicker", "slow slower slowly"),
    ("better best improve improves improving good", "worse worst worsen worsens worsening bad poor"),
    ("minimise minimises minimising minimize minimizes minimizing", "maximise maximises maximising maximize maximizes maximizing"),
    ("numerator", "denominator"),
    ("include includes included including", "exclude excludes excluded excluding"),
)  # fmt: skip
_SCALE = {
    word: (f"scale {n}", sign)
    for n, pair in enumerate(_SCALES)
    for words, sign in zip(pair, (1, -1), strict=True)
    for word in words.split()
}
_NEGATORS = frozenset(
    """not no never none without cannot nor neither nothing nobody hardly rarely seldom isnt dont doesnt cant wont arent unlike
    """.split()  # noqa: SIM905
)
_EMPTY = frozenset(("only", "just", "merely", "simply", "necessarily"))
"""After "not" these deny nothing: "not only X"."""

_CLAUSE = re.compile(
    r"[,;:.!?()]+(?=\s|$)|\s[-\u2013\u2014]+\s|\b(?:but|whereas|while|because|although|though|since|so|which|and|if|when)\b", re.IGNORECASE
)
_DENIED = re.compile(
    r"^\W*(?:(?:no|well|so|and|but|also)\W+)?(?:(?:it|that)(?:'s|\s+is|\s+would\s+be)\s+(?:not\s+(?:true|right|correct|the\s+case)|n't\s+true|false|wrong|untrue|incorrect"
    r"|a\s+myth)(?:\s+to\s+(?:say|think|claim))?|it\s+isn't\s+(?:true|right|the\s+case)|(?:i|we)\s+(?:do\s+not|don't|would\s+not|wouldn't)\s+"
    r"(?:think|believe|agree|say)|nobody\s+(?:says|believes))\s+(?:that\s+)?",
    re.IGNORECASE,
)  # fmt: skip


_LONG = tuple(word for word in sorted(_NEGATORS) if len(word) >= 6)
_NO_SLIP = frozenset(("noting", "cannon"))
_TURNED = frozenset("".join(sorted(word)) for word in "does this that these those with from were been then there they".split())  # noqa: SIM905
"""Letters of small words that are often typed in another order."""


@lru_cache(maxsize=20_000)
def _mistyped(word: str) -> bool:
    """Whether a word is a longer negator with one slip of the finger."""
    return (
        len(word) >= 5
        and word not in _NO_SLIP
        and any(word[0] == known[0] and OSA.distance(known, word, score_cutoff=1) == 1 for known in _LONG)
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A text for comparing: its words of content as keys, the sign of each, and which negator denies it (0: none)."""

    keys: tuple[str, ...]
    signs: tuple[int, ...]
    denied: tuple[int, ...]
    known: frozenset[str]


def line(text: str, mend: Callable[[str], str] = str) -> Line:
    """`text` for comparing. `mend` gives the right stem for a misspelt one."""
    text = text.replace("\u2019", "'")
    opening = _DENIED.match(text)
    keys: list[str] = []
    signs: list[int] = []
    denied: list[int] = []
    number = 1 if opening else 0
    start = opening.end() if opening else 0
    for clause in _CLAUSE.split(text[start:]):
        reach, current = 0, 0
        begun, denying = len(keys), 0
        words = tokens(clause)
        for place, word in enumerate(words):
            if word in _NEGATORS or word.endswith("n't") or _mistyped(word):
                if place + 1 < len(words) and words[place + 1] in _EMPTY:
                    continue
                number += 1
                reach, current = (0 if reach == REACH else REACH), number  # "not that no ..." denies nothing
                denying = len(keys) if reach else 0
                if word not in _SCALE:
                    continue
            if word in STOP or not word[0].isalnum() or (len(word) > 3 and "".join(sorted(word)) in _TURNED):
                continue
            key, sign = _SCALE.get(word, ("", 1))
            if not key:
                key = _singular(mend(stem(word)))
            negative = (reach > 0) != bool(opening)
            keys.append(key)
            signs.append(-sign if negative else sign)
            denied.append(current if reach > 0 else (1 if opening else 0))
            reach = max(0, reach - 1)
        if reach == REACH and begun < denying == len(keys):  # "regions that we never use": what it denies went before
            signs[-1], denied[-1] = -signs[-1], current
    return Line(tuple(keys), tuple(signs), tuple(denied), frozenset(keys))


def _singular(key: str) -> str:
    """A stem without the "s" that `stem` leaves to short words ("pays", "costs")."""
    return key[:-1] if 4 <= len(key) <= 5 and key.endswith("s") and not key.endswith("ss") else key


def compared(said: Line, other: Line) -> tuple[float, bool]:
    """How much `said` has to do with `other`, 0..1, and whether it denies it. 0 where too few words of the shorter are in the
    other in the same order; else the more, the more words they share."""
    fewest = min(len(said.keys), len(other.keys))
    if fewest < LEAST or len(said.known & other.known) < NEAR * min(len(said.known), len(other.known)):
        return 0.0, False
    pairs = aligned(said, other)
    nearness = len(pairs) / fewest
    if len(pairs) < LEAST or nearness < NEAR:
        return 0.0, False
    return nearness * (1 - 1 / len(pairs)), opposed(said, other, pairs)


def denied(said: Line, groups: Sequence[Sequence[Line]]) -> frozenset[int]:
    """The groups of lines of which `said` denies one, unless it says a line of any group that it has as much to do with."""
    against: dict[int, float] = {}
    agreed = 0.0
    if len(said.keys) < LEAST:
        return frozenset()
    for number, lines in enumerate(groups):
        for other in lines:
            if said.known.isdisjoint(other.known):  # most lines: told sooner
                continue
            worth, opposed = compared(said, other)
            if opposed:
                against[number] = max(against.get(number, 0.0), worth)
            else:
                agreed = max(agreed, worth)
    return frozenset(number for number, worth in against.items() if worth > agreed)


def opposed(said: Line, other: Line, pairs: list[tuple[int, int]]) -> bool:
    """Whether `said` has the opposite sign of `other` in the words that both have (`aligned`)."""
    groups: dict[tuple[int, int], list[bool]] = {}
    for n, (i, j) in enumerate(pairs):
        unlike = said.signs[i] != other.signs[j]
        mark = (said.denied[i], 0) if said.denied[i] else (0, other.denied[j])
        if mark != (0, 0):
            groups.setdefault(mark, []).append(unlike)
        elif unlike:
            around = [pairs[m] for m in (n - 1, n + 1) if 0 <= m < len(pairs)]
            if any(abs(a - i) <= 2 and abs(b - j) <= 2 and said.signs[a] == other.signs[b] for a, b in around):
                return True
    return any(2 * sum(marks) > len(marks) for marks in groups.values())


def aligned(said: Line, other: Line) -> list[tuple[int, int]]:
    """The words that both have, in order: the longest common run of keys, an equal sign counting more than an unequal one."""
    rows, columns = len(said.keys), len(other.keys)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        below, row, key, sign = best[i + 1], best[i], said.keys[i], said.signs[i]
        for j in range(columns - 1, -1, -1):
            most = below[j] if below[j] >= row[j + 1] else row[j + 1]
            if key == other.keys[j]:
                with_it = below[j + 1] + (4 if sign == other.signs[j] else 3 if key[:6] != "scale " else 1)
                most = max(most, with_it)
            row[j] = most
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < rows and j < columns:
        if said.keys[i] == other.keys[j]:
            worth = 4 if said.signs[i] == other.signs[j] else 3 if said.keys[i][:6] != "scale " else 1
            if best[i][j] == best[i + 1][j + 1] + worth:
                pairs.append((i, j))
                i, j = i + 1, j + 1
                continue
        if best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
