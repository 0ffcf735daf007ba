"""Cuts a text into the word pieces of BERT's uncased vocabulary, without a library."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence


class Pieces:
    """Text to token ids, as BERT's uncased WordPiece does it.

    Names of special tokens written in a text ("[SEP]") are ordinary characters here, so a text cannot forge a
    border.
    """

    LONGEST_WORD = 100  # characters; a longer word is unknown (as in BERT)

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """`vocabulary`: the pieces in the order of their ids. Raises KeyError where it lacks one of the special tokens."""
        self.vocabulary = tuple(vocabulary)
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._known: dict[str, tuple[int, ...]] = {}
        self.unknown, self.start, self.end = (self._ids[name] for name in ("[UNK]", "[CLS]", "[SEP]"))

    def __call__(self, text: str) -> list[int]:
        """Token ids of `text`, without the tokens that mark its start and end. No limit of length."""
        ids: list[int] = []
        for word in _words(text):
            found = self._known.get(word)
            if found is None:
                found = self._split(word)
                if len(self._known) < 20_000:
                    self._known[word] = found
            ids.extend(found)
        return ids

    def _split(self, word: str) -> tuple[int, ...]:
        if len(word) > self.LONGEST_WORD:
            return (self.unknown,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            for stop in range(len(word), start, -1):
                found = self._ids.get(word[start:stop] if start == 0 else "##" + word[start:stop])
                if found is not None:
                    break
            else:
                return (self.unknown,)
            ids.append(found)
            start = stop
        return tuple(ids)


_ASCII_WORD = re.compile(r"[a-z0-9]+|[^a-z0-9 ]")


def _words(text: str) -> Iterator[str]:
    """Lower-case words and single punctuation marks, without accents."""
    if text.isascii() and text.isprintable():  # nothing to fold, nothing to drop: the same words, sooner
        yield from _ASCII_WORD.findall(text.lower())
        return
    cleaned: list[str] = []
    for char in text:
        code = ord(char)
        if char in "\t\n\r":
            cleaned.append(" ")
        elif code == 0xFFFD or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
            continue
        elif char.isspace():
            cleaned.append(" ")
        elif _is_ideograph(code):
            cleaned.append(f" {char} ")
        else:
            cleaned.append(char)
    bare = (char for char in unicodedata.normalize("NFD", "".join(cleaned)) if unicodedata.category(char) != "Mn")
    word: list[str] = []
    for char in "".join(char.lower() for char in bare):  # letter by letter: no final sigma
        if char.isspace():
            if word:
                yield "".join(word)
                word = []
        elif _is_punctuation(char):
            if word:
                yield "".join(word)
                word = []
            yield char
        else:
            word.append(char)
    if word:
        yield "".join(word)


def _is_ideograph(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x2A6DF
        or 0x2A700 <= code <= 0x2CEAF
        or 0x2F800 <= code <= 0x2FA1F
    )


def _is_punctuation(char: str) -> bool:
    code = ord(char)
    if code < 128:
        return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return unicodedata.category(char).startswith("P")
