"""Takes fillers and false starts out of what was spoken, and nothing that bears meaning.

A spoken reply is shown and graded as this leaves it, so that every quote of a grade is a piece of what the learner saw.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.speech.pace import FILLERS

PHRASES = (("you", "know"), ("i", "mean"))
"""Fillers where commas set them apart; elsewhere they may be meant ("if you know the variance")."""

LIGHT = frozenset(
    """the a an it is of to in and or but we you i they he she this these those there for with on at by from so because if
    when as then which are was were be can will would should could have has do does my your our its their it's that's what how""".split()  # noqa: SIM905
)
"""Words that are said twice only by accident; others may be meant ("item item similarity", "not not", "log log")."""

LONGEST = 4
"""Words of a false start that is said again."""

_EDGE = re.compile(r"^[^\w]+|[^\w%]+$")


def tidied(text: str) -> str:
    """`text` without "um", "uh", "you know" between commas, words said twice and words broken off and begun again.

    Never takes a number, a negation or a word of the subject, unless the very same is said again at once. Idempotent."""
    words = text.split()
    for _ in range(len(words)):
        shorter = _repeats(_broken(_fillers(words)))
        if shorter == words:
            break
        words = shorter
    return " ".join(words)


def _bare(word: str) -> str:
    return _EDGE.sub("", word).lower().replace("’", "'")


def _without(words: Sequence[str], start: int, end: int) -> list[str]:
    """`words` without those from `start` to `end`; the sentence's end and capital stay."""
    before, gone, after = list(words[:start]), words[start:end], list(words[end:])
    stop = re.search(r"[.?!]+$", gone[-1])
    if before and before[-1].endswith(",") and (stop or gone[-1].endswith(",") or not after):
        before[-1] = before[-1][:-1]
    if before and stop and not before[-1].endswith((".", "?", "!")):
        before[-1] += stop.group()
    if after and gone[0][:1].isupper() and after[0][:1].islower() and gone[0] not in ("I", "I,"):
        after[0] = after[0][:1].upper() + after[0][1:]
    return before + after


def _fillers(words: list[str]) -> list[str]:
    at = 0
    while at < len(words):
        pair = tuple(_bare(word) for word in words[at : at + 2])
        opens = at == 0 or words[at - 1].endswith((",", ".", "?", "!"))
        if pair[0] in FILLERS:
            words = _without(words, at, at + 1)
        elif pair in PHRASES and opens and words[at + 1].endswith((",", ".")):
            words = _without(words, at, at + 2)
        else:
            at += 1
    return words


def _broken(words: list[str]) -> list[str]:
    """Drops what was broken off and begun again: "the preci- the precision", "the preci the precision"."""
    at = 0
    while at < len(words):
        stub = _bare(words[at])
        marked = len(stub) > 1 and words[at].endswith(("-", "–", "—"))
        for end in range(at + 1, min(at + 4, len(words))):
            whole, light = _bare(words[end]), [_bare(word) for word in words[at + 1 : end]]
            if not (whole.startswith(stub) and whole != stub and stub):
                continue
            again = bool(light) and at >= len(light) and [_bare(word) for word in words[at - len(light) : at]] == light
            if marked and (again or not light):
                words = _without(words, at - len(light), at + 1)
                break
            if again and len(stub) >= 3 and stub.isalpha() and all(word in LIGHT for word in light):
                words = _without(words, at - len(light), at + 1)
                break
        else:
            at += 1
    return words


def _repeats(words: list[str]) -> list[str]:
    at = 0
    while at < len(words):
        for size in range(LONGEST, 0, -1):
            first, second = words[at : at + size], words[at + size : at + 2 * size]
            bare = [_bare(word) for word in first]
            if len(second) < size or bare != [_bare(word) for word in second] or any(re.search(r"[.?!;:]$", word) for word in first):
                continue
            if size > 1 and {bare[0], bare[-1]} & {"and", "or"}:
                continue  # "more and more and more"
            if all(bare) and any(word in LIGHT for word in bare) and not any(re.search(r"\d", word) for word in bare):
                words = _without(words, at, at + size)
                break
        else:
            at += 1
    return words
