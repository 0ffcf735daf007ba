"""Voice notes of the coach's own words, each made once for a voice and kept in a folder that may be lost.

Only texts of the packs are read aloud, never a learner's words: what is kept here is nobody's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from bot.messages import VoiceNote
from bot.voices import Voice, VoiceError, opus
from bot.voices.spoken import spoken

AT_ONCE = 2
"""Texts that are spoken at one time."""

REST = 30.0
"""Seconds for which a voice that failed is left alone."""

MOST = 200_000_000
"""Bytes that the folder may hold; what was used longest ago goes first."""

log = structlog.get_logger("voices")


class Speaker:
    """Speaks with one voice. clock: seconds that only grow."""

    def __init__(self, voice: Voice, folder: Path, *, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self.voice = voice
        self._folder = folder
        self._clock = clock
        self._most = most
        self._making: dict[Path, asyncio.Task[VoiceNote | None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._rests_until = 0.0

    def begin(self, text: str) -> asyncio.Task[VoiceNote | None]:
        """Begins to make the voice note of a text, or goes on with it where somebody else asked for it: None where that fails."""
        words = spoken(text)
        file = self._folder / f"{hashlib.sha256(f'{self.voice.name}|{words}'.encode()).hexdigest()[:40]}.note"
        making = self._making.get(file)
        if making is None:
            making = self._making[file] = asyncio.create_task(self._made(file, words))
            making.add_done_callback(lambda _: self._making.pop(file, None))
        return making

    async def close(self) -> None:
        """Ends what is being made."""
        making = list(self._making.values())
        for one in making:
            one.cancel()
        if making:
            await asyncio.wait(making)
        await self.voice.close()

    async def _made(self, file: Path, words: str) -> VoiceNote | None:
        kept = await asyncio.to_thread(_kept, file)
        if kept is not None or not words:
            return kept
        async with self._gate:
            if self._clock() < self._rests_until:
                return None
            try:
                speech = await self.voice.say(words)
                note = await asyncio.to_thread(opus.note, speech)
            except VoiceError as error:
                self._rests_until = self._clock() + REST
                log.warning("not spoken", voice=self.voice.name, reason=str(error))
                return None
        with suppress(OSError):  # it is made again the next time
            await asyncio.to_thread(_keep, file, note, self._most)
        return note


def _kept(file: Path) -> VoiceNote | None:
    """The voice note in a file; None where there is none, or what is there is damaged."""
    try:
        head, _, data = file.read_bytes().partition(b"\n")
        known = json.loads(head)
        note = VoiceNote(data, float(known["seconds"]), b64decode(known["waveform"]))
        if len(data) != known["bytes"]:
            return None
        file.touch()  # it was used just now
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return note


def _keep(file: Path, note: VoiceNote, most: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    head = {"seconds": note.seconds, "bytes": len(note.data), "waveform": b64encode(note.waveform).decode()}
    fresh = file.with_suffix(".new")
    fresh.write_bytes(json.dumps(head).encode() + b"\n" + note.data)
    fresh.replace(file)
    files = sorted(((one.stat(), one) for one in file.parent.glob("*.note")), key=lambda one: one[0].st_mtime)
    room = most - sum(stat.st_size for stat, _ in files)
    for stat, one in files:
        if room >= 0:
            break
        one.unlink(missing_ok=True)
        room += stat.st_size
