"""What rises and what falls with what: "raise the threshold and recall drops" says of the two that they move against each other.

Two lines that differ only in who rises and who falls are alike to an encoder. So the quantities of a sentence and their directions
are read by a small grammar, and what the rubric's own lines say of each pair of them ("together" or "against each other") is
compared with what the reply says. Where it finds nothing that both speak of, it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from bot.content import Rubric
from bot.grading.formulas import SURE, Found
from bot.grading.reading import STOP, Window, sentences, stem
from bot.model import Finding, Verdict

UP, DOWN = 1, -1

_VERBS = {
    UP: """raise raises raised raising increase increases increased increasing boost boosts boosted boosting lift lifts lifted lifting rise
        rises rising rose climb climbs climbed climbing grow grows growing grew improve improves improved improving gain gains""",
    DOWN: """lower lowers lowered lowering reduce reduces reduced reducing decrease decreases decreased decreasing cut cuts cutting cost
        costs hurt hurts fall falls falling fell drop drops dropped dropping shrink shrinks shrinking shrank decline declines declining
        sink sinks sinking suffer suffers lose loses losing sacrifice sacrifices""",
}
_ADJECTIVES = {
    UP: "higher larger bigger more greater longer deeper stronger",
    DOWN: "lower smaller less fewer shorter shallower weaker",
}
_MARKS = {UP: "up \u2191 upwards", DOWN: "down \u2193 downwards"}
_WAYS: dict[str, tuple[str, int]] = {
    word: (kind, way)
    for kind, table in (("mark", _MARKS), ("adjective", _ADJECTIVES), ("verb", _VERBS))
    for way, words in table.items()
    for word in words.split()
}
_ADVERBS = frozenset(
    """usually typically often generally mostly normally always sometimes also too slightly much far way then thus so still even only
    almost nearly tend tends become becomes went goes go going gets get getting got keep keeps stay stays push pushing pushes pull
    pulls pulling move moving turn turning make makes making likely probably same way""".split()  # noqa: SIM905
)
_CALLED = {
    word: name
    for name, words in {
        "threshold": "cut-off cutoff bar cut-offs cutoffs", "recall": "sensitivity tpr", "precision": "ppv",
        "data": "rows samples examples", "regularisation": "regularization penalty",
    }.items()
    for word in words.split()
}  # fmt: skip
"""Other names of what moves."""
_MEANT = frozenset(("it", "them"))
"""Who is moved after a verb can't be told."""
_SKIPPED = frozenset("the a an its your their our my this of in overall".split())  # noqa: SIM905
_DENIED = re.compile(
    r"\b(?:not|never|no|nor|neither|without|unless|isn't|aren't|doesn't|don't|didn't|won't|can't|cannot|instead\s+of|rather\s+than|wrong"
    r"|mistake|myth|unlike|until|up\s+to|only\s+if|too|if\s+anything)\b|\?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w'-]+|[\u2191\u2193]|[,;:.!?()]")
_BORDER = frozenset(",;:.!?()")

MOST = 3
"""Words of a quantity's name."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What moves. head: the stem of its last word; more: those of the words before it."""

    head: str
    more: frozenset[str]

    def is_(self, other: Quantity) -> bool:
        """Whether two names may well be of one thing: "decision threshold" and "threshold", but not "test error" and "training error"."""
        return self.head == other.head and (not self.more or not other.more or bool(self.more & other.more))


@dataclass(frozen=True, slots=True)
class Link:
    """Two quantities, and whether they move together (1) or against each other (-1)."""

    one: Quantity
    other: Quantity
    sign: int

    def same(self, link: Link) -> int:
        """1 where another link says the same of the same two, -1 where it says the contrary, 0 where it is about others."""
        straight = self.one.is_(link.one) and self.other.is_(link.other)
        crossed = self.one.is_(link.other) and self.other.is_(link.one)
        return self.sign * link.sign if straight or crossed else 0


def links(text: str) -> list[Link]:
    """What a sentence says of each two quantities that it moves. Empty where it denies something, or one moves both ways."""
    if _DENIED.search(text):
        return []
    ways: dict[Quantity, set[int]] = {}
    for quantity, way in _moved([match.group().lower() for match in _WORD.finditer(text)]):
        ways.setdefault(quantity, set()).add(way)
    if any(len(found) > 1 for found in ways.values()):
        return []
    told = [(quantity, found.pop()) for quantity, found in ways.items()]
    return [Link(a, b, x * y) for (a, x), (b, y) in combinations(told, 2) if a.head != b.head]


def _moved(words: Sequence[str]) -> Iterator[tuple[Quantity, int]]:
    """Each quantity with its direction, in the order of the words that move them."""
    for at, word in enumerate(words):
        if word not in _WAYS:
            continue
        kind, way = _WAYS[word]
        if kind == "verb" and words[at + 1 : at + 2] and words[at + 1] in _MEANT:
            continue
        after = None if kind == "mark" and word not in "\u2191\u2193" else _named(words, at + 1)
        if after is not None and _moves_itself(words, after[1]):
            after = None  # "precision rises, recall falls": what follows has a word of its own
        before = _before(words, at)
        if kind == "mark" or after is None or (word in "\u2191\u2193" and before is not None):
            if before is not None:
                yield before, way
            continue
        yield after[0], way
        end = after[1]
        if words[end : end + 1] == ["and"]:
            more = _named(words, end + 1)
            if more is not None and not _moves_itself(words, more[1]):
                yield more[0], way


def _moves_itself(words: Sequence[str], at: int) -> bool:
    """Whether a word of direction follows, at once or after adverbs, that has nothing else to move."""
    while at < len(words) and words[at] in _ADVERBS:
        at += 1
    if at == len(words) or words[at] not in _WAYS or _WAYS[words[at]][0] == "adjective":
        return False
    return _WAYS[words[at]][0] == "mark" or _named(words, at + 1) is None


def _named(words: Sequence[str], at: int) -> tuple[Quantity, int] | None:
    """The quantity whose name begins at `at`, and where it ends."""
    while at < len(words) and words[at] in _SKIPPED:
        at += 1
    end = at
    while end < len(words) and end - at < MOST and _of_name(words[end]):
        end += 1
    return (_quantity(words[at:end]), end) if end > at else None


def _before(words: Sequence[str], at: int) -> Quantity | None:
    """The quantity that was named last before `at`, in the same clause."""
    end = at
    while end and not _of_name(words[end - 1]):
        if words[end - 1] in _BORDER or words[end - 1] in ("and", "but", "while") or words[end - 1] in _WAYS:
            return None
        end -= 1
    start = end
    while start and end - start < MOST and _of_name(words[start - 1]):
        start -= 1
    return _quantity(words[start:end]) if start < end else None


def _of_name(word: str) -> bool:
    return word not in _WAYS and word not in _ADVERBS and word not in STOP and word not in _BORDER and word not in ("but", "while", "when")


def _quantity(words: Sequence[str]) -> Quantity:
    stems = [stem(_CALLED.get(word, word)) for word in words]
    return Quantity(stems[-1], frozenset(stems[:-1]))


@dataclass(frozen=True, slots=True)
class Moves:
    """What a point says of quantities. enough: whether a reply that says the same makes the point; it may not, where a false line of
    the rubric says the same of them and is wrong about something else."""

    point: str
    own: tuple[Link, ...]
    enough: bool


def of_rubric(rubric: Rubric) -> tuple[Moves, ...]:
    """For each point that has any the links of its true lines, but those that another of them contradicts."""
    made = []
    for point in rubric.points:
        found = [link for line in (point.statement, *point.phrasings) for one in sentences(line) for link in links(one.text)]
        own = tuple(link for link in dict.fromkeys(found) if not any(link.same(other) < 0 for other in found))
        false = [
            *point.contrary,
            *(line for one in rubric.misconceptions if one.reverses == point.id for line in (one.statement, *one.phrasings)),
        ]
        if own:
            enough = not any(_signs(said, own)[1] == len(said) for line in false for one in sentences(line) if (said := links(one.text)))
            made.append(Moves(point.id, own, enough))
    return tuple(made)


def found(told: Sequence[Moves], text: str, windows: Sequence[Window]) -> tuple[Found, ...]:
    """The sentences of `text` that say what moves with what as a point does, in all that they say of it, or mostly the other way
    round; each as the one of `windows` that has most of it."""
    made = []
    for sentence in sentences(text) if told else ():
        said = links(sentence.text)
        window = max(windows, key=lambda one: min(one.end, sentence.end) - max(one.start, sentence.start)) if said else None
        if window is None or window.end <= sentence.start or sentence.end <= window.start:
            continue
        for one in told:
            turned, agreed = _signs(said, one.own)
            if turned > agreed or (agreed == len(said) and one.enough):
                made.append(Found(one.point, window.start, window.end, agreed == len(said)))
    return tuple(made)


def applied(verdicts: tuple[Verdict, ...], told: Sequence[Found], text: str, settled: Collection[str]) -> tuple[Verdict, ...]:
    """The verdicts with what was found: turned round, a point is contradicted, and said it is covered. What is said both ways stays,
    and the points that are `settled` in the rubric's own words."""
    made = []
    for verdict in verdicts:
        own = [one for one in told if one.point == verdict.point]
        if len({one.right for one in own}) == 1 and verdict.point not in settled:
            one = own[0]
            finding = Finding.COVERED if one.right else Finding.CONTRADICTED
            if verdict.finding is not finding:
                strength = SURE if one.right else 0.0
                verdict = Verdict(verdict.point, finding, text[one.start : one.end], one.start, one.end, strength, sure=SURE)
        made.append(verdict)
    return tuple(made)


def _signs(said: Sequence[Link], own: Iterable[Link]) -> tuple[int, int]:
    """How many links contradict what is known, and how many agree with it."""
    signs = [{link.same(one) for one in own} - {0} for link in said]
    return signs.count({-1}), signs.count({1})
