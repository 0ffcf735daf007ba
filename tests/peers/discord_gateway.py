"""The gateway of a test Discord: WebSocket sessions that are identified, fed with events, broken, resumed and closed."""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from .discord_world import INTENTS, Guild, Json, User, World

HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, MEMBERS = 1, 2, 3, 4, 6, 8
DISPATCH, RECONNECT, INVALID, HELLO, ACK = 0, 7, 9, 10, 11
PRIVILEGED = INTENTS["members"] | INTENTS["presences"] | INTENTS["message_content"]
ALL_INTENTS = (1 << 26) - 1
REPLAY, SENDS_A_MINUTE, IDENTIFIES_A_DAY, LONGEST = 2000, 120, 1000, 4096
CLOSES = {
    4001: "Unknown opcode", 4002: "Decode error", 4003: "Not authenticated", 4004: "Authentication failed",
    4005: "Already authenticated", 4007: "Invalid seq", 4008: "Rate limited", 4010: "Invalid shard", 4012: "Invalid API version",
    4013: "Invalid intent(s)", 4014: "Disallowed intent(s)",
}  # fmt: skip


@dataclass(eq=False)
class Session:
    """One IDENTIFY and all that was sent to it, kept for a RESUME."""

    id: str
    intents: int
    shard: tuple[int, int]
    seq: int = 0
    sent: deque[Json] = field(default_factory=lambda: deque(maxlen=REPLAY))
    socket: Socket | None = None

    def hears(self, intent: str, guild: Guild | None) -> bool:
        """Whether an event that needs this intent, about this server, is for this session."""
        if self.shard[0] != ((guild.id >> 22) % self.shard[1] if guild else 0):
            return False
        return not intent or bool(self.intents & INTENTS[intent])


@dataclass(eq=False)
class Socket:
    """One WebSocket connection, with what is still to be written to it."""

    ws: web.WebSocketResponse
    packer: Any
    queue: asyncio.Queue[str | int | None] = field(default_factory=asyncio.Queue)
    session: Session | None = None
    received: deque[float] = field(default_factory=deque)
    request: web.Request | None = None
    ours: bool = False
    """Whether it was this side that closed it."""

    def send(self, op: int, data: Any = None, seq: int | None = None, event: str | None = None) -> None:
        """Queue a payload."""
        self.queue.put_nowait(json.dumps({"op": op, "d": data, "s": seq, "t": event}))

    def close(self, code: int) -> None:
        """Close in good order after what is queued."""
        self.ours = True
        self.queue.put_nowait(code)

    def tear(self) -> None:
        """Break the connection at once, without a word."""
        if self.request and self.request.transport:
            self.request.transport.abort()

    async def write(self) -> None:
        """Write what is queued until the end."""
        while (item := await self.queue.get()) is not None:
            try:
                if isinstance(item, int):
                    await self.ws.close(code=item, message=CLOSES.get(item, "").encode())
                    return
                if self.packer:
                    await self.ws.send_bytes(self.packer.compress(item.encode()) + self.packer.flush(zlib.Z_SYNC_FLUSH))
                else:
                    await self.ws.send_str(item)
            except ConnectionError:
                return


class Gateway:
    """Every connection and every session. `privileged` are the intents that the app's owner switched on."""

    def __init__(self, world: World, heartbeat: float, privileged: int, identify_interval: float) -> None:
        self.world, self.heartbeat, self.privileged = world, heartbeat, privileged
        self.identify_interval = identify_interval
        self.identifies_left = IDENTIFIES_A_DAY
        self.acks = True
        """Whether heartbeats are acknowledged."""
        self.sockets: list[Socket] = []
        self.sessions: dict[str, Session] = {}
        self.identifies: list[Json] = []
        """The data of every IDENTIFY that was accepted, without the token."""
        self.resumes: list[int] = []
        """The sequence number of every RESUME that was accepted."""
        self.heartbeats = 0
        self.closed: list[int] = []
        """The codes with which this side closed connections because of what the bot did."""
        self.events: list[tuple[str, Json]] = []
        """Every event that happened, whether or not anybody listened."""
        self.token_is_good: Callable[[str], bool] = lambda token: True
        self.url = ""
        self._last_identify = -1e9

    # What a test orders

    @property
    def ready(self) -> list[Socket]:
        """The connections that have identified or resumed."""
        return [socket for socket in self.sockets if socket.session]

    def dispatch(self, event: str, data: Json, guild: Guild | None, intent: str, redacted: Json | None) -> None:
        """Send an event to every session that it is for; what a broken one missed waits for its RESUME."""
        if guild and intent and not guild.has_bot:
            return
        self.events.append((event, data))
        for session in self.sessions.values():
            if session.hears(intent, guild):
                blind = redacted is not None and not session.intents & INTENTS["message_content"]
                self._send(session, event, redacted if blind and redacted is not None else data)
        self.world.changed()

    def reconnect(self) -> None:
        """Ask every connection to reconnect and resume (op 7)."""
        for socket in self.ready:
            socket.send(RECONNECT)

    def invalidate(self, *, resumable: bool) -> None:
        """Call every session invalid (op 9); unless it is resumable it is gone."""
        for socket in self.ready:
            if not resumable and socket.session:
                self._forget(socket.session)
            socket.send(INVALID, resumable)

    def drop(self, code: int | None = None) -> None:
        """Lose every connection: closed with this code, or cut without a word."""
        for socket in list(self.sockets):
            if code is None:
                socket.tear()
            else:
                socket.close(code)

    def forget(self) -> None:
        """Forget every session, so that a RESUME is answered with op 9 and a new IDENTIFY is needed."""
        for session in list(self.sessions.values()):
            self._forget(session)

    def garble(self, text: str = '{"op": 0, "t": "MESSAGE_CREATE", ') -> None:
        """Send something that isn't a payload."""
        for socket in self.ready:
            socket.queue.put_nowait(text)

    def ask_heartbeat(self) -> None:
        """Ask every connection for a heartbeat at once (op 1)."""
        for socket in self.ready:
            socket.send(HEARTBEAT)

    # A connection's life

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Carry one connection from HELLO to its end."""
        ws = web.WebSocketResponse(max_msg_size=1 << 20, timeout=1.0)
        await ws.prepare(request)
        packer = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        socket = Socket(ws, packer, request=request)
        self.sockets.append(socket)
        writer = asyncio.create_task(socket.write())
        try:
            if request.query.get("v", "10") != "10":
                self._refuse(socket, 4012)
            socket.send(HELLO, {"heartbeat_interval": int(self.heartbeat * 1000), "_trace": []})
            async for received in ws:
                if received.type == WSMsgType.TEXT:
                    self._take(socket, received.data)
                self.world.changed()
        finally:
            self.sockets.remove(socket)
            if socket.session and socket.session.socket is socket:
                socket.session.socket = None
                if ws.close_code in (1000, 1001) and not socket.ours:
                    self._forget(socket.session)
            socket.queue.put_nowait(None)
            await asyncio.gather(writer, return_exceptions=True)
            self.world.changed()
        return ws

    def close(self) -> None:
        """Say goodbye to everybody."""
        for socket in list(self.sockets):
            socket.close(1001)

    def _take(self, socket: Socket, text: str) -> None:
        """Act on one payload."""
        now = asyncio.get_running_loop().time()
        while socket.received and socket.received[0] <= now - 60:
            socket.received.popleft()
        socket.received.append(now)
        if len(socket.received) > SENDS_A_MINUTE:
            return self._refuse(socket, 4008)
        if len(text) > LONGEST:
            return self._refuse(socket, 4002)
        try:
            payload = json.loads(text)
            op, data = payload["op"], payload.get("d")
        except (ValueError, TypeError, KeyError):
            return self._refuse(socket, 4002)
        if op == HEARTBEAT:
            self.heartbeats += 1
            if self.acks:
                socket.send(ACK)
        elif op in (IDENTIFY, RESUME):
            if socket.session:
                self._refuse(socket, 4005)
            elif not self.token_is_good(data["token"]):
                self._refuse(socket, 4004)
            elif op == IDENTIFY:
                self._identify(socket, data)
            else:
                self._resume(socket, data)
        elif op not in (PRESENCE, VOICE, MEMBERS):
            self._refuse(socket, 4001)
        elif socket.session is None:
            self._refuse(socket, 4003)
        elif op == MEMBERS:
            self._members(socket.session, data)

    def _identify(self, socket: Socket, data: Json) -> None:
        intents, shard = data["intents"], tuple(data.get("shard") or (0, 1))
        if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
            return self._refuse(socket, 4010)
        if intents & ~ALL_INTENTS:
            return self._refuse(socket, 4013)
        if intents & PRIVILEGED & ~self.privileged:
            return self._refuse(socket, 4014)
        now = asyncio.get_running_loop().time()
        if now - self._last_identify < self.identify_interval:
            return socket.send(INVALID, False)
        self._last_identify = now
        self.identifies_left -= 1
        if self.identifies_left < 0:
            self.token_is_good = lambda token: False
            self.closed.append(4004)
            return self.drop(4004)
        self.identifies.append({key: value for key, value in data.items() if key != "token"})
        session = Session(secrets.token_hex(16), intents, (shard[0], shard[1]), socket=socket)
        socket.session = session
        bot = self.world.bot
        guilds = [g for g in self.world.guilds.values() if g.has_bot and session.hears("", g)]
        ready: Json = {
            "v": 10, "user": {**bot.json, "verified": True, "mfa_enabled": False, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds], "session_id": session.id,
            "resume_gateway_url": self.url, "session_type": "normal", "private_channels": [], "relationships": [],
            "user_settings": {}, "presences": [], "guild_join_requests": [], "shard": list(session.shard),
            "application": {"id": str(bot.id), "flags": flags_of(self.privileged)}, "_trace": [],
        }  # fmt: skip
        self._send(session, "READY", ready)
        self.sessions[session.id] = session
        if intents & INTENTS["guilds"]:
            for guild in guilds:
                seen = list(guild.members) if intents & INTENTS["members"] else [bot]
                self._send(session, "GUILD_CREATE", guild.json(members=seen))

    def _resume(self, socket: Socket, data: Json) -> None:
        session = self.sessions.get(data["session_id"] or "")
        missed = data["seq"]
        if session is None or not isinstance(missed, int):
            return socket.send(INVALID, False)
        oldest = session.sent[0]["s"] if session.sent else 1
        if missed > session.seq:
            return self._refuse(socket, 4007)
        if missed < oldest - 1:
            self._forget(session)
            return socket.send(INVALID, False)
        if session.socket and session.socket is not socket:
            session.socket.session = None
            session.socket.close(4000)
        self.resumes.append(missed)
        socket.session, session.socket = session, socket
        for payload in session.sent:
            if payload["s"] > missed:
                socket.send(DISPATCH, payload["d"], payload["s"], payload["t"])
        self._send(session, "RESUMED", {"_trace": []})

    def _members(self, session: Session, data: Json) -> None:
        guild = self.world.guilds.get(int(data["guild_id"]))
        if guild is None or not guild.has_bot:
            return
        wanted = {str(number) for number in data.get("user_ids") or []}
        query = (data.get("query") or "").lower()
        whole = not wanted and not query
        found: list[User] = [user for user in guild.members if (str(user.id) in wanted if wanted else user.name.lower().startswith(query))]
        if whole and not session.intents & INTENTS["members"]:
            found = []
        body: Json = {"guild_id": str(guild.id), "members": [guild.member(user) for user in found], "chunk_index": 0, "chunk_count": 1}
        absent = sorted(wanted - {str(user.id) for user in found})
        self._send(session, "GUILD_MEMBERS_CHUNK", body | {"not_found": absent, "nonce": data.get("nonce")})

    def _send(self, session: Session, event: str, data: Json) -> None:
        session.seq += 1
        session.sent.append({"s": session.seq, "t": event, "d": data})
        if session.socket:
            session.socket.send(DISPATCH, data, session.seq, event)

    def _forget(self, session: Session) -> None:
        self.sessions.pop(session.id, None)

    def _refuse(self, socket: Socket, code: int) -> None:
        self.closed.append(code)
        socket.close(code)


def flags_of(privileged: int) -> int:
    """The flags of an app whose owner switched these intents on, for fewer than 100 servers."""
    flags = 0
    for intent, flag in (("presences", 1 << 13), ("members", 1 << 15), ("message_content", 1 << 19)):
        flags |= flag if privileged & INTENTS[intent] else 0
    return flags
