"""Who is on the other side of a test Telegram: people, groups, bots, their messages and the updates they cause.

Nothing here speaks HTTP; the server carries these updates to the bot and the bot's calls back.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .overheard import SECRETS
from .telegram_text import Entity, find_entities, piece, tidy, units

Json = dict[str, Any]
T = TypeVar("T")

TOKEN = "1000000001:AAtest_token_for_the_loopback_server_1"
UPDATE_KINDS = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
)
DEFAULT_KINDS = frozenset(UPDATE_KINDS) - {"chat_member", "message_reaction", "message_reaction_count"}
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(64) + b"\xff\xd9"


class ApiError(Exception):
    """An answer with ok false, as Telegram words it."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters or {}


def bad(description: str) -> ApiError:
    """A 400 with this description."""
    return ApiError(400, f"Bad Request: {description}")


@dataclass(eq=False)
class Stored:
    """One file that Telegram keeps, whoever sent it."""

    file_id: str
    unique_id: str
    data: bytes
    path: str
    name: str
    mime: str

    @property
    def json(self) -> Json:
        return {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": len(self.data)}


@dataclass(eq=False)
class Webhook:
    """Where a bot asked its updates to be posted."""

    url: str
    secret: str
    connections: int
    error_date: int = 0
    error: str = ""

    def __post_init__(self) -> None:
        SECRETS.token(self.secret)
        SECRETS.token(self.url)  # whoever knows its path


@dataclass(eq=False)
class Account:
    """A bot as Telegram knows it: its token, the updates it hasn't confirmed, its webhook and its settings.

    `next_update_id` may be moved on by a test to make a gap.
    """

    token: str
    id: int
    username: str
    name: str
    privacy: bool
    next_update_id: int = 700_000_001
    next_message_id: int = 1
    queue: list[Json] = field(default_factory=list)
    again: list[Json] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    allowed: frozenset[str] = DEFAULT_KINDS
    webhook: Webhook | None = None
    poll: asyncio.Future[str] | None = None
    commands: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    descriptions: dict[tuple[str, str], str] = field(default_factory=dict)
    revoked: bool = False
    logged_out: bool = False

    @property
    def json(self) -> Json:
        return {"id": self.id, "is_bot": True, "first_name": self.name, "username": self.username}


class Chat:
    """A place where messages are, seen by one bot (a private chat) or by several (a group)."""

    def __init__(self, world: World, chat_id: int) -> None:
        self.world, self.id = world, chat_id
        self.history: dict[int, Message] = {}
        self.sent: list[Message] = []
        self.edited: list[Message] = []
        self.instance = str(random.Random(chat_id).getrandbits(62))

    @property
    def json(self) -> Json:
        raise NotImplementedError

    def next_message_id(self) -> int:
        raise NotImplementedError

    def accounts(self) -> list[Account]:
        raise NotImplementedError


class Private(Chat):
    """The chat of one person with one bot. Its message ids come from the bot's one counter."""

    def __init__(self, world: World, person: Person, account: Account) -> None:
        super().__init__(world, person.id)
        self.person, self.account = person, account
        self.started = False
        self.blocked = False

    @property
    def json(self) -> Json:
        names = {"first_name": self.person.first_name, "username": self.person.username}
        return {"id": self.id, "type": "private", **{k: v for k, v in names.items() if v}}

    def next_message_id(self) -> int:
        self.account.next_message_id += 1
        return self.account.next_message_id - 1

    def accounts(self) -> list[Account]:
        return [self.account]


class Group(Chat):
    """A supergroup with its members; the first one owns it."""

    def __init__(self, world: World, chat_id: int, title: str, members: list[Person], username: str) -> None:
        super().__init__(world, chat_id)
        self.title, self.members, self.username = title, members, username
        self.bots: dict[Account, str] = {}
        self._ids = itertools.count(1)

    @property
    def json(self) -> Json:
        named = {"username": self.username} if self.username else {}
        return {"id": self.id, "type": "supergroup", "title": self.title, **named}

    def next_message_id(self) -> int:
        return next(self._ids)

    def accounts(self) -> list[Account]:
        return [account for account, status in self.bots.items() if status in ("member", "administrator")]


@dataclass(eq=False)
class Message:
    """One message, as it is now: edits change it, `edits` keeps what its text was before."""

    message_id: int
    chat: Chat
    sender: Person | Account
    date: int
    text: str = ""
    entities: list[Entity] = field(default_factory=list)
    keyboard: list[list[Json]] = field(default_factory=list)
    reply_keyboard: Json = field(default_factory=dict)
    media: Json = field(default_factory=dict)
    file: Stored | None = None
    reply_to: Message | None = None
    edit_date: int = 0
    edits: list[str] = field(default_factory=list)
    deleted: bool = False
    options: Json = field(default_factory=dict)

    @property
    def chat_id(self) -> int:
        return self.chat.id

    @property
    def caption(self) -> str:
        """The text of a message that carries a file."""
        return self.text if self.media else ""

    @property
    def data(self) -> bytes:
        """The bytes of the file it carries."""
        return self.file.data if self.file else b""

    @property
    def buttons(self) -> list[str]:
        """The labels of its inline keyboard, row after row."""
        return [button["text"] for row in self.keyboard for button in row]

    def button(self, wanted: str) -> Json:
        """The inline button with this label, or with this callback data."""
        every = [button for row in self.keyboard for button in row]
        for key in ("text", "callback_data"):
            for button in every:
                if button.get(key) == wanted:
                    return button
        raise LookupError(f"no button {wanted!r} under {self.text[:60]!r}; there are {self.buttons}")

    def styled(self, kind: str) -> list[str]:
        """The parts of its text that carry this kind of entity ("bold", "code", "text_link" and so on)."""
        return [piece(self.text, entity) for entity in self.entities if entity["type"] == kind]

    def json(self, *, nested: bool = False) -> Json:
        """The message as the Bot API gives it; a nested one leaves out what it replies to."""
        body: Json = {"message_id": self.message_id, "from": self.sender.json, "chat": self.chat.json}
        body["date"] = self.date
        if self.edit_date:
            body["edit_date"] = self.edit_date
        if self.reply_to and not nested:
            body["reply_to_message"] = self.reply_to.json(nested=True)
        body |= self.media
        text, entities = ("caption", "caption_entities") if self.media else ("text", "entities")
        if self.text:
            body[text] = self.text
            if self.entities:
                body[entities] = self.entities
        if self.keyboard:
            body["reply_markup"] = {"inline_keyboard": self.keyboard}
        if self.options.get("protect_content"):
            body["has_protected_content"] = True
        return body


@dataclass(eq=False)
class Tap:
    """One press of an inline button and, in time, the bot's answer to it."""

    id: str
    person: Person
    message: Message
    account: Account
    data: str
    answer: Json | None = None
    expired: bool = False

    async def answered(self, timeout: float = 20.0) -> Json:
        """What answerCallbackQuery said: its parameters, text and show_alert among them."""
        return await self.message.chat.world.wait_for(lambda: self.answer, timeout)


class Person:
    """Somebody with a Telegram client. What they do reaches the bot as updates; what the bot sends, they read."""

    def __init__(self, world: World, user_id: int, first_name: str, username: str, language_code: str) -> None:
        self.world, self.id, self.first_name = world, user_id, first_name
        self.username, self.language_code = username, language_code
        SECRETS.name(first_name)
        SECRETS.name(username)
        self._read: dict[tuple[Chat, str], int] = {}

    @property
    def json(self) -> Json:
        given = {"username": self.username, "language_code": self.language_code}
        return {
            "id": self.id,
            "is_bot": False,
            "first_name": self.first_name,
            **{k: v for k, v in given.items() if v},
        }

    def __repr__(self) -> str:
        return f"<{self.first_name} {self.id}>"

    def chat(self, bot: Account | None = None) -> Private:
        """This person's private chat with the bot."""
        return self.world.private(self, bot or self.world.bot)

    # What people do

    async def says(
        self,
        text: str,
        *,
        chat: Group | None = None,
        reply_to: Message | None = None,
        to: Account | None = None,
    ) -> Message:
        """Write a text, to the bot or into a group."""
        SECRETS.said(text)
        text, entities = tidy(text, [])
        if not 0 < units(text) <= 4096:
            raise ValueError("a Telegram client sends 1 to 4096 characters")
        return self._post(chat, to, reply_to, text=text, entities=entities)

    async def starts(self, payload: str = "", *, to: Account | None = None) -> Message:
        """Press Start, perhaps behind a deep link."""
        return await self.says(f"/start {payload}".rstrip(), to=to)

    async def taps(self, message: Message, button: str, *, to: Account | None = None) -> Tap:
        """Press an inline button, named by its label or its data. Raises LookupError where there is none."""
        if message.deleted:
            raise LookupError("the message with that button was deleted")
        data = message.button(button).get("callback_data")
        if data is None:
            raise LookupError(f"the button {button!r} carries no callback data")
        if isinstance(message.chat, Private) and (message.chat.person is not self or message.chat.blocked):
            raise ValueError(f"{self!r} can't press buttons there")
        account = to or (message.sender if isinstance(message.sender, Account) else self.world.bot)
        tap = Tap(str(random.getrandbits(60)), self, message, account, data)
        self.world.taps[tap.id] = tap
        query = {
            "id": tap.id,
            "from": self.json,
            "message": message.json(),
            "chat_instance": message.chat.instance,
        }
        self.world.emit(account, "callback_query", query | {"data": data})
        return tap

    async def edits(self, message: Message, text: str) -> Message:
        """Change one's own message."""
        if message.sender is not self:
            raise ValueError("people edit only what they wrote")
        SECRETS.said(text)
        message.edits.append(message.text)
        message.text, message.entities = tidy(text, [])
        message.edit_date = self.world.date()
        for account in message.chat.accounts():
            if self.world.sees(account, message):
                self.world.emit(account, "edited_message", message.json())
        return message

    async def sends_photo(self, data: bytes = JPEG, *, caption: str = "", chat: Group | None = None, to: Account | None = None) -> Message:
        """Send a picture."""
        SECRETS.said(caption)
        file = self.world.keep(data, "photos", "photo.jpg", "image/jpeg")
        media = {"photo": [file.json | {"width": 90, "height": 67}, file.json | {"width": 800, "height": 600}]}
        return self._post(chat, to, None, text=caption, entities=find_entities(caption), media=media, file=file)

    async def sends_document(
        self,
        data: bytes,
        name: str,
        *,
        caption: str = "",
        chat: Group | None = None,
        to: Account | None = None,
    ) -> Message:
        """Send a file."""
        SECRETS.said(caption)
        SECRETS.name(name)
        file = self.world.keep(data, "documents", name, "application/octet-stream")
        media = {"document": file.json | {"file_name": name, "mime_type": file.mime}}
        return self._post(chat, to, None, text=caption, entities=find_entities(caption), media=media, file=file)

    async def sends_voice(
        self,
        data: bytes = b"OggS",
        *,
        duration: int = 1,
        chat: Group | None = None,
        to: Account | None = None,
    ) -> Message:
        """Send a voice note; duration in seconds."""
        file = self.world.keep(data, "voice", "voice.oga", "audio/ogg")
        media = {"voice": file.json | {"duration": duration, "mime_type": file.mime}}
        return self._post(chat, to, None, media=media, file=file)

    async def sends_audio(self, data: bytes, *, duration: int = 1, mime: str = "audio/mpeg", name: str = "reply.mp3") -> Message:
        """Send a sound file; duration in seconds."""
        file = self.world.keep(data, "music", name, mime)
        media = {"audio": file.json | {"duration": duration, "mime_type": mime, "file_name": name}}
        return self._post(None, None, None, media=media, file=file)

    async def sends_video_note(self, data: bytes, *, duration: int = 1) -> Message:
        """Send a round video; duration in seconds."""
        file = self.world.keep(data, "video_notes", "note.mp4", "video/mp4")
        return self._post(None, None, None, media={"video_note": file.json | {"duration": duration, "length": 240}}, file=file)

    async def sends_sticker(self, emoji: str = "👍", *, chat: Group | None = None, to: Account | None = None) -> Message:
        """Send a sticker."""
        file = self.world.keep(b"RIFF", "stickers", "sticker.webp", "image/webp")
        shape = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        media = {"sticker": file.json | shape | {"emoji": emoji}}
        return self._post(chat, to, None, media=media, file=file)

    async def blocks_bot(self, bot: Account | None = None) -> None:
        """Block the bot: from now on its messages are refused with 403."""
        self._blocks(self.chat(bot), True)

    async def unblocks_bot(self, bot: Account | None = None) -> None:
        """Unblock the bot."""
        self._blocks(self.chat(bot), False)

    async def adds_bot(self, group: Group, bot: Account | None = None) -> None:
        """Bring the bot into a group."""
        self.world.membership(group, bot or self.world.bot, self, "member")

    async def removes_bot(self, group: Group, bot: Account | None = None) -> None:
        """Throw the bot out of a group."""
        self.world.membership(group, bot or self.world.bot, self, "kicked")

    # What people see

    async def next_message(self, timeout: float = 20.0, *, chat: Group | None = None, of: Account | None = None) -> Message:
        """The next message from the bot that this person hasn't read yet; AssertionError when none comes in time."""
        place: Chat = chat or self.chat(of)
        return await self._next(place, "sent", place.sent, timeout)

    async def next_edit(self, timeout: float = 20.0, *, chat: Group | None = None, of: Account | None = None) -> Message:
        """The next message that the bot edited, once for each edit."""
        place: Chat = chat or self.chat(of)
        return await self._next(place, "edited", place.edited, timeout)

    async def quiet(self, seconds: float = 0.1, *, chat: Group | None = None, of: Account | None = None) -> None:
        """Wait that long and fail if a message came that wasn't read."""
        place: Chat = chat or self.chat(of)
        await asyncio.sleep(seconds)
        if unread := self.unread(chat=chat, of=of):
            raise AssertionError(f"{self!r} got {[m.text for m in unread]} in {place.json}")

    def unread(self, *, chat: Group | None = None, of: Account | None = None) -> list[Message]:
        """What the bot sent and this person hasn't read yet."""
        place: Chat = chat or self.chat(of)
        return place.sent[self._read.get((place, "sent"), 0) :]

    # How it is done

    async def _next(self, place: Chat, kind: str, messages: list[Message], timeout: float) -> Message:
        index = self._read.get((place, kind), 0)
        await self.world.wait_for(lambda: len(messages) > index, timeout, f"a message {kind} to {self!r}")
        self._read[place, kind] = index + 1
        return messages[index]

    def _post(self, group: Group | None, to: Account | None, reply_to: Message | None, **content: Any) -> Message:
        chat: Chat = group or self.chat(to)
        if isinstance(chat, Private):
            if chat.blocked:
                raise ValueError(f"{self!r} blocks the bot and can't write to it")
            chat.started = True
        elif group and self not in group.members:
            raise ValueError(f"{self!r} isn't in {group.title!r}")
        message = Message(chat.next_message_id(), chat, self, self.world.date(), reply_to=reply_to, **content)
        chat.history[message.message_id] = message
        for account in chat.accounts():
            if self.world.sees(account, message):
                self.world.emit(account, "message", message.json())
        return message

    def _blocks(self, chat: Private, blocked: bool) -> None:
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        statuses = ("member", "kicked") if blocked else ("kicked", "member")
        self.world.emit(chat.account, "my_chat_member", self.world.change(chat, chat.account, self, *statuses))


class World:
    """Everything that Telegram remembers, and a way to wait until it changes."""

    def __init__(self, tokens: Iterable[str], *, privacy: bool, now: Callable[[], float] | None) -> None:
        self.now = now or time.time
        self.bots: dict[str, Account] = {}
        for number, token in enumerate(tokens):
            tail = str(number + 1) if number else ""
            account = Account(token, int(token.split(":")[0]), f"coach{tail}_test_bot", f"Coach{tail}", privacy)
            account.next_update_id += 1_000_000 * number
            SECRETS.token(token)
            self.bots[token] = account
        self.people: dict[int, Person] = {}
        self.groups: dict[int, Group] = {}
        self.files: dict[str, Stored] = {}
        self.taps: dict[str, Tap] = {}
        self.updates: list[Json] = []
        self.delivered: list[Message] = []
        self.actions: list[tuple[int, str]] = []
        self.answered_callbacks: list[Json] = []
        self._privates: dict[tuple[int, int], Private] = {}
        self._people_ids = itertools.count(50_001)
        self._group_ids = itertools.count(1)
        self._changed = asyncio.Event()

    @property
    def bot(self) -> Account:
        """The first bot, which is meant where none is named."""
        return next(iter(self.bots.values()))

    # Who is there

    def person(
        self,
        first_name: str,
        *,
        language_code: str = "en",
        username: str = "",
        user_id: int = 0,
        started: bool = False,
    ) -> Person:
        """Somebody new. A bot can't write to them before they wrote to it, unless `started` says they did once."""
        number = user_id or next(self._people_ids)
        person = self.people[number] = Person(self, number, first_name, username, language_code)
        if started:
            for account in self.bots.values():
                self.private(person, account).started = True
        return person

    def group(
        self,
        title: str,
        members: Iterable[Person] = (),
        *,
        username: str = "",
        admin: bool = False,
        bot: bool = True,
    ) -> Group:
        """A supergroup with these members and, unless `bot` is false, every bot (as administrator if `admin`)."""
        SECRETS.name(title)
        number = -1_002_000_000_000 - next(self._group_ids)
        group = self.groups[number] = Group(self, number, title, list(members), username)
        if bot:
            group.bots = {account: "administrator" if admin else "member" for account in self.bots.values()}
        return group

    def private(self, person: Person, account: Account) -> Private:
        """The chat of these two."""
        key = (account.id, person.id)
        if key not in self._privates:
            self._privates[key] = Private(self, person, account)
        return self._privates[key]

    def sent(self, chat: Person | Chat | int | None = None) -> list[Message]:
        """Every message that bots delivered, in order; only those of one chat where one is given."""
        number = chat if isinstance(chat, int) or chat is None else chat.id
        return [message for message in self.delivered if number in (None, message.chat_id)]

    def keep(self, data: bytes, folder: str, name: str, mime: str) -> Stored:
        """Store a file and give it an id."""
        number = len(self.files) + 1
        suffix = f".{name.rpartition('.')[2]}" if "." in name else ""
        unique = f"AgAD{random.getrandbits(48):012x}"
        file = Stored(
            f"BQACAgIAAxk{random.getrandbits(120):030x}",
            unique,
            data,
            f"{folder}/file_{number}{suffix}",
            name,
            mime,
        )
        self.files[file.file_id] = file
        return file

    def date(self) -> int:
        """The second in which it is now."""
        return int(self.now())

    # What bots hear of

    def emit(self, account: Account, kind: str, body: Json) -> Json | None:
        """Queue an update, unless the bot doesn't want this kind."""
        if kind not in account.allowed:
            return None
        update = {"update_id": account.next_update_id, kind: body}
        account.next_update_id += 1
        account.queue.append(update)
        account.history.append(update)
        self.updates.append(update)
        self.changed()
        self.wake(account)
        return update

    def wake(self, account: Account) -> None:
        """Tell whoever carries updates that there is one; the server overrides it."""

    def sees(self, account: Account, message: Message) -> bool:
        """Whether a bot gets to see a message: everything, or with privacy mode only what is meant for it."""
        chat = message.chat
        if isinstance(chat, Private) or not account.privacy:
            return True
        assert isinstance(chat, Group)
        if chat.bots[account] == "administrator" or (message.reply_to and message.reply_to.sender is account):
            return True
        for entity in message.entities:
            name = piece(message.text, entity).lower()
            if entity["type"] == "mention" and name == f"@{account.username}".lower():
                return True
            if entity["type"] == "bot_command" and entity["offset"] == 0:
                others = [other for other in chat.accounts() if other is not account]
                if name.endswith(f"@{account.username}".lower()) or ("@" not in name and not others):
                    return True
                if "@" not in name and chat.sent and chat.sent[-1].sender is account:
                    return True
        return False

    def member(self, account: Account, status: str) -> Json:
        """A bot's place in a chat, as ChatMember."""
        body: Json = {"status": status, "user": account.json}
        if status == "kicked":
            body["until_date"] = 0
        if status == "administrator":
            rights = "manage_chat delete_messages manage_video_chats restrict_members promote_members change_info"
            rights += " invite_users post_stories edit_stories delete_stories"
            body |= {
                "can_be_edited": False,
                "is_anonymous": False,
                **{f"can_{r}": True for r in rights.split()},
            }
        return body

    def change(self, chat: Chat, account: Account, who: Person, old: str, new: str) -> Json:
        """A ChatMemberUpdated."""
        members = {"old_chat_member": self.member(account, old), "new_chat_member": self.member(account, new)}
        return {"chat": chat.json, "from": who.json, "date": self.date(), **members}

    def membership(self, group: Group, account: Account, who: Person, status: str) -> None:
        """Let a bot in or out, and tell it."""
        old = group.bots.get(account, "left")
        group.bots[account] = status
        self.emit(account, "my_chat_member", self.change(group, account, who, old, status))
        key = "left_chat_member" if status in ("kicked", "left") else "new_chat_members"
        user = account.json if status in ("kicked", "left") else [account.json]
        service = Message(group.next_message_id(), group, who, self.date(), media={key: user})
        self.emit(account, "message", service.json())

    def redeliver(self, update: Json | int) -> None:
        """Serve an update once more though it may be confirmed, as Telegram now and then does."""
        number = update if isinstance(update, int) else update["update_id"]
        account, known = next((a, u) for a in self.bots.values() for u in a.history if u["update_id"] == number)
        account.again.append(known)
        self.wake(account)

    # Waiting

    def changed(self) -> None:
        """Let those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for(self, predicate: Callable[[], T | None], timeout: float = 20.0, what: str = "it") -> T:
        """Wait until the predicate holds and return what it gave; AssertionError after so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not (found := predicate()):
            left = deadline - loop.time()
            if left <= 0:
                raise AssertionError(f"waited {timeout} s for {what}; {self.story()}")
            # Not asyncio.wait_for, which forgets that it was cancelled where the event comes at the same moment (Python 3.11).
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.1)):
                    await self._changed.wait()
        return found

    def story(self) -> str:
        """The last things that happened, for the message of a failing test."""
        return "last sent: " + repr([message.text[:80] for message in self.delivered[-5:]])
