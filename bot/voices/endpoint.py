"""A voice behind an OpenAI-compatible endpoint: what `/audio/speech` is asked."""

from __future__ import annotations

import asyncio

from bot import endpoint
from bot.voices import Speech, VoiceError
from bot.voices.opus import decoded

LARGEST = 20_000_000
"""Bytes of an answer."""


class Endpoint:
    """base_url: up to and with its version, such as http://127.0.0.1:8880/v1. timeout: seconds for one text, all tries together."""

    def __init__(self, base_url: str, model: str, voice: str, key: str, timeout: float) -> None:
        self.name = f"{model} {voice}"
        self._endpoint = endpoint.Endpoint(f"{base_url}/audio/speech", key, timeout, LARGEST)
        self._body = {"model": model, "voice": voice, "response_format": "wav"}

    async def say(self, text: str) -> Speech:
        try:
            sound = await self._endpoint.post(lambda: {"json": {**self._body, "input": text}})
        except TimeoutError:
            raise VoiceError("the endpoint took too long") from None
        except endpoint.EndpointError as error:
            raise VoiceError(str(error)) from None
        return await asyncio.to_thread(decoded, sound)

    async def close(self) -> None:
        await self._endpoint.close()
