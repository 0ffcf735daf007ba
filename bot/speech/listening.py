"""From a recording to a transcript: decode, hear, mend, tidy; at most two at a time, and those who wait know how many are before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from bot.messages import Clip
from bot.speech.decoding import decode
from bot.speech.pace import Pace, pace
from bot.speech.sound import Ear, Heard, Reason, Sound, Unusable
from bot.speech.tidying import tidied
from bot.speech.usable import check_heard, check_sound

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
    """Turns recordings into transcripts with one ear. Keeps nothing of them, unless the owner names a folder for that."""

    def __init__(
        self, ear: Ear, mend: Callable[[str], str] = str, *, keep: Path | None = None, together: int = TOGETHER
    ) -> None:  # fmt: skip
        """mend: repairs the terms of a text (`bot.speech.terms`). keep: a folder for the recordings, or None: they are gone as
        soon as they were heard."""
        self.ear = ear
        self._mend = mend
        self._keep = keep
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
        if self._keep is not None:
            await asyncio.to_thread(_kept, clip, self._keep)
        sound = await decode(clip)
        await asyncio.to_thread(check_sound, sound)
        heard = await self.ear.hear(sound)
        check_heard(heard, self.ear)
        text, measured = await asyncio.to_thread(self._finished, sound, heard)
        if not text:
            raise Unusable(Reason.UNSURE, "nothing but fillers")
        return Transcript(text, heard, measured, self.ear.name, self.ear.draft)

    def _finished(self, sound: Sound, heard: Heard) -> tuple[str, Pace]:
        return tidied(self._mend(heard.text)), pace(sound, heard)


def _kept(clip: Clip, folder: Path) -> None:
    """Under a name that tells nothing of whose it is; for nobody's eyes but the owner's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{uuid4().hex}.audio"
    file.touch(0o600)
    file.write_bytes(clip.data)
