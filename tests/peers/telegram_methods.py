"""What each method of the Bot API does to the test world, and when Telegram refuses it.

The order of the checks and the wording of the refusals follow tdlib/telegram-bot-api (Client.cpp) and TDLib.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import telegram_text
from .telegram_text import CannotParse, Entity, is_blank, units
from .telegram_world import Account, ApiError, Chat, Group, Json, Message, Private, Stored, World, bad

TEXT_LIMIT, CAPTION_LIMIT, BUTTON_LIMIT, COMMAND_LIMIT = 4096, 1024, 100, 100
PHOTO_LIMIT, DOWNLOAD_LIMIT = 10 << 20, 20 << 20
ACTIONS = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "record_audio",
    "upload_audio",
    "upload_document",
    "choose_sticker",
    "find_location",
    "pick_up_location",
    "record_video_note",
    "upload_video_note",
    "cancel",
]
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")


@dataclass(eq=False)
class Call:
    """One request to the Bot API: what was asked, whether it was carried out, and what was answered.

    `accepted` says that it took effect, even where a fault then hid that from the bot; `status` is 0 while the call
    is under way and stays 0 where the connection was cut.
    """

    method: str
    params: Json
    files: dict[str, tuple[str, bytes]]
    bot: Account
    at: float
    status: int = 0
    accepted: bool = False
    done: bool = False
    result: Any = None
    description: str = ""
    parameters: Json = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A parameter as text; empty where it is missing."""
        value = self.params.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    def number(self, name: str, default: int = 0) -> int:
        """A parameter as an integer, read as leniently as Telegram does: what is no number is the default."""
        found = re.match(r"-?\d+", self.text(name))
        return int(found[0]) if found else default

    def flag(self, name: str) -> bool:
        """A parameter as a yes or no."""
        return self.text(name).lower() in ("true", "1", "yes")

    def object(self, name: str, what: str) -> Any:
        """A parameter that is JSON, decoded; None where it is missing."""
        value = self.params.get(name)
        if isinstance(value, str) and value:
            try:
                return json.loads(value)
            except ValueError:
                raise bad(f"can't parse {what} JSON object") from None
        return value or None


Method = Callable[[World, Call], Any]
METHODS: dict[str, Method] = {}


def method(name: str) -> Callable[[Method], Method]:
    """Enter a function under the Bot API's name for it."""

    def enter(function: Method) -> Method:
        METHODS[name] = function
        return function

    return enter


# What the parameters mean


def find_chat(world: World, call: Call, *, send: bool = False) -> Chat:
    """The chat that a call names, if the bot may see it and, for `send`, write there."""
    given = call.text("chat_id")
    if not given:
        raise bad("chat_id is empty")
    number = call.number("chat_id")
    if given.startswith("@"):
        number = next((g.id for g in world.groups.values() if g.username and f"@{g.username}" == given), 0)
    if group := world.groups.get(number):
        status = group.bots.get(call.bot, "left")
        if status == "kicked":
            raise ApiError(403, "Forbidden: bot was kicked from the supergroup chat")
        if status == "left":
            raise ApiError(403, "Forbidden: bot is not a member of the supergroup chat")
        return group
    person = world.people.get(number)
    if person is None:
        raise bad("chat not found")
    chat = world.private(person, call.bot)
    if not chat.started:
        if not any(person in group.members and call.bot in group.accounts() for group in world.groups.values()):
            raise bad("chat not found")
        if send:
            raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
    if send and chat.blocked:
        raise ApiError(403, "Forbidden: bot was blocked by the user")
    return chat


def formatted(world: World, call: Call, name: str = "text", entities: str = "entities") -> tuple[str, list[Entity]]:
    """The text of a call, parsed and tidied."""
    source, mode = call.text(name), call.text("parse_mode").lower()
    if len(source.encode("utf-8", "surrogatepass")) > 1 << 15:
        raise bad("text is too long")
    if mode in ("markdown", "markdownv2"):
        raise bad("can't parse entities: this test server reads HTML only")
    if mode not in ("", "none", "html"):
        raise bad("unsupported parse_mode")
    given = [] if mode == "html" else call.object(entities, "entities") or []
    try:
        text, found = telegram_text.read(source, mode, given)
    except CannotParse as error:
        raise bad(f"can't parse entities: {error}") from None
    return text, [e for e in (_with_person(world, entity) for entity in found) if e]


def _with_person(world: World, entity: Entity) -> Entity:
    if entity["type"] != "text_mention":
        return entity
    person = world.people.get(entity["user"]["id"])
    return entity | {"user": person.json} if person else {}


def keyboards(call: Call, *, inline_only: bool = False) -> tuple[list[list[Json]], Json]:
    """The inline keyboard and the other kind of reply markup, as far as the shape goes."""
    markup = call.object("reply_markup", "reply keyboard markup")
    if markup is None:
        return [], {}
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    rows = markup.get("inline_keyboard")
    if rows is None:
        if inline_only and markup:
            raise bad("inline keyboard expected")
        return [], markup
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    kept = [[_button(button) for button in row] for row in rows]
    return [row for row in ([b for b in row if b["text"]] for row in kept) if row], {}


def _button(button: Any) -> Json:
    if not isinstance(button, dict):
        raise bad("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if not isinstance(button.get("text"), str):
        raise bad("can't parse inline keyboard button: Can't find field \"text\"")
    if not any(value not in (None, "") for key, value in button.items() if key not in ("text", "style")):
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    return {key: value for key, value in button.items() if value is not None}


def check_buttons(rows: list[list[Json]]) -> None:
    """What Telegram's servers check of a keyboard when the message itself was found good."""
    for button in (button for row in rows for button in row):
        if "callback_data" in button and not 1 <= len(str(button["callback_data"]).encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
        if "url" in button and not telegram_text.checked_link(button["url"]):
            raise bad(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
    if sum(map(len, rows)) > BUTTON_LIMIT:
        raise bad("reply markup is too long")


def replied_to(chat: Chat, call: Call) -> Message | None:
    """The message that a new one answers."""
    reply = call.object("reply_parameters", "reply parameters")
    if not reply:
        return None
    found = chat.history.get(int(reply.get("message_id", 0)))
    if found is None and not reply.get("allow_sending_without_reply"):
        raise bad("message to be replied not found")
    return found


# Sending


@method("sendMessage")
def send_message(world: World, call: Call) -> Json:
    if not call.text("text"):
        raise bad("message text is empty")
    text, entities = formatted(world, call)
    rows, other = keyboards(call)
    chat = find_chat(world, call, send=True)
    reply = replied_to(chat, call)
    if is_blank(text):
        raise bad("text must be non-empty")
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    check_buttons(rows)
    return _deliver(world, call, chat, text, entities, rows, other, reply)


@method("sendPhoto")
def send_photo(world: World, call: Call) -> Json:
    return _send_file(world, call, "photo", "photos", "photo.jpg", "image/jpeg")


@method("sendDocument")
def send_document(world: World, call: Call) -> Json:
    return _send_file(world, call, "document", "documents", "document", "application/octet-stream")


@method("sendVoice")
def send_voice(world: World, call: Call) -> Json:
    return _send_file(world, call, "voice", "voice", "voice.oga", "audio/ogg")


def _send_file(world: World, call: Call, kind: str, folder: str, name: str, mime: str) -> Json:
    given = call.text(kind)
    upload = call.files.get(given.removeprefix("attach://") if given else kind)
    if upload is None and not given:
        raise bad(f"there is no {kind} in the request")
    caption, entities = formatted(world, call, "caption", "caption_entities")
    rows, other = keyboards(call)
    chat = find_chat(world, call, send=True)
    reply = replied_to(chat, call)
    if units(caption) > CAPTION_LIMIT:
        raise bad("message caption is too long")
    file = world.files.get(given)
    if upload is not None:
        if not upload[1]:
            raise bad("file must be non-empty")
        if kind == "photo":
            _check_picture(upload[1])
        file = world.keep(upload[1], folder, upload[0] or name, mime)
    if file is None:
        raise bad("wrong file identifier/HTTP URL specified")
    check_buttons(rows)
    media = _media(kind, file, call)
    return _deliver(world, call, chat, caption, entities, rows, other, reply, media, file)


def _check_picture(data: bytes) -> None:
    if len(data) > PHOTO_LIMIT:
        raise bad(f"file of size {len(data)} bytes is too big for a photo; the maximum size is {PHOTO_LIMIT} bytes")
    if not data.startswith(PICTURES):
        raise bad("IMAGE_PROCESS_FAILED")
    width, height = picture_size(data)
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise bad("PHOTO_INVALID_DIMENSIONS")


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG; 800 by 600 for every other kind."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return 800, 600


def _media(kind: str, file: Stored, call: Call) -> Json:
    if kind == "photo":
        width, height = picture_size(file.data)
        small = {"width": min(width, 90), "height": max(1, min(width, 90) * height // max(width, 1))}
        return {"photo": [file.json | small, file.json | {"width": width, "height": height}]}
    if kind == "voice" and file.data.startswith(b"OggS") and b"OpusHead" in file.data[:64]:
        return {"voice": file.json | {"duration": call.number("duration"), "mime_type": "audio/ogg"}}
    return {"document": file.json | {"file_name": file.name, "mime_type": file.mime}}


def _deliver(
    world: World,
    call: Call,
    chat: Chat,
    text: str,
    entities: list[Entity],
    rows: list[list[Json]],
    other: Json,
    reply: Message | None,
    media: Json | None = None,
    file: Stored | None = None,
) -> Json:
    number, date = chat.next_message_id(), world.date()
    options: Json = {name: call.flag(name) for name in ("disable_notification", "protect_content") if name in call.params}
    if preview := call.object("link_preview_options", "link preview options"):
        options["link_preview_options"] = preview
    message = Message(number, chat, call.bot, date, text, entities, rows, other, media or {}, file, reply, options=options)
    chat.history[number] = message
    chat.sent.append(message)
    world.delivered.append(message)
    world.changed()
    return message.json()


@method("sendChatAction")
def send_chat_action(world: World, call: Call) -> bool:
    if call.text("action") not in ACTIONS:
        raise bad("wrong parameter action in request")
    world.actions.append((find_chat(world, call, send=True).id, call.text("action")))
    return True


# Changing what was sent


def _to_edit(world: World, call: Call) -> Message:
    chat = find_chat(world, call, send=True)
    message = chat.history.get(call.number("message_id"))
    if message is None:
        raise bad("message to edit not found")
    if message.sender is not call.bot or message.reply_keyboard:
        raise bad("message can't be edited")
    return message


def _edit(world: World, message: Message, text: str, entities: list[Entity], rows: list[list[Json]]) -> Json:
    check_buttons(rows)
    if (message.text, message.entities, message.keyboard) == (text, entities, rows):
        raise bad(NOT_MODIFIED)
    message.edits.append(message.text)
    message.text, message.entities, message.keyboard = text, entities, rows
    message.edit_date = world.date()
    message.chat.edited.append(message)
    world.changed()
    return message.json()


@method("editMessageText")
def edit_message_text(world: World, call: Call) -> Json:
    if not call.text("text"):
        raise bad("message text is empty")
    text, entities = formatted(world, call)
    rows, _ = keyboards(call, inline_only=True)
    message = _to_edit(world, call)
    if message.media:
        raise bad("there is no text in the message to edit")
    if is_blank(text):
        raise bad("text must be non-empty")
    if units(text) > TEXT_LIMIT:
        raise bad("MESSAGE_TOO_LONG")
    return _edit(world, message, text, entities, rows)


@method("editMessageCaption")
def edit_message_caption(world: World, call: Call) -> Json:
    caption, entities = formatted(world, call, "caption", "caption_entities")
    rows, _ = keyboards(call, inline_only=True)
    message = _to_edit(world, call)
    if not message.media:
        raise bad("there is no caption in the message to edit")
    if units(caption) > CAPTION_LIMIT:
        raise bad("MEDIA_CAPTION_TOO_LONG")
    return _edit(world, message, caption, entities, rows)


@method("editMessageReplyMarkup")
def edit_message_reply_markup(world: World, call: Call) -> Json:
    rows, _ = keyboards(call, inline_only=True)
    message = _to_edit(world, call)
    return _edit(world, message, message.text, message.entities, rows)


@method("deleteMessage")
def delete_message(world: World, call: Call) -> bool:
    if not call.text("chat_id"):
        raise bad("chat identifier is not specified")
    if not call.number("message_id"):
        raise bad("message identifier is not specified")
    chat = find_chat(world, call)
    message = chat.history.get(call.number("message_id"))
    if message is None:
        raise bad("message to delete not found")
    if isinstance(chat, Group) and message.sender is not call.bot and chat.bots[call.bot] != "administrator":
        raise bad("message can't be deleted")
    message.deleted = True
    del chat.history[message.message_id]
    world.changed()
    return True


@method("answerCallbackQuery")
def answer_callback_query(world: World, call: Call) -> bool:
    tap = world.taps.get(call.text("callback_query_id"))
    if tap is None or tap.account is not call.bot or tap.answer is not None or tap.expired:
        raise bad(QUERY_TOO_OLD)
    if len(call.text("text")) > 200:
        raise bad("MESSAGE_TOO_LONG")
    tap.answer = {
        "callback_query_id": tap.id,
        "text": call.text("text"),
        "show_alert": call.flag("show_alert"),
    }
    world.answered_callbacks.append(tap.answer)
    world.changed()
    return True


# Who is there


@method("getMe")
def get_me(world: World, call: Call) -> Json:
    no = ["supports_inline_queries", "can_connect_to_business", "has_main_web_app", "has_topics_enabled"]
    can = {"can_join_groups": True, "can_read_all_group_messages": not call.bot.privacy}
    return call.bot.json | can | dict.fromkeys(no, False)


@method("getChat")
def get_chat(world: World, call: Call) -> Json:
    chat = find_chat(world, call)
    gifts = [
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    ]
    extra = {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }
    return chat.json | extra


@method("getChatMember")
def get_chat_member(world: World, call: Call) -> Json:
    chat = find_chat(world, call)
    number = call.number("user_id")
    if number <= 0:
        raise bad("invalid user_id specified")
    if number == call.bot.id:
        return world.member(call.bot, chat.bots[call.bot] if isinstance(chat, Group) else "member")
    person = world.people.get(number)
    if person is None or (isinstance(chat, Private) and chat.person is not person):
        raise bad("member not found" if person else "user not found")
    if isinstance(chat, Group) and person in chat.members[:1]:
        return {"status": "creator", "user": person.json, "is_anonymous": False}
    inside = isinstance(chat, Private) or (isinstance(chat, Group) and person in chat.members)
    return {"status": "member" if inside else "left", "user": person.json}


@method("getFile")
def get_file(world: World, call: Call) -> Json:
    if not call.text("file_id"):
        raise bad("file_id not specified")
    file = world.files.get(call.text("file_id"))
    if file is None:
        raise bad("invalid file_id")
    if len(file.data) > DOWNLOAD_LIMIT:
        raise bad("file is too big")
    return file.json | {"file_path": file.path}


# What the bot says of itself


def _scope(world: World, call: Call) -> tuple[str, str]:
    scope = call.object("scope", "BotCommandScope") or {"type": "default"}
    kind = scope.get("type")
    if kind in ("default", "all_private_chats", "all_group_chats", "all_chat_administrators"):
        return kind, call.text("language_code")
    if kind not in ("chat", "chat_administrators", "chat_member"):
        raise bad("can't parse BotCommandScope: Unsupported type specified")
    chat = find_chat(world, Call(call.method, {"chat_id": scope.get("chat_id")}, {}, call.bot, call.at))
    member = f":{scope.get('user_id')}" if kind == "chat_member" else ""
    return f"{kind}:{chat.id}{member}", call.text("language_code")


@method("setMyCommands")
def set_my_commands(world: World, call: Call) -> bool:
    given = call.object("commands", "commands") or []
    if not isinstance(given, list):
        raise bad("expected an Array of BotCommand")
    commands = []
    for item in given:
        if not isinstance(item, dict) or not {"command", "description"} <= item.keys():
            raise bad("can't parse BotCommand: expected an Object")
        name, description = item["command"].strip().removeprefix("/"), item["description"].strip()
        if not name:
            raise bad("command must be non-empty")
        if len(name) > 32:
            raise bad("command length must not exceed 32")
        if not description:
            raise bad("command description must be non-empty")
        if len(description) > 256:
            raise bad("command description length must not exceed 256")
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
            raise bad("BOT_COMMAND_INVALID")
        commands.append({"command": name, "description": description})
    scope = _scope(world, call)
    if len(commands) > COMMAND_LIMIT:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    call.bot.commands[scope] = commands
    return True


@method("getMyCommands")
def get_my_commands(world: World, call: Call) -> list[Json]:
    return call.bot.commands.get(_scope(world, call), [])


@method("deleteMyCommands")
def delete_my_commands(world: World, call: Call) -> bool:
    call.bot.commands.pop(_scope(world, call), None)
    return True


def _describe(call: Call, name: str, limit: int) -> bool:
    if len(call.text(name)) > limit:
        raise bad(f"{name.replace('_', ' ')} is too long")
    call.bot.descriptions[name, call.text("language_code")] = call.text(name)
    return True


@method("setMyDescription")
def set_my_description(world: World, call: Call) -> bool:
    return _describe(call, "description", 512)


@method("setMyShortDescription")
def set_my_short_description(world: World, call: Call) -> bool:
    return _describe(call, "short_description", 120)


@method("getMyDescription")
def get_my_description(world: World, call: Call) -> Json:
    return {"description": call.bot.descriptions.get(("description", call.text("language_code")), "")}


@method("getMyShortDescription")
def get_my_short_description(world: World, call: Call) -> Json:
    return {"short_description": call.bot.descriptions.get(("short_description", call.text("language_code")), "")}


@method("logOut")
def log_out(world: World, call: Call) -> bool:
    call.bot.logged_out = True
    return True


@method("close")
def close(world: World, call: Call) -> bool:
    return True
