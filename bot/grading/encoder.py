"""Reads texts with a small BERT, in numpy alone: a vector for each, and judgements of pairs.

The layers read each text by itself, once; a judgement compares what they made of a claim and of a passage, word by word, so
that a claim is read once for ever.

It refuses to depend on chance: a text gets the same bits whatever else is encoded with it, because every
product with the weights is exact. Weights are whole numbers of at most 127 times one factor per row;
activations are rounded to whole numbers, scaled so that (Cauchy-Schwarz) no partial sum can pass 2^24, below
which float32 adds whole numbers without rounding, in any order. Attention is computed for each text alone.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.grading.pieces import Pieces

__all__ = ["Encoder", "Read", "WeightsError"]

Floats = NDArray[np.float32]
Whole8 = NDArray[np.int8]

FORMAT = 2
"""Version of the weights file that this code reads."""

EXACT = 2.0**24
"""Whole numbers up to here are exact in float32 (24 bits of significand, IEEE 754)."""

TOGETHER = 512
"""Tokens that go through a layer at once, at most (a longer text goes alone): bounds memory, changes no
result."""

TILE = 64
"""Rows of the wide middle of a layer whose elements are handled at once: keeps them in the processor's
cache."""

STEEPEST = 60.0
"""Scores of attention are cut here, either way: no word's share then becomes nothing or all too much for float32."""


class WeightsError(ValueError):
    """The weights file is missing, damaged, or of another version."""


# ------------------------------------------------------------------------------------------------- arithmetic


@dataclass(frozen=True)
class _Product:
    """x -> x W + b with whole-number weights, exact before the factors are put back."""

    whole: Floats  # [inputs, outputs]: whole numbers, -127..127, held as float32 for BLAS
    factors: Floats  # [outputs]
    bias: Floats  # [outputs]
    reach: float  # the largest norm that a row of whole-number inputs may have

    @classmethod
    def of(cls, whole: Whole8, factors: Floats, bias: Floats) -> _Product:
        weights = np.ascontiguousarray(whole.T, dtype=np.float32)
        norm = math.sqrt(float(np.max(np.sum(np.square(whole, dtype=np.int32), axis=1, dtype=np.int64))))
        # rounding moves each input by at most 1/2, so the norm by at most sqrt(inputs)/2; 0.999 covers
        # float32's own error
        reach = 0.999 * EXACT / max(norm, 1.0) - math.sqrt(weights.shape[0]) / 2
        return cls(weights, np.ascontiguousarray(factors), np.ascontiguousarray(bias), reach)

    def __call__(self, rows: Floats) -> Floats:
        whole = rows.copy()
        size = self.rounded(whole)
        made: Floats = whole @ self.whole
        return self.restored(made, size)

    def rounded(self, rows: Floats) -> Floats:
        """Makes whole numbers of the rows, in place, and gives the size that each row had, [rows, 1]."""
        size: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        np.maximum(size, np.float32(1e-20), out=size)
        rows *= np.float32(self.reach) / size
        np.rint(rows, out=rows)
        return size

    def restored(self, made: Floats, size: Floats) -> Floats:
        """The product with its factors put back and the bias added, in place. `size`: as `rounded` gave it."""
        made *= size / np.float32(self.reach)
        made *= self.factors
        made += self.bias
        return made


def _gelu(rows: Floats, tall: int = TILE) -> Floats:
    """x times the normal distribution function of x, in place, `tall` rows at once."""
    room = _room(rows, tall)
    for start in range(0, len(rows), tall):
        _bent(rows[start : start + tall], room)
    return rows


def _room(rows: Floats, tall: int) -> list[Floats]:
    """What `_bent` works in, for so many rows."""
    return [np.empty((min(tall, len(rows)), rows.shape[1]), dtype=np.float32) for _ in range(2)]


def _bent(tile: Floats, room: Sequence[Floats]) -> None:
    """x times the normal distribution function of x, in place, to 3e-5: its log-odds as an odd polynomial."""
    square, odds = (part[: len(tile)] for part in room)
    np.multiply(tile, tile, out=square)
    np.minimum(square, np.float32(36.0), out=square)  # beyond six it is 0 or 1, and the polynomial would bend back
    np.multiply(square, np.float32(7.03034704e-04), out=odds)
    odds -= np.float32(7.40112994e-02)
    odds *= square
    odds -= np.float32(1.59501576)
    odds *= tile
    with np.errstate(over="ignore"):  # far below zero: x / infinity, which is right
        np.exp(odds, out=odds)
    odds += np.float32(1.0)
    tile /= odds


def _normalise(rows: Floats, gain_and_shift: Floats) -> Floats:
    """BERT's layer normalisation (epsilon 1e-12), in place."""
    width = np.float32(rows.shape[1])
    rows -= np.add.reduce(rows, axis=1, keepdims=True) / width
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows)[:, None] / width + np.float32(1e-12))
    rows *= gain_and_shift[0]
    rows += gain_and_shift[1]
    return rows


@dataclass(frozen=True)
class _Layer:
    heads: int
    qkv: _Product
    out: _Product
    up: _Product
    down: _Product
    norm1: Floats  # [2, width]: gain, shift
    norm2: Floats

    def __call__(self, rows: Floats, borders: Sequence[tuple[int, int]]) -> Floats:
        middle = self.out(self._attended(self.qkv(rows), borders))
        middle += rows
        _normalise(middle, self.norm1)
        made = self._fed(middle)
        made += middle
        return _normalise(made, self.norm2)

    def _attended(self, mixed: Floats, borders: Sequence[tuple[int, int]]) -> Floats:
        """What the words of each text make of one another. The products are of each text alone: their shapes, and so their bits, depend
        on nothing else; the rest is done for all texts at once, number by number."""
        count, width = len(mixed), mixed.shape[1] // 3
        query, key, value = mixed.reshape(count, 3, self.heads, width // self.heads).transpose(1, 2, 0, 3)
        turned = key.transpose(0, 2, 1)
        lengths = [stop - start for start, stop in borders]
        ends = np.cumsum([self.heads * length * length for length in lengths])
        shares = np.empty(ends[-1], dtype=np.float32)
        each = [
            shares[end - self.heads * length * length : end].reshape(self.heads, length, length)
            for end, length in zip(ends, lengths, strict=True)
        ]
        for own, (start, stop) in zip(each, borders, strict=True):
            np.matmul(query[:, start:stop], turned[:, :, start:stop], out=own)
        np.clip(shares, np.float32(-STEEPEST), np.float32(STEEPEST), out=shares)
        np.exp(shares, out=shares)
        seen = np.empty((count, width), dtype=np.float32)
        parts = seen.reshape(count, self.heads, width // self.heads)
        whole = np.empty((count, self.heads, 1), dtype=np.float32)
        for own, (start, stop) in zip(each, borders, strict=True):
            np.matmul(own, value[:, start:stop], out=parts[start:stop].transpose(1, 0, 2))
            np.add.reduce(own, axis=2, out=whole[start:stop, :, 0].T)
        parts /= whole
        return seen

    def _fed(self, middle: Floats) -> Floats:
        """Up to the wide middle of the layer, bent there tile by tile, and down again."""
        whole = middle.copy()
        size = self.up.rounded(whole)
        wide: Floats = whole @ self.up.whole
        sizes = np.empty_like(size)
        room = _room(wide, TILE)
        for start in range(0, len(wide), TILE):
            tile = wide[start : start + TILE]
            _bent(self.up.restored(tile, size[start : start + TILE]), room)
            sizes[start : start + TILE] = self.down.rounded(tile)
        made: Floats = wide @ self.down.whole
        return self.down.restored(made, sizes)


# ---------------------------------------------------------------------------------------------------- encoder


@dataclass(frozen=True)
class Read:
    """A text as the layers read it. `states` [tokens, width]; `vector` [width], of length 1: the product of two
    vectors is their cosine, -1..1. What a judgement needs of a text alone is worked out once and kept with it."""

    states: Floats
    vector: Floats
    _kept: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)

    @property
    def unit(self) -> Floats:
        """The states, each of length 1."""
        made = self._kept.get("unit")
        if made is None:
            made = self.states / np.maximum(np.sqrt(np.sum(self.states * self.states, axis=1, keepdims=True)), np.float32(1e-12))
            self._kept["unit"] = made
        return made

    def through(self, name: str, weights: Floats) -> Floats:
        """The states times `weights`, which go by `name`."""
        made = self._kept.get(name)
        if made is None:
            made = self._kept[name] = self.states @ weights
        return made


class Encoder:
    """A small BERT read from one weights file.

    Not changed by use, but for a memory of words already split; calls from several threads are safe.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """`arrays`: what the weights file holds, by name (see `bot.grading.training`)."""
        try:
            about = json.loads(bytes(np.asarray(arrays["about"], dtype=np.uint8)))
            if about.get("format") != FORMAT:
                raise WeightsError(f"the weights are of format {about.get('format')}, this program reads {FORMAT}")
            self.about: dict[str, object] = about
            heads = int(about["heads"])
            self.longest = int(about["longest"])
            self.labels: tuple[str, ...] = tuple(about["labels"])
            self.pieces = Pieces(bytes(np.asarray(arrays["vocabulary"], dtype=np.uint8)).decode().split("\n"))
            self._words: Whole8 = np.asarray(arrays["words"], dtype=np.int8)
            self._word_factors = _floats(arrays["words.factors"])
            self._positions = _floats(arrays["positions"])
            self._types = _floats(arrays["types"])
            self._norm = _floats(arrays["text.norm"])
            self._stack = _layers(arrays, "text", int(about["text_layers"]), heads)
            self._sharpness = np.float32(float(np.asarray(arrays["judge.sharpness"], dtype=np.float64)))
            compare, self._compare_bias = _floats(arrays["judge.compare"]), _floats(arrays["judge.compare.bias"])
            # The comparison sees [a, b, a - b, a * b]; the first three are linear in a and b, so they are folded into two.
            own, other, less, times = np.split(compare, 4, axis=1)
            self._own, self._other, self._times = (np.ascontiguousarray(part.T) for part in (own + less, other - less, times))
            self._middle, self._middle_bias = _floats(arrays["judge.middle"]), _floats(arrays["judge.middle.bias"])
            self._head, self._head_bias = _floats(arrays["judge.head"]), _floats(arrays["judge.head.bias"])
            self.fingerprint: str = str(about["fingerprint"])
            """Short, and different for different weights."""
        except (KeyError, UnicodeDecodeError, json.JSONDecodeError) as problem:
            raise WeightsError(f"the weights file is damaged: {problem}") from problem
        self.width = int(self._words.shape[1])

    @classmethod
    def load(cls, path: Path | str) -> Encoder:
        """Read a weights file. Raises WeightsError, in words that say which file."""
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(arrays)
        except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as problem:
            raise WeightsError(f"cannot read the encoder's weights at {path}: {problem}") from problem

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Each text as the layers read it. A text beyond `longest` tokens is cut there; an empty one can be read too."""
        rows = [self._framed(self.pieces(text)) for text in texts]
        made: list[Read] = []
        for group in _groups([len(row) for row in rows]):
            borders, ids = _packed([rows[number] for number in group])
            states = self._embed(ids, borders)
            for layer in self._stack:
                states = layer(states, borders)
            for start, stop in borders:
                own = states[start:stop].copy()
                made.append(Read(own, _unit(own.sum(axis=0))))
        return made

    def vectors(self, texts: Sequence[str]) -> Floats:
        """The vectors of `texts`, [len(texts), width]."""
        return np.stack([one.vector for one in self.read(texts)]) if texts else np.empty((0, self.width), dtype=np.float32)

    def judge(self, pairs: Sequence[tuple[Read, Read]]) -> Floats:
        """What each passage does to each claim, for pairs (claim, passage): logits [len(pairs), len(labels)], in the order of
        `labels`. Words of the two are aligned softly, compared, and the comparisons summed up (Parikh et al. 2016)."""
        made = np.empty((len(pairs), len(self.labels)), dtype=np.float32)
        if not pairs:
            return made
        compared: list[Floats] = []
        for claim, passage in pairs:  # each alone: its shapes, and so its bits, depend on nothing else
            alike = (claim.unit @ passage.unit.T) * self._sharpness
            compared.append(self._compared(claim, passage, _softmax(alike)))
            compared.append(self._compared(passage, claim, _softmax(np.ascontiguousarray(alike.T))))
        rows = np.concatenate(compared)  # element by element, company changes nothing
        rows += self._compare_bias
        _gelu(rows, 256)
        start, wide = 0, len(self._compare_bias)
        features = np.empty((len(pairs), self._middle.shape[1]), dtype=np.float32)
        for number, (claim, passage) in enumerate(pairs):
            at = 0
            for text in (claim, passage):
                own = rows[start : start + len(text.states)]
                start += len(own)
                np.maximum.reduce(own, axis=0, out=features[number, at : at + wide])
                np.divide(np.add.reduce(own, axis=0), np.float32(len(own)), out=features[number, at + wide : at + 2 * wide])
                at += 2 * wide
            np.multiply(np.abs(claim.vector - passage.vector), np.float32(8), out=features[number, at : at + self.width])
            np.multiply(claim.vector * passage.vector, np.float32(20), out=features[number, at + self.width :])
        middle = np.empty((len(pairs), len(self._middle)), dtype=np.float32)
        for number in range(len(pairs)):
            np.einsum("ij,j->i", self._middle, features[number], out=middle[number])
        middle += self._middle_bias
        _gelu(middle, 256)
        for number in range(len(pairs)):
            made[number] = np.sum(self._head * middle[number], axis=1) + self._head_bias
        return made

    def _compared(self, own: Read, other: Read, shares: Floats) -> Floats:
        """Each word of `own` compared with the words of `other` that it was aligned to by `shares`, before bias and bend."""
        rows: Floats = (own.states * (shares @ other.states)) @ self._times
        rows += own.through("own", self._own)
        rows += shares @ other.through("other", self._other)
        return rows

    def _framed(self, ids: list[int]) -> list[int]:
        return [self.pieces.start, *ids[: self.longest - 2], self.pieces.end]

    def _embed(self, ids: NDArray[np.intp], borders: Sequence[tuple[int, int]]) -> Floats:
        states = self._words[ids].astype(np.float32)
        states *= self._word_factors[ids][:, None]
        for start, stop in borders:
            states[start:stop] += self._positions[: stop - start]
        states += self._types
        return _normalise(states, self._norm)


def _floats(array: NDArray[np.generic]) -> Floats:
    return np.ascontiguousarray(array, dtype=np.float32)


def _layers(arrays: Mapping[str, NDArray[np.generic]], tower: str, count: int, heads: int) -> tuple[_Layer, ...]:
    layers: list[_Layer] = []
    for number in range(count):
        name = f"{tower}.{number}"
        products: list[_Product] = []
        for part in ("qkv", "out", "up", "down"):
            whole = np.asarray(arrays[f"{name}.{part}"], dtype=np.int8)
            factors, bias = _floats(arrays[f"{name}.{part}.factors"]), _floats(arrays[f"{name}.{part}.bias"])
            if part == "qkv":  # queries are divided by the root of a head's width once, here
                width = whole.shape[1]
                root = np.float32(1 / math.sqrt(width // heads))
                factors, bias = factors.copy(), bias.copy()
                factors[:width] *= root
                bias[:width] *= root
            products.append(_Product.of(whole, factors, bias))
        qkv, out, up, down = products
        norm1, norm2 = _floats(arrays[f"{name}.norm1"]), _floats(arrays[f"{name}.norm2"])
        layers.append(_Layer(heads, qkv, out, up, down, norm1, norm2))
    return tuple(layers)


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in order, cut so that a group has at most TOGETHER tokens, or one text."""
    group: list[int] = []
    total = 0
    for number, length in enumerate(lengths):
        if group and total + length > TOGETHER:
            yield group
            group, total = [], 0
        group.append(number)
        total += length
    if group:
        yield group


def _packed(rows: Sequence[list[int]]) -> tuple[list[tuple[int, int]], NDArray[np.intp]]:
    borders: list[tuple[int, int]] = []
    ids: list[int] = []
    for row in rows:
        borders.append((len(ids), len(ids) + len(row)))
        ids.extend(row)
    return borders, np.asarray(ids, dtype=np.intp)


def _softmax(rows: Floats) -> Floats:
    made: Floats = np.exp(rows - rows.max(axis=1, keepdims=True))
    made /= made.sum(axis=1, keepdims=True)
    return made


def _unit(row: Floats) -> Floats:
    made: Floats = row / max(np.sqrt(np.sum(row * row)), np.float32(1e-12))
    return made
