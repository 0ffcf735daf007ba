"""Recordings on Discord: which message is one, and how it is fetched - never more of it than is wanted."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import aiohttp
import discord

from adapters.discord.connection import FAULTS, Connection
from bot import Recording, VoiceNote
from bot.errors import FetchError, FetchTooLarge, SendError

FETCH = 60.0
"""Seconds that fetching one may take."""

VOICE_MESSAGE = 1 << 13
"""The flag of a message that is a voice message. https://docs.discord.com/developers/resources/message#voice-messages"""

ENDINGS = (".ogg", ".oga", ".opus", ".mp3", ".m4a", ".wav", ".flac")
"""Names of sound files, for an attachment of which Discord does not say what it is."""


def recording(message: discord.Message) -> dict[str, Any] | None:
    """What was said aloud in a message without words, as it is kept in the inbox: a voice message, or a sound file."""
    if message.content:
        return None
    for file in message.attachments:
        mime = file.content_type or ""
        if mime.startswith("audio/") or (not mime and file.filename.lower().endswith(ENDINGS)):
            where = {"url": file.url, "channel": message.channel.id, "message": message.id, "file": file.id}
            return {"reference": json.dumps(where), "size": file.size, "seconds": file.duration, "mime": mime}
    return None


def taken_out(kept: dict[str, Any] | None) -> Recording | None:
    """What `recording` kept."""
    return Recording(**kept) if kept else None


def described(note: VoiceNote, name: str) -> dict[str, Any]:
    """What a message says of the voice note that is its one attachment."""
    waveform = b64encode(note.waveform).decode()
    return {"id": "0", "filename": name, "duration_secs": round(note.seconds, 2), "waveform": waveform}


class Recordings:
    """Fetches what is in recordings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, reference: str, most: int) -> bytes:
        """What is in a recording. An address is good for a day or so; after that the message tells another one.

        Raises FetchError, and FetchTooLarge where it has more than `most` bytes."""
        where = json.loads(reference)
        try:
            async with asyncio.timeout(FETCH):
                found = await self._read(where["url"], most)
                if found is None:
                    found = await self._read(await self._address_now(where), most)
        except TimeoutError:
            raise FetchError("it took too long", again=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(type(error).__name__, again=True) from None
        if found is None:
            raise FetchError("discord does not hand it over", again=False)
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _address_now(self, where: dict[str, Any]) -> str:
        path = "/channels/{channel_id}/messages/{message_id}"
        try:
            message = await self._connection.call("GET", path, channel_id=where["channel"], message_id=where["message"])
            return next(str(file["url"]) for file in message["attachments"] if str(file["id"]) == str(where["file"]))
        except StopIteration:
            raise FetchError("it is not in its message any more", again=False) from None
        except discord.NotFound:
            raise FetchError("its message was deleted", again=False) from None
        except (*FAULTS, SendError) as error:
            raise FetchError(type(error).__name__, again=True) from None

    async def _read(self, url: str, most: int) -> bytes | None:
        """What is at an address; None where that is not good any more."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        async with self._session.get(url) as answer:
            if answer.status in (403, 404):
                return None
            if answer.status != 200:
                raise FetchError(f"discord answered {answer.status}", again=answer.status == 429 or answer.status >= 500)
            read = bytearray()
            async for piece in answer.content.iter_chunked(1 << 16):
                read += piece
                if len(read) > most:
                    raise FetchTooLarge("it is larger than it was said to be")
            return bytes(read)
