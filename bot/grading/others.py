"""What the other questions ask for: a reply that speaks of their points rather than of its own question's is beside the point."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, Question, Rubric
from bot.grading.reading import stems

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

CONTRASTS = ("elsewhere", "elsewhere_all", "fits_other", "near", "neighbour", "neighbour_all", "told", "told_all")
"""What `Others.contrast` tells of each point."""

NEUTRAL = (0.02, 0.02, 0.03, 0.0, 0.05, 0.1, 0.5, 0.5)
"""What stands for the contrasts where there is no other question: about what right replies have. ("near" always can be told.)"""

TWINS = 0.9
"""Cosine from which another question's line says what one of the rubric's own does: to speak of it is not beside the point."""

SMOOTH = 40.0
"""Words of the whole topic that are mixed into the words of one question, so that none is impossible."""

MOST = 3.0
"""The most that one word may speak for one question or the other (natural logarithm of a ratio)."""

ELSEWHERE = -0.5
"""`told_all` below which a reply answers a neighbouring question. Of 205 good marked replies none came below -0.2; of 274 model answers
to the next question of the topic none above -0.85."""

OWN = 0.15
"""`told` from which a segment of such a reply still speaks of the question that was asked."""

ENOUGH, STRANGE = 20, 0.25
"""Words that carry meaning from which a reply can be told to speak of something else entirely, and the share of them below which it
does: those that stand anywhere in the question, its rubric or its follow-ups. Of 4,877 replies that earned 30 or more none came below
.254 (the next .333); more than half of 40 stories about something else do, held against any question."""

KEPT = 8
"""Topics whose lines are kept in memory, at about half a MiB each."""


@dataclass(frozen=True)
class _Lines:
    """Lines of several questions: their vectors, of length 1, and the number of the question of each."""

    vectors: Floats
    owners: NDArray[np.int64]


@dataclass(frozen=True)
class _Words:
    """How likely each question of a topic is to say a word. rows: the row of each question's number; chances [questions, words]: natural
    logarithms; own: what each says at all."""

    places: Mapping[str, int]
    rows: Mapping[int, int]
    chances: Numbers
    own: Mapping[int, frozenset[str]]


class Others:
    """The points of the other questions of a rubric's own pack, and all lines of its own topic, read when first graded against.

    Only of its own pack, and none that says what the rubric says itself: so a grade stays as it is when packs are added, and a
    good reply is not the worse for a second question about the same thing.

    encode: texts to vectors [texts, width]. Follow-ups belong to their question: none of its points is another's."""

    def __init__(self, library: Library, encode: Callable[[Sequence[str]], Floats]) -> None:
        self._encode = encode
        self._questions = tuple(library.questions.values())
        self._home: dict[tuple[str, str], int] = {}
        self._packs: dict[str, _Lines] = {}
        self._topics: OrderedDict[tuple[str, str], tuple[_Lines, _Words]] = OrderedDict()
        self._theirs: OrderedDict[tuple[int, int], tuple[Rubric, _Lines, NDArray[np.bool_]]] = OrderedDict()
        for number, question in enumerate(self._questions):
            for rubric in (question, *question.followups):
                self._home.setdefault((rubric.prompt, rubric.answer), number)

    def _pack(self, name: str) -> _Lines:
        made = self._packs.get(name)
        if made is None:
            own = [(number, question) for number, question in enumerate(self._questions) if question.pack == name]
            made = self._packs[name] = self._lines((number, point.statement) for number, question in own for point in question.points)
        return made

    def _topic(self, of: Question) -> tuple[_Lines, _Words]:
        topic = (of.pack, of.file)
        made = self._topics.get(topic)
        if made is None:
            own = [(number, question) for number, question in enumerate(self._questions) if (question.pack, question.file) == topic]
            lines = self._lines(
                (number, text) for number, question in own for point in question.points for text in (point.statement, *point.phrasings)
            )
            made = self._topics[topic] = (lines, _words(own))
            while len(self._topics) > KEPT:
                self._topics.popitem(last=False)
        return made

    def _lines(self, lines: Iterator[tuple[int, str]]) -> _Lines:
        owners, texts = zip(*lines, strict=True)
        return _Lines(self._encode(texts), np.array(owners, dtype=np.int64))

    def contrast(
        self, rubric: Rubric, claims: Floats, read: Floats, right: Floats, said: Sequence[Sequence[str]]
    ) -> tuple[Numbers, frozenset[int], bool]:
        """CONTRASTS for each point [points, 8]; the segments that speak of a neighbouring question's subject in a reply which does so
        as a whole; and whether the reply speaks of something else entirely, which is then all of them.

        The contrasts: how much nearer to it its best segment is than to any point of another question, -2..2; the same over all
        segments of the reply; and against the one other question that the reply fits best; how near it is to its own points at all;
        the first two once more against every line of the topic's other questions; and how much more the words of that segment, and of
        the reply, are those of its own question than of any other of the topic (mean logarithm of the ratio of their chances, -3..3).

        claims: the vectors of all lines that say the rubric's points; read: the segments' vectors; right: their likeness to the
        rubric's points, [segments, points]; said: the stems of each segment."""
        own = right.max(axis=1)
        best = right.max(axis=0)
        places = right.argmax(axis=0)
        made = np.empty((right.shape[1], len(CONTRASTS)))
        made[:] = NEUTRAL
        made[:, 3] = own.mean()
        home = self._home.get((rubric.prompt, rubric.answer))
        if home is None:
            return made, frozenset(), False
        near = self._near(rubric, self._pack(self._questions[home].pack), home, claims, read)
        if near is not None:
            values, owners = near
            nearest = values.max(axis=1)
            borders = np.flatnonzero(np.diff(owners, prepend=-1))
            fits = np.maximum.reduceat(values, borders, axis=1).mean(axis=0)
            made[:, 0] = best - nearest[places]
            made[:, 1] = (own - nearest).mean()
            made[:, 2] = own.mean() - fits.max()
        lines, words = self._topic(self._questions[home])
        near = self._near(rubric, lines, home, claims, read)
        if near is not None:
            nearest = near[0].max(axis=1)
            made[:, 4] = best - nearest[places]
            made[:, 5] = (own - nearest).mean()
        foreign = _foreign(words.own[home], said)
        beside = frozenset(range(len(said)) if foreign else ())
        told = _told(words, home, said)
        if told is None:
            return made, beside, foreign
        made[:, 6], made[:, 7] = told[0][places], told[1]
        if told[1] < ELSEWHERE:
            beside |= frozenset(np.flatnonzero(told[0] < OWN).tolist())
        return made, beside, foreign

    def _near(self, rubric: Rubric, lines: _Lines, home: int, claims: Floats, read: Floats) -> tuple[Floats, NDArray[np.int64]] | None:
        """The likeness of the segments to the lines of others, and whose each is; None where there is no such line."""
        kept = self._theirs.get((id(rubric), id(lines)))
        if kept is None or kept[0] is not rubric or kept[1] is not lines:
            theirs = (lines.owners != home) & ((lines.vectors @ claims.T).max(axis=1) < TWINS)
            kept = self._theirs[id(rubric), id(lines)] = (rubric, lines, theirs)
            while len(self._theirs) > KEPT:
                self._theirs.popitem(last=False)
        theirs = kept[2]
        return (read @ lines.vectors[theirs].T, lines.owners[theirs]) if theirs.any() else None


def _words(questions: Sequence[tuple[int, Question]]) -> _Words:
    counts: dict[int, Counter[str]] = {}
    for number, question in questions:
        texts = [question.prompt, *question.wordings, question.answer]
        texts += [text for point in question.points for text in (point.statement, *point.phrasings, *point.contrary)]
        texts += [text for one in question.misconceptions for text in (one.statement, *one.phrasings)]
        for followup in question.followups:
            texts += [
                followup.prompt,
                followup.answer,
                *(text for point in followup.points for text in (point.statement, *point.phrasings)),
            ]
        counts[number] = Counter(stem for text in texts for stem in stems(text))
    whole: Counter[str] = Counter()
    for one in counts.values():
        whole.update(one)
    places = {stem: place for place, stem in enumerate(whole)}
    everywhere = np.array(list(whole.values()), dtype=np.float64) / max(whole.total(), 1)
    chances = np.stack(
        [(np.array([one[stem] for stem in whole]) + SMOOTH * everywhere) / (one.total() + SMOOTH) for one in counts.values()]
    )
    rows = {number: row for row, number in enumerate(counts)}
    return _Words(places, rows, np.log(chances), {number: frozenset(one) for number, one in counts.items()})


def _foreign(own: frozenset[str], said: Sequence[Sequence[str]]) -> bool:
    """Whether a reply's words are hardly those of a question."""
    words = [stem for stems_of in said for stem in stems_of]
    return len(words) >= ENOUGH and sum(stem in own for stem in words) < STRANGE * len(words)


def _told(words: _Words, home: int, said: Sequence[Sequence[str]]) -> tuple[Numbers, float] | None:
    """How much more the words of each segment are those of the question `home` than of the other one that they fit best, a word; and
    those of all segments together. None where the topic has no other question."""
    others = [row for number, row in words.rows.items() if number != home]
    if not others:
        return None
    own, theirs = words.chances[words.rows[home]], words.chances[others]
    made = np.full(len(said), NEUTRAL[6])
    whole, count = np.zeros(len(others)), 0
    for number, stems_of in enumerate(said):
        found = [place for stem in stems_of if (place := words.places.get(stem)) is not None]
        if found:
            each = np.clip(own[found] - theirs[:, found], -MOST, MOST).sum(axis=1)
            made[number] = each.min() / len(found)
            whole += each
            count += len(found)
    return made, float(whole.min() / count) if count else NEUTRAL[7]
