"""The built-in ear: pocketsphinx with the packs' own language. It needs nothing from anywhere, and what it hears is a rough draft."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bot.speech.preparing import Unready, prepared
from bot.speech.processes import Died, Limits, run
from bot.speech.sound import Heard, Reason, Sound, Unusable, Word

MEMORY = 1 << 30
START, SHARE = 60.0, 4.0
"""Seconds that listening may take: some to load, and a multiple of how long the recording is."""


class SphinxEar:
    """texts: what the packs say. folder: where the language model that is made of it is kept."""

    draft = True
    language = "en"

    def __init__(self, texts: Sequence[str], folder: Path) -> None:
        self.name = f"pocketsphinx {version('pocketsphinx')}"
        self._texts = texts
        self._folder = folder
        self._preparing = asyncio.Lock()

    async def prepare(self) -> tuple[Path, Path]:
        """Makes the language model where it isn't kept yet. Raises Unusable (AWAY)."""
        async with self._preparing:
            try:
                return await prepared(self._texts, self._folder)
            except Unready as unready:
                raise Unusable(Reason.AWAY, str(unready)) from None

    async def hear(self, sound: Sound) -> Heard:
        model, dictionary = await self.prepare()
        longest = START + SHARE * sound.seconds
        limits = Limits(MEMORY, int(longest), longest, 0)
        asked = {"lm": str(model), "dict": str(dictionary)}
        try:
            told, _ = await run("recognise", asked, sound.samples.tobytes(), limits)
        except TimeoutError:
            raise Unusable(Reason.TOO_SLOW) from None
        except Died as died:
            raise Unusable(Reason.AWAY, str(died)) from None
        words = tuple(Word(text, start, end, sure) for text, start, end, sure in told["words"])
        return Heard(" ".join(word.text for word in words), told["sure"], words)

    async def close(self) -> None:
        """Nothing of it outlives a recording."""
