"""What Discord refuses in a message, a modal or a list of choices: every documented limit, answered with code 50035.

Sources: "Message", "Embed limits", "Components" and "Interactions" in Discord's API documentation.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable
from typing import Any

from .discord_world import ApiError, Json

CONTENT, EMBEDS, EMBED_TOTAL, NONCE, FILES, FILE_SIZE = 2000, 10, 6000, 25, 10, 10 << 20
TITLE, DESCRIPTION, FIELDS, FIELD_NAME, FIELD_VALUE, FOOTER, AUTHOR = 256, 4096, 25, 256, 1024, 2048, 256
ROWS, BUTTONS, OPTIONS, CUSTOM_ID, LABEL, OPTION, PLACEHOLDER, URL = 5, 5, 25, 100, 80, 100, 150, 512
MODAL_TITLE, MODAL_PARTS, INPUT_LABEL, INPUT_VALUE, INPUT_PLACEHOLDER = 45, 5, 45, 4000, 100
CHOICES, CHOICE = 25, 100
V2_PARTS, V2_TEXT = 40, 4000
EPHEMERAL, LOADING, SILENT, VOICE_MESSAGE, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 12, 1 << 13, 1 << 15
BUTTON, STRING_SELECT, TEXT_INPUT, LABELLED, TEXT_DISPLAY = 2, 3, 4, 18, 10
SELECTS = {3, 5, 6, 7, 8}

Path = tuple[str | int, ...]


class Form:
    """The mistakes found in one form, each at its place."""

    def __init__(self) -> None:
        self.errors: Json = {}

    def wrong(self, path: Path, code: str, message: str) -> None:
        """Note one mistake."""
        at = self.errors
        for step in path:
            at = at.setdefault(str(step), {})
        at.setdefault("_errors", []).append({"code": code, "message": message})

    def done(self) -> None:
        """Raise what was found, if anything was."""
        if self.errors:
            raise ApiError(400, 50035, "Invalid Form Body", self.errors)

    def text(self, path: Path, value: Any, most: int, least: int = 0, *, required: bool = False) -> int:
        """Check a string and return its length; 0 where there is none."""
        if value is None or (value == "" and least and not required):
            if required:
                self.wrong(path, "BASE_TYPE_REQUIRED", "This field is required")
            return 0
        if not isinstance(value, str):
            self.wrong(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
            return 0
        if value == "" and required:
            self.wrong(path, "BASE_TYPE_REQUIRED", "This field is required")
        elif len(value) > most and least:
            self.wrong(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
        elif len(value) > most:
            self.wrong(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        elif len(value) < least:
            self.wrong(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
        return len(value)

    def number(self, path: Path, value: Any, least: int, most: int) -> None:
        """Check an integer, where there is one."""
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        elif value > most:
            self.wrong(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
        elif value < least:
            self.wrong(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")

    def listed(self, path: Path, value: Any, most: int, least: int = 0) -> list[Json]:
        """Check a list of objects and return those that are objects."""
        if value is None:
            value = []
        if not isinstance(value, list):
            self.wrong(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        if not least <= len(value) <= most:
            message = f"Must be between {least} and {most} in length." if least else f"Must be {most} or fewer in length."
            self.wrong(path, "BASE_TYPE_BAD_LENGTH" if least else "BASE_TYPE_MAX_LENGTH", message)
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                self.wrong((*path, index), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return [item for item in value if isinstance(item, dict)]


def check_voice(body: Json, files: list[tuple[str, bytes]]) -> None:
    """Refuse a voice message that has anything beside its one sound file, or does not describe that.

    https://docs.discord.com/developers/resources/message#voice-messages, and the codes of the opcodes page."""
    if any(body.get(name) for name in ("content", "embeds", "components", "sticker_ids", "poll")):
        raise ApiError(400, 50159, "Voice messages do not support additional content.")
    if len(files) != 1 or not (mimetypes.guess_type(files[0][0])[0] or "").startswith("audio/"):
        raise ApiError(400, 50160, "Voice messages must have a single audio attachment.")
    about = next((item for item in body.get("attachments") or [] if str(item.get("id")) == "0"), {})
    seconds, waveform = about.get("duration_secs"), about.get("waveform")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0 or not isinstance(waveform, str):
        raise ApiError(400, 50161, "Voice messages must have supporting metadata.")
    try:
        steps = base64.b64decode(waveform, validate=True)
    except ValueError:
        steps = b""
    if not 1 <= len(steps) <= 256 or not files[0][1].startswith(b"OggS") or b"OpusHead" not in files[0][1][:64]:
        raise ApiError(400, 50161, "Voice messages must have supporting metadata.")


def check_message(body: Json, files: Iterable[tuple[str, bytes]] = ()) -> None:
    """Refuse what breaks a limit; `body` holds only what is to be set. Says nothing of whether anything is in it."""
    form = Form()
    files = list(files)
    if len(files) > FILES:
        raise ApiError(400, 30015, f"Maximum number of attachments in a message reached ({FILES})")
    if any(len(data) > FILE_SIZE for _, data in files):
        raise ApiError(413, 40005, "Request entity too large")
    if int(body.get("flags") or 0) & VOICE_MESSAGE:
        check_voice(body, files)
    v2 = bool(int(body.get("flags") or 0) & COMPONENTS_V2)
    form.text(("content",), body.get("content"), CONTENT)
    nonce = body.get("nonce")
    if not isinstance(nonce, int):
        form.text(("nonce",), nonce, NONCE)
    _embeds(form, form.listed(("embeds",), body.get("embeds"), EMBEDS))
    if v2:
        for name in ("content", "embeds", "poll", "sticker_ids"):
            if body.get(name):
                code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
                form.wrong((name,), code, f"The '{name}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2")
        _components_v2(form, form.listed(("components",), body.get("components"), V2_PARTS))
    else:
        _rows(form, form.listed(("components",), body.get("components"), ROWS))
    _allowed_mentions(form, body.get("allowed_mentions"))
    for index, item in enumerate(form.listed(("attachments",), body.get("attachments"), FILES)):
        number = str(item.get("id", ""))
        if not number.isdigit() or (int(number) < FILES and int(number) >= len(files)):
            form.wrong(("attachments", index, "id"), "ATTACHMENT_NOT_FOUND", "Attachment not found.")
    form.done()


def _embeds(form: Form, embeds: list[Json]) -> None:
    total = 0
    for index, embed in enumerate(embeds):
        at: Path = ("embeds", index)
        total += form.text((*at, "title"), embed.get("title"), TITLE)
        total += form.text((*at, "description"), embed.get("description"), DESCRIPTION)
        for part, key, most in (("footer", "text", FOOTER), ("author", "name", AUTHOR)):
            if embed.get(part) is not None:
                total += form.text((*at, part, key), embed[part].get(key), most, required=True)
        for number, entry in enumerate(form.listed((*at, "fields"), embed.get("fields"), FIELDS)):
            total += form.text((*at, "fields", number, "name"), entry.get("name"), FIELD_NAME, required=True)
            total += form.text((*at, "fields", number, "value"), entry.get("value"), FIELD_VALUE, required=True)
        form.number((*at, "color"), embed.get("color"), 0, 0xFFFFFF)
        for part in ("image", "thumbnail"):
            if embed.get(part) is not None:
                _url(form, (*at, part, "url"), embed[part].get("url"), 2048, ("http://", "https://", "attachment://"))
        if embed.get("url") is not None:
            _url(form, (*at, "url"), embed["url"], 2048, ("http://", "https://"))
    if total > EMBED_TOTAL:
        form.wrong(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL}")


def _url(form: Form, path: Path, value: Any, most: int, schemes: tuple[str, ...]) -> None:
    form.text(path, value, most, required=True)
    if isinstance(value, str) and not value.startswith(schemes):
        form.wrong(path, "URL_TYPE_INVALID_SCHEME", f'Scheme "{value.partition(":")[0]}" is not one of {schemes}.')


def _allowed_mentions(form: Form, allowed: Any) -> None:
    if not isinstance(allowed, dict):
        return
    parse = allowed.get("parse") or []
    for index, kind in enumerate(parse):
        if kind not in ("users", "roles", "everyone"):
            form.wrong(("allowed_mentions", "parse", index), "BASE_TYPE_CHOICES", "Value must be one of {'everyone', 'roles', 'users'}.")
    for kind in ("users", "roles"):
        if len(allowed.get(kind) or []) > 100:
            form.wrong(("allowed_mentions", kind), "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
        if kind in parse and allowed.get(kind):
            code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"
            form.wrong(("allowed_mentions",), code, f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.')


# Components


def _rows(form: Form, rows: list[Json]) -> None:
    seen: set[str] = set()
    for index, row in enumerate(rows):
        at: Path = ("components", index)
        if row.get("type") != 1:
            form.wrong((*at, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of (1,), not {row.get("type")}.')
            continue
        _row(form, at, row, seen)


def _row(form: Form, at: Path, row: Json, seen: set[str]) -> None:
    """Five buttons, or one select."""
    parts = form.listed((*at, "components"), row.get("components"), BUTTONS, 1)
    kinds = [part.get("type") for part in parts]
    if any(kind in SELECTS for kind in kinds) and len(parts) > 1:
        form.wrong((*at, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "The specified component exceeds the maximum width")
    for number, part in enumerate(parts):
        here: Path = (*at, "components", number)
        if part.get("type") == BUTTON:
            _button(form, here, part, seen)
        elif part.get("type") in SELECTS:
            _select(form, here, part, seen)
        else:
            form.wrong((*here, "type"), "UNION_TYPE_CHOICES", f"A row in a message can't hold a component of type {part.get('type')}.")


def _custom_id(form: Form, at: Path, part: Json, seen: set[str]) -> None:
    form.text((*at, "custom_id"), part.get("custom_id"), CUSTOM_ID, 1, required=True)
    if part.get("custom_id") in seen:
        form.wrong((*at, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    seen.add(str(part.get("custom_id")))


def _button(form: Form, at: Path, part: Json, seen: set[str]) -> None:
    form.text((*at, "label"), part.get("label"), LABEL)
    if not part.get("label") and not part.get("emoji"):
        form.wrong(at, "BUTTON_COMPONENT_INVALID", "A button needs a label or an emoji")
    if part.get("style") == 5:
        _url(form, (*at, "url"), part.get("url"), URL, ("http://", "https://", "discord://"))
        if part.get("custom_id"):
            form.wrong(at, "BUTTON_COMPONENT_CUSTOM_ID_URL_EXCLUSIVE", "A custom id and url cannot both be specified")
    elif part.get("style") in (1, 2, 3, 4):
        _custom_id(form, at, part, seen)
        if part.get("url"):
            form.wrong(at, "BUTTON_COMPONENT_CUSTOM_ID_URL_EXCLUSIVE", "A custom id and url cannot both be specified")
    else:
        form.wrong((*at, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6}.")


def _select(form: Form, at: Path, part: Json, seen: set[str]) -> None:
    _custom_id(form, at, part, seen)
    form.text((*at, "placeholder"), part.get("placeholder"), PLACEHOLDER)
    form.number((*at, "min_values"), part.get("min_values"), 0, OPTIONS)
    form.number((*at, "max_values"), part.get("max_values"), 1, OPTIONS)
    if part.get("type") != STRING_SELECT:
        return
    options = form.listed((*at, "options"), part.get("options"), OPTIONS, 1)
    values: set[str] = set()
    for number, option in enumerate(options):
        here: Path = (*at, "options", number)
        form.text((*here, "label"), option.get("label"), OPTION, 1, required=True)
        form.text((*here, "value"), option.get("value"), OPTION, 1, required=True)
        form.text((*here, "description"), option.get("description"), OPTION)
        if option.get("value") in values:
            form.wrong((*here, "value"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified option value is already used")
        values.add(str(option.get("value")))
    if options and int(part.get("max_values") or 1) > len(options):
        form.wrong((*at, "max_values"), "BASE_TYPE_BAD_LENGTH", "max_values is greater than the number of options")


def _components_v2(form: Form, parts: list[Json]) -> None:
    """Layouts: 40 components in all, 4000 characters of text, and the limits of every button and select."""
    seen: set[str] = set()
    count = total = 0

    def walk(at: Path, inner: list[Json]) -> None:
        nonlocal count, total
        for index, part in enumerate(inner):
            here = (*at, index)
            count += 1
            kind = part.get("type")
            if kind == 1:
                count += len(part.get("components") or [])
                _row(form, here, part, seen)
            elif kind == TEXT_DISPLAY:
                total += form.text((*here, "content"), part.get("content"), V2_TEXT, 1, required=True)
            elif kind in (9, 17):
                walk((*here, "components"), [p for p in part.get("components") or [] if isinstance(p, dict)])
                if isinstance(part.get("accessory"), dict):
                    count += 1
                    if part["accessory"].get("type") == BUTTON:
                        _button(form, (*here, "accessory"), part["accessory"], seen)
            elif kind not in (12, 13, 14):
                form.wrong((*here, "type"), "UNION_TYPE_CHOICES", f"A message can't hold a component of type {kind} here.")

    walk(("components",), parts)
    if count > V2_PARTS:
        form.wrong(("components",), "BASE_TYPE_MAX_LENGTH", f"The total number of components must be {V2_PARTS} or fewer.")
    if total > V2_TEXT:
        form.wrong(("components",), "COMPONENT_MAX_TEXT_SIZE_EXCEEDED", f"Displayable text exceeds maximum size of {V2_TEXT}")


def check_modal(data: Json) -> None:
    """Refuse a modal that breaks a limit."""
    form = Form()
    form.text(("data", "title"), data.get("title"), MODAL_TITLE, 1, required=True)
    form.text(("data", "custom_id"), data.get("custom_id"), CUSTOM_ID, 1, required=True)
    seen: set[str] = set()
    for index, part in enumerate(form.listed(("data", "components"), data.get("components"), MODAL_PARTS, 1)):
        at: Path = ("data", "components", index)
        if part.get("type") == 1:
            inner = form.listed((*at, "components"), part.get("components"), 1, 1)
            for item in inner:
                _input(form, (*at, "components", 0), item, seen, labelled=False)
        elif part.get("type") == LABELLED:
            form.text((*at, "label"), part.get("label"), INPUT_LABEL, 1, required=True)
            form.text((*at, "description"), part.get("description"), 100)
            if isinstance(part.get("component"), dict):
                _input(form, (*at, "component"), part["component"], seen, labelled=True)
            else:
                form.wrong((*at, "component"), "BASE_TYPE_REQUIRED", "This field is required")
        elif part.get("type") != TEXT_DISPLAY:
            form.wrong((*at, "type"), "UNION_TYPE_CHOICES", f"A modal can't hold a component of type {part.get('type')}.")
    form.done()


def _input(form: Form, at: Path, part: Json, seen: set[str], *, labelled: bool) -> None:
    if part.get("type") in SELECTS and labelled:
        _select(form, at, part, seen)
        return
    if part.get("type") != TEXT_INPUT:
        form.wrong((*at, "type"), "UNION_TYPE_CHOICES", f"A modal can't hold a component of type {part.get('type')} here.")
        return
    _custom_id(form, at, part, seen)
    if not labelled:
        form.text((*at, "label"), part.get("label"), INPUT_LABEL, 1, required=True)
    form.text((*at, "placeholder"), part.get("placeholder"), INPUT_PLACEHOLDER)
    form.text((*at, "value"), part.get("value"), INPUT_VALUE)
    form.number((*at, "min_length"), part.get("min_length"), 0, INPUT_VALUE)
    form.number((*at, "max_length"), part.get("max_length"), 1, INPUT_VALUE)
    if part.get("style") not in (1, 2):
        form.wrong((*at, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2}.")
    if (part.get("min_length") or 0) > (part.get("max_length") or INPUT_VALUE):
        form.wrong((*at, "min_length"), "NUMBER_TYPE_MAX", "min_length is greater than max_length")


def check_choices(data: Json, kind: int) -> list[Json]:
    """Refuse choices that break a limit or don't fit an option of this type; returns them."""
    form = Form()
    choices = form.listed(("data", "choices"), data.get("choices"), CHOICES)
    for index, choice in enumerate(choices):
        at: Path = ("data", "choices", index)
        form.text((*at, "name"), choice.get("name"), CHOICE, 1, required=True)
        if kind == 3:
            form.text((*at, "value"), choice.get("value"), CHOICE, 1, required=True)
        elif isinstance(choice.get("value"), bool) or not isinstance(choice.get("value"), int if kind == 4 else (int, float)):
            form.wrong((*at, "value"), "NUMBER_TYPE_COERCE", f'Value "{choice.get("value")}" is not a number.')
    form.done()
    return choices
