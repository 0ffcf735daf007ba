"""What speaks for and against each point in a reply, as numbers: likeness of texts, shared words, and the encoder's judgement.

Nothing is decided here; `bot.grading.reader` turns the numbers into verdicts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.content import Library, Rubric
from bot.grading.claims import KEPT, Claims, Floats, Numbers, Shelf
from bot.grading.encoder import Encoder
from bot.grading.others import CONTRASTS, Others
from bot.grading.own_words import LEAST, denials, denied_at, echoed, home, nearly, plainly, shared, turned_at
from bot.grading.polarity import line
from bot.grading.reading import Window, segments, stem, stems, tokens

MOST_SEGMENTS = 60
FEATURES = (
    "right", "right2", "contrary", "contrary_any", "right-contrary", "right-other", "words", "words_any", "words_contrary",
    "words_contrary_any", "words-contrary", "states", "denies", "neither", "states_any", "denies_any", "states-neither",
    "denies-neither", "denies-states", "states-denies", "misconception", "right-misconception", "length", "reply", "segments",
    "core", "weight", *CONTRASTS, "numbers", "strange_numbers",
    "clear", "right-clear", "clear_words", "words-clear", "clear_states", "states-clear", "believed", "believed_any",
    "lines", "wrong_lines", "points",
)  # fmt: skip
"""The columns of `Evidence.points`."""


BELIEFS = ("false", "states", "denies", "neither", "words", "false-right", "words-right")
"""The columns of `Evidence.misconceptions`, of the segment that is likest to each: likeness, log-odds of what the judge says, likeness
of words, and how much more it is like the misconception than like any point."""

CLEAR = ("right", "words_any", "states_any")
"""The columns of which `_compared` tells how clear the reply is on its clearer half of points, and how far each point is from that."""

HASTE = (5, 0.12)
"""Strange words, and their share of a reply's, from which its signs are not trusted at all."""

LOWEST, UNKNOWN = -6.0, -4.0
"""The lowest log-odds that count, and those of a point which no misconception reverses."""


@dataclass(frozen=True)
class Evidence:
    """points [points, FEATURES]; misconceptions [misconceptions, BELIEFS].

    best, worst: for each point the segment that speaks most for it, and most against it; stated: for each misconception.
    nearest: for each point the text of the rubric that is nearest to its best segment, for explaining.
    verbatim, reversed, believed: the segment that says a point, its contrary, a misconception nearly in the rubric's own words, or None.
    """

    points: Numbers
    misconceptions: Numbers
    best: tuple[int, ...]
    worst: tuple[int, ...]
    stated: tuple[int, ...]
    nearest: tuple[str, ...]
    verbatim: tuple[int | None, ...]
    reversed: tuple[int | None, ...]
    believed: tuple[int | None, ...]
    echoed: frozenset[int] = frozenset()
    """The segments that are a stretch of a misconception, word for word."""
    near: tuple[int, ...] = ()
    """For each point the segment that is likest to it: the one that the first columns of `points` and `nearest` are about."""
    beside: frozenset[int] = frozenset()
    """The segments that speak of a neighbouring question's subject, in a reply that does so as a whole; all, where it is foreign."""
    foreign: bool = False
    """Whether the reply speaks of something else entirely."""
    hasty: bool = False
    """Whether so much of the reply is mistyped that its signs tell little."""
    plain: tuple[tuple[int, float] | None, ...] = ()
    """For each point the segment that is a true line of it by the word that tells it from the false ones, and how much of that line."""
    taken: tuple[frozenset[int], ...] = ()
    """For each point the segments that stand word for word in the model answer and make other points there."""

    def settled(self, k: int) -> bool:
        """Whether something in the rubric's own words says or denies point k."""
        return (self.verbatim[k], self.reversed[k], self.plain[k]) != (None, None, None)


class Gatherer:
    """Reads rubrics once and replies against them. Rubrics are kept in memory and, where `cache` is given, on disk.

    library: the questions that a reply might be about instead."""

    def __init__(self, encoder: Encoder, library: Library, cache: Path | None = None) -> None:
        self.encoder = encoder
        self._shelf = Shelf(encoder, cache)
        self._others = Others(library, lambda texts: self._shelf.vectors(list(texts)))
        self._homes: OrderedDict[int, tuple[Rubric, tuple[str, ...]]] = OrderedDict()

    def claims(self, rubric: Rubric) -> Claims:
        """The rubric as the encoder reads it."""
        return self._shelf.claims(rubric)

    def _homes_of(self, rubric: Rubric) -> tuple[str, ...]:
        """For each point the segment of the model answer that makes it; worked out once, when a reply first quotes the answer."""
        kept = self._homes.get(id(rubric))
        if kept is None or kept[0] is not rubric:
            windows = segments(rubric.answer)
            found = self.gather(rubric, windows, len(rubric.answer.split()), homes=True)
            texts = tuple(windows[best if said is None else said].text for said, best in zip(found.verbatim, found.near, strict=True))
            kept = self._homes[id(rubric)] = (rubric, texts)
            while len(self._homes) > KEPT:
                self._homes.popitem(last=False)
        return kept[1]

    def gather(self, rubric: Rubric, windows: Sequence[Window], words: int, homes: bool = False) -> Evidence:
        """The evidence in `windows` of a reply of `words` words. There must be a window.

        homes: the reply is the model answer, read to see which of its segments makes which point."""
        claims = self.claims(rubric)
        windows = list(windows)[:MOST_SEGMENTS]
        read = self.encoder.read([window.text for window in windows])
        vectors = np.stack([one.vector for one in read])
        near = vectors @ claims.vectors.T
        right, wrong, false = (_highest(near, groups) for groups in (claims.right, claims.wrong, claims.mistaken))
        said = [claims.lexical.read(window) for window in windows]
        count = len(rubric.points)
        answer = " ".join(rubric.answer.casefold().split())
        quoted = [" ".join(window.text.casefold().split()) in answer for window in windows]
        lines = [None if own else line(window.text, claims.lexical.mended) for own, window in zip(quoted, windows, strict=True)]
        denies, corrects, said_of = denials(claims, windows, quoted, lines)
        hasty = self._mistyped(claims, windows)
        if hasty:  # a "no" may have become anything
            denies[:], said_of[:] = False, 0
        about = right + 0.0
        words_right = np.array([[claims.lexical.best(one, claims.lexical.right[k])[0] for k in range(count)] for one in said])
        words_wrong = np.array([[claims.lexical.best(one, claims.lexical.wrong[k])[0] for k in range(count)] for one in said])
        words_false = np.array([[claims.lexical.best(one, texts)[0] for texts in claims.lexical.false] for one in said])
        for i, k in zip(*np.nonzero(denies), strict=True):  # the truth denied in its own words is an untruth ...
            wrong[i, k], right[i, k] = max(wrong[i, k], right[i, k]), 0.0
            words_wrong[i, k], words_right[i, k] = max(words_wrong[i, k], words_right[i, k]), 0.0
        wrong[corrects[:, :count]] = words_wrong[corrects[:, :count]] = 0.0  # ... and an untruth denied is none
        false[corrects[:, count:]] = words_false[corrects[:, count:]] = 0.0
        places = [self._places(right[:, k] + 0.3 * words_right[:, k], wrong[:, k] + 0.3 * words_wrong[:, k]) for k in range(count)]
        pairs = [(claims.statements[k], read[place]) for k in range(count) for place in places[k]]
        stated = [int(np.argmax(false[:, j])) for j in range(len(rubric.misconceptions))]
        pairs += [(claims.falsehoods[j], read[place]) for j, place in enumerate(stated)]
        logits = self.encoder.judge(pairs).astype(np.float64)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        asked = [(k, place) for k in range(count) for place in places[k]]
        for n, (k, place) in enumerate(asked):
            if denies[place, k] and logits[n, 0] > logits[n, 1]:
                logits[n, [0, 1]] = logits[n, [1, 0]]
        own = claims.vectors[[n for group in claims.right for n in group]]
        words_of = [[claims.lexical.mended(stem) for stem in stems(window.text)] for window in windows]
        elsewhere, beside, foreign = self._others.contrast(rubric, own, vectors, right, words_of)
        rows, best, worst, nearest, likest = [], [], [], [], []
        at = 0
        for k, point in enumerate(rubric.points):
            judged = logits[at : at + len(places[k])]
            at += len(places[k])
            i = places[k][0]
            two = np.sort(right[:, k])[::-1]
            other = max((right[i, x] for x in range(count) if x != k), default=0.0)
            first = judged[0]
            rows.append(
                [
                    right[i, k], two[1] if len(two) > 1 else 0.0, wrong[i, k], wrong[:, k].max(),
                    right[i, k] - wrong[i, k], right[i, k] - other,
                    words_right[i, k], words_right[:, k].max(), words_wrong[i, k], words_wrong[:, k].max(),
                    words_right[i, k] - words_wrong[i, k],
                    first[0], first[1], first[2], judged[:, 0].max(), judged[:, 1].max(), (judged[:, 0] - judged[:, 2]).max(),
                    (judged[:, 1] - judged[:, 2]).max(), (judged[:, 1] - judged[:, 0]).max(), first[0] - first[1],
                    false[i].max(initial=0.0), right[i, k] - false[i].max(initial=0.0), len(windows[i].text.split()) / 24,
                    np.log1p(words), len(windows) / 10, float(point.core), point.weight, *elsewhere[k],
                    *claims.figures.compared(k, windows[i].text),
                ]
            )  # fmt: skip
            likest.append(i)
            best.append(places[k][int(np.argmax(judged[:, 0]))])
            worst.append(places[k][int(np.argmax(judged[:, 1]))])
            nearest.append(claims.texts[max(claims.right[k], key=lambda n: (near[i, n], -n))])
        said_so = tuple(nearly(words_right[:, k], words_wrong[:, k]) for k in range(count))
        denied = [denied_at(k, said_of, about, words_right, quoted) for k in range(count)]
        taken: tuple[frozenset[int], ...] = ()
        if any(quoted) and not homes:
            made_by = self._homes_of(rubric)
            said_so = tuple(
                said if said is not None or denied[k] is not None else home(text, windows, denies[:, k])
                for k, (said, text) in enumerate(zip(said_so, made_by, strict=True))
            )
            known = [i for i, window in enumerate(windows) if quoted[i] and len(window.text.split()) >= LEAST]
            taken = tuple(frozenset(i for i in known if not shared(windows[i].text, text)) for text in made_by)
        turned = tuple(_first(turned_at(point, k, windows, words_wrong, words_right), denied[k]) for k, point in enumerate(rubric.points))
        table = np.array(
            [
                [
                    false[place, j], *logits[at + j], words_false[place, j],
                    false[place, j] - right[place].max(), words_false[place, j] - words_right[place].max(),
                ]
                for j, place in enumerate(stated)
            ]
        ).reshape(len(stated), len(BELIEFS))  # fmt: skip
        return Evidence(
            _compared(rubric, np.array(rows), table), table, tuple(best), tuple(worst), tuple(stated), tuple(nearest),
            said_so,
            turned,
            tuple(nearly(words_false[:, j], words_right.max(axis=1)) for j in range(len(stated))),
            echoed(rubric, windows, quoted), tuple(likest), beside, foreign, hasty, plainly(claims, lines, denies), taken,
        )  # fmt: skip

    def _mistyped(self, claims: Claims, windows: Sequence[Window]) -> bool:
        """Whether so many words of a reply are none that it was typed in haste: neither the rubric's nor whole words of the encoder's."""
        words = [word for window in windows for word in tokens(window.text) if len(word) > 2 and word.isalpha()]
        strange = sum(stem(word) not in claims.lexical.rarity and len(self.encoder.pieces(word)) > 1 for word in words)
        return strange >= max(HASTE[0], HASTE[1] * len(words))

    @staticmethod
    def _places(right: Numbers, wrong: Numbers) -> list[int]:
        """The two segments that may make a point, and the one that may contradict it; each once."""
        first = [int(place) for place in np.argsort(-right, kind="stable")[:2]]
        return list(dict.fromkeys([*first, int(np.argmax(wrong))]))


def _compared(rubric: Rubric, rows: Numbers, table: Numbers) -> Numbers:
    """The rows with what they are beside one another: a reply that is clear on its other points and dim on one has not made
    it, while an expert's is dim on all. Then what speaks for the misconceptions that reverse the point, and for any; and `_richness`."""
    half = (len(rows) + 1) // 2
    made = [rows]
    for name in CLEAR:
        column = np.maximum(rows[:, FEATURES.index(name)], LOWEST)
        clear = np.sort(column)[::-1][:half].mean()
        made.append(np.stack([np.full(len(rows), clear), column - clear], axis=1))
    stated = np.maximum(table[:, 1], LOWEST)
    own = [
        max((stated[j] for j, one in enumerate(rubric.misconceptions) if one.reverses == point.id), default=UNKNOWN)
        for point in rubric.points
    ]
    made.append(np.stack([np.array(own), np.full(len(rows), stated.max(initial=LOWEST))], axis=1))
    made.append(_richness(rubric))
    return np.concatenate(made, axis=1)


def _first(*places: int | None) -> int | None:
    return next((place for place in places if place is not None), None)


def _richness(rubric: Rubric) -> Numbers:
    """How much the rubric has to compare with, as logarithms: for each point its phrasings and its untrue lines, and the points."""
    wrong = [
        len(point.contrary) + sum(1 + len(one.phrasings) for one in rubric.misconceptions if one.reverses == point.id)
        for point in rubric.points
    ]
    return np.log1p([[len(point.phrasings), lines, len(rubric.points)] for point, lines in zip(rubric.points, wrong, strict=True)])


def _highest(near: Floats, groups: Sequence[tuple[int, ...]]) -> Floats:
    """For each row the highest value within each group of columns; 0 for an empty group."""
    if not groups:
        return np.zeros((len(near), 0), dtype=near.dtype)
    return np.stack([near[:, list(group)].max(axis=1) if group else np.zeros(len(near), near.dtype) for group in groups], axis=1)
