"""From a recording to a transcript: decode, hear, mend, tidy; at most two at a time, and those who wait know how many are before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.messages import Clip
from bot.speech.decoding import decode
from bot.speech.pace import Pace, pace
from bot.speech.sound import Ear, Heard, Reason, Sound, Unusable
from bot.speech.tidying import tidied

TOGETHER = 2
"""Recordings that are transcribed at a time in one process."""

MOST_WAITING = 20
"""Recordings that may wait; each holds its bytes."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, fit to be shown and graded.

    text: with terms mended and fillers and false starts taken out: what the learner is shown is what is graded. heard: as the
    ear gave it. pace: how it was spoken. ear: its name. draft: whether it must be confirmed by the learner before it is graded."""

    text: str = field(repr=False)
    heard: Heard
    pace: Pace
    ear: str
    draft: bool


class Listener:
    """Turns recordings into transcripts with one ear. Keeps nothing of them."""

    def __init__(self, ear: Ear, mend: Callable[[str], str] = lambda text: text, *, together: int = TOGETHER) -> None:
        """mend: repairs the terms of a text (`bot.speech.terms`)."""
        self.ear = ear
        self._mend = mend
        self._places = asyncio.Semaphore(together)
        self._together = together
        self._inside = 0

    @property
    def waiting(self) -> int:
        """How many recordings are before one that comes now and must wait; 0 where it is begun at once."""
        return max(0, self._inside - self._together + 1)

    async def listen(self, clip: Clip) -> Transcript:
        """The transcript of a recording, when its turn has come. Raises Unusable."""
        if self.waiting > MOST_WAITING:
            raise Unusable(Reason.BUSY)
        self._inside += 1
        try:
            async with self._places:
                return await self._transcribed(clip)
        finally:
            self._inside -= 1

    async def close(self) -> None:
        await self.ear.close()

    async def _transcribed(self, clip: Clip) -> Transcript:
        sound: Sound = await decode(clip)
        heard = await self.ear.hear(sound)
        if not heard.text.strip():
            raise Unusable(Reason.UNSURE)
        text = tidied(self._mend(heard.text))
        return Transcript(text, heard, pace(sound, heard), self.ear.name, self.ear.draft)
