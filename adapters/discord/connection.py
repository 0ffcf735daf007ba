"""The connection to Discord: signing in, staying connected whatever happens to the socket, and one request at a time.

What discord.py recovers from by itself (a lost socket, RECONNECT, an invalid session, silence) is left to it; where it ends
(a payload that nobody can read) a new client is made.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any, Protocol

import aiohttp
import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot import File, VoiceNote
from bot.errors import SendLater, SendUnclear, SettingsError

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 300.0
"""Seconds before something that failed is tried again; twice as many each time. Discord allows 1000 sign-ins a day."""

STEADY = 300.0
"""Seconds that a connection holds before it counts as a good one."""

REQUEST = 40.0
"""Seconds for one request, the library's own repetitions included."""

ONLINE = 20.0
"""Seconds that a request waits while the client is being made anew."""

NO_TOKEN = {10015, 50027, 10062, 10008, 40094}
"""Codes that say that an interaction can't be answered any more."""

FAULTS = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError)
"""What the library raises where Discord is away, refuses, or says what nobody can read; RuntimeError: the client is closed."""

log = structlog.get_logger("discord")


class Listener(Protocol):
    """Who is told of what arrives."""

    def on_session(self) -> None:
        """A new session began: what came before it is not repeated."""

    def on_message(self, message: discord.Message) -> None: ...

    def on_fault(self, kind: str) -> None:
        """Discord failed, or its connection did: the kind of the fault."""

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None: ...


class Connection:
    """One bot's connection. `open` it, then `listen` until `close`; `call` works as long as it is open.

    api: the base of the REST routes, or "" for Discord's. prepare: what is done with every new client before it listens.
    heartbeat_timeout: seconds of silence after which a connection is given up. identify_pause: seconds between two sign-ins.
    """

    def __init__(
        self,
        listener: Listener,
        token: str,
        prepare: Callable[[], Awaitable[None]],
        *,
        api: str,
        heartbeat_timeout: float,
        identify_pause: float,
    ) -> None:
        self.application = 0
        self.stopping = asyncio.Event()
        self.shards: set[int] = set()
        self._listener = listener
        self._token = token
        self._prepare = prepare
        self._api = api
        self._patience = (heartbeat_timeout, identify_pause)
        self._client: _Client | None = None
        self._online = asyncio.Event()
        self._connecting: asyncio.Future[None] | None = None
        # The library's records may hold tokens in addresses; what matters in them is in ours.
        logging.getLogger("discord").setLevel(logging.CRITICAL)

    async def open(self) -> None:
        """Signs in, however long that takes, or until `stopping`. Raises SettingsError where the token is refused."""
        pause = FIRST_PAUSE
        while not self.stopping.is_set():
            client = _Client(self, self._listener, *self._patience)
            try:
                if await self.unless_stopped(self._sign_in(client)):
                    return
            except discord.LoginFailure:
                await self._drop(client)
                raise _refused() from None
            except Exception as error:  # of whatever kind: a platform that is away ends neither itself nor the others
                self._listener.on_fault(type(error).__name__)
                log.warning("discord is away", kind=type(error).__name__)
            await self._drop(client)
            pause = await self.rest(pause)

    async def listen(self) -> None:
        """Until `close`, with a new client whenever one ends. Raises SettingsError where the token or the intents are refused."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while not self.stopping.is_set():
            client, since = self._client, loop.time()
            if client is None:
                await self.open()
                continue
            try:
                await self._listen(client)
            except SettingsError:
                await self.close()
                raise
            if self.stopping.is_set():
                return
            await self.close()
            pause = await self.rest(FIRST_PAUSE if loop.time() - since > STEADY else pause)

    async def close(self) -> None:
        """Ends the client, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await self._drop(client)
        if self._connecting is not None and not self._connecting.done():
            # While the gateway can't be reached the library tries for ever.
            await asyncio.wait([self._connecting], timeout=1)
            self._connecting.cancel()
            await asyncio.wait([self._connecting])

    async def rest(self, seconds: float) -> float:
        """Rests, or less where it is `stopping`; returns how long to rest the next time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return min(seconds * 2, LONGEST_PAUSE)

    async def call(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """One request, with the library's handling of rate limits and of Discord's own faults.

        Raises what is in `FAULTS`, and SendLater where there is no client."""
        client = await self._there()
        route = Route(method, path, **parameters)
        async with asyncio.timeout(REQUEST):
            return await (client.http.request(route) if body is None else client.http.request(route, json=body))

    async def upload(self, method: str, path: str, body: dict[str, Any], files: Sequence[File], **parameters: Any) -> Any:
        """As `call`, with files, each with the words that say what it is."""
        if not files:
            return await self.call(method, path, body, **parameters)
        client = await self._there()
        told = [{"id": number, "filename": file.name, "description": file.says} for number, file in enumerate(files)]
        parts: list[dict[str, Any]] = [{"name": "payload_json", "value": json.dumps({**body, "attachments": told})}]
        # The library reads each from its start again when it tries once more.
        uploads = [discord.File(BytesIO(file.data), file.name) for file in files]
        for number, one in enumerate(uploads):
            parts.append(
                {"name": f"files[{number}]", "value": one.fp, "filename": one.filename, "content_type": "application/octet-stream"}
            )
        async with asyncio.timeout(REQUEST):
            return await client.http.request(Route(method, path, **parameters), form=parts, files=uploads)

    async def upload_note(self, path: str, body: dict[str, Any], note: VoiceNote, name: str, **parameters: Any) -> Any:
        """Posts a voice note as a message's one attachment, which `body` describes."""
        client = await self._there()
        # The library reads it from its start again when it tries once more.
        sound = discord.File(BytesIO(note.data), name)
        parts: list[dict[str, Any]] = [
            {"name": "payload_json", "value": json.dumps(body), "content_type": "application/json"},
            {"name": "files[0]", "value": sound.fp, "filename": name, "content_type": "audio/ogg"},
        ]
        async with asyncio.timeout(REQUEST):
            return await client.http.request(Route("POST", path, **parameters), form=parts, files=[sound])

    async def _there(self) -> _Client:
        if self._client is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._online.wait(), ONLINE)
        if self._client is None:
            raise SendLater("discord is away")
        return self._client

    @property
    def me(self) -> int:
        """Our own id as an author."""
        return self._client.user.id if self._client is not None and self._client.user is not None else 0

    def guild(self, id: int) -> discord.Guild | None:
        """A server as the gateway described it; None where it did not."""
        return self._client.get_guild(id) if self._client is not None else None

    def chat(self, channel: int) -> discord.PartialMessageable | None:
        """A private channel to read from; None where there is no client."""
        return self._client.get_partial_messageable(channel, type=discord.ChannelType.private) if self._client is not None else None

    async def _sign_in(self, client: _Client) -> None:
        if self._api:
            Route.BASE = self._api
        async with asyncio.timeout(REQUEST):
            await client.login(self._token)
            if self._api:
                _, gateway, _ = await client.http.get_bot_gateway()
                DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
        self.application = client.application_id or 0
        self._client = client
        await self._prepare()
        self._online.set()

    async def _listen(self, client: _Client) -> None:
        self._connecting = asyncio.ensure_future(client.connect())
        await asyncio.wait([self._connecting])
        if self._connecting.cancelled():
            return
        error = self._connecting.exception()
        code = error.code if isinstance(error, discord.ConnectionClosed) else 0
        if code == 4004:
            raise _refused()
        if code in (4013, 4014) or isinstance(error, discord.PrivilegedIntentsRequired):
            raise _wrong_intents()
        if not self.stopping.is_set():
            self._listener.on_fault(f"closed {code}" if code else type(error).__name__ if error else "closed")
            log.warning("connection ended", kind=type(error).__name__ if error else "", code=code)

    async def _drop(self, client: _Client) -> None:
        self._client = None
        self._online.clear()
        self.shards.clear()
        await client.close()

    async def unless_stopped(self, doing: Awaitable[object]) -> bool:
        """Waits until `doing` is done, or cancels it where `stopping` comes first; says whether it is done."""
        task = asyncio.ensure_future(doing)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            both: set[asyncio.Future[Any]] = {task, stopping}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            return False
        task.result()
        return True


class _Client(discord.AutoShardedClient):
    """The library's client; whatever it hears goes to the listener."""

    def __init__(self, connection: Connection, listener: Listener, heartbeat_timeout: float, identify_pause: float) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, dm_messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            max_ratelimit_timeout=30,
            heartbeat_timeout=heartbeat_timeout,
        )
        self._up = connection.shards
        self._listener = listener
        self._identify_pause = identify_pause

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(self._identify_pause)

    async def on_shard_connect(self, shard_id: int) -> None:
        self._up.add(shard_id)
        if shard_id == 0:  # private messages come to the first one
            self._listener.on_session()

    async def on_shard_resumed(self, shard_id: int) -> None:
        self._up.add(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        self._up.discard(shard_id)

    async def on_message(self, message: discord.Message) -> None:
        self._listener.on_message(message)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        await self._listener.on_interaction(interaction)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        kind = sys.exc_info()[0]
        log.error("event failed", event=event_method, kind=kind.__name__ if kind else "")


@contextmanager
def faults_as(kind: type[SendLater] | type[SendUnclear], *, maybe: bool = False) -> Iterator[None]:
    """Foreign errors as ours: `kind` where the request may have arrived. What Discord refuses for good passes as it comes.

    maybe: as in SendLater, of a message that carries a nonce."""
    try:
        yield
    except discord.RateLimited as error:
        raise SendLater("flood limit", error.retry_after, flood=True) from error
    except discord.HTTPException as error:
        if error.status == 429:
            raise SendLater("flood limit", flood=True) from error
        if error.status >= 500:
            raise (SendLater("discord is away", maybe=True) if maybe else kind("discord is away")) from error
        if error.status == 401 and error.code not in NO_TOKEN:
            raise SendLater("the token is refused") from error
        raise
    except aiohttp.ClientConnectorError as error:
        raise SendLater("discord is away") from error
    except FAULTS as error:
        broke = "the connection broke in the middle"
        raise (SendLater(broke, maybe=True) if maybe else kind(broke)) from error


def _refused() -> SettingsError:
    return SettingsError("Discord refuses COACH_DISCORD_TOKEN: take the right one from the Bot page of your application")


def _wrong_intents() -> SettingsError:
    return SettingsError("Discord refuses what this bot asks to hear of: check on the Bot page that its application is in good standing")
