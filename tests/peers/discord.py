"""A Discord on the loopback interface, as strict as the real one, for tests with the real client.

It keeps a ledger of what it accepted, breaks where a test tells it to, and speaks to 127.0.0.1 only. Who is there is in
`discord_world`, what people do in `discord_people`, what the bot may answer in `discord_interactions`, what each request
means in `discord_rest`, and the WebSocket side in `discord_gateway`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast

from aiohttp import BodyPartReader, web

from .discord_faults import MESSAGES, PAGE, Call, Cut, Fault, Limits, limited
from .discord_gateway import Gateway
from .discord_interactions import Choice, Interaction, Modal
from .discord_messages import Attachment, Message, Pings
from .discord_people import Person
from .discord_rest import Sync, find
from .discord_world import INTENTS, PERMISSIONS, ApiError, Channel, Guild, Json, Role, User, World
from .overheard import SECRETS

__all__ = [
    "INTENTS", "PERMISSIONS", "TOKEN", "Attachment", "Call", "Channel", "Choice", "Contract", "DiscordServer", "Fault", "Guild",
    "Interaction", "Message", "Modal", "Person", "Pings", "Role", "Sync", "User", "discord_contract",
]  # fmt: skip

TOKEN = "MTAwMDAwMDAwMDAwMDAwMDAx.test.token_for_the_loopback_server"
API = "/api/v10"
LARGEST = 110 << 20


class Contract(Protocol):
    """What can tell whether a request keeps to the published description of the API."""

    def check(self, method: str, path: str, body: Any) -> list[str]: ...


@functools.cache
def discord_contract() -> Any:
    """The checker beside this repository, in ../shared/platforms; None where that folder or jsonschema isn't there."""
    path = Path(__file__).resolve().parents[3] / "shared" / "platforms" / "discord_contract.py"
    if not path.exists() or importlib.util.find_spec("jsonschema") is None:
        return None
    spec = importlib.util.spec_from_file_location("discord_contract", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its constructor leaves the file open
        return module.DiscordContract()


class DiscordServer(World):
    """The server. `api` is the base of the REST routes, `gateway_url` the WebSocket's; `redirect_client` sets both.

    `privileged` names the privileged intents that the app's owner switched on ("members", "presences",
    "message_content"). `contract` checks every request and fills `violations`. `requests_a_second` (Discord's is 50) and
    `channel_limit` (messages, seconds; Discord's is about 5, 5.0) turn rate limits on. `heartbeat` is the interval in
    seconds, `identify_interval` the seconds that must lie between two IDENTIFY (Discord's is 5; 0 lets tests hurry),
    `shards` what GET /gateway/bot advises. For `now`, `deadline`, `token_life` and `nonce_window` see World.
    """

    def __init__(
        self,
        token: str = TOKEN,
        *,
        contract: Contract | None = None,
        privileged: tuple[str, ...] = (),
        requests_a_second: int | None = None,
        channel_limit: tuple[int, float] | None = None,
        heartbeat: float = 41.25,
        identify_interval: float = 0.0,
        shards: int = 1,
        now: Callable[[], float] | None = None,
        nonce_window: float = 120.0,
        deadline: float = 3.0,
        token_life: float = 900.0,
    ) -> None:
        super().__init__(now=now, nonce_window=nonce_window, deadline=deadline, token_life=token_life)
        self.token: str | None = token
        SECRETS.token(token)
        self.contract, self.shards = contract, shards
        self.privileged_content = "message_content" in privileged
        self.gateway = Gateway(self, heartbeat, sum(INTENTS[name] for name in privileged), identify_interval)
        self.gateway.token_is_good = lambda given: given.removeprefix("Bot ") == self.token
        self.port = 0
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.syncs: list[Sync] = []
        """Every bulk overwrite of commands, in order; `changed` tells the needed ones."""
        self.downloads: list[int] = []
        """The files that were fetched, by their ids."""
        self.failing_downloads: list[int] = []
        """With which status the next downloads fail; 0 breaks off in the middle."""
        self.opened: list[User] = []
        """Whose private channel the bot asked for, each time it did."""
        self._limits = Limits(requests_a_second, channel_limit)
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop on the same port as before, with everything remembered."""
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=LARGEST)
        app.router.add_get("/gateway", self._connect)
        app.router.add_get("/gateway/", self._connect)
        app.router.add_get("/cdn/attachments/{channel}/{file}/{name}", self._download)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = cast("tuple[str, int]", self._runner.addresses[0])[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.gateway.url = self.gateway_url

    async def stop(self) -> None:
        """Close every connection, drop the requests that are held, and stop listening."""
        self._closing.set()
        self.gateway.close()
        if self._runner:
            await self._runner.cleanup()
        self._runner = None

    @property
    def api(self) -> str:
        """The base of the REST routes."""
        return f"{self.base}{API}"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/gateway"

    @contextmanager
    def redirect_client(self) -> Iterator[None]:
        """Point discord.py at this server as long as the block lasts."""
        import yarl
        from discord.gateway import DiscordWebSocket
        from discord.http import Route

        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = self.api, yarl.URL(self.gateway_url)
        try:
            yield
        finally:
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before

    # Who is there

    def person(self, name: str, *, locale: str = "en-US", installed: bool = False, guilds: tuple[Guild, ...] = ()) -> Person:
        """Somebody new, a member of these servers; `installed` where they added the app to their own account."""
        SECRETS.name(name)
        made = Person(self, self.snowflake(), name, locale=locale, installed=installed)
        self.users[made.id] = made
        for guild in guilds:
            made.joins(guild)
        return made

    # What a test asks and orders

    def called(self, name: str) -> list[Call]:
        """The calls of one method and path, such as "POST /channels/*/messages", in order."""
        probe = Fault(name, None, 0, "before", 0, 0, "", None, False, True, False, False, None)
        return [call for call in self.calls if probe.takes(call)]

    def sent(self, place: Person | Channel) -> list[Message]:
        """What the bot sent to a channel or to somebody in private, in order."""
        return list((place if isinstance(place, Channel) else self.dm(place)).sent)

    @property
    def invalid_requests(self) -> int:
        """How many answers were 401, 403 or 429; Discord bans an address after 10 000 of them in 10 minutes."""
        return sum(call.status in (401, 403, 429) for call in self.calls)

    def seen_by(self, person: User) -> str:
        """Everything that this person could read at any time: messages in every version, forms and suggestions."""
        texts = [text for m in self.messages.values() if m.visible_to(person) for text in m.versions]
        for interaction in self.interactions.values():
            if interaction.person is person:
                texts += interaction.seen()
        return "\n".join(texts)

    def public_text(self, channel: Channel) -> str:
        """Everything that everybody in a channel could read at any time, in every version, deleted or not."""
        every = [m for m in self.messages.values() if m.channel is channel and not m.ephemeral]
        return "\n".join(text for message in every for text in message.versions)

    def wire_text(self, channel: Channel) -> str:
        """What a curious client in the channel could dig out besides: custom ids and option values as they are now."""
        return "\n".join(m.wire for m in self.messages.values() if m.channel is channel and not m.ephemeral)

    def fault(
        self,
        call: str = "*",
        *,
        times: int | None = 1,
        skip: int = 0,
        when: Literal["before", "after", "middle"] = "before",
        status: int = 0,
        code: int = 0,
        message: str = "",
        retry_after: float | None = None,
        everywhere: bool = False,
        via: bool = True,
        cut: bool = False,
        malformed: bool = False,
        hold: asyncio.Event | None = None,
    ) -> Fault:
        """Break the next `times` calls (None: all) that match, such as "POST /channels/*/messages", after `skip` good ones.

        What goes wrong: a `status` with its `code` and `message`; `retry_after` makes a 429, a global one if `everywhere`,
        Cloudflare's without `via`; a `cut` connection; an answer that is `malformed` (alone: half of the JSON, the call took
        effect; with a status: a proxy's HTML page); or a `hold` until the event is set, after which the call goes on even if
        the bot has given up. `when` says whether the call takes effect: "before" it doesn't, "after" it does and only the
        answer suffers, "middle" it does and the connection is cut halfway through the answer. "WS /gateway" is a new
        connection to the gateway.
        """
        if retry_after is not None:
            status = 429
        made = Fault(
            call, times, skip, when, status, code, message or MESSAGES.get(status, "Error"), retry_after, everywhere, via,
            cut or when == "middle", malformed, hold,
        )  # fmt: skip
        self.faults.append(made)
        return made

    def revoke(self) -> None:
        """Make the token worthless: every call answers 401, and the gateway closes with 4004."""
        self.token = None
        self.gateway.drop(4004)

    async def connected(self, count: int = 1, timeout: float = 20.0) -> None:
        """Wait until so many gateway connections are identified or resumed."""
        await self.wait_for(lambda: len(self.gateway.ready) >= count, timeout, f"{count} connections")

    async def settled(self, quiet: float = 0.05, timeout: float = 20.0) -> None:
        """Wait until no call is under way, no interaction waits, and nothing has happened for `quiet` seconds."""
        while True:
            await self.wait_for(self._idle, timeout, "the bot to settle")
            before = self._pulse()
            try:
                await self.wait_for(lambda before=before: self._pulse() != before, quiet)  # type: ignore[misc]
            except AssertionError:
                return

    def _idle(self) -> bool:
        waiting = any(one.ack is None and not one.late for one in self.interactions.values())
        return not waiting and all(call.done for call in self.calls)

    def _pulse(self) -> tuple[int, int, bool]:
        return len(self.calls), len(self.gateway.events), self._idle()

    def story(self) -> str:
        """What a failing test wants to read."""
        last = [f"{call.name} {call.status} {call.code or ''}".strip() for call in self.calls[-8:]]
        return f"{super().story()}; last calls: {last}; gateway connections: {len(self.gateway.ready)}"

    # Events

    def emit(self, event: str, data: Json, *, guild: Guild | None = None, intent: str = "", redacted: Json | None = None) -> None:
        self.gateway.dispatch(event, data, guild, intent, redacted)

    # Requests

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        call = Call("WS", "/gateway", dict(request.query), None, [], self.now())
        fault = next((fault for fault in self.faults if fault.pattern.startswith("WS") and fault.takes(call)), None)
        try:
            if fault:
                await self._break(fault)
        except Cut:
            return _cut(request)
        except ApiError as error:
            return web.Response(status=error.status)
        return await self.gateway.handle(request)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        file = self.files.get(int(request.match_info["file"]))
        if file is None:
            return web.Response(status=404)
        self.downloads.append(file.id)
        status = self.failing_downloads.pop(0) if self.failing_downloads else 200
        if not status:
            broken = web.StreamResponse(headers={"Content-Length": str(len(file.data))})
            await broken.prepare(request)
            await broken.write(file.data[: len(file.data) // 2])
            if request.transport:
                request.transport.abort()
            return broken
        if status != 200:
            return web.Response(status=status)
        return web.Response(body=file.data, content_type=file.json["content_type"])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request: check, break or carry out, answer."""
        if not request.path.startswith(f"{API}/"):
            return _answer(404, {"message": "404: Not Found", "code": 0})
        path = request.path.removeprefix(API)
        call = Call(request.method, path, dict(request.query), None, [], self.now())
        try:
            call.body, call.files = await _body(request)
        except ApiError as error:
            self.violations.append(f"{call.name}: {error}")
            return _failure(error)
        self.calls.append(call)
        if self.contract is not None:
            self.violations += [f"{call.name}: {mistake}" for mistake in self.contract.check(call.method, path, call.body)]
        self.changed()
        try:
            return await self._reply(request, call)
        finally:
            call.done = True
            self.changed()

    async def _reply(self, request: web.Request, call: Call) -> web.StreamResponse:
        fault = next((fault for fault in self.faults if fault.takes(call)), None)
        headers: dict[str, str] = {}
        try:
            if fault and fault.when == "before":
                await self._break(fault)
            result, headers = self._perform(request, call)
            call.accepted, call.status = True, 200 if result is not None else 204
            if fault and fault.when != "before" and not fault.cut:
                await self._break(fault)
            if fault and fault.cut:
                if fault.when == "middle" and result is not None:
                    return await _half(request, json.dumps(result).encode())
                raise Cut
        except ApiError as error:
            call.status, call.code, call.errors = error.status, error.code, error.errors
            if fault and fault.malformed:
                return web.Response(status=error.status, body=PAGE, content_type="text/html")
            return _failure(error)
        except Cut:
            call.status = 0
            return _cut(request)
        except Exception as error:
            call.status = 500
            self.violations.append(f"{call.name}: this server broke on it: {error!r}")
            raise
        if result is None:
            return web.Response(status=204, headers=headers)
        body = json.dumps(result).encode()
        return _answer(200, body[: len(body) // 2] if fault and fault.malformed else body, headers)

    async def _break(self, fault: Fault) -> None:
        """Do what the fault says, as far as it isn't a matter of the answer's bytes."""
        if fault.hold:
            waits = [asyncio.ensure_future(event.wait()) for event in (fault.hold, self._closing)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self._closing.is_set():
                raise Cut
        if fault.cut:
            raise Cut
        if fault.status == 429:
            body, headers = limited(fault.retry_after or 0.0, fault.everywhere, fault.via, "fault")
            raise ApiError(429, fault.code, body["message"], None, body=body, headers=headers)
        if fault.status:
            raise ApiError(fault.status, fault.code, fault.message)

    def _perform(self, request: web.Request, call: Call) -> tuple[Any, dict[str, str]]:
        """Carry a call out; returns what to answer, and the headers that tell of the rate limit."""
        anonymous = call.path.startswith(("/interactions/", "/webhooks/"))
        if not anonymous and (self.token is None or request.headers.get("Authorization") != f"Bot {self.token}"):
            raise ApiError(401, 0, "401: Unauthorized")
        clock = asyncio.get_running_loop().time()
        self._limited(self._limits.overall(call, clock), everywhere=True)
        found = find(call.method, call.path)
        if found is None:
            self.violations.append(f"{call.name}: unknown to this server")
            raise ApiError(404, 0, "404: Not Found")
        call.route, numbers, handler = found
        wait, headers = self._limits.here(call, clock)
        self._limited(wait, everywhere=False, bucket=headers["X-RateLimit-Bucket"])
        return handler(self, call, *numbers), headers

    def _limited(self, wait: float, *, everywhere: bool, bucket: str = "") -> None:
        if wait:
            body, headers = limited(wait, everywhere, True, bucket)
            raise ApiError(429, 0, body["message"], None, body=body, headers=headers)


def _answer(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer. discord.py parses it only where the type is exactly this."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(status=status, body=raw, headers={**(headers or {}), "Content-Type": "application/json"})


def _failure(error: ApiError) -> web.Response:
    body = {"message": error.message, "code": error.code} | ({"errors": error.errors} if error.errors else {})
    return _answer(error.status, error.extra.get("body", body), error.extra.get("headers"))


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _half(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send half of the answer and cut."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _cut(request)
    return response


async def _body(request: web.Request) -> tuple[Any, list[tuple[str, bytes]]]:
    """The JSON and the files of a request."""
    files: list[tuple[str, bytes]] = []
    text: bytes | None = None
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            data = bytes(await part.read(decode=True))
            if part.name == "payload_json":
                text = data
            elif part.filename:
                files.append((part.filename, data))
    elif request.content_type == "application/json":
        text = await request.read()
    elif await request.read():
        raise ApiError(400, 50035, "Invalid Form Body")
    try:
        body = json.loads(text) if text else None
        json.dumps(body, ensure_ascii=False).encode()
    except ValueError:  # a lone half of a character is one too
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from None
    if not isinstance(body, dict | list | None):
        raise ApiError(400, 50035, "Invalid Form Body")
    return body, files
