"""Reading a reply: its sentences, clauses and windows, each with its place, and the words in them.

Places are offsets into the reply as it came, so that every quote is a slice of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

LONGEST = 6000
"""Characters of a reply that are read; the rest is cut and said so."""


def shortened(text: str) -> str:
    """`text` as far as it is read: whole, or up to the last sentence (or else word) that ends within LONGEST characters."""
    if len(text) <= LONGEST:
        return text
    head = text[:LONGEST]
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)|\n", head)] or [match.start() for match in re.finditer(r"\s", head)]
    return head[: ends[-1]] if ends and ends[-1] > LONGEST // 2 else head


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the reply: text == reply[start:end]."""

    text: str
    start: int
    end: int


_SENTENCE_END = re.compile(
    r"(?<=[.!?;])(?<!\b[eE]\.g\.)(?<!\b[iI]\.e\.)(?<!\bvs\.)(?<!\betc\.)\s+|\n+|\s+[\u2022\u2013\u2014]\s+|(?<=[a-z)])[.](?=[A-Z])"
)
_CLAUSE_END = re.compile(
    r",\s+|:\s+|\s+-+\s+|\s+(?:but|whereas|while|because|although|though|however|so that|and then|instead)\s+|[()]\s*", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?|[=<>+/*^%]|\u2265|\u2264", re.UNICODE)


def sentences(text: str) -> list[Window]:
    """The sentences of `text`; a line or a bullet is one too. Dictation without full stops comes as one long one."""
    return list(_split(text, 0, len(text), _SENTENCE_END))


def windows(text: str, *, widest: int = 28) -> list[Window]:
    """Every stretch that may make a point: sentences, clauses of long ones, neighbouring pairs, and overlapping runs of
    at most `widest` words where there is no punctuation to go by. Ordered by place; each once."""
    found: dict[tuple[int, int], Window] = {}

    def keep(window: Window) -> None:
        found.setdefault((window.start, window.end), window)

    whole = sentences(text)
    for index, sentence in enumerate(whole):
        count = len(sentence.text.split())
        if count <= widest * 2:
            keep(sentence)
        clauses = [part for part in _split(text, sentence.start, sentence.end, _CLAUSE_END) if len(part.text.split()) >= 2]
        for clause in clauses:
            if len(clause.text.split()) <= widest:
                keep(clause)
        for left, right in pairwise(clauses):
            pair = Window(text[left.start : right.end], left.start, right.end)
            if len(pair.text.split()) <= widest:
                keep(pair)
        if count > widest:
            for run in _runs(text, sentence, 16, 8):
                keep(run)
        if index + 1 < len(whole) and count + len(whole[index + 1].text.split()) <= widest:
            keep(Window(text[sentence.start : whole[index + 1].end], sentence.start, whole[index + 1].end))
    return sorted(found.values(), key=lambda window: (window.start, window.end))


WIDEST = 24
"""Words of the widest segment; a longer sentence is read clause by clause."""


def segments(text: str) -> list[Window]:
    """`text` in pieces of at most 24 words that do not overlap: sentences, the clauses of long ones, and even runs of
    words where there is no punctuation to go by. A piece of under four words joins its neighbour."""
    found: list[Window] = []
    for sentence in sentences(text):
        if len(sentence.text.split()) <= WIDEST:
            found.append(sentence)
            continue
        pieces: list[Window] = []
        for clause in _split(text, sentence.start, sentence.end, _CLAUSE_END):
            pieces += [clause] if len(clause.text.split()) <= WIDEST else _even(text, clause, 18)
        found += _joined(text, pieces, 18)
    made: list[Window] = []
    for piece in found:
        short = bool(made) and (len(piece.text.split()) < 4 or len(made[-1].text.split()) < 4)
        if short and len(text[made[-1].start : piece.end].split()) <= WIDEST:
            made[-1] = Window(text[made[-1].start : piece.end], made[-1].start, piece.end)
        else:
            made.append(piece)
    return made


def _joined(text: str, pieces: list[Window], most: int) -> list[Window]:
    """Neighbours put together for as long as they have at most `most` words."""
    made: list[Window] = []
    for piece in pieces:
        if made and len(text[made[-1].start : piece.end].split()) <= most:
            made[-1] = Window(text[made[-1].start : piece.end], made[-1].start, piece.end)
        else:
            made.append(piece)
    return made


def _even(text: str, window: Window, most: int) -> list[Window]:
    """A stretch without punctuation in runs of nearly the same length, at most `most` words each."""
    marks = [(match.start() + window.start, match.end() + window.start) for match in re.finditer(r"\S+", window.text)]
    size = -(-len(marks) // -(-len(marks) // most))
    runs = [marks[first : first + size] for first in range(0, len(marks), size)]
    return [Window(text[run[0][0] : run[-1][1]], run[0][0], run[-1][1]) for run in runs]


def _split(text: str, start: int, end: int, mark: re.Pattern[str]) -> Iterator[Window]:
    at = start
    for match in [*mark.finditer(text, start, end), None]:
        stop = match.start() if match else end
        piece = _trim(text, at, stop)
        if piece is not None:
            yield piece
        if match:
            at = match.end()


def _trim(text: str, start: int, end: int) -> Window | None:
    while start < end and (text[start].isspace() or text[start] in "-*\u2022\u2013\u2014>#,;:"):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in ",;:"):
        end -= 1
    return Window(text[start:end], start, end) if end > start else None


def _runs(text: str, sentence: Window, width: int, step: int) -> Iterator[Window]:
    marks = [(match.start(), match.end()) for match in re.finditer(r"\S+", text[sentence.start : sentence.end])]
    for first in range(0, max(1, len(marks) - width // 2), step):
        last = min(first + width, len(marks)) - 1
        start, end = sentence.start + marks[first][0], sentence.start + marks[last][1]
        yield Window(text[start:end], start, end)


# ---------------------------------------------------------------------------------------------- words

STOP = frozenset(
    """a an the and or of to in on at for with as by from that this these those it its is are was were be been being am i you he she
    we they them their our your my me us do does did so um uh er like just really very basically actually kind sort well okay ok then
    there here which who whom whose what when where how why if than into over under about between can could will would should may
    might must also too some any all each every such one ones thing things get gets got have has had let say says said mean means
    meant use used uses using make makes made want wants s t re ve ll d m""".split()  # noqa: SIM905
)

NEGATORS = frozenset(
    """not no never none without cannot nor neither nothing hardly isn't aren't doesn't don't didn't won't can't wouldn't shouldn't
    wasn't""".split()  # noqa: SIM905
)

_SUFFIXES = tuple(
    """izations isations ization isation ations ation ingly edly ings ments ment ness ities ity ies ing ion ions ers er ed es ly al
    e s""".split()  # noqa: SIM905
)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its ending, well enough that "predicts", "predicted" and "prediction" meet."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=20_000)
def tokens(text: str) -> tuple[str, ...]:
    """The words of a text, lower case, accents folded, in order; operators of formulas stay."""
    folded = text.lower()
    if not folded.isascii():  # else there is nothing to fold
        folded = unicodedata.normalize("NFKD", folded.replace("\u2019", "'"))
        folded = "".join(ch for ch in folded if not unicodedata.combining(ch))
    return tuple(match.group() for match in _WORD.finditer(folded))


@lru_cache(maxsize=20_000)
def stems(text: str) -> tuple[str, ...]:
    """The stems of the words that carry meaning, in order; negators are left out (see `negations`)."""
    return tuple(stem(word) for word in tokens(text) if word not in STOP and word not in NEGATORS)


@lru_cache(maxsize=20_000)
def negations(text: str) -> int:
    """How many negators stand in a text."""
    return sum(word in NEGATORS or word.endswith("n't") for word in tokens(text))
