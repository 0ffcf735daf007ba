"""Rubrics as the encoder reads them: each is read once, and kept in memory and on disk."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.content import Rubric
from bot.grading import pairs as minimal
from bot.grading.encoder import Encoder, Read
from bot.grading.figures import Figures
from bot.grading.plain import Lexical
from bot.grading.polarity import Line, line
from bot.grading.reading import segments, sentences

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

KEPT = 16
"""Rubrics kept in memory, at one to two MiB each; another is read from the cache in some milliseconds."""


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


class Shelf:
    """Reads rubrics once. They are kept in memory and, where `cache` is given, on disk."""

    def __init__(self, encoder: Encoder, cache: Path | None = None) -> None:
        self._encoder = encoder
        self._cache = cache
        self._claims: OrderedDict[int, tuple[Rubric, Claims]] = OrderedDict()

    def claims(self, rubric: Rubric) -> Claims:
        """The rubric as the encoder reads it."""
        kept = self._claims.get(id(rubric))
        if kept is None or kept[0] is not rubric:
            kept = (rubric, self._read(rubric))
            self._claims[id(rubric)] = kept
            while len(self._claims) > KEPT:
                self._claims.popitem(last=False)
        return kept[1]

    def vectors(self, texts: list[str]) -> Floats:
        """The vectors of texts, from the cache where they are there."""
        return self._encoded(texts, [])[0]

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
            digest = hashlib.sha256("\0".join([self._encoder.fingerprint, *texts]).encode()).hexdigest()[:24]
            file = self._cache / f"claims-{digest}.npz"
            try:
                with np.load(file, allow_pickle=False) as kept:
                    vectors, states, borders = (kept[name] for name in ("vectors", "states", "borders"))  # each is read when it is named
                    return vectors, [Read(states[a:b], vectors[n]) for n, (a, b) in zip(wanted, borders, strict=True)]
            except (OSError, KeyError, ValueError, EOFError):
                pass
        read = self._encoder.read(texts)
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


def _lines(answer: str) -> tuple[str, ...]:
    """The sentences of a model answer, and the pieces in which they are read."""
    return tuple(dict.fromkeys(one.text for one in (*sentences(answer), *segments(answer))))
