"""What the adapter keeps: arrivals committed to the inbox together, ways to answer, and a small file about its chats."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot import Coach

TOKEN_LIFE = timedelta(minutes=14, seconds=30)
"""How long an interaction's token is used; Discord takes it for 15 minutes."""

MOST_CHATS = 10_000
"""Private chats that are remembered, those used last."""


class Inbox:
    """Commits arrivals in groups: whoever comes while a commit is under way shares the next one."""

    def __init__(self, coach: Coach, platform: str) -> None:
        self._coach = coach
        self._platform = platform
        self._next: list[tuple[str, str, str, tuple[str, str] | None, bool, asyncio.Future[bool]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def keep(self, key: str, raw: str, person: str = "", read: tuple[str, str] | None = None, *, aloud: bool = False) -> bool:
        """Returns when this is committed: whether it is new. Raises StoreError where it could not be.

        person: who said it, where it has to be handled after whatever else they said. read: the private chat in which they did,
        and the message up to which it is now read. aloud: that it is in no order with what the same person types."""
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._next.append((key, raw, person, read, aloud, kept))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())
        return await kept

    async def opened(self, person: str, chat: str, last: str) -> None:
        """A private chat is there from now on. What is written in it will be read, also where this process ends now."""
        await self._coach.take(self._platform, [], read={person: (chat, last)})

    async def chats(self) -> dict[str, tuple[int, int]]:
        """The private chats that are known."""
        found = await self._coach.chats(self._platform, MOST_CHATS)
        return {user: (int(chat), int(last)) for user, (chat, last) in found.items()}

    def leave(self, key: str) -> None:
        """It waits, and nobody here is at work on it."""
        self._coach.leave(self._platform, key)

    async def drop(self, key: str) -> None:
        """This one is done."""
        await self._coach.drop(self._platform, key)

    async def _commit(self) -> None:
        while self._next:
            group, self._next = self._next, []
            try:
                updates = [(key, raw) for key, raw, *_ in group]
                whose = {key: f"{person} aloud" if aloud else person for key, _, person, _, aloud, _ in group}
                read = {person: read for _, _, person, read, *_ in group if read is not None}
                fresh = set(await self._coach.take(self._platform, updates, whose, read))
            except Exception as error:
                for *_, kept in group:
                    if not kept.done():
                        kept.set_exception(error)
                continue
            for key, *_, kept in group:
                if not kept.done():
                    kept.set_result(key in fresh)
                fresh.discard(key)


@dataclass
class Way:
    """How one interaction may still be answered.

    hidden: the answer is seen by this person alone (in a server). until: when the token is no longer good.
    first: the message key and page that took the place of "thinking", once one did. done: whether it arrived.
    """

    user: str
    token: str
    hidden: bool
    until: datetime
    first: tuple[str, int] | None = None
    done: bool = False


class Ways:
    """The ways that are open, by the key of the message that each belongs to. They are in memory only."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._open: OrderedDict[str, Way] = OrderedDict()

    def open(self, key: str, way: Way) -> None:
        now = self._now()
        while self._open and next(iter(self._open.values())).until <= now:
            self._open.popitem(last=False)
        if way.until > now:
            self._open[key] = way

    def to(self, owed: str) -> Way | None:
        """The way for the message owed under this key, which has the key of what it answers in it."""
        parts = owed.split(":")
        return self.at(parts[2]) if len(parts) > 2 else None

    def at(self, key: str) -> Way | None:
        """The way that belongs to the message with this key."""
        way = self._open.get(key)
        return way if way is not None and way.until > self._now() else None

    def last(self, user: str) -> Way | None:
        """The latest one of this person that was used, in a server."""
        now = self._now()
        return next(
            (way for way in reversed(self._open.values()) if way.user == user and way.hidden and way.done and way.until > now), None
        )

    def close(self, way: Way) -> None:
        way.until = self._now()


class Notes:
    """A small file that may be lost: which commands Discord knows, and how far each private chat was read.

    chats: the channel and the last message seen in it, for each person; those used last come last.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._saving: asyncio.Task[None] | None = None
        self._unsaved = False
        self._closing = asyncio.Event()
        self.commands = ""
        self.chats: OrderedDict[str, tuple[int, int]] = OrderedDict()
        if file is not None:
            with suppress(OSError, ValueError, AttributeError, TypeError):
                raw = json.loads(file.read_text("utf-8"))
                self.commands = str(raw.get("commands", ""))
                self.chats.update((str(user), (int(channel), int(last))) for user, (channel, last) in raw.get("chats", {}).items())

    def learn(self, chats: Mapping[str, tuple[int, int]]) -> None:
        """What was kept of chats in the database holds, and goes before what this file says."""
        for user, (channel, last) in chats.items():
            known, seen = self.chats.get(user, (channel, 0))
            self.chats[user] = (channel, max(last, seen) if known == channel else last)
            self.chats.move_to_end(user)

    def channel(self, user: str) -> int | None:
        """The private channel with this person, where it is known."""
        known = self.chats.get(user)
        return known[0] if known else None

    def seen(self, user: str, channel: int, message: int) -> None:
        """Everything up to this message was taken from this person."""
        last = self.chats.get(user, (0, 0))[1]
        self.chats[user] = (channel, max(last, message))
        self.chats.move_to_end(user)
        while len(self.chats) > MOST_CHATS:
            self.chats.popitem(last=False)
        self.save_soon()

    def wrote(self, user: str, channel: int, message: int) -> None:
        """We wrote to this person: in a chat that is new to us, reading begins there."""
        if self.channel(user) != channel:
            self.chats[user] = (channel, message)
            self.save_soon()

    def forget(self, user: str) -> None:
        if self.chats.pop(user, None) is not None:
            self.save_soon()

    def save_soon(self) -> None:
        """Writes the file within a second."""
        self._unsaved = self._file is not None
        if self._unsaved and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save())

    async def close(self) -> None:
        """Writes what is not written yet."""
        self._closing.set()
        if self._saving is not None:
            await self._saving

    async def _save(self) -> None:
        while self._unsaved:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), 1)
            self._unsaved = False
            raw = {"commands": self.commands, "chats": dict(self.chats)}
            with suppress(OSError):  # where it can't be written, a restart reads nothing back and registers the commands again
                await asyncio.to_thread(self._write, raw)

    def _write(self, raw: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(raw), "utf-8")
        fresh.replace(self._file)
