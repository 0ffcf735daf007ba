"""An encoder for who grades one thing after another in which the same texts come back, as the proof of the questions does."""

from __future__ import annotations

from collections.abc import Sequence

from bot.grading.encoder import Encoder, Read

MOST = 2_000
"""Texts of which the reading is kept, at about 40 KiB each: more than the lines of one topic and of a pack's statements."""


class Lately(Encoder):
    """The same numbers as `Encoder`; what was read lately is not read again. For one thread."""

    def read(self, texts: Sequence[str]) -> list[Read]:
        known: dict[str, Read] = self.__dict__.setdefault("_lately", {})
        new = list(dict.fromkeys(text for text in texts if text not in known))
        found = known | dict(zip(new, super().read(new), strict=True))
        for text in texts:  # to the end: the oldest stand in front
            known.pop(text, None)
            known[text] = found[text]
        for text in list(known)[: max(0, len(known) - MOST)]:
            del known[text]
        return [found[text] for text in texts]
