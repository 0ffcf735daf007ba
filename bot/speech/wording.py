"""Written text as it is spoken, word by word: what a recogniser has to expect of people who speak of a pack's subject."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.content import Library, Rubric

LOW = "zero one two three four five six seven eight nine ten eleven twelve"
TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
ONES = (*LOW.split(), *TEENS.split())
TENS = tuple("twenty thirty forty fifty sixty seventy eighty ninety".split())  # noqa: SIM905
SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))

SIGNS = (
    (r"\bA/B\b", " a b "), (r"\be\.g\.", " for example "), (r"\bi\.e\.", " that is "), (r"\bvs\.?(?!\w)", " versus "),
    (r"\betc\.", " and so on "), (r"%", " percent "), (r"\^2\b|²", " squared "), (r"\^3\b|³", " cubed "), (r"\^", " to the power of "),
    (r"->|→", " to "), (r">=|≥", " at least "), (r"<=|≤", " at most "), (r"!=|≠", " is not "), (r"(?<=\s)>(?=\s)", " greater than "),
    (r"(?<=\s)<(?=\s)", " less than "), (r"=", " equals "), (r"(?<=\s)/(?=\s)|÷", " over "),
    (r"(?<=\s)\*(?=\s)|×|(?<=\s)x(?=\s)", " times "), (r"\+", " plus "), (r"(?<=\s)[-−](?=\s)", " minus "),
    (r"(?<![\w.)])[-−](?=\d)", " minus "), (r"\$", " dollars "), (r"€", " euros "), (r"\bsqrt\b|√", " square root of "),
    (r"\bR squared\b", " r squared "), (r"(?<=\d)[:/](?=\d)", " "), (r"(?<=[A-Za-z])_(?=[A-Za-z])", " "),
    (r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " "),
)  # fmt: skip
"""Signs, each with how it is read; those of arithmetic only where spaces show that they are meant."""

_SIGNS = tuple((re.compile(sign), words) for sign, words in SIGNS)
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[A-Za-z]+(?:['’][A-Za-z]+)?")


def texts(library: Library) -> Iterator[str]:
    """Everything that the packs say, the false statements included: learners say those too."""
    for question in library.questions.values():
        yield question.title
        yield from question.wordings
        for rubric in (question, *question.followups):
            yield from _said(rubric)


def _said(rubric: Rubric) -> Iterator[str]:
    yield rubric.prompt
    yield rubric.answer
    for point in rubric.points:
        yield point.statement
        yield from point.phrasings
        yield from point.contrary
    for wrong in rubric.misconceptions:
        yield wrong.statement
        yield from wrong.phrasings
        yield wrong.correction


def spoken(text: str) -> Iterator[list[str]]:
    """The sentences of `text`, each as the words that are said, in lower case."""
    for sentence in _SENTENCE.split(text):
        for sign, words in _SIGNS:
            sentence = sign.sub(words, sentence)
        said: list[str] = []
        for token in _TOKEN.findall(sentence):
            said += number(token) if token[0].isdigit() else [token.lower().replace("’", "'")]
        if said:
            yield said


def number(written: str) -> list[str]:
    """ "1,024" as one thousand twenty four, "0.25" as zero point two five; a long row of digits one by one."""
    whole, _, part = written.replace(",", "").partition(".")
    words = _whole(int(whole)) if len(whole) < 13 else [ONES[int(digit)] for digit in whole]
    return words + (["point", *(ONES[int(digit)] for digit in part)] if part else [])


def _whole(value: int) -> list[str]:
    if value < 20:
        return [ONES[value]]
    if value < 100:
        return [TENS[value // 10 - 2], *([ONES[value % 10]] if value % 10 else [])]
    for scale, name in SCALES:
        if value >= scale:
            return [*_whole(value // scale), name, *(_whole(value % scale) if value % scale else [])]
    raise AssertionError("unreachable")
