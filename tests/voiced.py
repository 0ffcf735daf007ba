"""A coach that hears what it is told and hums what it says, for tests that need no real ear and no real voice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
from worlds import FakeClock, World, incidents, prepared

from bot.coach import Coach
from bot.content import Library
from bot.database import Database
from bot.grading.plain import PlainGrader
from bot.messages import Address, Clip, Message, Recording, Reply
from bot.outbox import UNLIMITED
from bot.speech import Heard, Listener, Pace, Reason, Transcript, Unusable
from bot.voices import Speech, VoiceError
from bot.voices.speaker import Speaker

GOOD = (
    "Of all the posts we deleted, the share that really broke the rules: TP / (TP + FP). It is hurt by false positives only, "
    "missed ones do not enter it. Raising the threshold usually raises it and costs recall."
)
NUMBERS = count(1)
PACE = Pace(40, 21.4, 120, 2, 1.31)


class Ear:
    """An ear that is never asked: what it would hear, its listener says."""

    name, language = "told 1", "en"

    def __init__(self, *, draft: bool) -> None:
        self.draft = draft

    async def hear(self, sound: object) -> Heard:
        raise AssertionError("asked")

    async def close(self) -> None: ...


class Told(Listener):
    """Hears what is written in a recording; one of a single word is unusable for that reason. Waits as long as `go` is not set."""

    def __init__(self, *, draft: bool = False) -> None:
        super().__init__(Ear(draft=draft))
        self.go = asyncio.Event()
        self.go.set()
        self.begun: list[str] = []
        self.changed = asyncio.Condition()

    async def listen(self, clip: Clip) -> Transcript:
        text = clip.data.decode()
        async with self.changed:
            self.begun.append(text)
            self.changed.notify_all()
        await self.go.wait()
        if text in {reason.value for reason in Reason}:
            raise Unusable(Reason(text))
        return Transcript(text, Heard(text, 0.9), PACE, "told 1", self.ear.draft)


class Running(FakeClock):
    """A clock that goes on by itself from where it was set."""

    def __init__(self) -> None:
        super().__init__()
        self.since = time.monotonic()

    def __call__(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self.since)


class Hum:
    """A voice that hums."""

    name = "hum 1"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fails = False

    async def say(self, text: str) -> Speech:
        self.said.append(text)
        if self.fails:
            raise VoiceError("hoarse")
        return Speech((np.sin(np.arange(8000) / 5) * 0.2).astype(np.float32), 16_000)

    async def close(self) -> None: ...


class Room(World):
    """A world in which one may speak."""

    async def speaks(self, text: str, *, address: Address | None = None, key: str = "", **about: object) -> tuple[Reply, ...]:
        """A voice note in which this is said."""
        recording = Recording("ref", about.pop("size", 1000), about.pop("seconds", 20.0), "audio/ogg")  # type: ignore[arg-type]
        message = Message(key or f"v{self.keys()}", address or self.address, "", self.clock(), recording=recording)

        async def fetch(most: int) -> bytes:
            return text.encode()

        self.hears = await self.coach.hear(message, about.get("fetch") or fetch)  # type: ignore[arg-type]
        return self.hears


@asynccontextmanager
async def room(
    library: Library, file: Path | str, *, listener: Listener | None = None, speaker: Speaker | None = None, clock: FakeClock | None = None,
) -> AsyncIterator[Room]:  # fmt: skip
    clock = clock or FakeClock()
    store = await Database.open(prepared(file if isinstance(file, str) else f"sqlite:///{file}"))
    coach = Coach(store, library, PlainGrader(), now=clock, incidents=incidents(library), listener=listener, speaker=speaker)
    try:
        yield Room(store, coach, clock, library, NUMBERS.__next__)
    finally:
        await coach.close()
        await store.close()


class Paper:
    """A platform that keeps what it is sent."""

    pace = UNLIMITED

    def __init__(self, platform: str = "console") -> None:
        self.platform = platform
        self.sent: list[Reply] = []
        self.arrived = asyncio.Condition()

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        async with self.arrived:
            self.sent.append(reply)
            self.arrived.notify_all()
        return key

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self.sent) >= count)
