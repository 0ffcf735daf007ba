"""What the other questions ask for: a reply that speaks of their points rather than of its own question's is beside the point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, Rubric

Floats = NDArray[np.float32]

NEUTRAL = (0.02, 0.02, 0.03)
"""What stands for the contrasts where there is no other question: about what right replies have."""


class Others:
    """The points of every question of a library, as vectors of length 1.

    encode: texts to vectors [texts, width]. Follow-ups belong to their question: none of its points is another's."""

    def __init__(self, library: Library, encode: Callable[[Sequence[str]], Floats]) -> None:
        self._home: dict[str, int] = {}
        texts: list[str] = []
        owners: list[int] = []
        for number, question in enumerate(library.questions.values()):
            for rubric in (question, *question.followups):
                self._home.setdefault(rubric.prompt, number)
            texts += [point.statement for point in question.points]
            owners += [number] * len(question.points)
        self._owners = np.array(owners, dtype=np.int64)
        self._vectors = encode(texts) if texts else np.zeros((0, 1), dtype=np.float32)

    def contrast(self, rubric: Rubric, read: Floats, right: Floats) -> NDArray[np.float64]:
        """For each point how much nearer to it its best segment is than to any point of another question, -2..2; then, for
        the reply: the same over all its segments, and against the one other question that it fits best; and how near it is to its
        own points at all. [points, 4]

        read: the segments' vectors; right: their likeness to the rubric's points, [segments, points]."""
        own = right.max(axis=1)
        best = right.max(axis=0)
        places = right.argmax(axis=0)
        made = np.empty((right.shape[1], 4))
        made[:, 3] = own.mean()
        home = self._home.get(rubric.prompt, -1)
        theirs = self._owners != home
        if not theirs.any():
            made[:, :3] = NEUTRAL
            return made
        near = read @ self._vectors[theirs].T
        nearest = near.max(axis=1)
        borders = np.flatnonzero(np.diff(self._owners[theirs], prepend=-1))
        fits = np.maximum.reduceat(near, borders, axis=1).mean(axis=0)
        made[:, 0] = best - nearest[places]
        made[:, 1] = (own - nearest).mean()
        made[:, 2] = own.mean() - fits.max()
        return made
