"""What speaks for and against each point in a reply, as numbers: likeness of texts, shared words, and the encoder's judgement.

Nothing is decided here; `bot.grading.reader` turns the numbers into verdicts.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, Point, Rubric
from bot.grading import pairs as minimal
from bot.grading.encoder import Encoder, Read
from bot.grading.figures import Figures
from bot.grading.others import CONTRASTS, Others
from bot.grading.plain import Lexical
from bot.grading.polarity import Line, denied, line
from bot.grading.reading import Window, segments, sentences, stem, stems, tokens

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

MOST_SEGMENTS = 60
KEPT = 16
"""Rubrics kept in memory, at one to two MiB each; another is read from the cache in some milliseconds."""

TOGETHER = 5
"""Windows of one sentence that are read together, at most."""

VERBATIM = 0.9
"""Likeness of words (0..1, see `Lexical`) from which something is said in the rubric's own words."""

FEATURES = (
    "right", "right2", "contrary", "contrary_any", "right-contrary", "right-other", "words", "words_any", "words_contrary",
    "words_contrary_any", "words-contrary", "states", "denies", "neither", "states_any", "denies_any", "states-neither",
    "denies-neither", "denies-states", "states-denies", "misconception", "right-misconception", "length", "reply", "segments",
    "core", "weight", *CONTRASTS, "numbers", "strange_numbers",
    "clear", "right-clear", "clear_words", "words-clear", "clear_states", "states-clear", "believed", "believed_any",
)  # fmt: skip
"""The columns of `Evidence.points`."""


BELIEFS = ("false", "states", "denies", "neither", "words", "false-right", "words-right")
"""The columns of `Evidence.misconceptions`, of the segment that is likest to each: likeness, log-odds of what the judge says, likeness
of words, and how much more it is like the misconception than like any point."""

CLEAR = ("right", "words_any", "states_any")
"""The columns of which `_compared` tells how clear the reply is on its clearer half of points, and how far each point is from that."""

LEAST = 4
"""Words of the shortest stretch that is known for one of a misconception's line, or for a segment of the model answer."""

SLIPS = 2
"""Misspelt words in a sentence from which its signs are not trusted to tell a denial."""

HASTE = (5, 0.12)
"""Strange words, and their share of a reply's, from which its signs are not trusted at all."""

LOWEST, UNKNOWN = -6.0, -4.0
"""The lowest log-odds that count, and those of a point which no misconception reverses."""


@dataclass(frozen=True)
class Claims:
    """A rubric as the encoder reads it."""

    vectors: Floats
    statements: tuple[Read, ...]
    falsehoods: tuple[Read, ...]
    right: tuple[tuple[int, ...], ...]
    wrong: tuple[tuple[int, ...], ...]
    mistaken: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    lexical: Lexical
    figures: Figures
    truths: tuple[tuple[Line, ...], ...]
    """For each point the lines that say it, and last the sentences of the model answer."""
    untruths: tuple[tuple[Line, ...], ...]
    """For each point the lines that say it wrongly, then those of each misconception."""
    true: tuple[tuple[Line, ...], ...]
    """For minimal pairs: the true lines of each point, as `minimal.content` gives them."""
    false: tuple[Line, ...]
    """And all untrue ones."""


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
    """The segments that speak of a neighbouring question's subject, in a reply that does so as a whole."""
    plain: tuple[tuple[int, float] | None, ...] = ()
    """For each point the segment that is a true line of it by the word that tells it from the false ones, and how much of that line."""
    taken: tuple[frozenset[int], ...] = ()
    """For each point the segments that stand word for word in the model answer and make other points there."""


class Gatherer:
    """Reads rubrics once and replies against them. Rubrics are kept in memory and, where `cache` is given, on disk.

    library: the questions that a reply might be about instead."""

    def __init__(self, encoder: Encoder, library: Library, cache: Path | None = None) -> None:
        self.encoder = encoder
        self._cache = cache
        self._others = Others(library, lambda texts: self._encoded(list(texts), [])[0])
        self._claims: OrderedDict[int, tuple[Rubric, Claims]] = OrderedDict()
        self._homes: OrderedDict[int, tuple[Rubric, tuple[str, ...]]] = OrderedDict()

    def claims(self, rubric: Rubric) -> Claims:
        kept = self._claims.get(id(rubric))
        if kept is None or kept[0] is not rubric:
            kept = (rubric, self._read(rubric))
            self._claims[id(rubric)] = kept
            while len(self._claims) > KEPT:
                self._claims.popitem(last=False)
        return kept[1]

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
        denies, corrects, said_of = _denials(claims, windows, quoted, lines)
        if self._mistyped(claims, windows):  # a "no" may have become anything
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
        elsewhere, beside = self._others.contrast(rubric, own, vectors, right, words_of)
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
        said_so = tuple(_nearly(words_right[:, k], words_wrong[:, k]) for k in range(count))
        taken: tuple[frozenset[int], ...] = ()
        if any(quoted) and not homes:
            made_by = self._homes_of(rubric)
            said_so = tuple(
                _first(said, _home(text, windows, denies[:, k])) for k, (said, text) in enumerate(zip(said_so, made_by, strict=True))
            )
            known = [i for i, window in enumerate(windows) if quoted[i] and len(window.text.split()) >= LEAST]
            taken = tuple(frozenset(i for i in known if not _shared(windows[i].text, text)) for text in made_by)
        turned = tuple(
            _first(_turned(point, k, windows, words_wrong, words_right), _denied(k, said_of, about, words_right, quoted))
            for k, point in enumerate(rubric.points)
        )
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
            tuple(_nearly(words_false[:, j], words_right.max(axis=1)) for j in range(len(stated))),
            _echoed(rubric, windows, quoted), tuple(likest), beside, _plainly(claims, lines, denies), taken,
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

    def _read(self, rubric: Rubric) -> Claims:
        texts: list[str] = []
        right: list[tuple[int, ...]] = []
        wrong: list[tuple[int, ...]] = []
        mistaken: list[tuple[int, ...]] = []

        def add(*more: str) -> tuple[int, ...]:
            texts.extend(more)
            return tuple(range(len(texts) - len(more), len(texts)))

        contrary = []
        for point in rubric.points:
            right.append(add(point.statement, *point.phrasings))
            contrary.append(add(*point.contrary))
        for one in rubric.misconceptions:
            mistaken.append(add(one.statement, *one.phrasings))
        for k, point in enumerate(rubric.points):
            reversing = [n for j, one in enumerate(rubric.misconceptions) if one.reverses == point.id for n in mistaken[j]]
            wrong.append((*contrary[k], *reversing))
        vectors, wanted = self._encoded(texts, [group[0] for group in (*right, *mistaken)])
        true = [*((point.statement, *point.phrasings) for point in rubric.points), _lines(rubric.answer)]
        false = [*(point.contrary for point in rubric.points), *((one.statement, *one.phrasings) for one in rubric.misconceptions)]
        truths, untruths = (tuple(tuple(map(line, group)) for group in groups) for groups in (true, false))
        return Claims(
            vectors, tuple(wanted[: len(right)]), tuple(wanted[len(right) :]), tuple(right), tuple(wrong), tuple(mistaken),
            tuple(texts), Lexical(rubric), Figures.of_rubric(rubric), truths, untruths,
            tuple(tuple(map(minimal.content, group)) for group in truths[:-1]),
            tuple(minimal.content(one) for group in untruths for one in group),
        )  # fmt: skip

    def _encoded(self, texts: list[str], wanted: list[int]) -> tuple[Floats, list[Read]]:
        """The vectors of all texts and the whole reading of the wanted ones, from the cache where they are there."""
        file = None
        if self._cache is not None:
            digest = hashlib.sha256("\0".join([self.encoder.fingerprint, *texts]).encode()).hexdigest()[:24]
            file = self._cache / f"claims-{digest}.npz"
            try:
                with np.load(file, allow_pickle=False) as kept:
                    vectors, states, borders = (kept[name] for name in ("vectors", "states", "borders"))  # each is read when it is named
                    return vectors, [Read(states[a:b], vectors[n]) for n, (a, b) in zip(wanted, borders, strict=True)]
            except (OSError, KeyError, ValueError, EOFError):
                pass
        read = self.encoder.read(texts)
        vectors = np.stack([one.vector for one in read])
        reads = [read[n] for n in wanted]
        if file is not None:
            ends = np.cumsum([0, *(len(one.states) for one in reads)])
            self._keep(
                file,
                vectors=vectors,
                states=np.concatenate([vectors[:0], *(one.states for one in reads)]),
                borders=np.stack([ends[:-1], ends[1:]], 1),
            )
        return vectors, reads

    @staticmethod
    def _keep(file: Path, **arrays: NDArray[np.generic]) -> None:
        """Writes a cache file whole or not at all; a folder that can't be written only costs time."""
        fresh = file.with_name(f"{file.name}.{os.getpid()}.new.npz")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(fresh, allow_pickle=False, **arrays)
            fresh.replace(file)
        except OSError:
            fresh.unlink(missing_ok=True)


def _compared(rubric: Rubric, rows: Numbers, table: Numbers) -> Numbers:
    """The rows with what they are beside one another: a reply that is clear on its other points and dim on one has not made
    it, while an expert's is dim on all. Then what speaks for the misconceptions that reverse the point, and for any."""
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
    return np.concatenate(made, axis=1)


def _denials(
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


def _denied(k: int, said_of: NDArray[np.int8], about: Numbers, words: Numbers, quoted: Sequence[bool]) -> int | None:
    """The window that denies point k: a line of its own, or a sentence of the model answer that speaks of this point rather
    than of another; not one that stands so in the model answer. None where the point is said elsewhere nearly word for word."""
    if words[:, k].max() >= VERBATIM:
        return None
    for place in np.argsort(-about[:, k], kind="stable"):
        if not quoted[place] and (said_of[place, k] == 2 or (said_of[place, k] == 1 and int(np.argmax(about[place])) == k)):
            return int(place)
    return None


def _plainly(claims: Claims, lines: Sequence[Line | None], denies: NDArray[np.bool_]) -> tuple[tuple[int, float] | None, ...]:
    """For each point the window that says the most of a true line of it (`bot.grading.pairs`), none of the model answer's own.
    `lines`: as for `_denials`."""
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


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(".!?;,: ")


def _home(text: str, windows: Sequence[Window], denies: NDArray[np.bool_]) -> int | None:
    """The window that has a segment of the model answer word for word, undenied."""
    wanted = _plain(text)
    return next((i for i, window in enumerate(windows) if not denies[i] and wanted in _plain(window.text)), None)


def _shared(one: str, other: str) -> bool:
    """Whether one of two texts is a stretch of the other."""
    one, other = _plain(one), _plain(other)
    return one in other or other in one


def _echoed(rubric: Rubric, windows: Sequence[Window], quoted: Sequence[bool]) -> frozenset[int]:
    """The windows that are a stretch of a misconception's line, and none of the model answer."""
    lines = [_plain(text) for one in rubric.misconceptions for text in (one.statement, *one.phrasings)]
    said = [_plain(window.text) for window in windows]
    return frozenset(
        i for i, text in enumerate(said) if not quoted[i] and len(text.split()) >= LEAST and any(text in line for line in lines)
    )


def _first(*places: int | None) -> int | None:
    return next((place for place in places if place is not None), None)


def _turned(point: Point, k: int, windows: Sequence[Window], words_wrong: Numbers, words_right: Numbers) -> int | None:
    """The window that says point k wrongly, nearly in the rubric's words."""
    return None if _formula(point, windows) else _nearly(words_wrong[:, k], words_right[:, k])


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


def _lines(answer: str) -> tuple[str, ...]:
    """The sentences of a model answer, and the pieces in which they are read."""
    return tuple(dict.fromkeys(one.text for one in (*sentences(answer), *segments(answer))))


def _formula(point: Point, windows: Sequence[Window]) -> bool:
    """Whether a formula of the point stands there, sign for sign: shared words can't tell a formula from its reversal."""
    said = ["".join(window.text.lower().split()) for window in windows]
    return any("".join(formula.lower().split()).rstrip(")") in text for formula in point.formulas for text in said)


def _nearly(words: Numbers, against: Numbers) -> int | None:
    """The segment that says something nearly word for word, and nothing that speaks against it as nearly."""
    place = int(np.argmax(words - against))
    return place if words[place] >= VERBATIM and words[place] > against[place] + 0.02 else None


def _highest(near: Floats, groups: Sequence[tuple[int, ...]]) -> Floats:
    """For each row the highest value within each group of columns; 0 for an empty group."""
    if not groups:
        return np.zeros((len(near), 0), dtype=near.dtype)
    return np.stack([near[:, list(group)].max(axis=1) if group else np.zeros(len(near), near.dtype) for group in groups], axis=1)
