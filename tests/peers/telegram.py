"""A Telegram Bot API server on the loopback interface, as strict as the real one, for tests with the real client.

It keeps a ledger of what it accepted, breaks where a test tells it to, and speaks to 127.0.0.1 only. What people do and
see is in `telegram_world`, what each method means in `telegram_methods`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, ClientError, ClientSession, ClientTimeout, web

from . import telegram_text
from .telegram_faults import CONFLICT, DESCRIPTIONS, POLLED_BY_WEBHOOK, POLLED_TWICE, Cut, Fault, Floods
from .telegram_methods import METHODS, Call
from .telegram_world import (
    DEFAULT_KINDS,
    TOKEN,
    UPDATE_KINDS,
    Account,
    ApiError,
    Chat,
    Group,
    Json,
    Message,
    Person,
    Private,
    Tap,
    Webhook,
    World,
    bad,
)

__all__ = [
    "TOKEN", "Account", "BotApiServer", "Call", "Chat", "Contract", "Fault", "Group", "Message", "Person", "Private",
    "Tap", "telegram_contract",
]  # fmt: skip

WEBHOOK_ACTIVE = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
LONGEST_POLL = 50
UPLOAD_LIMIT = 50 << 20
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


class Contract(Protocol):
    """What can tell whether a request keeps to the published description of the Bot API."""

    def check(self, method: str, params: Json, files: Iterable[str] = ()) -> list[str]: ...


def telegram_contract() -> Any:
    """The checker beside this repository, in ../shared/platforms, or None where that folder isn't there."""
    path = Path(__file__).resolve().parents[3] / "shared" / "platforms" / "telegram_contract.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("telegram_contract", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    document = json.loads(path.with_name("telegram_api.json").read_text(encoding="utf-8"))
    kind = module.TelegramContract
    contract = kind.__new__(kind)  # its constructor leaves a file open, and warnings are errors
    contract.spec = document
    contract.methods, contract.types = document["methods"], document["types"]
    contract.lower = {name.lower(): name for name in document["methods"]}
    return contract


class BotApiServer(World):
    """The server. Give `url` to the client as base_url and `file_url` as base_file_url.

    `tokens` are the bots it knows; `contract` checks every request and fills `violations`; `limits` turns the flood
    limits on, and says how many times Telegram's messages a second are let pass; `privacy` is the privacy mode in groups;
    `now` gives the time in seconds, for dates and limits; `webhook_retry` is the pause in seconds before a failed webhook is
    tried again.
    """

    def __init__(
        self,
        tokens: str | Iterable[str] = TOKEN,
        *,
        contract: Contract | None = None,
        limits: int = 0,
        privacy: bool = True,
        now: Callable[[], float] | None = None,
        webhook_retry: float = 0.05,
    ) -> None:
        super().__init__([tokens] if isinstance(tokens, str) else tokens, privacy=privacy, now=now)
        self.contract, self.limits, self.webhook_retry = contract, limits, webhook_retry
        self.port = 0
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.downloads: list[str] = []
        """The files that were fetched, by their paths."""
        self.failing_downloads: list[int] = []
        """With which status the next downloads fail; 0 breaks off in the middle."""
        self._floods = Floods(limits or 1)
        self._names = {name.lower(): name for name in (*METHODS, *_TRAFFIC)}
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None
        self.longest_poll = LONGEST_POLL
        self._closing = asyncio.Event()
        self._posting: dict[tuple[Account, int], asyncio.Task[None]] = {}

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop on the same port as before, with everything remembered."""
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=UPLOAD_LIMIT + (4 << 20))
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = cast("tuple[str, int]", self._runner.addresses[0])[1]
        self._session = ClientSession(timeout=ClientTimeout(total=30))
        for account in self.bots.values():
            self.wake(account)

    async def stop(self) -> None:
        """Answer those who poll, drop those who are held, and stop listening."""
        self._closing.set()
        for account in self.bots.values():
            self.wake(account)
        for task in list(self._posting.values()):
            task.cancel()
        await asyncio.gather(*self._posting.values(), return_exceptions=True)
        self._posting.clear()
        if self._session:
            await self._session.close()
        if self._runner:
            await self._runner.cleanup()
        self._session = self._runner = None

    @property
    def url(self) -> str:
        """The client's base_url: the token follows it at once."""
        return f"http://127.0.0.1:{self.port}/bot"

    @property
    def file_url(self) -> str:
        """The client's base_file_url."""
        return f"http://127.0.0.1:{self.port}/file/bot"

    # What a test asks and orders

    @property
    def accepted(self) -> list[Call]:
        """The ledger: the calls that took effect, whatever the bot was told."""
        return [call for call in self.calls if call.accepted]

    @property
    def commands(self) -> list[Json]:
        """The commands the bot set for everybody, in no particular language."""
        return self.commands_for()

    def commands_for(self, scope: str = "default", language: str = "", bot: Account | None = None) -> list[Json]:
        """The commands of one scope, such as "all_private_chats" or "chat:50001", and language."""
        return (bot or self.bot).commands.get((scope, language), [])

    def called(self, method: str) -> list[Call]:
        """The calls of one method, in the order in which they came."""
        return [call for call in self.calls if call.method == method]

    def fault(
        self,
        method: str = "*",
        *,
        chat: Person | Chat | int | None = None,
        times: int | None = 1,
        skip: int = 0,
        when: Literal["before", "after", "middle"] = "before",
        status: int = 0,
        description: str = "",
        retry_after: int | None = None,
        parameters: Json | None = None,
        forbidden: bool = False,
        cut: bool = False,
        malformed: bool = False,
        hold: asyncio.Event | None = None,
    ) -> Fault:
        """Break the next `times` calls (None: all) of a method (a pattern; "*" spares getUpdates), after `skip` good ones.

        What goes wrong: a `status` with its `description` and `parameters` (`retry_after` makes a 429, `forbidden` a
        403), a `cut` connection, an answer that is `malformed` (alone: half of the JSON, the call took effect; with a
        status: a proxy's HTML page), or a `hold` until the event is set, after which the call goes on even if the bot
        has given up. `when` says whether the call takes effect: "before" it doesn't, "after" it does and only the answer
        suffers, "middle" it does and the connection is cut halfway through the answer.
        """
        if forbidden:
            status = 403
        extra = dict(parameters or {})
        if retry_after is not None:
            status, extra["retry_after"] = 429, retry_after
            description = description or f"Too Many Requests: retry after {retry_after}"
        number = chat if isinstance(chat, int) or chat is None else chat.id
        made = Fault(
            method, number, times, skip, when, status, description or DESCRIPTIONS.get(status, "Error"), extra,
            cut or when == "middle", malformed, hold,
        )  # fmt: skip
        self.faults.append(made)
        return made

    def revoke(self, bot: Account | None = None) -> None:
        """Make the bot's token worthless: every call answers 401 from now on."""
        (bot or self.bot).revoked = True

    def expire_taps(self) -> None:
        """Let every unanswered press of a button grow too old to be answered."""
        for tap in self.taps.values():
            tap.expired = True

    async def settled(self, quiet: float = 0.05, timeout: float = 20.0) -> None:
        """Wait until every update is confirmed, no call is under way, and nothing has happened for `quiet` seconds.

        A bot that confirmed an update and still thinks about it looks settled: wait for its message instead.
        """
        while True:
            await self.wait_for(self._idle, timeout, "the bot to settle")
            before = self._pulse()
            try:
                await self.wait_for(lambda before=before: self._pulse() != before, quiet)  # type: ignore[misc]
            except AssertionError:
                return

    def _idle(self) -> bool:
        waiting = any(account.queue or account.again for account in self.bots.values())
        return not waiting and not any(not call.done for call in self.calls if call.method != "getUpdates")

    def _pulse(self) -> tuple[int, int, bool]:
        busy = [call for call in self.calls if call.method != "getUpdates"]
        return len(busy), len(self.updates), self._idle()

    def story(self) -> str:
        """What a failing test wants to read."""
        last = [f"{c.method} {c.status} {c.description}".strip() for c in self.calls if c.method != "getUpdates"][-8:]
        return f"{super().story()}; last calls: {last}"

    # Requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request: authorize, check, break or carry out, answer."""
        path = request.path
        if path.startswith("/file/bot"):
            return await self._download(request, path.removeprefix("/file/bot"))
        found = re.fullmatch(r"/bot([^/]*)/([^/]*)", path)
        if not found:
            return _failure(ApiError(404, "Not Found"))
        token, name = found[1], found[2]
        try:
            account = self._account(token)
            params, files = await _parameters(request)
        except ApiError as error:
            return _failure(error)
        call = Call(self._names.get(name.lower(), name), params, files, account, self.now())
        self.calls.append(call)
        self._check(call)
        self.changed()
        try:
            return await self._answer(request, call)
        finally:
            call.done = True
            self.changed()

    def _account(self, token: str) -> Account:
        if not re.fullmatch(r"[1-9][0-9]*:[^/]{1,70}", token):
            raise ApiError(401, "Unauthorized: invalid token specified")
        account = self.bots.get(token)
        if account is None or account.revoked:
            raise ApiError(401, "Unauthorized")
        if account.logged_out:
            raise ApiError(400, "Logged out")
        return account

    async def _answer(self, request: web.Request, call: Call) -> web.StreamResponse:
        fault = next((fault for fault in self.faults if fault.takes(call)), None)
        try:
            if fault and fault.when == "before":
                await self._break(fault)
            call.result = await self._perform(call)
            call.accepted, call.status = True, 200
            self.changed()
            if fault and fault.when == "after":
                await self._break(fault)
        except ApiError as error:
            call.status, call.description, call.parameters = error.status, error.description, error.parameters
            if fault and fault.malformed:
                return web.Response(status=error.status, body=PAGE, content_type="text/html")
            return _failure(error)
        except Cut:
            call.status, call.description = 0, "connection cut"
            if request.transport:
                request.transport.abort()
            return web.Response()
        except Exception as error:
            call.status, call.description = 500, repr(error)
            self.violations.append(f"{call.method}: this server broke on it: {error!r}")
            raise
        body = json.dumps({"ok": True, "result": call.result}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if fault and fault.when == "middle":
            return await _half(request, call, body)
        if fault and fault.malformed:
            body = body[: len(body) // 2]
        return web.Response(body=body, content_type="application/json")

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
        if fault.status:
            raise ApiError(fault.status, fault.description, fault.parameters)

    async def _perform(self, call: Call) -> Any:
        if call.method in _TRAFFIC:
            return await _TRAFFIC[call.method](self, call)
        if call.method not in METHODS:
            self.violations.append(f"{call.method}: unknown to this server")
            raise ApiError(404, "Not Found: method not found")
        if sum(len(data) for _, data in call.files.values()) > UPLOAD_LIMIT:
            raise ApiError(413, "Request Entity Too Large")
        sends = call.method.startswith(("send", "editMessage")) and call.method != "sendChatAction"
        if self.limits and sends and (seconds := self._floods.wait(call, self.now())):
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
        return METHODS[call.method](self, call)

    def _check(self, call: Call) -> None:
        """Hold the request against the API description; limits there count characters after parsing."""
        if self.contract is None:
            return
        params = dict(call.params)
        for name in ("text", "caption"):
            if params.get(name) and call.text("parse_mode").lower() == "html":
                try:
                    params[name] = telegram_text.read(call.text(name), "html", [])[0]
                except telegram_text.CannotParse as error:
                    self.violations.append(f"{call.method}.{name}: {error}")
        self.violations += self.contract.check(call.method, params, call.files)

    async def _download(self, request: web.Request, rest: str) -> web.StreamResponse:
        token, _, path = rest.partition("/")
        file = next((file for file in self.files.values() if file.path == path), None)
        if token not in self.bots or file is None:
            return _failure(ApiError(404, "Not Found"))
        self.downloads.append(path)
        status = self.failing_downloads.pop(0) if self.failing_downloads else 200
        if not status:
            broken = web.StreamResponse(headers={"Content-Length": str(len(file.data))})
            await broken.prepare(request)
            await broken.write(file.data[: len(file.data) // 2])
            if request.transport:
                request.transport.abort()
            return broken
        if status != 200:
            return _failure(ApiError(status, "Error"))
        return web.Response(body=file.data, content_type="application/octet-stream")

    # Updates

    def wake(self, account: Account) -> None:
        """Stir the bot's long poll or its webhook."""
        if account.poll and not account.poll.done():
            account.poll.set_result("")
        if not account.webhook or not self._session or self._closing.is_set():
            return
        if urlsplit(account.webhook.url).hostname not in ("127.0.0.1", "localhost"):
            return
        for update in account.again + account.queue:
            key = (account, _queue_of(update))
            if key not in self._posting:
                self._posting[key] = asyncio.ensure_future(self._post(*key))

    async def _post(self, account: Account, queue: int) -> None:
        """Post the updates of one chat in order, each until it is taken."""
        try:
            while (hook := account.webhook) and not self._closing.is_set():
                pending = [update for update in account.again + account.queue if _queue_of(update) == queue]
                if not pending:
                    return
                if await self._posted(hook, pending[0]):
                    where = account.again if pending[0] in account.again else account.queue
                    if pending[0] in where:
                        where.remove(pending[0])
                    self.changed()
                else:
                    await asyncio.sleep(self.webhook_retry)
        finally:
            self._posting.pop((account, queue), None)

    async def _posted(self, hook: Webhook, update: Json) -> bool:
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        if hook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = hook.secret
        try:
            body = json.dumps(update).encode()
            async with self._session.post(hook.url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                if 200 <= answer.status <= 299:
                    return True
                hook.error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except (ClientError, TimeoutError) as error:
            hook.error = f"Connection refused: {error}"
        hook.error_date = self.date()
        self.changed()
        return False

    async def _get_updates(self, call: Call) -> list[Json]:
        account = call.bot
        if account.webhook:
            raise ApiError(409, CONFLICT + WEBHOOK_ACTIVE)
        offset = call.number("offset")
        limit = min(max(call.number("limit", 100), 1), 100)
        seconds = min(max(call.number("timeout"), 0), self.longest_poll)
        _allow(account, call)
        if offset < 0:
            del account.queue[:offset]
        elif offset <= account.next_update_id + 10:
            account.queue[:] = [update for update in account.queue if update["update_id"] >= offset]
        self.changed()
        if account.poll:
            _interrupt(account, POLLED_TWICE)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            repeated, account.again = account.again, []
            batch = (repeated + account.queue)[:limit]
            left = deadline - loop.time()
            if batch or left <= 0 or self._closing.is_set():
                return batch
            mine = account.poll = loop.create_future()
            try:
                await asyncio.wait([mine], timeout=left)
            finally:
                if account.poll is mine:
                    account.poll = None
            if mine.done() and mine.result():
                raise ApiError(409, CONFLICT + mine.result())

    async def _set_webhook(self, call: Call) -> bool:
        account, url = call.bot, call.text("url")
        if not url:
            return await self._delete_webhook(call)
        try:
            parts = urlsplit(url if "://" in url else f"https://{url}")
            port = parts.port or 443
        except ValueError:
            raise bad("invalid webhook URL specified") from None
        secret = call.text("secret_token")
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise bad("invalid webhook URL specified")
        if len(secret) > 256:
            raise bad("secret token is too long")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
            raise bad("secret token contains unallowed characters")
        if parts.hostname not in ("127.0.0.1", "localhost"):
            if parts.scheme != "https":
                raise bad("bad webhook: An HTTPS URL must be provided for webhook")
            if port not in (443, 80, 88, 8443):
                raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        if call.flag("drop_pending_updates"):
            account.queue.clear()
        _allow(account, call)
        account.webhook = Webhook(url, secret, min(max(call.number("max_connections", 40), 1), 100))
        _interrupt(account, POLLED_BY_WEBHOOK)
        self.wake(account)
        return True

    async def _delete_webhook(self, call: Call) -> bool:
        call.bot.webhook = None
        if call.flag("drop_pending_updates"):
            call.bot.queue.clear()
        self.changed()
        return True

    async def _get_webhook_info(self, call: Call) -> Json:
        account, hook = call.bot, call.bot.webhook
        info: Json = {"url": hook.url if hook else "", "has_custom_certificate": False}
        info["pending_update_count"] = len(account.queue)
        if hook:
            info |= {"max_connections": hook.connections, "ip_address": "127.0.0.1"}
            if hook.error:
                info |= {"last_error_date": hook.error_date, "last_error_message": hook.error}
        if account.allowed != DEFAULT_KINDS:
            info["allowed_updates"] = [kind for kind in UPDATE_KINDS if kind in account.allowed]
        return info


_TRAFFIC: dict[str, Callable[[BotApiServer, Call], Any]] = {
    "getUpdates": BotApiServer._get_updates,
    "setWebhook": BotApiServer._set_webhook,
    "deleteWebhook": BotApiServer._delete_webhook,
    "getWebhookInfo": BotApiServer._get_webhook_info,
}


def _interrupt(account: Account, reason: str) -> None:
    if account.poll and not account.poll.done():
        account.poll.set_result(reason)


def _allow(account: Account, call: Call) -> None:
    """Take over allowed_updates if it was given; an empty list, or one that names nothing known, means the default."""
    try:
        kinds = call.object("allowed_updates", "allowed_updates")
    except ApiError:
        return
    if kinds is None and call.params.get("allowed_updates") in (None, ""):
        return
    if kinds is None or isinstance(kinds, list):
        account.allowed = frozenset(kinds or ()) & frozenset(UPDATE_KINDS) or DEFAULT_KINDS


def _queue_of(update: Json) -> int:
    """The chat whose updates a webhook gets one after the other."""
    body = next(value for key, value in update.items() if key != "update_id")
    chat = body.get("chat") or body.get("message", {}).get("chat", {})
    return int(chat.get("id", 0))


async def _parameters(request: web.Request) -> tuple[Json, dict[str, tuple[str, bytes]]]:
    """The parameters and the files of a request, from its query and a JSON, form or multipart body."""
    params: Json = dict(request.query)
    files: dict[str, tuple[str, bytes]] = {}
    if request.content_type == "application/json":
        body = await request.read()
        try:
            given = json.loads(body) if body else {}
        except ValueError:
            raise bad("can't parse request: not a JSON object") from None
        if not isinstance(given, dict):
            raise bad("can't parse request: not a JSON object")
        params |= {name: value for name, value in given.items() if value is not None}
    elif request.content_type == "multipart/form-data":
        async for name, filename, data in _parts(request):
            if filename is None:
                params[name] = data.decode("utf-8", "replace")
            else:
                files[name] = (filename, data)
    else:
        params |= {name: str(value) for name, value in (await request.post()).items()}
    return params, files


async def _parts(request: web.Request) -> AsyncIterator[tuple[str, str | None, bytes]]:
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        assert isinstance(part, BodyPartReader), "Telegram takes no multipart inside multipart"
        yield part.name or "", part.filename, bytes(await part.read(decode=True))


def _failure(error: ApiError) -> web.Response:
    body: Json = {"ok": False, "error_code": error.status, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    retry = error.parameters.get("retry_after")
    headers = {"Retry-After": str(retry)} if retry is not None else {}
    return web.json_response(body, status=error.status, headers=headers)


async def _half(request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
    """Send half of the answer and hang up."""
    call.status, call.description = 0, "connection cut halfway"
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()
    return response
