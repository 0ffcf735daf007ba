"""The rubrics' texts as training material: groups that mean the same, and labelled pairs. No torch here.

Reads only the fields that it needs of a pack's TOML files; whether the content is sound is for `coach check`
to say.
"""

from __future__ import annotations

import random
import re
import string
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = [
    "LABELS",
    "MAKES",
    "NEITHER",
    "WRONG",
    "Material",
    "Misbelief",
    "Pair",
    "Point",
    "hold_out",
    "pairs",
    "read",
]

LABELS = ("makes", "wrong", "neither")
"""What a reply's clause does to a point: says it, says it wrongly, or speaks of something else."""
MAKES, WRONG, NEITHER = range(3)


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
    points: tuple[Point, ...]
    misbeliefs: tuple[Misbelief, ...] = ()
    asked: tuple[str, ...] = ()  # the prompt and its other wordings: said back, they make no point


@dataclass(frozen=True)
class Pair:
    """A text of a point, a clause of a reply, and one of MAKES, WRONG, NEITHER."""

    point: str
    clause: str
    label: int


@dataclass(frozen=True)
class Held:
    """Texts kept from training, and what they are: (point id, text, label) by question id."""

    tests: tuple[tuple[str, str, str, int], ...] = field(default=())


def read(folder: Path) -> list[Material]:
    """Every question and follow-up of a pack, in the order of file names. Raises ValueError on TOML that
    can't be read."""
    found: list[Material] = []
    for path in sorted(folder.rglob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8")).get("questions", [])
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: {problem}") from problem
        for entry in entries:
            found.append(_material(entry["id"], entry))
            for more in entry.get("followups", []):
                if more.get("points"):
                    found.append(_material(f"{entry['id']}/{more['id']}", more))
    return found


def _material(name: str, entry: dict[str, Any]) -> Material:
    return Material(
        id=name,
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


def hold_out(materials: Sequence[Material], rng: random.Random) -> tuple[list[Material], Held]:
    """Keep two phrasings and one contrary of each point, and one phrasing of each misconception, from
    training."""
    kept: list[Material] = []
    tests: list[tuple[str, str, str, int]] = []
    for material in materials:
        points = []
        for point in material.points:
            true, wrong = list(point.true), list(point.wrong)
            for _ in range(2):
                if len(true) > 4:
                    tests.append((material.id, point.id, true.pop(rng.randrange(1, len(true))), MAKES))
            if len(wrong) > 1:
                tests.append((material.id, point.id, wrong.pop(rng.randrange(len(wrong))), WRONG))
            points.append(replace(point, true=tuple(true), wrong=tuple(wrong)))
        misbeliefs = []
        for belief in material.misbeliefs:
            texts = list(belief.texts)
            if len(texts) > 2:
                text = texts.pop(rng.randrange(1, len(texts)))
                if belief.reverses:
                    tests.append((material.id, belief.reverses, text, WRONG))
            misbeliefs.append(replace(belief, texts=tuple(texts)))
        kept.append(replace(material, points=tuple(points), misbeliefs=tuple(misbeliefs)))
    return kept, Held(tuple(tests))


# ------------------------------------------------------------------------------------------------------ pairs


def pairs(materials: Sequence[Material], count: int, rng: random.Random) -> Iterator[Pair]:
    """`count` pairs, drawn anew: about two fifths make the point, three tenths say it wrongly, three tenths
    neither."""
    places = [(material, point) for material in materials for point in material.points]
    while count > 0:
        rng.shuffle(places)
        for material, point in places:
            if count <= 0:
                return
            draw = rng.random()
            made = _makes(material, point, rng) if draw < 0.4 else None
            if made is None and draw < 0.7:
                made = _wrong(material, point, rng)
            if made is None:
                made = _neither(materials, material, point, rng)
            count -= 1
            yield made


def _reference(point: Point, rng: random.Random, but: str = "") -> str:
    """The statement half of the time, else a phrasing; never the clause itself."""
    others = [text for text in point.true if text != but]
    return point.true[0] if point.true[0] != but and rng.random() < 0.5 else rng.choice(others or list(point.true))


def _makes(material: Material, point: Point, rng: random.Random) -> Pair:
    text = rng.choice(point.true)
    clause = noisy(text, rng)
    if rng.random() < 0.25:
        clause = _beside(clause, _elsewhere(material, point, rng), rng)
    return Pair(_reference(point, rng, text), clause, MAKES)


def _wrong(material: Material, point: Point, rng: random.Random) -> Pair | None:
    choices = list(point.wrong)
    choices += [text for belief in material.misbeliefs if belief.reverses == point.id for text in belief.texts]
    if not choices or rng.random() < 0.25:
        text = turned(rng.choice(point.true), rng)
        if text is None:
            return None
    else:
        text = rng.choice(choices)
    clause = noisy(text, rng)
    if rng.random() < 0.2:
        clause = _beside(clause, _elsewhere(material, point, rng), rng)
    return Pair(_reference(point, rng), clause, WRONG)


def _neither(materials: Sequence[Material], material: Material, point: Point, rng: random.Random) -> Pair:
    draw = rng.random()
    if draw < 0.6:
        clause = noisy(_elsewhere(material, point, rng), rng)
        if rng.random() < 0.25:
            clause = _beside(clause, _elsewhere(material, point, rng), rng)
    elif draw < 0.75:
        others = [text for other in material.points if other.id != point.id for text in other.wrong]
        others += [text for belief in material.misbeliefs if belief.reverses != point.id for text in belief.texts]
        clause = noisy(rng.choice(others or [material.asked[0]]), rng)
    elif draw < 0.85:
        clause = noisy(rng.choice([text for text in material.asked if text] or [rng.choice(EMPTY)]), rng)
    elif draw < 0.9:
        clause = rng.choice(EMPTY)
    else:
        stranger = rng.choice([other for other in materials if other is not material] or [material])
        clause = noisy(rng.choice(rng.choice(stranger.points).true), rng)
    return Pair(_reference(point, rng), clause, NEITHER)


def _elsewhere(material: Material, point: Point, rng: random.Random) -> str:
    others = [other for other in material.points if other.id != point.id]
    if not others:
        return rng.choice(EMPTY)
    return rng.choice(rng.choice(others).true)


def _beside(one: str, other: str, rng: random.Random) -> str:
    first, second = (one, other) if rng.random() < 0.5 else (other, one)
    return first.rstrip(".") + rng.choice((". ", ", and ", "; ", " so ", " ")) + second


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
