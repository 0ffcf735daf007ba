"""What the other questions ask for: a reply that speaks of their points rather than of its own question's is beside the point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, Rubric

Floats = NDArray[np.float32]

NEUTRAL = (0.02, 0.02, 0.03)
"""What stands for the contrasts where there is no other question: about what right replies have."""

TWINS = 0.9
"""Cosine from which another question's point says what one of the rubric's own does: to speak of it is not beside the point."""


@dataclass(frozen=True)
class _Pack:
    """The points of a pack's questions: their vectors, of length 1, and the number of the question of each."""

    vectors: Floats
    owners: NDArray[np.int64]


class Others:
    """The points of the other questions of a rubric's own pack, read when the pack is first graded against.

    Only of its own pack, and none that says what the rubric says itself: so a grade stays as it is when packs are added, and a
    good reply is not the worse for a second question about the same thing.

    encode: texts to vectors [texts, width]. Follow-ups belong to their question: none of its points is another's."""

    def __init__(self, library: Library, encode: Callable[[Sequence[str]], Floats]) -> None:
        self._encode = encode
        self._texts: dict[str, list[tuple[int, str]]] = {}
        self._home: dict[tuple[str, str], tuple[str, int]] = {}
        self._packs: dict[str, _Pack] = {}
        for number, question in enumerate(library.questions.values()):
            for rubric in (question, *question.followups):
                self._home.setdefault((rubric.prompt, rubric.answer), (question.pack, number))
            self._texts.setdefault(question.pack, []).extend((number, point.statement) for point in question.points)

    def _pack(self, name: str) -> _Pack:
        made = self._packs.get(name)
        if made is None:
            owners, texts = zip(*self._texts[name], strict=True)
            made = self._packs[name] = _Pack(self._encode(texts), np.array(owners, dtype=np.int64))
        return made

    def contrast(self, rubric: Rubric, claims: Floats, read: Floats, right: Floats) -> NDArray[np.float64]:
        """For each point how much nearer to it its best segment is than to any point of another question, -2..2; then, for
        the reply: the same over all its segments, and against the one other question that it fits best; and how near it is to its
        own points at all. [points, 4]

        claims: the vectors of all lines that say the rubric's points; read: the segments' vectors; right: their likeness to the
        rubric's points, [segments, points]."""
        own = right.max(axis=1)
        best = right.max(axis=0)
        places = right.argmax(axis=0)
        made = np.empty((right.shape[1], 4))
        made[:, :3] = NEUTRAL
        made[:, 3] = own.mean()
        home = self._home.get((rubric.prompt, rubric.answer))
        if home is None:
            return made
        pack = self._pack(home[0])
        theirs = (pack.owners != home[1]) & ((pack.vectors @ claims.T).max(axis=1) < TWINS)
        if not theirs.any():
            return made
        near = read @ pack.vectors[theirs].T
        nearest = near.max(axis=1)
        borders = np.flatnonzero(np.diff(pack.owners[theirs], prepend=-1))
        fits = np.maximum.reduceat(near, borders, axis=1).mean(axis=0)
        made[:, 0] = best - nearest[places]
        made[:, 1] = (own - nearest).mean()
        made[:, 2] = own.mean() - fits.max()
        return made
