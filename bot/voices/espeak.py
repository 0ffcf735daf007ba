"""The voice of espeak-ng, a program of its own: a question takes some hundredths of a second, and nothing is sent anywhere."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

from bot.voices import Speech, VoiceError
from bot.voices.opus import decoded

SPEED = "155"
"""Words a minute: somewhat slower than its own 175, because a question is heard once."""


class Espeak:
    """program: where it is. voice: one of `espeak-ng --voices`. timeout: seconds for one text."""

    def __init__(self, program: str, voice: str, timeout: float) -> None:
        self.name = f"espeak-ng {voice} {SPEED}"
        self._command = (program, "--stdin", "--stdout", "-b", "1", "-s", SPEED, "-v", voice)
        self._timeout = timeout

    async def say(self, text: str) -> Speech:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        except OSError as error:
            raise VoiceError("espeak-ng can't be started") from error
        try:
            async with asyncio.timeout(self._timeout):
                wave, _ = await process.communicate(text.encode())
        except TimeoutError:
            raise VoiceError("espeak-ng took too long") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode or not wave:
            raise VoiceError(f"espeak-ng failed with {process.returncode}")
        return await asyncio.to_thread(decoded, wave)

    async def close(self) -> None:
        """Nothing is held."""
