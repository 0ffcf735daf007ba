"""How far scores of 0..100 agree with marks of 0..100."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def kappa(one: Sequence[float], other: Sequence[float]) -> float:
    """Quadratic weighted kappa of two lists of scores 0..100, in five bands."""
    bands = [np.minimum(np.asarray(values) // 20, 4).astype(int) for values in (one, other)]
    seen = np.zeros((5, 5))
    np.add.at(seen, (bands[0], bands[1]), 1)
    chance = np.outer(seen.sum(1), seen.sum(0)) / seen.sum()
    weight = np.subtract.outer(np.arange(5), np.arange(5)) ** 2 / 16
    expected = (weight * chance).sum()
    return float(1 - (weight * seen).sum() / expected) if expected else math.nan


def pearson(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if np.std(one) and np.std(other) else math.nan


def error(one: Sequence[float], other: Sequence[float]) -> float:
    """Mean absolute error."""
    return float(np.abs(np.asarray(one) - np.asarray(other)).mean())


def interval(measure: Callable[[Any, Any], float], marks: np.ndarray, scores: np.ndarray, times: int = 400) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of `measure` over resampled replies."""
    rng = np.random.default_rng(1)
    drawn = (rng.integers(0, len(marks), len(marks)) for _ in range(times))
    low, high = np.nanpercentile([measure(marks[i], scores[i]) for i in drawn], [2.5, 97.5])
    return float(low), float(high)
