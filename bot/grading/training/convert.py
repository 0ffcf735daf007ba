"""Published BERT weights (safetensors and vocab.txt) to the arrays of the encoder's weights file; needs numpy
alone.

Refuses to guess: names and shapes must be those of a BERT model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[np.generic]]

HEADS = 12
LONGEST = 256
"""Tokens of the longest text, both end marks included; what the published model was trained with."""

PARTS = {
    "out": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm1": "attention.output.LayerNorm",
    "norm2": "output.LayerNorm",
}


def read_safetensors(path: Path) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file, by name (format: 8 bytes of length, a JSON header, then the
    numbers)."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    found: dict[str, Floats] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, stop = (8 + size + offset for offset in entry["data_offsets"])
        found[name] = np.frombuffer(raw[start:stop], dtype="<f4").reshape(entry["shape"]).copy()
    return found


def whole(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Each row as whole numbers of -127..127 and one factor."""
    factors = np.maximum(np.abs(weights).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(weights / factors[:, None]).astype(np.int8), factors


def rounded(weights: Floats) -> Floats:
    """What is left of the weights after `whole`."""
    numbers, factors = whole(weights)
    return numbers.astype(np.float32) * factors[:, None]


def common(tensors: Mapping[str, Floats], vocabulary: str) -> Arrays:
    """What both towers share: vocabulary, words, positions."""
    words, factors = whole(tensors["embeddings.word_embeddings.weight"])
    return {
        "vocabulary": np.frombuffer(vocabulary.rstrip("\n").encode(), dtype=np.uint8),
        "words": words,
        "words.factors": factors,
        "positions": tensors["embeddings.position_embeddings.weight"][:LONGEST],
    }


def tower(tensors: Mapping[str, Floats], name: str, layers: int) -> Arrays:
    """One stack of layers under the names that the encoder reads; `name` is "text" or "pair"."""
    made: Arrays = {
        ("types" if name == "text" else f"{name}.types"): tensors["embeddings.token_type_embeddings.weight"],
        f"{name}.norm": _norm(tensors, "embeddings.LayerNorm"),
    }
    for number in range(layers):
        old, new = f"encoder.layer.{number}.", f"{name}.{number}."
        three = [f"{old}attention.self.{part}" for part in ("query", "key", "value")]
        _product(
            made,
            new + "qkv",
            np.concatenate([tensors[f"{part}.weight"] for part in three]),
            np.concatenate([tensors[f"{part}.bias"] for part in three]),
        )
        for part, its in PARTS.items():
            if part.startswith("norm"):
                made[new + part] = _norm(tensors, old + its)
            else:
                _product(made, new + part, tensors[f"{old}{its}.weight"], tensors[f"{old}{its}.bias"])
    return made


def write(path: Path, arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, object]) -> int:
    """Write the weights file; gives its size in bytes. `about` is kept in it as JSON."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    notes = {"format": 2, "heads": HEADS, "longest": LONGEST, "fingerprint": digest.hexdigest()[:12], **about}
    path.parent.mkdir(parents=True, exist_ok=True)
    named: dict[str, NDArray[np.generic]] = {
        "about": np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8),
        **arrays,
    }
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **named)
    return path.stat().st_size


def published(arrays: Mapping[str, NDArray[np.generic]], layers: int) -> dict[str, Floats]:
    """The tensors of a weights file under the names that they have in a published file, to tune them further."""

    def floats(name: str) -> Floats:
        return np.asarray(arrays[name], dtype=np.float32)

    def weights(name: str) -> Floats:
        return floats(name) * floats(f"{name}.factors")[:, None]

    def norm(name: str) -> dict[str, Floats]:
        return {"weight": floats(name)[0], "bias": floats(name)[1]}

    made = {
        "embeddings.word_embeddings.weight": weights("words"),
        "embeddings.position_embeddings.weight": floats("positions"),
        "embeddings.token_type_embeddings.weight": np.stack([floats("types")] * 2),
        **{f"embeddings.LayerNorm.{part}": value for part, value in norm("text.norm").items()},
    }
    for number in range(layers):
        new, old = f"text.{number}.", f"encoder.layer.{number}."
        three = zip(np.split(weights(new + "qkv"), 3), np.split(floats(new + "qkv.bias"), 3), ("query", "key", "value"), strict=True)
        for weight, bias, part in three:
            made[f"{old}attention.self.{part}.weight"], made[f"{old}attention.self.{part}.bias"] = weight, bias
        for part, its in PARTS.items():
            if part.startswith("norm"):
                made |= {f"{old}{its}.{name}": value for name, value in norm(new + part).items()}
            else:
                made[f"{old}{its}.weight"], made[f"{old}{its}.bias"] = weights(new + part), floats(f"{new}{part}.bias")
    return made


def mean(one: Mapping[str, NDArray[np.generic]], other: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Half way between the arrays of two weights files of one form, but for `about`: of what their whole numbers stand for."""
    made: Arrays = {}
    for name in one.keys() - {"about"}:
        factors = f"{name}.factors"
        if name.endswith(".factors"):
            continue
        if all(np.array_equal(one[part], other[part]) for part in (name, factors) if part in one):
            made.update({part: one[part] for part in (name, factors) if part in one})
        elif factors in one:
            first, second = (np.asarray(file[name], np.float32) * np.asarray(file[factors], np.float32)[:, None] for file in (one, other))
            made[name], made[factors] = whole(np.asarray((first + second) / 2, np.float32))
        else:
            made[name] = (np.asarray(one[name], np.float32) + np.asarray(other[name], np.float32)) / np.float32(2)
    return made


def _norm(tensors: Mapping[str, Floats], name: str) -> Floats:
    return np.stack([tensors[f"{name}.weight"], tensors[f"{name}.bias"]])


def _product(made: Arrays, name: str, weights: Floats, bias: Floats) -> None:
    if not math.isfinite(float(np.abs(weights).max())):
        raise ValueError(f"{name} holds a number that is not finite")
    made[name], made[f"{name}.factors"] = whole(weights)
    made[f"{name}.bias"] = bias
