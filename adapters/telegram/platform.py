"""The adapter itself: what arrives is committed and handled; what the coach says is sent.

Updates are fetched by our own loop (or come by webhook) because the library confirms them to Telegram before they are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import structlog
from aiohttp import web
from telegram import BotCommand, CallbackQuery, Chat, InlineKeyboardMarkup, LinkPreviewOptions, Update, User
from telegram import Message as TelegramMessage
from telegram.constants import ChatAction, ChatMemberStatus, ChatType, ParseMode
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.ext import Application, ContextTypes, TypeHandler, filters
from telegram.request import HTTPXRequest

from adapters.ordered import Ordered, set_event
from adapters.repeating import repeated
from adapters.telegram.drawing import html, keyboard, parts
from adapters.telegram.recordings import Recordings, is_recording, recording
from bot import COMMANDS, Address, Coach, File, Message, Pace, Reply
from bot.errors import AddressGone, SendLater, SendRefused, SendUnclear, SettingsError, StoreError, StoreRefused

PLATFORM = "telegram"
POLL = 25
"""Seconds that Telegram holds a request for updates open."""

PATIENCE = 20.0
"""Seconds that Telegram may take to answer any other request. After that nobody knows whether a message arrived."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 60.0
"""Seconds before something that failed is tried again; twice as many each time."""

MOST_SHOWN = 8
"""Chats that are told at one time that the coach is typing; what is sent must not wait behind them."""

TURNS = 30.0
"""Seconds that turns under way have to end where the coach stops and nobody says how long."""

WANTED = ["message", "callback_query", "my_chat_member"]
SHORT_DESCRIPTION = "A machine-learning interview question a day, graded point by point with the reasons."

log = structlog.get_logger("telegram")

_OTHER = {
    "photo": "photo", "sticker": "sticker", "voice": "voice note", "audio": "sound file", "video": "video", "video_note": "video note",
    "animation": "GIF", "document": "document", "location": "location", "contact": "contact", "poll": "poll", "dice": "dice",
}  # fmt: skip
"""What may come instead of text, and what a learner calls it. A GIF is a document too."""


class Telegram:
    """`bot.ports.Adapter` for one Telegram bot. `start`, then `run` until `stop`.

    receiving: False for a process that only sends and handles what others received. turn: set while this process is the one
    that polls; Telegram serves one poller a token. patience: seconds that it may take to answer a request.
    """

    platform = PLATFORM

    def __init__(
        self,
        coach: Coach,
        token: str,
        *,
        api: str = "https://api.telegram.org",
        webhook_url: str = "",
        webhook_secret: str = "",
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        receiving: bool = True,
        turn: asyncio.Event | None = None,
        patience: float = PATIENCE,
    ) -> None:
        if not re.fullmatch(r"[^\s/?#]+", token):
            raise SettingsError("COACH_TELEGRAM_TOKEN is not a token: it has no spaces, line ends or slashes")
        self.pace = pace or Pace()
        self._coach = coach
        self._now = now
        self._digest = hashlib.sha256(token.encode()).hexdigest()
        self._webhook_url = webhook_url
        self._receiving = receiving
        self.turn = turn or set_event()
        self._secret = webhook_secret or self._digest[32:]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", self._secret):
            raise SettingsError("COACH_TELEGRAM_WEBHOOK_SECRET holds 1 to 256 letters, digits, _ and -")
        # Reading the certificates is most of a client's start: once for both, and not at all where nothing is encrypted.
        trust = {"verify": httpx.create_ssl_context() if api.startswith("https:") else False}
        self._application: Application[Any, Any, Any, Any, Any, Any] = (
            Application.builder()
            .token(token)
            .base_url(f"{api}/bot")
            .base_file_url(f"{api}/file/bot")
            .request(HTTPXRequest(32, read_timeout=patience, connect_timeout=10, pool_timeout=10, httpx_kwargs=trust))
            .get_updates_request(HTTPXRequest(1, read_timeout=15, connect_timeout=10, httpx_kwargs=trust))
            .updater(None)
            .concurrent_updates(True)
            .build()
        )
        self._application.add_handler(TypeHandler(Update, self._on_update))
        self._bot = self._application.bot
        self._turns = Ordered()
        self._heard = Ordered()
        """Recordings, which take long: whoever sent one goes on talking meanwhile."""
        self._recordings = Recordings(self._bot, trust["verify"])
        self._stopping = asyncio.Event()
        self._half_sent: dict[str, int] = {}
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._showing: set[asyncio.Task[None]] = set()
        self._ready = False
        self._closed = False
        self.connected = False

    # ------------------------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Says hello to Telegram. Raises SettingsError where it refuses the token; waits while it can't be reached."""
        if not await self._insist(self._application.initialize):
            return
        if not self._application.running:  # this may be the second time, after a fault
            await self._application.start()
        if self._receiving:
            await self._introduce()
        if self._stopping.is_set():
            return
        self._ready = True
        await self.pick_up()

    async def pick_up(self) -> None:
        """Begins the turns of updates that were taken, here or elsewhere, and that nobody is at work on."""
        for key, raw in await self._coach.waiting(PLATFORM) if self._ready else ():
            self._submit(key, json.loads(raw))

    async def run(self) -> None:
        """Receives updates until `stop`."""
        if not self._receiving:
            self.connected = True
            await self._stopping.wait()
        elif self._webhook_url:
            self.connected = await self._set_webhook()
            await self._stopping.wait()
        else:
            self.connected = await self._insist(self._bot.delete_webhook)
            await self._poll()

    async def finish(self, longest: float = TURNS) -> None:
        """Takes no more updates and finishes the turns in hand, for so many seconds; their replies may still be sent."""
        self._stopping.set()
        self._ready = self.connected = False
        await self._heard.stop()  # they wait in the inbox, and are heard after the restart
        await self._turns.finished(timeout=longest)

    async def stop(self) -> None:
        """Takes no more updates, finishes the turns and the messages in hand and says goodbye."""
        if not self._stopping.is_set():
            await self.finish()
        self._closed = True
        if self._sending:
            # Cut off in the middle, a message would come a second time after the restart.
            await asyncio.wait({task for task in self._sending if task is not None}, timeout=10)
        for task in (*self._answering, *self._showing):
            task.cancel()
        await self._recordings.close()
        if self._application.running:
            await self._application.stop()
        with suppress(TelegramError, RuntimeError):
            await self._application.shutdown()
            await self._bot.shutdown()

    async def _introduce(self) -> None:
        commands = [BotCommand(command.name, command.summary) for command in COMMANDS if command.listed]
        try:
            await self._bot.set_my_commands(commands)
            await self._bot.set_my_short_description(SHORT_DESCRIPTION)
        except TelegramError as error:
            log.warning("commands not set", kind=type(error).__name__)

    async def _insist(self, call: Callable[[], Awaitable[object]]) -> bool:
        """Calls until Telegram agrees; False where `stop` comes first. Raises SettingsError where it refuses the token."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                asking = asyncio.ensure_future(call())
                if await self._unless_stopped(asking):
                    asking.result()
                    return True
            except InvalidToken:
                raise _refused() from None
            except TelegramError as error:
                self._coach.watcher.trouble(PLATFORM, type(error).__name__)
                log.warning("telegram is away", kind=type(error).__name__, reason=str(error) if type(error) is BadRequest else "")
                pause = await self._wait(_seconds(error) if isinstance(error, RetryAfter) else pause)
        return False

    async def _wait(self, seconds: float) -> float:
        """Rests, or less where `stop` is called; returns how long to rest the next time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return min(seconds * 2, LONGEST_PAUSE)

    # ------------------------------------------------------------------------------------------ receiving

    async def _poll(self) -> None:
        offset: int | None = None
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            if not await self._unless_stopped(asyncio.ensure_future(self.turn.wait())):
                return
            try:
                asking = asyncio.ensure_future(self._bot.get_updates(offset=offset, timeout=POLL, allowed_updates=WANTED))
                if not await self._unless_stopped(asking):
                    return
                updates = asking.result()
                if updates:
                    await self._take([update.to_dict() for update in updates])
                    offset = updates[-1].update_id + 1
                self.connected, pause = True, FIRST_PAUSE
            except InvalidToken:
                self.connected = False
                raise _refused() from None
            except Exception as error:  # of whatever kind: a platform that can't be read ends neither itself nor the others
                self.connected = False
                self._coach.watcher.trouble(PLATFORM, type(error).__name__)
                reason = "another program polls with this token" if isinstance(error, Conflict) else type(error).__name__
                log.warning("no updates", reason=reason)
                pause = await self._wait(_seconds(error) if isinstance(error, RetryAfter) else pause)

    async def _unless_stopped(self, asking: asyncio.Future[Any]) -> bool:
        """Waits until `asking` is done, or cancels it where `stop` comes first; says whether it is done."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            both: set[asyncio.Future[Any]] = {asking, stopping}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if asking.done():
            return True
        asking.cancel()
        with suppress(asyncio.CancelledError, TelegramError):
            await asking
        return False

    async def _set_webhook(self) -> bool:
        url = f"{self._webhook_url}/telegram/{self.webhook_path}"
        return await self._insist(lambda: self._bot.set_webhook(url, secret_token=self._secret, allowed_updates=WANTED, max_connections=40))

    @property
    def place(self) -> str:
        """The name of the place that only one of several processes may have."""
        return f"{PLATFORM} {self._digest[:16]}"

    @property
    def webhook_path(self) -> str:
        return self._digest[:32]

    def routes(self) -> list[web.RouteDef]:
        """What the web server of this process answers for Telegram; nothing when polling."""
        return [web.post(f"/telegram/{self.webhook_path}", self._on_webhook)] if self._webhook_url and self._receiving else []

    async def _on_webhook(self, request: web.Request) -> web.Response:
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret.encode()):
            return web.Response(status=403)
        try:
            raw = await request.json()
            key = int(raw["update_id"])
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            return web.Response(status=400)
        try:
            await self._take([raw])
        except StoreError:
            log.warning("update not kept", update=key)
            return web.Response(status=503)
        return web.Response()

    async def _take(self, updates: Sequence[dict[str, Any]]) -> None:
        """Commits updates to the inbox, then begins their turns; before the start and after the stop they wait there."""
        kept = {str(raw["update_id"]): raw for raw in updates}
        whose = {key: _person(raw) for key, raw in kept.items()}
        for key in await self._coach.take(PLATFORM, [(key, json.dumps(raw)) for key, raw in kept.items()], whose):
            if self._ready:
                self._submit(key, kept[key])
            else:
                self._coach.leave(PLATFORM, key)

    def _submit(self, key: str, raw: dict[str, Any]) -> None:
        try:
            update = Update.de_json(raw, self._bot)
        except (TypeError, KeyError, ValueError, AttributeError):
            update = None
        user = update.effective_user if update is not None else None

        async def turn() -> None:
            if update is None:
                log.warning("update not understood", update=key)
                await self._drop(key)
            else:
                await self._application.process_update(update)

        (self._heard if is_recording(raw) else self._turns).submit(user.id if user else key, turn)

    async def _on_update(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        key = str(update.update_id)
        structlog.contextvars.bind_contextvars(turn=f"{PLATFORM}:{key}")  # this task is the turn's own
        try:
            message = await self._message(update)
            if message is None:
                await self._drop(key)
                return
            for attempt in range(5):
                try:
                    async with self._typing(message):
                        await self._handled(message)
                    return
                except StoreRefused:
                    if attempt == 4:
                        raise
                    await self._wait(0.2 * 2**attempt)
                except StoreError as error:
                    log.warning("turn not kept", update=key, reason=str(error))
                    await self._wait(0.2 * 2**attempt)
            self._coach.leave(PLATFORM, key)
        except Exception as error:
            log.exception("turn failed", update=key, kind=type(error).__name__, exc_info=False)
            with suppress(StoreError):
                await self._coach.apologise(Address(PLATFORM, *_who(update)), key)

    async def _handled(self, message: Message) -> None:
        said = message.recording
        if said is None:
            await self._coach.handle(message)
        else:
            await self._coach.hear(message, lambda most: self._recordings.fetch(said.reference, most))

    async def _drop(self, key: str) -> None:
        with suppress(StoreError):  # it is looked at once more after the next start
            await self._coach.drop(PLATFORM, key)

    async def _message(self, update: Update) -> Message | None:
        """What an update says to the coach; None where it is none of its business."""
        member = update.my_chat_member
        if member is not None:
            if member.chat.type == ChatType.PRIVATE and member.new_chat_member.status == ChatMemberStatus.BANNED:
                await self._coach.gone(Address(PLATFORM, str(member.from_user.id), str(member.chat.id)))
            return None
        query = update.callback_query
        if query is not None:
            answering = asyncio.create_task(self._answer(query))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)
            if not query.data or query.message is None:
                return None
            return self._built(update, query.from_user, query.message.chat, query.data)
        said = update.message
        if said is None or said.from_user is None or said.from_user.is_bot or filters.StatusUpdate.ALL.check_update(update):
            return None
        text = said.text or said.caption or ""
        if said.chat.type != ChatType.PRIVATE:
            addressed = self._addressed(said, text)
            if addressed is None:
                return None
            text = addressed
        other = next((name for kind, name in _OTHER.items() if getattr(said, kind, None)), "")
        if not text and not other:
            return (
                None
                if said.chat.type != ChatType.PRIVATE
                else self._built(update, said.from_user, said.chat, "", "message of this kind", said)
            )
        return self._built(update, said.from_user, said.chat, "" if other else text, other, said)

    def _built(self, update: Update, user: User, chat: Chat, text: str, other: str = "", said: TelegramMessage | None = None) -> Message:
        at = said.date.astimezone(UTC) if said is not None else self._now()
        return Message(
            key=str(update.update_id), address=Address(PLATFORM, str(user.id), str(chat.id)), text=text, at=at,
            private=chat.type == ChatType.PRIVATE, other=other, language=user.language_code or "",
            recording=recording(said) if said is not None else None,
        )  # fmt: skip

    def _addressed(self, said: TelegramMessage, text: str) -> str | None:
        """In a group: the text without our name where it speaks to us, else None."""
        name = re.escape(self._bot.username)
        command = re.match(r"/\w+(?:@(\w+))?", text)
        if command is not None:
            return text if command.group(1) is None or command.group(1).lower() == self._bot.username.lower() else None
        if re.search(rf"@{name}\b", text, re.IGNORECASE):
            return re.sub(rf"\s*@{name}\b", " ", text, flags=re.IGNORECASE).strip()
        answered = said.reply_to_message
        return text if answered is not None and answered.from_user is not None and answered.from_user.id == self._bot.id else None

    async def _answer(self, query: CallbackQuery) -> None:
        """Ends the waiting that a press shows; beside the turn, which needs nothing of it."""
        for _ in range(3):
            try:
                await query.answer()
                return
            except BadRequest:  # too old
                return
            except TelegramError:
                await self._wait(FIRST_PAUSE)

    @asynccontextmanager
    async def _typing(self, message: Message) -> AsyncIterator[None]:
        """Shows that the coach is typing for as long as a written reply is being thought about."""
        if message.text.startswith("/") or not (message.text or message.recording):
            yield
            return

        async def show() -> None:
            # A request that is cut off in the middle may take its connection along for ever: it ends by itself, after the turn.
            if len(self._showing) < MOST_SHOWN:
                showing = asyncio.create_task(self._show(int(message.address.chat)))
                self._showing.add(showing)
                showing.add_done_callback(self._showing.discard)

        async with repeated(show, 4):
            yield

    async def _show(self, chat: int) -> None:
        with suppress(TelegramError):
            await self._bot.send_chat_action(chat, ChatAction.TYPING)

    # ------------------------------------------------------------------------------------------ sending

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        """Sends every page of a reply; the buttons stand under the last."""
        if self._closed:
            raise SendLater("this process is stopping")
        task = asyncio.current_task()
        self._sending.add(task)
        try:
            return await self._send_pages(address, reply, key)
        finally:
            self._sending.discard(task)

    async def ping(self) -> bool:
        """Whether Telegram answers."""
        try:
            await self._bot.get_me(read_timeout=5, connect_timeout=5)
        except RetryAfter:
            return True
        except TelegramError:
            return False
        return True

    async def _send_pages(self, address: Address, reply: Reply, key: str) -> str:
        if reply.note is not None:
            note = reply.note
            return await self._sent(lambda: self._bot.send_voice(int(address.chat), note.data, duration=round(note.seconds) or 1))
        found = parts(reply)
        message = ""
        for number, (file, page) in enumerate(found):
            if number < self._half_sent.get(key, 0):
                continue
            markup = keyboard(reply.choices) if number == len(found) - 1 else None
            message = await self._send_part(address, file, html(page), markup)
            self._half_sent[key] = number + 1
        self._half_sent.pop(key, None)
        return message

    async def _send_part(self, address: Address, file: File | None, text: str, markup: InlineKeyboardMarkup | None) -> str:
        chat = int(address.chat)
        if file is None:
            plain = LinkPreviewOptions(is_disabled=True)
            return await self._sent(
                lambda: self._bot.send_message(chat, text, parse_mode=ParseMode.HTML, reply_markup=markup, link_preview_options=plain)
            )
        send = self._bot.send_photo if file.picture else self._bot.send_document
        return await self._sent(
            lambda: send(chat, file.data, filename=file.name, caption=text or None, parse_mode=ParseMode.HTML, reply_markup=markup)
        )

    async def _sent(self, send: Callable[[], Awaitable[TelegramMessage]]) -> str:
        """Sends one message and returns its id, with the library's errors as ours."""
        try:
            return str((await send()).message_id)
        except RetryAfter as error:
            raise SendLater("flood limit", _seconds(error), flood=True) from error
        except Forbidden as error:
            raise AddressGone("blocked") from error
        except ChatMigrated as error:
            raise AddressGone("the group became another one") from error
        except BadRequest as error:
            if "chat not found" in str(error).lower() or "user is deactivated" in str(error).lower():
                raise AddressGone("no such chat") from error
            raise SendRefused(str(error)) from error
        except (TimedOut, NetworkError) as error:
            if "too many requests" in str(error).lower():  # without the number of seconds that belongs to it
                raise SendLater("flood limit", flood=True) from error
            cause = error.__cause__
            if isinstance(error, TimedOut) or isinstance(cause, httpx.HTTPError):
                before = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
                if not isinstance(cause, before):
                    raise SendUnclear("the connection broke in the middle") from error
            raise SendLater("telegram is away") from error
        except (InvalidToken, Conflict) as error:
            raise SendLater(type(error).__name__) from error
        except TelegramError as error:
            raise SendUnclear("an answer that can't be read") from error


def _refused() -> SettingsError:
    # Never "from" the library's error, which has the token in it.
    return SettingsError("Telegram refuses COACH_TELEGRAM_TOKEN: ask @BotFather for the right one")


def _person(raw: dict[str, Any]) -> str:
    """The id of who is behind an update, as it came. What is said aloud is in no order with what is typed."""
    for name in WANTED:
        part = raw.get(name)
        sender = part.get("from") if isinstance(part, dict) else None
        if isinstance(sender, dict) and "id" in sender:
            return f"{sender['id']} aloud" if is_recording(raw) else str(sender["id"])
    return ""


def _seconds(error: RetryAfter) -> float:
    after = error.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)


def _who(update: Update) -> tuple[str, str]:
    user, chat = update.effective_user, update.effective_chat
    return (str(user.id) if user else "", str(chat.id) if chat else "")
