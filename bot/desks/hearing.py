"""Before a turn: a recording that came is fetched and heard, beside the conversation, which never waits for it.

A recording is in memory only as long as it is listened to, and at most two are at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bot.desks import Tools
from bot.errors import FetchError, FetchTooLarge
from bot.messages import Clip, Message
from bot.model import Changes
from bot.outbox import Lane, Owed
from bot.phrases import speaking as phrases
from bot.speech import Reason, Transcript, Unusable
from bot.speech.sound import LARGEST, LONGEST

TOGETHER = 2
"""Recordings that are fetched and heard at one time in a process."""

PAUSES = (1.0, 4.0)
"""Seconds before a recording that could not be fetched is asked for again."""

MOST_REMEMBERED = 100

Fetch = Callable[[int], Awaitable[bytes]]
"""Fetches what a recording holds, and no more than so many bytes of it. Raises FetchError, and FetchTooLarge where it is larger."""

log = structlog.get_logger("hearing")


@dataclass(frozen=True, slots=True)
class Came:
    """What became of a recording. asked: the question that was open when it came, or "", and then it was not listened to.

    Otherwise there is a transcript, or the reason why there is none; neither where it could not be fetched."""

    asked: str
    transcript: Transcript | None = None
    reason: Reason | None = None


class Hearing:
    """At most `TOGETHER` recordings at a time; who must wait is told how many are before them, once."""

    def __init__(self, tools: Tools) -> None:
        self._store, self._listener, self._now, self._owing = tools.store, tools.listener, tools.now, tools.owing
        self._places = asyncio.Semaphore(TOGETHER)
        self._inside = 0
        self._came: dict[tuple[str, str], Came] = {}

    async def hear(self, message: Message, fetch: Fetch) -> Came:
        """What became of a message's recording. Heard once: a turn that must be tried again finds it here. Raises StoreError."""
        known = (message.address.platform, message.key)
        if known not in self._came:
            came = await self._heard(message, fetch)
            while len(self._came) >= MOST_REMEMBERED:
                self._came.pop(next(iter(self._came)))
            self._came[known] = came
        return self._came[known]

    def forget(self, message: Message) -> None:
        """The turn is written."""
        self._came.pop((message.address.platform, message.key), None)

    async def _heard(self, message: Message, fetch: Fetch) -> Came:
        recording, opened = message.recording, (await self._store.recall(message.address)).open
        if recording is None or opened is None or self._listener is None:
            return Came("")
        if (recording.size or 0) > LARGEST:
            return Came(opened.id, reason=Reason.TOO_BIG)
        if (recording.seconds or 0) > LONGEST:
            return Came(opened.id, reason=Reason.TOO_LONG)
        before = self._inside - TOGETHER + 1
        self._inside += 1
        try:
            if before > 0:
                await self._say_how_many(message, before)
            async with self._places:
                data = await self._fetched(message, fetch)
                return Came(opened.id, await self._listener.listen(Clip(data, recording.mime, recording.seconds)))
        except Unusable as error:
            log.info("recording not used", message=message.key, reason=error.reason.value)
            return Came(opened.id, reason=error.reason)
        except FetchTooLarge:
            return Came(opened.id, reason=Reason.TOO_BIG)
        except FetchError as error:
            log.warning("recording not fetched", message=message.key, reason=str(error))
            return Came(opened.id)
        finally:
            self._inside -= 1

    async def _fetched(self, message: Message, fetch: Fetch) -> bytes:
        for pause in PAUSES:
            try:
                return await fetch(LARGEST)
            except FetchError as error:
                if not error.again:
                    raise
            await asyncio.sleep(pause)
        return await fetch(LARGEST)

    async def _say_how_many(self, message: Message, before: int) -> None:
        """Said once, also where it is listened to anew after a restart."""
        address = message.address
        owed = Owed(f"waits:{address.platform}:{message.key}", address, Lane.REPLY, "reply", phrases.waiting(before))
        if await self._store.record(f"{message.key} waits", address, Changes(), [owed], self._now()):
            self._owing()
