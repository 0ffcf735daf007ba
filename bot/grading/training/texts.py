"""The rubrics' texts as training material, and the noise that real replies have. No torch here.

Reads only the fields that it needs of a pack's TOML files; whether the content is sound is for `coach check`
to say.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import string
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = [
    "DENIES", "EMPTY", "LABELS", "NEITHER", "STATES", "Material", "Misbelief", "Point", "apart", "noisy", "read", "renumbered",
    "spared", "tunable", "turned",
]  # fmt: skip

LABELS = ("states", "denies", "neither")
"""What a passage does to a claim: says it, says it wrongly, or speaks of something else."""
STATES, DENIES, NEITHER = range(3)


def spared(id: str) -> int | None:
    """Whether the encoder is never tuned on the lines of a question, a fifth of them: 0 (they help to fit the verdicts), 1 (they
    are for measuring), or None."""
    number = int(hashlib.md5(id.encode(), usedforsecurity=False).hexdigest(), 16) % 10
    return {0: 0, 5: 1}.get(number)


def apart(line: str) -> bool:
    """Whether a line of another question is kept apart too, one in sixteen: for measuring how well lines are read that are new
    beside lines that are not."""
    return hashlib.sha256(line.encode()).digest()[0] % 16 == 0


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


def read(folder: Path, more: Path | None = None) -> list[Material]:
    """Every question and follow-up of a pack, in the order of file names. Raises ValueError on TOML that
    can't be read.

    more: further lines for tuning alone (JSON lines: the id of the question and of its point or misconception, "true", "wrong" or
    "believed", and the text); a line of what is no longer in the packs is left out."""
    found: list[Material] = []
    for path in sorted(folder.glob("*/*.toml")):
        try:
            topic = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: {problem}") from problem
        for entry in topic.get("questions", []):
            found.append(_material(entry["id"], topic["section"], entry))
            for further in entry.get("followups", []):
                if further.get("points"):
                    found.append(_material(f"{entry['id']}/{further['id']}", topic["section"], further))
    return found if more is None else _with(found, more)


def _with(materials: list[Material], more: Path) -> list[Material]:
    """The materials with the lines of a file."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for row in map(json.loads, more.read_text(encoding="utf-8").splitlines()):
        lines.setdefault((row["question"], row["of"], row["kind"]), []).append(row["text"])

    def of(one: Material, name: str, kind: str) -> list[str]:
        return lines.get((one.id, name, kind), [])

    return [
        replace(
            one,
            points=tuple(
                Point(point.id, (*point.true, *of(one, point.id, "true")), (*point.wrong, *of(one, point.id, "wrong")))
                for point in one.points
            ),
            misbeliefs=tuple(
                Misbelief(belief.id, (*belief.texts, *of(one, belief.id, "believed")), belief.reverses) for belief in one.misbeliefs
            ),
        )
        for one in materials
    ]


def tunable(materials: Sequence[Material]) -> list[Material]:
    """What the encoder is tuned on: without the questions that are spared and their follow-ups, and without the lines kept apart
    of the others. Statements stay, since every line is held against them."""

    def left(texts: tuple[str, ...]) -> tuple[str, ...]:
        return (texts[0], *(text for text in texts[1:] if not apart(text)))

    return [
        replace(
            one,
            points=tuple(Point(point.id, left(point.true), tuple(text for text in point.wrong if not apart(text))) for point in one.points),
            misbeliefs=tuple(Misbelief(belief.id, left(belief.texts), belief.reverses) for belief in one.misbeliefs),
        )
        for one in materials
        if spared(one.id.split("/")[0]) is None
    ]


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
    ("upper", "lower"),
    ("greater", "smaller"),
    ("maximum", "minimum"),
    ("max", "min"),
    ("maximises", "minimises"),
    ("raises", "lowers"),
    ("raise", "lower"),
    ("grows", "shrinks"),
    ("grow", "shrink"),
    ("up", "down"),
    ("first", "last"),
    ("early", "late"),
    ("earlier", "later"),
    ("short", "long"),
    ("shorter", "longer"),
    ("cheap", "expensive"),
    ("cheaper", "dearer"),
    ("numerator", "denominator"),
    ("input", "output"),
    ("inputs", "outputs"),
    ("encoder", "decoder"),
    ("online", "offline"),
    ("read", "write"),
    ("reads", "writes"),
    ("sparse", "dense"),
    ("wide", "narrow"),
    ("global", "local"),
    ("discrete", "continuous"),
    ("synchronous", "asynchronous"),
    ("included", "excluded"),
    ("include", "exclude"),
    ("accept", "reject"),
    ("known", "unknown"),
    ("past", "future"),
    ("old", "new"),
    ("stable", "unstable"),
    ("possible", "impossible"),
    ("necessary", "needless"),
    ("likely", "unlikely"),
    ("treatment", "control"),
    ("prior", "posterior"),
    ("sensitivity", "specificity"),
    ("mean", "median"),
    ("l1", "l2"),
    ("latency", "throughput"),
    ("parametric", "non-parametric"),
    ("horizontal", "vertical"),
    ("shared", "separate"),
    ("easy", "hard"),
    ("easier", "harder"),
    ("everything", "nothing"),
    ("all", "none"),
    ("both", "neither"),
)
_OPPOSITE = {
    **{one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])},
    **{"reduces": "increases", "reduce": "increase", "reducing": "increasing", "improves": "worsens", "prevents": "causes"},
    **{"causes": "prevents", "ensures": "prevents", "allows": "prevents", "only": "not only", "more": "less", "lower": "higher"},
    **{"smaller": "larger", "many": "few"},
}
"""The later ones of a word win; some go one way."""
_SWAP = re.compile(r"\b(" + "|".join(sorted((re.escape(word) for word in _OPPOSITE), key=len, reverse=True)) + r")\b", re.I)
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])")
_SIGN = re.compile(r" (?:>=|<=|>|<|\+|-|\*|/) ")
_SIGNS = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "+": "-", "-": "+", "*": "/", "/": "*"}
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
    signs = [match for match in _SIGN.finditer(text) if match.group().strip() in _SIGNS]
    if signs:
        sign = rng.choice(signs)
        ways.append(
            lambda: text[: sign.start()] + sign.group().replace(sign.group().strip(), _SIGNS[sign.group().strip()]) + text[sign.end() :]
        )
    return rng.choice(ways)() if ways else None


def renumbered(text: str, claim: str, rng: random.Random) -> str | None:
    """`text` with a wrong number in place of one that stands in `claim` too; None where they share none."""
    stated = set(_NUMBER.findall(claim))
    shared = [match for match in _NUMBER.finditer(text) if match.group() in stated]
    if not shared:
        return None
    found = rng.choice(shared)
    value = float(found.group().replace(",", ""))
    other = value * rng.choice((0.1, 0.25, 0.5, 2, 3, 10)) + rng.choice((0, 0, 1))
    digits = len(found.group().partition(".")[2])
    made = f"{other:.{digits}f}" if "," not in found.group() else f"{other:,.{digits}f}"
    return None if made in stated else text[: found.start()] + made + text[found.end() :]


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
