"""A voice behind an OpenAI-compatible endpoint: `/audio/speech`, asked with a time limit and tried again where that may help."""

from __future__ import annotations

import asyncio

import aiohttp

from bot.voices import Speech, VoiceError
from bot.voices.opus import decoded

TRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds before it is asked again where it names no time, and the longest that it may name."""

LARGEST = 20_000_000
"""Bytes of an answer."""


class Endpoint:
    """base_url: up to and with its version, such as http://127.0.0.1:8880/v1. timeout: seconds for one text, all tries together."""

    def __init__(self, base_url: str, model: str, voice: str, key: str, timeout: float) -> None:
        self.name = f"{model} {voice}"
        self._url = f"{base_url}/audio/speech"
        self._body = {"model": model, "voice": voice, "response_format": "wav"}
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def say(self, text: str) -> Speech:
        try:
            async with asyncio.timeout(self._timeout):
                sound = await self._insist(text)
        except TimeoutError:
            raise VoiceError("the endpoint took too long") from None
        return await asyncio.to_thread(decoded, sound)

    async def _insist(self, text: str) -> bytes:
        pause, reason = FIRST_PAUSE, ""
        for number in range(TRIES):
            if number:
                await asyncio.sleep(pause)
                pause *= 2
            try:
                async with self._open().post(self._url, json={**self._body, "input": text}, headers=self._headers) as response:
                    if response.status == 200:
                        return await _read(response)
                    reason = f"the endpoint answered {response.status}"
                    if response.status != 429 and response.status < 500:
                        raise VoiceError(reason)
                    asked = response.headers.get("Retry-After", "")
                    pause = min(float(asked), LONGEST_PAUSE) if asked.isdigit() else pause
            except (aiohttp.ClientError, OSError) as error:
                reason = f"the endpoint can't be reached: {type(error).__name__}"
        raise VoiceError(reason)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    sound = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        sound += piece
        if len(sound) > LARGEST:
            raise VoiceError("the endpoint's answer is too large")
    return bytes(sound)
