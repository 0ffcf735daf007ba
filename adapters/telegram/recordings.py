"""Recordings on Telegram: which message is one, and how it is fetched - never more of it than is wanted, and never into a log.

The address of a file has the bot's token in it, so no error that names it leaves this file.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
from telegram import Audio, Bot, Document, VideoNote, Voice
from telegram import Message as TelegramMessage
from telegram.error import BadRequest, TelegramError

from bot import Recording
from bot.errors import FetchError, FetchTooLarge

FETCH = 60.0
"""Seconds that fetching one may take."""

KINDS = ("voice", "audio", "video_note")


def is_recording(raw: Mapping[str, Any]) -> bool:
    """Whether an update, as it came, holds something that was said aloud."""
    said = raw.get("message")
    if not isinstance(said, dict):
        return False
    document = said.get("document")
    return any(kind in said for kind in KINDS) or (isinstance(document, dict) and _sounds(document.get("mime_type")))


def recording(said: TelegramMessage) -> Recording | None:
    """What was said aloud in a message: a voice note, a video note, a sound file, also one sent as a document."""
    found: Voice | Audio | VideoNote | Document | None = said.voice or said.audio or said.video_note
    if found is None and said.document is not None and _sounds(said.document.mime_type):
        found = said.document
    if found is None:
        return None
    length = getattr(found, "duration", None)
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length) if length is not None else None
    mime = "video/mp4" if isinstance(found, VideoNote) else found.mime_type or ""
    return Recording(found.file_id, found.file_size, seconds, mime)


def _sounds(mime: object) -> bool:
    return isinstance(mime, str) and mime.startswith("audio/")


class Recordings:
    """Fetches what is in recordings. verify: how the server is known to be the right one."""

    def __init__(self, bot: Bot, verify: ssl.SSLContext | bool) -> None:
        self._bot = bot
        self._verify = verify
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, reference: str, most: int) -> bytes:
        """What is in the file with this id. Raises FetchError, and FetchTooLarge where it has more than `most` bytes."""
        try:
            async with asyncio.timeout(FETCH):
                return await self._read(await self._address(reference), most)
        except TimeoutError:
            raise FetchError("it took too long", again=False) from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _address(self, reference: str) -> str:
        try:
            path = (await self._bot.get_file(reference)).file_path or ""
        except BadRequest as error:
            if "too big" in str(error).lower():
                raise FetchTooLarge("telegram does not hand over a file that large") from None
            raise FetchError("telegram does not know the file", again=False) from None
        except TelegramError as error:
            raise FetchError(type(error).__name__, again=True) from None
        if not path.startswith(("http://", "https://")):
            raise FetchError("the server keeps its files to itself", again=False)
        return path

    async def _read(self, address: str, most: int) -> bytes:
        if self._client is None:
            self._client = httpx.AsyncClient(verify=self._verify, timeout=20)
        read = bytearray()
        try:
            async with self._client.stream("GET", address) as answer:
                if answer.status_code != 200:
                    raise FetchError(
                        f"telegram answered {answer.status_code}", again=answer.status_code in (429,) or answer.status_code >= 500
                    )
                async for piece in answer.aiter_raw():
                    read += piece
                    if len(read) > most:
                        raise FetchTooLarge("it is larger than it was said to be")
        except httpx.HTTPError as error:
            raise FetchError(type(error).__name__, again=True) from None
        return bytes(read)
