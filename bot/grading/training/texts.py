"""The rubrics' texts as training material, and the noise that real replies have. No torch here.

Reads only the fields that it needs of a pack's TOML files; whether the content is sound is for `coach check`
to say.
"""

from __future__ import annotations

import random
import re
import string
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DENIES", "EMPTY", "LABELS", "NEITHER", "STATES", "Material", "Misbelief", "Point", "noisy", "read", "turned"]

LABELS = ("states", "denies", "neither")
"""What a passage does to a claim: says it, says it wrongly, or speaks of something else."""
STATES, DENIES, NEITHER = range(3)


@dataclass(frozen=True)
class Point:
    """One point: its true texts (the statement first) and its wrong ones."""

    id: str
    true: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Misbelief:
    """One misconception: its texts, and the id of the point that it reverses or ''."""

    id: str
    texts: tuple[str, ...]
    reverses: str


@dataclass(frozen=True)
class Material:
    """The texts of one question, or of one of its follow-ups."""

    id: str
    section: str
    points: tuple[Point, ...]
    misbeliefs: tuple[Misbelief, ...] = ()
    asked: tuple[str, ...] = ()  # the prompt and its other wordings: said back, they make no point


def read(folder: Path) -> list[Material]:
    """Every question and follow-up of a pack, in the order of file names. Raises ValueError on TOML that
    can't be read."""
    found: list[Material] = []
    for path in sorted(folder.glob("*/*.toml")):
        try:
            topic = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: {problem}") from problem
        for entry in topic.get("questions", []):
            found.append(_material(entry["id"], topic["section"], entry))
            for more in entry.get("followups", []):
                if more.get("points"):
                    found.append(_material(f"{entry['id']}/{more['id']}", topic["section"], more))
    return found


def _material(name: str, section: str, entry: dict[str, Any]) -> Material:
    return Material(
        id=name,
        section=section,
        points=tuple(
            Point(
                point["id"],
                (point["statement"], *point.get("phrasings", ())),
                tuple(point.get("contrary", ())),
            )
            for point in entry.get("points", [])
        ),
        misbeliefs=tuple(
            Misbelief(wrong["id"], (wrong["statement"], *wrong.get("phrasings", ())), wrong.get("reverses", ""))
            for wrong in entry.get("misconceptions", [])
        ),
        asked=(entry.get("prompt", ""), *entry.get("wordings", ())),
    )


# ------------------------------------------------------------------------------------------------------ noise

FILLERS = ("so um", "I think", "basically", "well,", "you know", "okay so", "in my view", "right, so", "like")

EMPTY = (
    "it depends on the situation",
    "you have to be careful with that in practice",
    "this is very important in machine learning",
    "there are several trade-offs to consider here",
    "I have used it in many projects and it works well",
    "that is a great question",
    "we should choose the right metric for the problem",
    "it helps the model to perform better",
    "I am not sure, I would look that up",
)
"""Things that are said and make no point."""

OPPOSITES = (
    ("more", "less"),
    ("higher", "lower"),
    ("high", "low"),
    ("increases", "decreases"),
    ("increase", "decrease"),
    ("rises", "falls"),
    ("goes up", "goes down"),
    ("bigger", "smaller"),
    ("larger", "smaller"),
    ("large", "small"),
    ("always", "never"),
    ("before", "after"),
    ("precision", "recall"),
    ("bias", "variance"),
    ("overfit", "underfit"),
    ("overfitting", "underfitting"),
    ("positives", "negatives"),
    ("positive", "negative"),
    ("train", "test"),
    ("training", "validation"),
    ("row", "column"),
    ("rows", "columns"),
    ("maximise", "minimise"),
    ("better", "worse"),
    ("with", "without"),
    ("same", "different"),
    ("correct", "wrong"),
    ("right", "wrong"),
    ("fp", "fn"),
    ("fast", "slow"),
    ("faster", "slower"),
    ("few", "many"),
    ("fewer", "more"),
    ("most", "few"),
    ("parallel", "sequence"),
    ("independent", "dependent"),
    ("supervised", "unsupervised"),
    ("linear", "non-linear"),
    ("convex", "non-convex"),
    ("good", "bad"),
    ("strong", "weak"),
    ("above", "below"),
)
_OPPOSITE = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
_SWAP = re.compile(r"\b(" + "|".join(sorted((re.escape(word) for word in _OPPOSITE), key=len, reverse=True)) + r")\b", re.I)
_DENIED = re.compile(r"\b(?:not|never|no longer)\s+|n't\b|n’t\b", re.I)
_VERB = re.compile(r"\b(is|are|was|were|can|will|should|would|must|does|do|has|have|could|may)\b(?!n['’]t)(?!\s+not\b)", re.I)


def turned(text: str, rng: random.Random) -> str | None:
    """`text` turned round by one change: a "not" taken out or put in, or a word for its opposite; or None."""
    ways = []
    if _DENIED.search(text):
        ways.append(lambda: _DENIED.sub("", text, count=1))
    elif _VERB.search(text):
        ways.append(lambda: _VERB.sub(r"\1 not", text, count=1))
    swaps = list(_SWAP.finditer(text))
    if swaps:
        found = rng.choice(swaps)
        ways.append(lambda: text[: found.start()] + _OPPOSITE[found.group().lower()] + text[found.end() :])
    return rng.choice(ways)() if ways else None


def noisy(text: str, rng: random.Random) -> str:
    """`text` as it might arrive: dictated, typed in haste, without a word or two. Half of the time as it
    is."""
    if rng.random() < 0.5:
        return text
    if rng.random() < 0.4:
        text = f"{rng.choice(FILLERS)} {text[:1].lower()}{text[1:]}"
    if rng.random() < 0.5:
        text = text.lower()
    if rng.random() < 0.3 and not re.search(r"[=/*^+]", text):
        text = text.translate(str.maketrans("", "", string.punctuation))
    words = text.split()
    if rng.random() < 0.25 and len(words) > 7:
        gone = rng.randrange(len(words))
        if words[gone].lower() in ("the", "a", "an", "of", "that", "so", "just", "really", "its", "you"):
            del words[gone]
    if rng.random() < 0.3 and words:
        place = rng.randrange(len(words))
        words[place] = _typo(words[place], rng)
    return " ".join(words)


def _typo(word: str, rng: random.Random) -> str:
    if len(word) < 5 or not word.isalpha():
        return word
    place = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    return word[:place] + word[place] + word[place:]
