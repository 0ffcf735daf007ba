"""Formulas in a reply, against those of the rubric: the same by algebra, or wrong.

Where a point has formulas, an equal one in other order, letters or brackets makes it. One is called wrong only where it says of
which quantity it is ("precision = TP / (TP + FN)"), the rubric or the table of usual rates knows that quantity, and every letter
in it is known. A worked number is called wrong where the reply's own counts and the formula of the quantity say another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import permutations

from bot.content import Rubric
from bot.grading import algebra
from bot.grading.algebra import NoFormulaError, Tree, names, numbers, parse, parted, renamed, same, signs, value
from bot.grading.reading import Window, sentences
from bot.model import Finding, Verdict

SURE = 0.9
"""How sure a formula is called wrong, or a point made by one."""

MOST = 12
"""Formulas of a reply that are compared."""

BESIDE = 40
"""Characters after a formula in which it may be named."""

_ALIASES = (
    (r"true[\s-]+positives?|hits", "tp"), (r"false[\s-]+positives?|false[\s-]+alarms?", "fp"),
    (r"true[\s-]+negatives?", "tn"),
    (r"false[\s-]+negatives?|misse[sd]", "fn"), (r"divided\s+by|over", "/"), (r"times|multiplied\s+by", "*"),
    (r"plus", "+"), (r"minus", "-"),
    (r"squared", "^2"), (r"standard\s+deviation|std(?:\.|dev)?|stdev", "sd"), (r"square\s+root\s+of", "sqrt "),
)  # fmt: skip
_WORDS = tuple((re.compile(rf"\b(?:{pattern})(?![a-z])", re.IGNORECASE), new) for pattern, new in _ALIASES)
_SAME_LETTERS = {
    "mu": "mean",
    "avg": "mean",
    "average": "mean",
    "sigma": "sd",
    "std": "sd",
    "s": "sd",
    "y_hat": "yhat",
    "xmin": "min",
    "xmax": "max",
    "x_min": "min",
    "x_max": "max",
}

_RATES = {
    "precision": "tp/(tp+fp)", "recall": "tp/(tp+fn)", "accuracy": "(tp+tn)/(tp+tn+fp+fn)", "specificity": "tn/(tn+fp)",
    "fpr": "fp/(fp+tn)", "fnr": "fn/(fn+tp)", "npv": "tn/(tn+fn)", "f1": "2*tp/(2*tp+fp+fn)",
}  # fmt: skip
_CALLED = (
    (r"(?:false[\s-]+positive[\s-]+rate|fpr|fall-?out)", "fpr"), (r"(?:false[\s-]+negative[\s-]+rate|fnr|miss[\s-]+rate)", "fnr"),
    (r"(?:recall|sensitivity|tpr|true[\s-]+positive[\s-]+rate|hit[\s-]+rate)", "recall"),
    (r"(?:precision|ppv|positive[\s-]+predictive[\s-]+value)", "precision"),
    (r"(?:specificity|tnr|true[\s-]+negative[\s-]+rate)", "specificity"), (r"(?:npv|negative[\s-]+predictive[\s-]+value)", "npv"),
    (r"accuracy", "accuracy"), (r"f-?1(?:[\s-]*score)?", "f1"),
)  # fmt: skip
_RATE = tuple((re.compile(rf"\b{pattern}\b", re.IGNORECASE), name) for pattern, name in _CALLED)
_PLAIN = {name: parse(text) for name, text in _RATES.items()}
_COUNTS = frozenset(("tp", "fp", "tn", "fn"))

_SCALED = frozenset(("x'", "z", "x_scaled", "x_norm", "x_new", "x_std", "scaled"))
"""Names of a value after it was rescaled; of the one formula of a rubric that has one."""

_EQUAL = re.compile(
    r"\s*(?:=|:=|\u2248|\bequals\b|\bis(?:\s+(?:then|therefore|just|simply|computed\s+as|defined\s+as|given\s+by))?\b|\bgives\b|:)\s*",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"true[\s-]+positives?|false[\s-]+positives?|false[\s-]+alarms?|true[\s-]+negatives?|false[\s-]+negatives?|divided\s+by"
    r"|multiplied\s+by|standard\s+deviation|square\s+root\s+of|[^\W²³]+'?|[^\w\s]|[²³]",
    re.IGNORECASE,
)
"""The words and signs of which a formula is made, names of several words whole."""
_SIGNED = re.compile(
    r"[^\w\s.,;:!?'\"\u2019\u201c\u201d]|[\d²³]"
    r"|\b(?:divided|over|times|multiplied|plus|minus|squared|square|sqrt|log|ln|exp|sum|max|min)\b",
    re.IGNORECASE,
)
"""Without any of these a stretch is no formula."""
_COUNTED = re.compile(r"\b(tp|fp|tn|fn)\s*(?:=|:|is|are|of)\s*(\d[\d,]*)\b|\b(\d[\d,]*)\s+(tp|fp|tn|fn)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|never|isn't|wrong|mistake|instead\s+of|rather\s+than|confus\w+)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A formula or worked number of a reply that bears on a point: where it stands, and whether it is right."""

    point: str
    start: int
    end: int
    right: bool


@dataclass(frozen=True)
class _Said:
    """A formula as it stands in a text: of what (lower case, "" where it doesn't say), the trees of its sides, and its place."""

    of: str
    trees: tuple[Tree, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Sheet:
    """The formulas of a rubric. trees: by point; of: the names of the quantity by point; known: every letter."""

    trees: dict[str, tuple[Tree, ...]]
    of: dict[str, frozenset[str]]
    rates: dict[str, str]
    """The point of each usual rate whose formula it has."""
    known: frozenset[str]
    subject: str = ""
    """The usual rate that the question asks for, where it names exactly one: "it" is that one."""
    equal: dict[tuple[Tree, Tree], bool] = field(default_factory=dict)

    @classmethod
    def of_rubric(cls, rubric: Rubric) -> Sheet:
        trees: dict[str, tuple[Tree, ...]] = {}
        for point in rubric.points:
            read = tuple(tree for text in point.formulas if (tree := _read(text)) is not None and signs(tree))
            if read:
                trees[point.id] = read
        known = frozenset().union(*(names(tree) for group in trees.values() for tree in group)) if trees else frozenset()
        of: dict[str, set[str]] = {id: set() for id in trees}
        if not trees:
            return cls({}, {}, {}, known)
        lines = (rubric.answer, *(text for point in rubric.points for text in (point.statement, *point.phrasings)))
        right = [said for text in lines for said in _formulas(text, known | _COUNTS)]
        for said in right:
            for id, group in trees.items():
                if said.of and any(same(tree, other) for tree in said.trees for other in group):
                    of[id].add(said.of)
        if len(trees) == 1:
            of[next(iter(trees))] |= _SCALED
        for said in right:  # what the rubric itself says in another form is right too
            for id in trees:
                if said.of in of[id] and not _rate(said.of):
                    trees[id] += tuple(tree for tree in said.trees if names(tree) and tree not in trees[id])
        for point in rubric.points:  # what stands in a false line as well tells nothing
            if point.id in trees:
                false = [tree for text in point.contrary for said in _formulas(text, known | _COUNTS) for tree in said.trees]
                trees[point.id] = tuple(tree for tree in trees[point.id] if not any(same(tree, other) for other in false))
        rates = {name: id for name, plain in _PLAIN.items() for id, group in trees.items() if any(same(plain, tree) for tree in group)}
        asked = dict.fromkeys(name for name in _named(rubric.prompt) if name in rates)
        return cls(trees, {id: frozenset(group) for id, group in of.items()}, rates, known, next(iter(asked)) if len(asked) == 1 else "")

    def same(self, one: Tree, other: Tree) -> bool:
        """As `algebra.same`, remembered."""
        kept = self.equal.get((one, other))
        if kept is None:
            if len(self.equal) > 5000:
                self.equal.clear()
            kept = self.equal[one, other] = same(one, other)
        return kept


def found(sheet: Sheet, text: str, windows: Sequence[Window]) -> tuple[Found, ...]:
    """What the formulas in `text` say of the rubric's points; only where they stand in one of `windows`."""
    if not sheet.trees:
        return ()
    made: list[Found] = []
    counts = _counts(text)
    for said in _formulas(text, sheet.known | _COUNTS):
        if not any(window.start < said.end and said.start < window.end for window in windows):
            continue
        made += _judged(sheet, said, counts) or _meant(sheet, said, text)
        if len(made) >= MOST:
            break
    return tuple(made)


def applied(verdicts: tuple[Verdict, ...], told: Sequence[Found], text: str, settled: Collection[str]) -> tuple[Verdict, ...]:
    """The verdicts with what the formulas say: a wrong one contradicts; a right one makes its point, unless a wrong one stands there,
    too, or the point is denied in the rubric's own words (`settled`)."""
    if not told:
        return verdicts
    made = []
    for verdict in verdicts:
        own = [one for one in told if one.point == verdict.point]
        wrong = next((one for one in own if not one.right), None)
        right = next((one for one in own if one.right), None)
        if wrong is not None and right is None:
            quote = text[wrong.start : wrong.end]
            verdict = Verdict(verdict.point, Finding.CONTRADICTED, quote, wrong.start, wrong.end, sure=SURE)
        elif right is not None and wrong is None and not (verdict.finding is Finding.CONTRADICTED and verdict.point in settled):
            if verdict.finding is Finding.COVERED:
                verdict = replace(verdict, strength=max(verdict.strength, SURE), doubt=0.0)
            else:
                verdict = Verdict(verdict.point, Finding.COVERED, text[right.start : right.end], right.start, right.end, SURE, sure=SURE)
        made.append(verdict)
    return tuple(made)


def _judged(sheet: Sheet, said: _Said, counts: dict[str, float]) -> list[Found]:
    return list(_each(sheet, said, counts))


def _meant(sheet: Sheet, said: _Said, text: str) -> list[Found]:
    """A formula without a name is of what was named last or else of what the question asks for: where it is that of another usual
    rate, the two were swapped."""
    before, after = _named(text[: said.start])[-1:], _named(text[said.end : said.end + BESIDE])[:1]
    if _rate(said.of) or not sheet.subject or not {*before, *after} <= {sheet.subject}:
        return []
    others = [plain for name, plain in _PLAIN.items() if name != sheet.subject]
    trees = [one for tree in said.trees if names(tree) for one in (tree, *_sloppy(tree))]
    swapped = any(sheet.same(tree, plain) for tree in trees for plain in others)
    return [Found(sheet.rates[sheet.subject], said.start, said.end, False)] if swapped else []


def _each(sheet: Sheet, said: _Said, counts: dict[str, float]) -> Iterator[Found]:
    rate = _rate(said.of)
    letters = [tree for tree in said.trees if names(tree)]
    for tree in letters:
        equal = [id for id, group in sheet.trees.items() if any(_equal(sheet, tree, other) for other in group)]
        if rate:
            right = sheet.same(tree, _PLAIN[rate])
            if not right and names(tree) <= _COUNTS and signs(tree) and rate in sheet.rates:
                if not any(sheet.same(other, _PLAIN[rate]) for other in _sloppy(tree)):
                    yield Found(sheet.rates[rate], said.start, said.end, False)
                    return
                right = True
            if right and rate in sheet.rates:
                yield Found(sheet.rates[rate], said.start, said.end, True)
                return
            if names(tree) <= _COUNTS:
                return  # of another rate than the rubric asks for: right or wrong, it makes no point here
        if equal:
            yield from (Found(id, said.start, said.end, True) for id in equal)
            return
        if said.of and names(tree) <= sheet.known and signs(tree):
            loose = [id for id, group in sheet.trees.items() if any(sheet.same(o, other) for o in _sloppy(tree) for other in group)]
            if loose:
                yield from (Found(id, said.start, said.end, True) for id in loose)
                return
            if signs(tree) >= 2 and signs(tree) + len(names(tree)) >= 4:
                meant = [id for id, group in sheet.of.items() if said.of in group]
                yield from (Found(id, said.start, said.end, False) for id in meant[:1])
                return
    for tree in said.trees:  # numbers alone
        if names(tree):
            continue
        for id, group in sheet.trees.items():
            if signs(tree) and any(not names(other) and numbers(tree) == numbers(other) and same(tree, other) for other in group):
                yield Found(id, said.start, said.end, True)
        if rate and rate in sheet.rates and names(_PLAIN[rate]) <= counts.keys():
            true, told = value(_PLAIN[rate], counts), value(tree, {})
            if not math.isnan(told) and min(abs(told - true), abs(told / 100 - true)) > 0.011:
                yield Found(sheet.rates[rate], said.start, said.end, False)
                return


def _equal(sheet: Sheet, tree: Tree, other: Tree) -> bool:
    if sheet.same(tree, other):
        return True
    foreign, free = sorted(names(tree) - sheet.known - _COUNTS), sorted(names(other) - names(tree))
    if not foreign or len(foreign) > 4 or len(foreign) > len(free) or len(free) > 5 or signs(tree) < 2 or signs(tree) != signs(other):
        return False
    return any(same(renamed(tree, dict(zip(foreign, chosen, strict=True))), other) for chosen in permutations(free, len(foreign)))


def _sloppy(tree: Tree) -> Iterator[Tree]:
    """What may be meant by "tp / tp + fp" without brackets: a quotient of sums, as it is spoken."""
    if tree[0] in "+-" and tree[1][0] == "/" and tree[1][1][0] != "num":
        yield ("/", tree[1][1], (tree[0], tree[1][2], tree[2]))
    if tree[0] in "+-" and tree[2][0] == "/":
        yield ("/", (tree[0], tree[1], tree[2][1]), tree[2][2])
    if tree[0] in "+-" and tree[1][0] in "+-":
        for inner in _sloppy(tree[1]):
            if inner[0] == "/":
                yield ("/", inner[1], (tree[0], inner[2], tree[2]))


def _rate(of: str) -> str:
    """The usual rate that a name is of, or ""."""
    return next((name for pattern, name in _RATE if pattern.fullmatch(of)), "")


def _named(text: str) -> list[str]:
    """The usual rates that a text names, in the order of their places."""
    found: dict[int, str] = {}
    for pattern, name in _RATE:
        for match in pattern.finditer(text):
            found.setdefault(match.start(), name)
    return [found[at] for at in sorted(found)]


def _counts(text: str) -> dict[str, float]:
    """Counts that a reply gives by name: "8 true positives", "FP = 2". None of one that it gives twice."""
    for pattern, new in _WORDS[:4]:
        text = pattern.sub(new, text)
    made: dict[str, float] = {}
    twice = set()
    for match in _COUNTED.finditer(text):
        name, number = (match[1] or match[4]).lower(), float((match[2] or match[3]).replace(",", "")[:12])
        if made.setdefault(name, number) != number:
            twice.add(name)
    return {name: number for name, number in made.items() if name not in twice}


def _read(text: str) -> Tree | None:
    try:
        return renamed(parse(_spelled(text)), _SAME_LETTERS)
    except NoFormulaError:
        return None


@lru_cache(maxsize=4096)
def _spelled(text: str) -> str:
    for pattern, new in _WORDS:
        text = pattern.sub(f" {new} ", text)
    return text


def _formulas(text: str, known: frozenset[str]) -> Iterator[_Said]:
    """The formulas of a text: what stands after "=", "is" and the like as far as it can be read, and runs of signs and letters."""
    for sentence in sentences(text):
        if _DENIED.search(sentence.text):
            continue
        cuts = [(match.start(), match.end()) for match in _EQUAL.finditer(sentence.text)]
        borders = [0, *(end for _, end in cuts)]
        ends = [*(start for start, _ in cuts), len(sentence.text)]
        of, first, last = "", 0, 0
        trees: list[Tree] = []
        for place, (start, end) in enumerate(zip(borders, ends, strict=True)):
            before = sentence.text[start:end]
            read = _longest(before, known, place > 0) if _SIGNED.search(before) else None
            if read is not None and (signs(read[0]) or (trees and read[0][0] == "num")):
                if not trees:
                    first = start + read[1]
                    of = _name(sentence.text[borders[place - 1] : ends[place - 1]]) if place and read[1] == 0 else ""
                    if of and place:
                        first = ends[place - 1] - len(of)
                trees.append(read[0])
                last = start + read[2]
                if read[2] >= len(before.rstrip()):
                    continue
            elif (
                place and read is not None and read[0][0] == "num" and (name := _name(sentence.text[borders[place - 1] : ends[place - 1]]))
            ):
                yield _Said(name, (read[0],), sentence.start + ends[place - 1] - len(name), sentence.start + start + read[2])
            if trees:
                yield _Said(of, tuple(trees), sentence.start + first, sentence.start + last)
                trees = []
        if trees:
            yield _Said(of, tuple(trees), sentence.start + first, sentence.start + last)


def _longest(text: str, known: frozenset[str], at_start: bool) -> tuple[Tree, int, int] | None:
    """The longest formula in a text with its place: at its start where it stands after an equals sign, else anywhere."""
    marks = list(_MARK.finditer(text))[:80]
    usable = [_usable(mark.group(), known) for mark in marks]
    for place, mark in enumerate(marks):  # "a" is a letter beside a sign, else an article
        if not usable[place] and mark.group().lower() in ("a", "i"):
            around = [marks[near].group() for near in (place - 1, place + 1) if 0 <= near < len(marks)]
            usable[place] = any(sign in "+-*/^(−·" for sign in around)
    best: tuple[Tree, int, int] | None = None
    at = 0
    while at < len(marks):
        if not usable[at]:
            if at_start and marks[at].group().lower() not in ("the", "a", "about", "around", "roughly"):
                break
            at += 1
            continue
        stop = at
        while stop < len(marks) and usable[stop]:
            stop += 1
        for end in range(stop, at, -1):
            piece = text[marks[at].start() : marks[end - 1].end()]
            if best is not None and len(piece) <= best[2] - best[1]:
                break
            tree = _read(piece)
            if tree is not None:
                tree = parted(tree, known)
                best = (tree, marks[at].start(), marks[end - 1].end())
                break
        if at_start:
            break
        at = stop if best is not None and best[2] == marks[stop - 1].end() else at + 1
    return best


@lru_cache(maxsize=20_000)
def _usable(word: str, known: frozenset[str]) -> bool:
    """Whether a word or sign may stand in a formula."""
    if not word[0].isalpha():
        return word[0].isdigit() or word[0] in "+-*/^()|[]{}×·÷−²³√Σ∑.%–_"
    low = algebra.written(word).strip()
    spelled = _spelled(word).strip().lower()
    return (
        low in known or spelled in known or spelled in ("/", "*", "+", "-", "^2", "sqrt", "sd", "tp", "fp", "tn", "fn")
        or low in algebra._FUNCTIONS or low in _SAME_LETTERS or (len(low.rstrip("'")) <= 2 and low not in _SMALL)
        or (low.isalpha() and 1 < len(low) <= 3 and all(letter in known for letter in low))
    )  # fmt: skip


_SMALL = frozenset("so is it to of at in on as or an a i if by we do be no us my he up go am".split())  # noqa: SIM905


def _name(text: str) -> str:
    """The quantity that a stretch before an equals sign names: a usual rate, or its last word; "" where it is none."""
    text = text.rstrip()
    for pattern, _ in _RATE:
        hits = [match for match in pattern.finditer(text) if match.end() == len(text)]
        if hits:
            return hits[0].group().lower()
    last = re.search(r"([A-Za-z][A-Za-z0-9_']*)$", text)
    return last.group(1).lower() if last and last.group(1).lower() not in _SMALL else ""
