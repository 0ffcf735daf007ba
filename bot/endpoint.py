"""One request to an OpenAI-compatible endpoint over HTTP: asked again where that may help, and never more read than was allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from bot.errors import CoachError

TRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds before it is asked again where it names no time, and the longest that it may name."""


class EndpointError(CoachError):
    """Why there is no answer, in words that hold no key and no text. status: what was answered where asking again changes nothing."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Endpoint:
    """url: the whole address. timeout: seconds for one request, all tries together. largest: bytes of an answer."""

    def __init__(self, url: str, key: str, timeout: float, largest: int) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._largest = largest
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: Callable[[], dict[str, Any]]) -> bytes:
        """What is answered to a POST of `body`, the arguments that aiohttp takes, made anew for each try. Raises EndpointError, and
        TimeoutError."""
        pause, why = FIRST_PAUSE, ""
        async with asyncio.timeout(self._timeout):
            for number in range(TRIES):
                if number:
                    await asyncio.sleep(pause)
                    pause *= 2
                try:
                    async with self._open().post(self._url, headers=self._headers, **body()) as response:
                        if response.status == 200:
                            return await self._read(response)
                        why = f"the endpoint answered {response.status}"
                        if response.status != 429 and response.status < 500:
                            raise EndpointError(why, response.status)
                        asked = response.headers.get("Retry-After", "")
                        pause = min(float(asked), LONGEST_PAUSE) if asked.isdigit() else pause
                except (aiohttp.ClientError, OSError) as error:
                    why = f"the endpoint can't be reached: {type(error).__name__}"
        raise EndpointError(why)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > self._largest:
                raise EndpointError("the endpoint's answer is too large")
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
