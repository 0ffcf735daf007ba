"""How well a judge of pairs tells what a line does to a claim, on lines that the encoder was not tuned on. No torch here."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bot.grading.training.texts import Material, turned

Floats = NDArray[np.floating]
Pairs = dict[str, list[tuple[str, str]]]
"""(claim, passage) by what the passage does to the claim."""

KINDS = ("said", "turned", "contrary", "other", "neighbour", "belief", "belief other")


def drawn(materials: Sequence[Material], rng: random.Random, line: Callable[[str], bool] = bool) -> Pairs:
    """At most two lines of each kind a point. said: a phrasing; turned: one turned round by a rule; contrary: one of its own or of
    a misconception that reverses it; other, neighbour: a phrasing against another point of the question, of another question of the
    section; belief: a misconception and its phrasing; belief other: a misconception and a true line.

    line: whether a phrasing or a contrary may be used."""
    pairs: Pairs = {kind: [] for kind in KINDS}

    def some(texts: Sequence[str]) -> list[str]:
        free = [text for text in texts if line(text)]
        return rng.sample(free, min(2, len(free)))

    for material in materials:
        near = [one for one in materials if one is not material and one.section == material.section] or list(materials)
        for point in material.points:
            claim = point.true[0]
            for text in some(point.true[1:]):
                pairs["said"].append((claim, text))
                if other := turned(text, rng):
                    pairs["turned"].append((claim, other))
                pairs["other"].append((rng.choice([one for one in material.points if one is not point]).true[0], text))
                pairs["neighbour"].append((rng.choice(rng.choice(near).points).true[0], text))
            wrong = [*point.wrong, *(text for one in material.misbeliefs if one.reverses == point.id for text in one.texts)]
            pairs["contrary"] += [(claim, text) for text in some(wrong)]
        for belief in material.misbeliefs:
            pairs["belief"] += [(belief.texts[0], text) for text in some(belief.texts[1:])]
            pairs["belief other"] += [(belief.texts[0], rng.choice(rng.choice(material.points).true)) for _ in range(2)]
    return pairs


def area(high: Floats, low: Floats) -> float:
    """The area under the ROC curve: the chance that one of `high` is above one of `low`. nan where there is none of either."""
    if not len(high) or not len(low):
        return float("nan")
    ranks = np.empty(len(high) + len(low))
    ranks[np.argsort(np.concatenate([high, low]), kind="stable")] = np.arange(1, len(ranks) + 1)
    return float((ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def summary(logits: Mapping[str, Floats], near: Mapping[str, Floats]) -> str:
    """Two lines: areas, and how often each kind of passage is judged to state, to deny, and neither.

    logits: by kind, [pairs, 3] in the order of `texts.LABELS`; near: the cosines of the pairs."""
    sure = {kind: values - np.log(np.exp(values).sum(axis=1, keepdims=True)) for kind, values in logits.items()}
    states = {kind: values[:, 0] for kind, values in sure.items()}
    against = {kind: values[:, 1] - values[:, 0] for kind, values in sure.items()}
    areas = {
        "states over contraries": area(states["said"], states["contrary"]),
        "over itself turned round": area(states["said"], states["turned"]),
        "over other points": area(states["said"], states["other"]),
        "over neighbours'": area(states["said"], states["neighbour"]),
        "denies, over phrasings": area(against["contrary"], against["said"]),
        "over other points ": area(sure["contrary"][:, 1], sure["other"][:, 1]),
        "misconceptions over true lines": area(states["belief"], states["belief other"]),
        "likeness over other points": area(near["said"], near["other"]),
        "misconceptions'": area(near["belief"], near["belief other"]),
    }
    shares = {
        kind: "/".join(f"{100 * np.mean(values.argmax(axis=1) == label):.0f}" for label in range(3))
        for kind, values in sure.items()
        if len(values)
    }
    told = ", ".join(f"{name.strip()} {value:.3f}" for name, value in areas.items())
    return f"area: {told}\n  judged to state/deny/neither, %: " + ", ".join(
        f"{kind} {share} of {len(sure[kind])}" for kind, share in shares.items()
    )
