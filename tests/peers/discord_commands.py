"""Application commands of a test Discord: which definitions are refused, and how a client fills in what somebody types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .discord_limits import Form
from .discord_messages import Attachment
from .discord_world import ApiError, Channel, Json, Role, User, World

CHAT, MOST = 1, {1: 100, 2: 5, 3: 5}
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)
NAME = re.compile(r"[-_'\w]{1,32}")
WHOLE = 8000
Path = tuple[str | int, ...]


# What the bot registers


def check_commands(commands: Any) -> None:
    """Refuse a bulk overwrite that breaks a rule of "Application Commands" in the API documentation."""
    form = Form()
    if not isinstance(commands, list):
        form.wrong((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        form.done()
    seen: set[tuple[int, str]] = set()
    for index, command in enumerate(commands):
        kind = command.get("type") or CHAT
        _command(form, (index,), command, kind)
        if (kind, str(command.get("name"))) in seen:
            form.wrong((index,), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add((kind, str(command.get("name"))))
    for kind, most in MOST.items():
        if sum((command.get("type") or CHAT) == kind for command in commands) > most:
            raise ApiError(400, 30032, f"Maximum number of application commands reached ({most})")
    form.done()


def _command(form: Form, at: Path, command: Json, kind: int) -> None:
    if kind == CHAT:
        _name(form, (*at, "name"), command.get("name"))
        form.text((*at, "description"), command.get("description"), 100, 1, required=True)
        options = form.listed((*at, "options"), command.get("options"), 25)
        _options(form, at, options, depth=0)
        if _length(command) > WHOLE:
            form.wrong(at, "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({WHOLE})")
    else:
        form.text((*at, "name"), command.get("name"), 32, 1, required=True)
        if command.get("description") or command.get("options"):
            form.wrong(at, "APPLICATION_COMMAND_CONTEXT_MENU", "Context menu commands cannot have description or options")


def _name(form: Form, at: Path, name: Any) -> None:
    form.text(at, name, 32, 1, required=True)
    if isinstance(name, str) and name and (not NAME.fullmatch(name) or name != name.lower()):
        form.wrong(at, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _options(form: Form, at: Path, options: list[Json], depth: int) -> None:
    seen: set[str] = set()
    optional = False
    kinds = {option.get("type") in (SUBCOMMAND, GROUP) for option in options}
    if len(kinds) > 1:
        form.wrong((*at, "options"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Subcommands and options can't be mixed")
    for index, option in enumerate(options):
        here = (*at, "options", index)
        kind = option.get("type")
        _name(form, (*here, "name"), option.get("name"))
        form.text((*here, "description"), option.get("description"), 100, 1, required=True)
        if option.get("name") in seen:
            form.wrong((*here, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique")
        seen.add(str(option.get("name")))
        if kind in (SUBCOMMAND, GROUP):
            if (kind == GROUP and depth) or depth > 1:
                form.wrong((*here, "type"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Invalid nesting of subcommands")
            _options(form, here, form.listed((*here, "options"), option.get("options"), 25), depth + (1 if kind == GROUP else 2))
        elif kind not in range(STRING, ATTACHMENT + 1):
            form.wrong((*here, "type"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}.")
        else:
            if option.get("required") and optional:
                code = "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"
                form.wrong(here, code, "Required options must be placed before non-required options")
            optional = optional or not option.get("required")
            _offered(form, here, option)


def _offered(form: Form, at: Path, option: Json) -> None:
    kind = option["type"]
    choices = form.listed((*at, "choices"), option.get("choices"), 25)
    if choices and option.get("autocomplete"):
        code = "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES"
        form.wrong(at, code, "Choices and autocomplete are mutually exclusive")
    for number, choice in enumerate(choices):
        here = (*at, "choices", number)
        form.text((*here, "name"), choice.get("name"), 100, 1, required=True)
        if kind == STRING:
            form.text((*here, "value"), choice.get("value"), 100, 1, required=True)
        elif kind not in (INTEGER, NUMBER) or not isinstance(choice.get("value"), (int, float)):
            form.wrong((*here, "value"), "NUMBER_TYPE_COERCE", f'Value "{choice.get("value")}" is not a number.')
    if kind == STRING:
        form.number((*at, "min_length"), option.get("min_length"), 0, 6000)
        form.number((*at, "max_length"), option.get("max_length"), 1, 6000)


def _length(part: Json) -> int:
    """Characters of names, descriptions and values, as Discord adds them up for one command."""
    total = len(part.get("name") or "") + len(part.get("description") or "")
    total += sum(len(choice["name"]) + len(str(choice.get("value"))) for choice in part.get("choices") or [])
    return total + sum(_length(option) for option in part.get("options") or [])


def stored(world: World, command: Json, guild_id: int | None, number: str | None) -> Json:
    """A command as Discord gives it back."""
    kept = {key: value for key, value in command.items() if value is not None}
    body: Json = {
        "description": "", "type": CHAT, "default_member_permissions": None, "nsfw": False, "contexts": None,
        "integration_types": [0], **kept, "id": number or str(world.snowflake()), "application_id": str(world.bot.id),
        "version": str(world.snowflake()),
    }  # fmt: skip
    return body | ({"guild_id": str(guild_id)} if guild_id else {})


# What somebody types


def path_of(command: Json, words: list[str]) -> tuple[list[Json], list[Json]]:
    """The groups and the subcommand that the words after the name lead to, and the options there are at the end."""
    at, steps = command, []
    for word in words:
        inner = [option for option in at.get("options") or [] if option["type"] in (SUBCOMMAND, GROUP)]
        found = next((option for option in inner if option["name"] == word), None)
        if found is None:
            raise LookupError(f"/{command['name']} has no subcommand {word!r}; there are {[option['name'] for option in inner]}")
        steps.append(found)
        at = found
    if any(option["type"] in (SUBCOMMAND, GROUP) for option in at.get("options") or []):
        raise LookupError(f"/{command['name']} {' '.join(words)} needs a subcommand")
    return steps, at.get("options") or []


def nest(steps: list[Json], options: list[Json]) -> list[Json]:
    """The options, wrapped in the subcommands they belong to."""
    for step in reversed(steps):
        options = [{"type": step["type"], "name": step["name"], "options": options}]
    return options


def fill(world: World, channel: Channel, options: list[Json], given: Mapping[str, Any], *, typing: str = "") -> tuple[list[Json], Json]:
    """What a client sends for the values given, and what it explains of them (`resolved`).

    Raises ValueError for what a client doesn't let anybody send. `typing` names the option that is being typed.
    """
    known = {option["name"]: option for option in options}
    if unknown := set(given) - set(known):
        raise ValueError(f"no options {sorted(unknown)}; there are {sorted(known)}")
    missing = [name for name, option in known.items() if option.get("required") and name not in given]
    if missing and not typing:
        raise ValueError(f"the options {missing} are required")
    resolved: Json = {}
    sent = []
    for name, option in known.items():
        if name in given and given[name] is not None:
            part = {"type": option["type"], "name": name, "value": _value(world, channel, option, given[name], resolved, name == typing)}
            sent.append(part | ({"focused": True} if name == typing else {}))
    return sent, resolved


def _value(world: World, channel: Channel, option: Json, value: Any, resolved: Json, typing: bool) -> Any:
    kind, name = option["type"], option["name"]
    if typing:
        return str(value)
    if kind in (USER, CHANNEL, ROLE, MENTIONABLE, ATTACHMENT):
        return resolve(world, channel, value, resolved)
    wanted: tuple[type, ...] = {STRING: (str,), INTEGER: (int,), BOOLEAN: (bool,), NUMBER: (int, float)}[kind]
    if choices := option.get("choices"):
        found = [choice["value"] for choice in choices if value in (choice["name"], choice["value"])]
        if not found:
            raise ValueError(f"{name} can't be {value!r}; the choices are {[choice['name'] for choice in choices]}")
        return found[0]
    if not isinstance(value, wanted) or (kind in (INTEGER, NUMBER) and isinstance(value, bool)):
        raise ValueError(f"{name} can't be {value!r}: wrong type")
    size: Any = len(str(value)) if kind == STRING else value
    low, high = ("min_length", "max_length") if kind == STRING else ("min_value", "max_value")
    if kind != BOOLEAN and not option.get(low, size) <= size <= option.get(high, 6000 if kind == STRING else size):
        raise ValueError(f"{name} can't be {value!r}: out of its limits")
    return value


def resolve(world: World, channel: Channel, value: Any, resolved: Json) -> str:
    """The id of something that was picked, which is explained in `resolved`."""
    if isinstance(value, tuple):
        number = world.snowflake()
        file = Attachment(number, value[0], value[1], f"{world.base}/cdn/attachments/{channel.id}/{number}/{value[0]}")
        world.files[number] = file
        resolved.setdefault("attachments", {})[str(number)] = file.json
        return str(number)
    if isinstance(value, User):
        resolved.setdefault("users", {})[str(value.id)] = value.json
        if channel.guild and value in channel.guild.members:
            member = {k: v for k, v in channel.guild.member(value, channel).items() if k not in ("user", "deaf", "mute")}
            resolved.setdefault("members", {})[str(value.id)] = member
    elif isinstance(value, Role):
        resolved.setdefault("roles", {})[str(value.id)] = value.json
    elif isinstance(value, Channel):
        shown = {key: value.json[key] for key in ("id", "type", "name", "parent_id", "flags", "position")}
        resolved.setdefault("channels", {})[str(value.id)] = shown | {"permissions": str(value.permissions(world.bot))}
    else:
        raise ValueError(f"{value!r} can't be picked")
    return str(value.id)
