"""The adapter itself: what arrives is committed, acknowledged and handled; what the coach says is handed to the sender."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import discord
import structlog
from aiohttp import web

from adapters.discord import drawing
from adapters.discord.commands import QUIZ, being_typed, definitions, fingerprint, spoken
from adapters.discord.connection import FAULTS, FIRST_PAUSE, Connection, log
from adapters.discord.keeping import TOKEN_LIFE, Inbox, Notes, Way, Ways
from adapters.discord.quiz import Servers, given, kept, place_of, taken_out
from adapters.discord.recordings import Recordings, recording
from adapters.discord.recordings import taken_out as recorded
from adapters.discord.sending import HIDDEN, HOOK, Sender, message, sentence
from adapters.ordered import Ordered, set_event
from adapters.repeating import repeated
from bot import Address, Coach, Message, Pace, Reply
from bot.errors import SendError, SettingsError, StoreError, StoreRefused

PLATFORM = "discord"

COMMIT = 1.5
"""Seconds for committing an interaction before it is acknowledged all the same: Discord waits 3."""

ACKNOWLEDGE = 2.5
"""Seconds for acknowledging one."""

PING = 10.0
"""Seconds that Discord has to say that it is there."""

TURNS = 30.0
"""Seconds that turns under way have to end where the coach stops and nobody says how long."""

CALM = 1.0
"""Seconds for which a turn lets acknowledgements go first: Discord waits for those, and a turn is long."""

SWEEP = 20.0
"""Private chats a second that are read after coming back."""

AT_ONCE, SUGGESTIONS, FORM = 4, 8, 9

STALE = "That button is from an earlier version of me. /help shows what I understand."
NOT_KEPT = "I can't keep what you said at the moment. Please try again in a minute."


class Discord:
    """`bot.ports.Adapter` for one Discord bot. `start`, then `run` until `stop`.

    api: the base of the REST routes, or "" for Discord's; the gateway is what it says. cache: a folder for what may be lost.
    heartbeat_timeout: seconds of silence after which a connection is given up. identify_pause: seconds between two sign-ins.
    receiving: False for a process that only sends and handles what others received. turn: set while this process is the one
    that listens.
    """

    platform = PLATFORM

    def __init__(
        self,
        coach: Coach,
        token: str,
        *,
        api: str = "",
        cache: Path | None = None,
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        heartbeat_timeout: float = 60.0,
        identify_pause: float = 5.0,
        receiving: bool = True,
        turn: asyncio.Event | None = None,
    ) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise SettingsError("COACH_DISCORD_TOKEN is not a token: it has no spaces or line ends")
        self.pace = pace or Pace(per_second=50, bulk_per_second=40, per_chat=1.0, burst=4, in_flight=16)
        self._coach = coach
        self._cache = cache
        self._now = now
        self._receiving = receiving
        self.turn = turn or set_event()
        self.place = f"{PLATFORM} {hashlib.sha256(token.encode()).hexdigest()[:16]}"
        """The name of the place that only one of several processes may have."""
        self._connection = Connection(
            self, token, self._prepare, api=api, heartbeat_timeout=heartbeat_timeout, identify_pause=identify_pause
        )
        self._inbox = Inbox(coach, PLATFORM)
        self._ways = Ways(now)
        self._sender = Sender(self._connection, self._ways, self._inbox, now)
        coach.venues[PLATFORM] = Servers(self._connection, now)
        self._hearing = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self._intake = Ordered()
        self._turns = Ordered()
        self._heard = Ordered()
        """Recordings, which take long: whoever sent one goes on talking meanwhile."""
        self._recordings = Recordings(self._connection)
        self._unread: set[str] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._known = 0
        self._ready = False

    @property
    def connected(self) -> bool:
        """Whether Discord is being listened to."""
        return bool(self._connection.shards) and not self._connection.stopping.is_set()

    # ------------------------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Signs in and registers the commands. Raises SettingsError where Discord refuses the token; waits while it is away."""
        await self._connection.close()  # this may be the second time, after a fault
        await self._connection.open()
        if self._connection.stopping.is_set():
            return
        self._ready = True
        await self.pick_up()

    async def pick_up(self) -> None:
        """Begins the turns of updates that were taken, here or elsewhere, and that nobody is at work on."""
        for key, raw in await self._coach.waiting(PLATFORM) if self._ready else ():
            self._resume(key, json.loads(raw))

    async def run(self) -> None:
        """Listens until `stop`. Raises SettingsError where Discord refuses the token or the intents."""
        if not self._receiving:
            await self._connection.stopping.wait()
            return
        await self._connection.unless_stopped(self.turn.wait())
        await self._connection.listen()

    async def finish(self, longest: float = TURNS) -> None:
        """Takes no more and finishes the turns in hand, for so many seconds; their replies may still be sent."""
        self._connection.stopping.set()
        self._ready = False
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._intake.finished(timeout=5)
        await self._heard.stop()  # they wait in the inbox, and are heard after the restart
        await self._turns.finished(timeout=longest)

    async def stop(self) -> None:
        """Takes no more, finishes the turns and the messages in hand and says goodbye."""
        if not self._connection.stopping.is_set():
            await self.finish()
        await self._sender.close()
        await self._recordings.close()
        await self._connection.close()
        await self._sender.notes.close()

    def routes(self) -> list[web.RouteDef]:
        """What the web server of this process answers for Discord: nothing."""
        return []

    async def _prepare(self) -> None:
        """Finds what was noted for this application, and tells Discord the commands where it was told others last."""
        application = self._connection.application
        if self._known != application:
            self._known = application
            self._sender.notes = Notes(self._cache / f"discord-{application}.json" if self._cache else None)
        notes, commands = self._sender.notes, definitions()
        if notes.commands == fingerprint(commands):
            return
        try:
            await self._connection.call("PUT", "/applications/{application_id}/commands", commands, application_id=application)
        except (*FAULTS, SendError) as error:
            log.warning("commands not registered", kind=type(error).__name__)
            return
        notes.commands = fingerprint(commands)
        notes.save_soon()

    # ------------------------------------------------------------------------------------------ what came while we were away

    def on_session(self) -> None:
        """What was written in private before this session began is read from the chats themselves."""
        self._unread = set(self._sender.notes.chats)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Reads every chat that we know, the latest first; another process may have come to know some meanwhile."""
        pause = FIRST_PAUSE
        while not self._connection.stopping.is_set():
            try:
                self._sender.notes.learn(await self._inbox.chats())
                break
            except StoreError as error:
                log.warning("chats not known", reason=str(error))
                pause = await self._connection.rest(pause)
        self._unread |= set(self._sender.notes.chats)
        while self._unread and not self._connection.stopping.is_set():
            user = next((user for user in reversed(self._sender.notes.chats) if user in self._unread), None)
            if user is None:
                return
            await asyncio.wait([self._intake.submit(user, lambda user=user: self._read_back(user))])  # type: ignore[misc]
            await self._connection.rest(1 / SWEEP)

    async def _read_back(self, user: str) -> None:
        """Takes what this person wrote since we last read their chat, before anything newer of theirs is taken."""
        pause = FIRST_PAUSE
        while user in self._unread and not self._connection.stopping.is_set():
            channel, last = self._sender.notes.chats.get(user, (0, 0))
            place = self._connection.chat(channel)
            try:
                if place is not None and channel:
                    async for message in place.history(limit=None, after=discord.Object(last), oldest_first=True):
                        if str(message.author.id) == user:
                            await self._take(message)
                    self._unread.discard(user)
                    return
            except (discord.Forbidden, discord.NotFound) as error:
                log.info("chat not to be read", user=user, code=error.code)
                self._unread.discard(user)
                return
            except FAULTS as error:
                log.warning("chat not read", user=user, kind=type(error).__name__)
            pause = await self._connection.rest(pause)

    # ------------------------------------------------------------------------------------------ private messages

    def on_fault(self, kind: str) -> None:
        self._coach.watcher.trouble(PLATFORM, kind)

    def on_message(self, message: discord.Message) -> None:
        """Something written to us; what is written in servers is none of our business."""
        if message.guild is not None or message.author.bot or message.type not in (discord.MessageType.default, discord.MessageType.reply):
            return
        user = str(message.author.id)

        async def arrive() -> None:
            await self._read_back(user)
            await self._take(message)

        self._intake.submit(user, arrive)

    async def _take(self, message: discord.Message) -> None:
        """Commits a private message and begins its turn; waits while the database is away."""
        user, key = str(message.author.id), str(message.id)
        said = {"user": user, "text": message.content, "other": "" if message.content else _other(message), "private": True}
        if (spoken := recording(message)) is not None:
            said["recording"] = spoken
        pause, unsure = FIRST_PAUSE, False
        while not self._connection.stopping.is_set():
            try:
                read = (str(message.channel.id), key)
                fresh = await self._inbox.keep(key, json.dumps(said), user, read, aloud="recording" in said)
            except StoreError as error:
                log.warning("message not kept", message=key, reason=str(error))
                pause, unsure = await self._connection.rest(pause), True
                continue
            self._sender.notes.seen(user, message.channel.id, message.id)
            if fresh or unsure:  # what failed may have been kept all the same; handled twice, it is answered once
                self._submit(key, said)
            return
        # Stopped before it was kept: it is read from the chat after the next start.

    # ------------------------------------------------------------------------------------------ interactions

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """A command, a button, the form, or a field that is being typed."""
        data: Any = interaction.data or {}
        kind = interaction.type
        if kind is discord.InteractionType.autocomplete:
            suggested, typed = being_typed(data)
            found = self._coach.suggest(suggested, typed)[:25] if suggested else []
            choices = [{"name": one.label[:100], "value": one.text} for one in found]
            await self._respond(interaction, SUGGESTIONS, {"choices": choices})
        elif kind is discord.InteractionType.application_command:
            await self._hear(interaction, spoken(data), given(data, str(interaction.guild_id)) if data["name"] == QUIZ else {})
        elif kind is discord.InteractionType.modal_submit:
            typed, asked = drawing.filled_in(data.get("components") or ()), drawing.asked_by(str(data.get("custom_id", "")))
            await (self._hear(interaction, typed) if asked is None else self._hear(interaction, asked, {"reply": typed}))
        elif data.get("custom_id") == drawing.REPLY:
            await self._respond(interaction, FORM, drawing.form())
        elif (asked := drawing.asked_by(str(data.get("custom_id", "")))) is not None:
            await self._let_type(interaction, str(data["custom_id"]), asked)
        elif (text := drawing.said_by(str(data.get("custom_id", "")))) is not None:
            await self._hear(interaction, text)
        else:
            await self._respond(interaction, AT_ONCE, sentence(STALE))

    async def _let_type(self, interaction: discord.Interaction[Any], custom_id: str, asked: str) -> None:
        """Opens the form behind a button that asks, unless it is too late for what it asks."""
        instead = None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(COMMIT):
                instead = await self._coach.before_typing(asked, discord.utils.snowflake_time(interaction.id))
        if instead is None:
            await self._respond(interaction, FORM, drawing.form(custom_id))
        else:
            await self._respond(interaction, AT_ONCE, message(drawing.markdown(instead.spans), flags=HIDDEN))

    async def _hear(self, interaction: discord.Interaction[Any], text: str, filled_in: Mapping[str, str] | None = None) -> None:
        """Commits what was said, acknowledges it, and begins its turn; acknowledgements go before turns."""
        self._hearing += 1
        self._calm.clear()
        try:
            await self._take_in(interaction, text, filled_in)
        finally:
            self._hearing -= 1
            if not self._hearing:
                self._calm.set()

    async def _take_in(self, interaction: discord.Interaction[Any], text: str, filled_in: Mapping[str, str] | None) -> None:
        key, user = str(interaction.id), str(interaction.user.id)
        private = interaction.context.dm_channel
        # A button in private is answered by an ordinary message; everywhere else the acknowledgement becomes the answer.
        thinking = not private or interaction.type is not discord.InteractionType.component
        said: dict[str, Any] = {"user": user, "text": text, "private": private, "language": str(interaction.locale)}
        if (place := place_of(interaction)) is not None:
            said |= {"place": kept(place), "name": interaction.user.display_name}
        if filled_in:
            said["given"] = dict(filled_in)
        if thinking:
            said["token"] = interaction.token
        keeping = asyncio.ensure_future(self._inbox.keep(key, json.dumps(said), user))
        await asyncio.wait([keeping], timeout=COMMIT)
        try:
            if keeping.done() and not keeping.result():
                return  # the platform repeats itself
            await self._acknowledge(interaction, thinking, hidden=not private)
            if not await keeping:
                return
        except StoreError as error:
            log.warning("interaction not kept", interaction=key, reason=str(error))
            await self._apologise(interaction)
            return
        self._open_way(key, said, self._now() + TOKEN_LIFE)
        self._submit(key, said)

    async def _acknowledge(self, interaction: discord.Interaction[Any], thinking: bool, *, hidden: bool) -> None:
        """Tells Discord in time that we are at it. Where that fails the answer goes to the private chat."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ACKNOWLEDGE):
                for _ in range(2):  # once more where nobody can say whether the first one arrived
                    try:
                        # Not by our own request: the library lets these pass while everything else waits for a global limit.
                        await interaction.response.defer(thinking=thinking, ephemeral=hidden)
                        return
                    except discord.HTTPException as error:
                        log.info("not acknowledged", interaction=str(interaction.id), code=error.code)
                        return
                    except TypeError:  # taken, with an answer that the library can't read
                        return
                    except (aiohttp.ClientError, OSError, ValueError):
                        continue

    async def _apologise(self, interaction: discord.Interaction[Any]) -> None:
        """Says that nothing could be kept, in the answer itself."""
        if not interaction.response.is_done():
            await self._respond(interaction, AT_ONCE, sentence(NOT_KEPT))
            return
        with suppress(*FAULTS, SendError):
            hook = {"webhook_id": self._connection.application, "webhook_token": interaction.token}
            await self._connection.call("POST", HOOK, sentence(NOT_KEPT), **hook)

    async def _respond(self, interaction: discord.Interaction[Any], kind: int, data: dict[str, Any]) -> None:
        """The one answer that an interaction takes at once."""
        path = "/interactions/{webhook_id}/{webhook_token}/callback"  # so named, each has a rate limit of its own
        hook = {"webhook_id": interaction.id, "webhook_token": interaction.token}
        try:
            async with asyncio.timeout(ACKNOWLEDGE):
                await self._connection.call("POST", path, {"type": kind, "data": data}, **hook)
        except (*FAULTS, SendError) as error:
            log.info("not answered", interaction=str(interaction.id), kind=type(error).__name__)

    # ------------------------------------------------------------------------------------------ turns

    def _resume(self, key: str, said: dict[str, Any]) -> None:
        """What an earlier run took and did not finish."""
        if said.get("shut"):
            self._sender.shut.add(said["user"])
            self._coach.leave(PLATFORM, key)
            return
        self._open_way(key, said, discord.utils.snowflake_time(int(key)) + TOKEN_LIFE)
        self._submit(key, said)

    def _open_way(self, key: str, said: dict[str, Any], until: datetime) -> None:
        if said.get("token"):
            self._ways.open(key, Way(said["user"], said["token"], not said["private"], until))

    def _submit(self, key: str, said: dict[str, Any]) -> None:
        """Begins a turn; before the start and after the stop it waits in the inbox."""
        if self._ready:
            turns = self._heard if "recording" in said else self._turns
            turns.submit(said["user"], lambda: self._turn(key, said))
        else:
            self._coach.leave(PLATFORM, key)

    async def _turn(self, key: str, said: dict[str, Any]) -> None:
        structlog.contextvars.bind_contextvars(turn=f"{PLATFORM}:{key}")  # this task is the turn's own
        address = Address(PLATFORM, said["user"], said["user"])
        with suppress(TimeoutError):
            await asyncio.wait_for(self._calm.wait(), CALM)
        try:
            for attempt in range(5):
                try:
                    message = await self._built(key, address, said)
                    async with self._typing(message):
                        await self._handled(message)
                    return
                except StoreRefused:
                    if attempt == 4:
                        raise
                    await self._connection.rest(0.2 * 2**attempt)
                except StoreError as error:
                    log.warning("turn not kept", message=key, reason=str(error))
                    await self._connection.rest(0.2 * 2**attempt)
            self._coach.leave(PLATFORM, key)
        except Exception as error:
            log.error("turn failed", message=key, kind=type(error).__name__)
            with suppress(StoreError):
                await self._coach.apologise(address, key)

    async def _handled(self, message: Message) -> None:
        said = message.recording
        if said is None:
            await self._coach.handle(message)
        else:
            await self._coach.hear(message, lambda most: self._recordings.fetch(said.reference, most))

    async def _built(self, key: str, address: Address, said: dict[str, Any]) -> Message:
        text = said["text"]
        # In a server nobody reads along either, but whoever first tries a command there has not asked for a question a day.
        private = said["private"] or text.startswith(("/start", "/daily")) or await self._coach.knows(address)
        return Message(
            key=key, address=address, text=text, at=discord.utils.snowflake_time(int(key)), private=private,
            other=said.get("other", ""), language=said.get("language", ""), place=taken_out(said.get("place")),
            name=said.get("name", ""), given=said.get("given", {}), recording=recorded(said.get("recording")),
        )  # fmt: skip

    @asynccontextmanager
    async def _typing(self, message: Message) -> AsyncIterator[None]:
        """Shows in the private chat that the coach is typing for as long as a written reply is being thought about."""
        channel = self._sender.notes.channel(message.address.user)
        if (
            message.text.startswith("/")
            or not (message.text or message.recording)
            or channel is None
            or self._ways.at(message.key) is not None
        ):
            yield
            return

        async def show() -> None:
            with suppress(*FAULTS, SendError):
                await self._connection.call("POST", "/channels/{channel_id}/typing", channel_id=channel)

        async with repeated(show, 8):
            yield

    # ------------------------------------------------------------------------------------------ sending

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        """Sends every page of a reply; the buttons stand under the last."""
        return await self._sender.send(address, reply, key, since)

    async def ping(self) -> bool:
        """Whether Discord answers."""
        try:
            async with asyncio.timeout(PING):
                await self._connection.call("GET", "/users/@me")
        except (*FAULTS, SendError):
            return False
        return True


def _other(message: discord.Message) -> str:
    """What came instead of text, as people call it."""
    if message.stickers:
        return "sticker"
    if not message.attachments:
        return "message of this kind"
    kind = (message.attachments[0].content_type or "").partition("/")[0]
    return {"image": "photo", "video": "video", "audio": "voice note" if message.flags.voice else "sound file"}.get(kind, "file")
