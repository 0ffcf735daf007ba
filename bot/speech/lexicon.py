"""The terms of the packs' subject, as the packs write them, and what else their text tells of words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from itertools import pairwise

WORD = re.compile(r"[A-Za-z0-9]+(?:[-/'’][A-Za-z0-9]+)*")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+")
_SHORT = re.compile(r"[A-Z]{2,6}s?")

SEEN = 3
"""How often a term has to stand in the packs."""


def key(text: str) -> str:
    """The letters and digits alone, in lower case: by them the same term is known however it is written."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@dataclass(frozen=True)
class Lexicon:
    """written: the terms by their key, as the packs write them. coined: those of them that no dictionary has, in lower case
    letters. short: the keys of those that are said letter by letter, in whole or in part. words: every word of the packs, with
    how often it stands there; pairs: two that stand beside each other."""

    written: Mapping[str, str]
    coined: Set[str]
    short: Set[str]
    words: Mapping[str, int] = field(repr=False)
    pairs: Mapping[tuple[str, str], int] = field(repr=False)


def lexicon(texts: Iterable[str], english: Set[str]) -> Lexicon:
    """english: the words that any dictionary has, in lower case."""
    ways: defaultdict[str, Counter[str]] = defaultdict(Counter)
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts:
        for sentence in _SENTENCE.split(text):
            said = WORD.findall(sentence)
            parts = [part.lower() for word in said for part in re.split(r"[-/]", word)]
            words.update(parts)
            pairs.update(pairwise(parts))
            for at, word in enumerate(said):
                if at or not word[1:].islower():  # the capital of a sentence's first word says nothing
                    ways[key(word)].update([word])
    written, coined, short = {}, set(), set()
    for letters, forms in ways.items():
        form, count = forms.most_common(1)[0]
        if sum(forms.values()) < SEEN or letters.isdigit() or "'" in form or "’" in form:
            continue
        capital = any(mark.isupper() for mark in form)
        if (
            _SHORT.fullmatch(form)
            or (capital and re.search(r"\d|[a-z][A-Z]|[A-Z]{2}|[A-Z][-/]|[-/][A-Z]", form))
            or re.fullmatch(r"[a-z]-[a-z]+", form)
        ):
            if count > words[form.lower()] / 2:
                written[letters] = form
                short.add(letters)
        elif letters not in english and (len(letters) >= 4 if capital else form.isalpha() and len(letters) >= 5):
            written[letters] = form
            coined.add(letters)
        elif capital and len(letters) >= 4 and count > 0.8 * sum(forms.values()):
            written[letters] = form  # a name that is a word as well
    return Lexicon(written, coined, short, words, pairs)
