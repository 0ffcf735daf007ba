"""What a reply says in the rubric's own words: which segments say a line of it, deny one, correct one, or turn one round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bot.content import Point, Rubric
from bot.grading import pairs as minimal
from bot.grading.claims import Claims, Numbers
from bot.grading.plain import Lexical
from bot.grading.polarity import Line, denied, line
from bot.grading.reading import Window, stems

TOGETHER = 5
"""Windows of one sentence that are read together, at most."""

VERBATIM = 0.9
"""Likeness of words (0..1, see `Lexical`) from which something is said in the rubric's own words."""

LEAST = 4
"""Words of the shortest stretch that is known for one of a misconception's line, or for a segment of the model answer."""

SLIPS = 2
"""Misspelt words in a sentence from which its signs are not trusted to tell a denial."""


def denials(
    claims: Claims, windows: Sequence[Window], quoted: Sequence[bool], lines: Sequence[Line | None]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int8]]:
    """Which windows deny which points, and which correct which contraries and misconceptions, in the rubric's own words. The
    windows of one sentence are also read together, since a "not" may stand in the first and what it denies in the next.
    `lines`: the windows for comparing; None where one is quoted from the model answer.

    Third, which of the denials are of the point's own line (2), and which of a sentence of the model answer (1)."""
    count = len(claims.truths) - 1
    denies = np.zeros((len(windows), count), dtype=bool)
    corrects = np.zeros((len(windows), len(claims.untruths)), dtype=bool)
    said_of = np.zeros((len(windows), count), dtype=np.int8)
    for places in _stretches(windows):
        if all(quoted[i] for i in places):  # the model answer's own words deny nothing
            continue
        if sum(_slips(claims.lexical, windows[i].text) for i in places) >= SLIPS:  # a "no" may have become anything
            continue
        alone = lines[places[0]] if len(places) == 1 else None
        said = alone or line(_together(windows, places), claims.lexical.mended)
        found = denied(said, claims.truths)
        if count in found:  # a sentence of the model answer denied: no point is made by it
            denies[places] = True
            said_of[places] = np.maximum(said_of[places], 1)
        denies[np.ix_(places, sorted(found - {count}))] = True
        said_of[np.ix_(places, sorted(found - {count}))] = 2
        if len(places) == 1:
            corrects[np.ix_(places, sorted(denied(said, claims.untruths)))] = True
    return denies, corrects, said_of


def denied_at(k: int, said_of: NDArray[np.int8], about: Numbers, words: Numbers, quoted: Sequence[bool]) -> int | None:
    """The window that denies point k: a line of its own, or a sentence of the model answer that speaks of this point rather
    than of another; not one that stands so in the model answer. None where the point is said elsewhere nearly word for word."""
    if words[:, k].max() >= VERBATIM:
        return None
    for place in np.argsort(-about[:, k], kind="stable"):
        if not quoted[place] and (said_of[place, k] == 2 or (said_of[place, k] == 1 and int(np.argmax(about[place])) == k)):
            return int(place)
    return None


def plainly(claims: Claims, lines: Sequence[Line | None], denies: NDArray[np.bool_]) -> tuple[tuple[int, float] | None, ...]:
    """For each point the window that says the most of a true line of it (`bot.grading.pairs`), none of the model answer's own.
    `lines`: as for `denials`."""
    found: list[tuple[int, float] | None] = [None] * len(claims.true)
    for i, one in enumerate(lines):
        if one is None:
            continue
        said = minimal.content(one)
        for k, truths in enumerate(claims.true):
            whole = 0.0 if denies[i, k] else minimal.says(said, truths, claims.false)
            kept = found[k]
            if whole > (kept[1] if kept else 0.0):
                found[k] = (i, whole)
    return tuple(found)


def turned_at(point: Point, k: int, windows: Sequence[Window], words_wrong: Numbers, words_right: Numbers) -> int | None:
    """The window that says point k wrongly, nearly in the rubric's words."""
    return None if _formula(point, windows) else nearly(words_wrong[:, k], words_right[:, k])


def _slips(lexical: Lexical, text: str) -> int:
    """How many words of a text are misspellings of the rubric's own."""
    return sum(lexical.mended(word) != word for word in stems(text))


def _together(windows: Sequence[Window], places: Sequence[int]) -> str:
    """Neighbouring windows as one text, with a comma where they were cut at a mark."""
    made = windows[places[0]].text
    for before, after in pairwise(places):
        made += (", " if windows[after].start > windows[before].end + 1 else " ") + windows[after].text
    return made


def _stretches(windows: Sequence[Window]) -> Iterator[list[int]]:
    """Each window by itself, and those of one sentence together; neighbours only, where it has no end."""
    run: list[int] = []
    for i, window in enumerate(windows):
        yield [i]
        run.append(i)
        if window.text[-1:] in ".!?" or i + 1 == len(windows):
            if 1 < len(run) <= TOGETHER:
                yield run
            elif run[1:]:
                yield from ([a, b] for a, b in pairwise(run))
            run = []


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(".!?;,: ")


def home(text: str, windows: Sequence[Window], denies: NDArray[np.bool_]) -> int | None:
    """The window that has a segment of the model answer word for word, undenied."""
    wanted = _plain(text)
    return next((i for i, window in enumerate(windows) if not denies[i] and wanted in _plain(window.text)), None)


def shared(one: str, other: str) -> bool:
    """Whether one of two texts is a stretch of the other."""
    one, other = _plain(one), _plain(other)
    return one in other or other in one


def echoed(rubric: Rubric, windows: Sequence[Window], quoted: Sequence[bool]) -> frozenset[int]:
    """The windows that are a stretch of a misconception's line, and none of the model answer."""
    lines = [_plain(text) for one in rubric.misconceptions for text in (one.statement, *one.phrasings)]
    said = [_plain(window.text) for window in windows]
    return frozenset(
        i for i, text in enumerate(said) if not quoted[i] and len(text.split()) >= LEAST and any(text in line for line in lines)
    )


def _formula(point: Point, windows: Sequence[Window]) -> bool:
    """Whether a formula of the point stands there, sign for sign: shared words can't tell a formula from its reversal."""
    said = ["".join(window.text.lower().split()) for window in windows]
    return any("".join(formula.lower().split()).rstrip(")") in text for formula in point.formulas for text in said)


def nearly(words: Numbers, against: Numbers) -> int | None:
    """The segment that says something nearly word for word, and nothing that speaks against it as nearly."""
    place = int(np.argmax(words - against))
    return place if words[place] >= VERBATIM and words[place] > against[place] + 0.02 else None
