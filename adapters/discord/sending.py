"""Sending: into the interaction that is answered, as long as its token lives, and into the private chat otherwise."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import discord

from adapters.discord import drawing
from adapters.discord.connection import FAULTS, NO_TOKEN, Connection, faults_as
from adapters.discord.keeping import Inbox, Notes, Way, Ways
from adapters.discord.quiz import post, there_already
from adapters.discord.recordings import VOICE_MESSAGE, described
from bot import Address, File, Reply, Span, VoiceNote
from bot.errors import AddressGone, SendError, SendLater, SendRefused, SendUnclear, StoreError

HIDDEN, NO_PREVIEW = 1 << 6, 1 << 2

GONE = {50007, 50278, 10013, 50033}
"""Codes for: closed to us, nobody in common any more, no such person."""

WINDOW = timedelta(seconds=60)
"""How long after its first try a message's nonce is relied on. Discord speaks of "the past few minutes"."""

MOST_TRIED = 10_000
"""Messages of which it is remembered when they were first tried."""

UNKNOWN_CHANNEL = 10003
HOOK = "/webhooks/{webhook_id}/{webhook_token}"
"""Where an interaction is answered. So named, each has a rate limit of its own in the library."""

CLOSED = (
    "I can't write to you in private, so your daily question rests. To open your direct messages: press the name of this server, "
    "then Privacy Settings, and switch on Direct Messages. After that any command of mine begins it again."
)


class Sender:
    """Carries replies out. `ways` are the interactions that may be answered, `notes` the private chats that are known."""

    def __init__(self, connection: Connection, ways: Ways, inbox: Inbox, now: Callable[[], datetime]) -> None:
        self._now = now
        self.notes = Notes(None)
        self.shut: set[str] = set()
        """Whose private messages are closed to us, and who was not told yet."""
        self._connection = connection
        self._ways = ways
        self._inbox = inbox
        self._half_sent: dict[str, int] = {}
        self._tried: OrderedDict[str, datetime] = OrderedDict()
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._closed = False

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        """Sends every page of a reply, to a person or into the channel of a server; the buttons stand under the last."""
        if self._closed:
            raise SendLater("this process is stopping")
        task = asyncio.current_task()
        self._sending.add(task)
        tried = self._tried.setdefault(key, since or self._now())
        while len(self._tried) > MOST_TRIED:
            self._tried.popitem(last=False)
        # Within some minutes the nonce sees to it that a repetition is one message; after that the chat itself is asked.
        try:
            if address.user != address.chat:
                message = await post(self._connection, address.chat, reply, key, tried if self._now() - tried > WINDOW else None)
            elif reply.note is not None:
                message = await self._note(address.user, reply.note, key)
            else:
                message = await self._pages(address.user, reply, key)
            self._tried.pop(key, None)
            return message
        finally:
            self._sending.discard(task)

    async def close(self) -> None:
        """Sends nothing new, and waits for what is under way: cut off, it would come a second time after the restart."""
        self._closed = True
        if self._sending:
            await asyncio.wait({task for task in self._sending if task is not None}, timeout=10)

    async def _pages(self, user: str, reply: Reply, key: str) -> str:
        cut = drawing.drawn(reply.spans) or [""]
        message = ""
        for number, text in enumerate(cut):
            if number >= self._half_sent.get(key, 0):
                message = await self._page(
                    user,
                    key,
                    number,
                    text,
                    reply if number == len(cut) - 1 else replace(reply, choices=(), files=()),
                    cut[:number].count(text),
                )
                self._half_sent[key] = number + 1
        self._half_sent.pop(key, None)
        if user in self.shut:
            await self._tell_closed(user)
        return message

    async def _page(self, user: str, key: str, number: int, text: str, reply: Reply, alike: int) -> str:
        way = self._ways.to(key)
        if way is not None:
            try:
                sent = await self._by_token(
                    way, (key, number), message(text, drawing.buttons(reply.choices, reply=way.hidden and reply.typed)), reply.files
                )
                if sent is not None:
                    return sent
            except discord.HTTPException as error:
                if error.code not in NO_TOKEN:
                    raise SendRefused(f"{error.status} {error.code}") from error
                self._ways.close(way)
        body = message(text, drawing.buttons(reply.choices, reply=False))
        return await self._by_chat(user, key, number, body, reply.files, alike)

    async def _by_token(self, way: Way, which: tuple[str, int], body: dict[str, Any], files: Sequence[File]) -> str | None:
        """Answers the interaction; None where this page belongs into the private chat. Refusals pass as they come."""
        if way.first in (None, which):
            way.first = which
            with faults_as(SendLater):  # the same change twice is one change
                sent = await self._connection.upload("PATCH", f"{HOOK}/messages/@original", body, files, **self._hook(way))
            way.done = True
        elif way.hidden:
            with faults_as(SendUnclear):
                sent = await self._connection.upload("POST", HOOK, {**body, "flags": body["flags"] | HIDDEN}, files, **self._hook(way))
        else:
            return None
        return str(sent["id"])

    async def _note(self, user: str, note: VoiceNote, key: str) -> str:
        """Sends a voice message: it has no words and no buttons, and nothing else is in its message."""
        return await self._by_chat(user, key, 0, {"flags": VOICE_MESSAGE}, (), 0, note)

    async def _by_chat(
        self, user: str, key: str, number: int, body: dict[str, Any], files: Sequence[File], alike: int, note: VoiceNote | None = None
    ) -> str:
        """Writes to somebody in private. The nonce makes a repetition of the same page one message."""
        nonce = hashlib.blake2b(f"{key}:{number}".encode(), digest_size=12).hexdigest()
        name = f"voice-{nonce}.ogg" if note is not None else ""
        where = "/channels/{channel_id}/messages"
        try:
            with faults_as(SendLater, maybe=True):
                channel = await self._chat(user)
                tried = self._tried.get(key)
                if tried is not None and self._now() - tried > WINDOW:
                    found = await there_already(self._connection, channel, tried, nonce, body, alike, name)
                    if found is not None:
                        return found
                once = {**body, "nonce": nonce, "enforce_nonce": True}
                if note is None:
                    sent = await self._connection.upload("POST", where, once, files, channel_id=channel)
                else:
                    attached = {**once, "attachments": [described(note, name)]}
                    sent = await self._connection.upload_note(where, attached, note, name, channel_id=channel)
        except discord.HTTPException as error:
            if error.code in GONE:
                await self._shut_out(user)
                raise AddressGone("private messages are closed to us") from error
            if error.code == UNKNOWN_CHANNEL:
                self.notes.forget(user)
                raise SendLater("the chat is another one now") from error
            raise SendRefused(f"{error.status} {error.code}") from error
        self.notes.wrote(user, channel, int(sent["id"]))
        if user in self.shut:  # they opened before they were told
            await self._told(user)
        return str(sent["id"])

    async def _chat(self, user: str) -> int:
        """The private channel with this person."""
        known = self.notes.channel(user)
        if known is None:
            opened = await self._connection.call("POST", "/users/@me/channels", {"recipient_id": user})
            known = int(opened["id"])
            with suppress(StoreError):  # where it can't be kept, this process at least knows it
                await self._inbox.opened(user, str(known), str(discord.utils.time_snowflake(self._now())))
        return known

    def _hook(self, way: Way) -> dict[str, Any]:
        return {"webhook_id": self._connection.application, "webhook_token": way.token}

    # ------------------------------------------------------------------------------------------ those who are closed to us

    async def _shut_out(self, user: str) -> None:
        """Somebody's private messages are closed: they are told so once, in a server, now or when they next use us there."""
        with suppress(StoreError):
            # Kept like an arrival, it survives a restart; done, it is remembered for a while and not said again.
            if await self._inbox.keep(f"shut-{user}", json.dumps({"user": user, "shut": True})):
                self.shut.add(user)
            self._inbox.leave(f"shut-{user}")
        if user in self.shut:
            await self._tell_closed(user)

    async def _tell_closed(self, user: str) -> None:
        way = self._ways.last(user)
        if way is not None:
            with suppress(*FAULTS, SendError):
                await self._connection.call("POST", HOOK, sentence(CLOSED), **self._hook(way))
                await self._told(user)

    async def _told(self, user: str) -> None:
        self.shut.discard(user)
        with suppress(StoreError):
            await self._inbox.drop(f"shut-{user}")


def message(text: str, components: list[dict[str, Any]] | None = None, *, flags: int = 0) -> dict[str, Any]:
    """The body of a message that calls nobody and previews nothing."""
    return {"content": text, "components": components or [], "allowed_mentions": {"parse": []}, "flags": flags | NO_PREVIEW}


def sentence(text: str) -> dict[str, Any]:
    """A sentence of our own, for one person's eyes."""
    return message(drawing.markdown((Span(text),)), flags=HIDDEN)
