"""What each REST request to a test Discord does, and who may ask for it: one function a route."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import discord_limits as limits
from .discord_commands import check_commands, stored
from .discord_faults import Call
from .discord_gateway import flags_of
from .discord_interactions import follow_up, hook, message_of, respond, take_back
from .discord_messages import Message, delete, edit, write
from .discord_world import ApiError, Channel, Guild, Json, User

if TYPE_CHECKING:
    from .discord import DiscordServer

NO_ACCESS = (403, 50001, "Missing Access")
NO_PERMISSION = (403, 50013, "Missing Permissions")


@dataclass(frozen=True)
class Sync:
    """One bulk overwrite of commands that was accepted; `changed` says whether it was needed."""

    guild: int | None
    names: tuple[str, ...]
    changed: bool


# What a path names


def channel_of(server: DiscordServer, number: str) -> Channel:
    """A channel that the bot can see; 10003 or 50001 otherwise."""
    channel = server.channels.get(int(number))
    if channel is None or channel.deleted:
        raise ApiError(404, 10003, "Unknown Channel")
    if not channel.may(server.bot, *(("view_channel",) if channel.guild else ())):
        raise ApiError(*NO_ACCESS)
    return channel


def guild_of(server: DiscordServer, number: str) -> Guild:
    """A server that the bot is a member of."""
    guild = server.guilds.get(int(number))
    if guild is None:
        raise ApiError(404, 10004, "Unknown Guild")
    if not guild.has_bot:
        raise ApiError(*NO_ACCESS)
    return guild


def message_at(server: DiscordServer, channel: str, number: str) -> Message:
    """A message that is there for everybody; ephemeral ones are not."""
    place = channel_of(server, channel)
    message = server.messages.get(int(number))
    if message is None or message.deleted or message.ephemeral or message.channel is not place:
        raise ApiError(404, 10008, "Unknown Message")
    return message


def needs(server: DiscordServer, channel: Channel, *names: str) -> None:
    """Refuse with 50013 where the bot lacks one of these permissions."""
    if not channel.may(server.bot, *names):
        raise ApiError(*NO_PERMISSION)


def shown(server: DiscordServer, message: Message) -> Json:
    """A message as the bot may read it."""
    return message.json() if server.privileged_content else message.redacted()


# Who and what


def me(server: DiscordServer, call: Call) -> Json:
    return {**server.bot.json, "verified": True, "mfa_enabled": False, "email": None, "flags": 0, "locale": "en-US"}


def application(server: DiscordServer, call: Call) -> Json:
    return {
        "id": str(server.bot.id), "name": server.bot.name, "icon": None, "description": "", "bot_public": True,
        "bot_require_code_grant": False, "owner": server.owner.json, "verify_key": "0" * 64, "team": None,
        "flags": flags_of(server.gateway.privileged), "rpc_origins": [], "tags": [], "interactions_endpoint_url": None,
        "integration_types_config": {"0": {}, "1": {}}, "approximate_guild_count": len(server.guilds),
    }  # fmt: skip


def gateway(server: DiscordServer, call: Call) -> Json:
    return {"url": server.gateway_url}


def gateway_bot(server: DiscordServer, call: Call) -> Json:
    limit = {"total": 1000, "remaining": max(0, server.gateway.identifies_left), "reset_after": 86_400_000, "max_concurrency": 1}
    return {"url": server.gateway_url, "shards": server.shards, "session_start_limit": limit}


def user(server: DiscordServer, call: Call, number: str) -> Json:
    found = server.users.get(int(number))
    if found is None:
        raise ApiError(404, 10013, "Unknown User")
    return found.json


def my_guilds(server: DiscordServer, call: Call) -> list[Json]:
    mine = [guild for guild in server.guilds.values() if guild.has_bot]
    return [
        {"id": str(g.id), "name": g.name, "icon": None, "owner": False, "permissions": str(g.permissions(server.bot)), "features": []}
        for g in mine
    ]


def open_dm(server: DiscordServer, call: Call) -> Json:
    person = server.users.get(int(call.body.get("recipient_id") or 0))
    if person is None:
        raise ApiError(400, 50033, "Invalid Recipient(s)")
    if person.bot:
        raise ApiError(403, 50007, "Cannot send messages to this user")
    server.opened.append(person)
    if server.announce_dms:
        server.emit("CHANNEL_CREATE", server.dm(person).json)
    return server.dm(person).json


def guild(server: DiscordServer, call: Call, number: str) -> Json:
    return guild_of(server, number).json()


def guild_channels(server: DiscordServer, call: Call, number: str) -> list[Json]:
    return [channel.json for channel in guild_of(server, number).channels]


def guild_roles(server: DiscordServer, call: Call, number: str) -> list[Json]:
    return [role.json for role in guild_of(server, number).roles]


def guild_member(server: DiscordServer, call: Call, number: str, who: str) -> Json:
    found: User | None = server.users.get(int(who))
    place = guild_of(server, number)
    if found is None or found not in place.members:
        raise ApiError(404, 10007 if found else 10013, "Unknown Member" if found else "Unknown User")
    return place.member(found)


def channel(server: DiscordServer, call: Call, number: str) -> Json:
    return channel_of(server, number).json


# Messages


def post(server: DiscordServer, call: Call, number: str) -> Json:
    """Discord compares a nonce with all that the same author sent in "the past few minutes", whatever the channel."""
    place, body = channel_of(server, number), call.body or {}
    limits.check_message(body, call.files)
    if place.guild:
        needs(server, place, "send_messages")
        if body.get("embeds"):
            needs(server, place, "embed_links")
        if call.files:
            needs(server, place, "attach_files")
        if body.get("message_reference") and not place.may(server.bot, "read_message_history"):
            raise ApiError(400, 160002, "Cannot reply without permission to read message history")
    elif place.person and place.person.dms_closed:
        raise ApiError(403, 50007, "Cannot send messages to this user")
    elif place.person and not (place.person.installed or server.share_a_guild(place.person)):
        raise ApiError(403, 50278, "Cannot send messages to this user due to having no mutual guilds")
    if body.get("enforce_nonce") and body.get("nonce") is not None:
        old = server.nonces.get(str(body["nonce"]))
        if old and server.now() - old.created <= server.nonce_window:
            old.repeats += 1
            return old.json()
    message = write(server, place, server.bot, body, call.files)
    if message.nonce is not None:
        server.nonces[str(message.nonce)] = message
    return message.json()


def history(server: DiscordServer, call: Call, number: str) -> list[Json]:
    place = channel_of(server, number)
    form = limits.Form()
    given = call.query.get("limit", "50")
    form.number(("limit",), int(given) if given.lstrip("-").isdigit() else given, 1, 100)
    form.done()
    if place.guild and not place.may(server.bot, "read_message_history"):
        return []
    count = int(given)
    every = [message for message in place.messages if not message.ephemeral]
    if "around" in call.query:
        pivot = int(call.query["around"])
        earlier, later = [m for m in every if m.id < pivot], [m for m in every if m.id >= pivot]
        found = earlier[-(count // 2) :] + later[: count - count // 2]
    elif "after" in call.query:
        found = [message for message in every if message.id > int(call.query["after"])][:count]
    else:
        before = int(call.query.get("before", 1 << 63))
        found = [message for message in every if message.id < before][-count:]
    return [shown(server, message) for message in reversed(found)]


def get_message(server: DiscordServer, call: Call, number: str, which: str) -> Json:
    message = message_at(server, number, which)
    if message.channel.guild:
        needs(server, message.channel, "read_message_history")
    return shown(server, message)


def patch_message(server: DiscordServer, call: Call, number: str, which: str) -> Json:
    message = message_at(server, number, which)
    if message.author is not server.bot:
        raise ApiError(403, 50005, "Cannot edit a message authored by another user")
    edit(message, call.body or {}, call.files)
    return message.json()


def delete_message(server: DiscordServer, call: Call, number: str, which: str) -> None:
    message = message_at(server, number, which)
    if message.author is not server.bot:
        if message.channel.guild is None:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        needs(server, message.channel, "manage_messages")
    delete(message)


def typing(server: DiscordServer, call: Call, number: str) -> None:
    place = channel_of(server, number)
    if place.guild:
        needs(server, place, "send_messages")
    server.typing.append(place)


def react(server: DiscordServer, call: Call, number: str, which: str, emoji: str) -> None:
    message = message_at(server, number, which)
    if message.channel.guild:
        needs(server, message.channel, "read_message_history", "add_reactions")
    if (unquote(emoji), server.bot) not in message.reactions:
        message.reactions.append((unquote(emoji), server.bot))


def unreact(server: DiscordServer, call: Call, number: str, which: str, emoji: str) -> None:
    message = message_at(server, number, which)
    message.reactions = [pair for pair in message.reactions if pair != (unquote(emoji), server.bot)]


# Commands


def _scope(server: DiscordServer, application_id: str, number: str | None) -> int | None:
    if int(application_id) != server.bot.id:
        raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
    return guild_of(server, number).id if number else None


def get_commands(server: DiscordServer, call: Call, app: str, number: str | None = None) -> list[Json]:
    return server.commands.get(_scope(server, app, number), [])


def put_commands(server: DiscordServer, call: Call, app: str, number: str | None = None) -> list[Json]:
    scope = _scope(server, app, number)
    check_commands(call.body)
    known = {(command["type"], command["name"]): command for command in server.commands.get(scope, [])}
    made = []
    for command in call.body:
        old = known.get((command.get("type") or 1, command["name"]))
        new = stored(server, command, scope, old["id"] if old else None)
        same = old is not None and {**old, "version": ""} == {**new, "version": ""}
        made.append(old if same and old else new)
    changed = made != server.commands.get(scope, [])
    server.commands[scope] = made
    server.syncs.append(Sync(scope, tuple(command["name"] for command in made), changed))
    return made


def one_command(server: DiscordServer, call: Call, app: str, number: str | None, which: str) -> Json | None:
    scope = _scope(server, app, number)
    found = next((command for command in server.commands.get(scope, []) if command["id"] == which), None)
    if found is None:
        raise ApiError(404, 10063, "Unknown application command")
    if call.method == "DELETE":
        server.commands[scope].remove(found)
        return None
    return found


# Interactions


def callback(server: DiscordServer, call: Call, number: str, token: str) -> Json | None:
    interaction = server.interactions.get(int(number))
    if interaction is None or interaction.token != token:
        raise ApiError(404, 10062, "Unknown interaction")
    answer = respond(interaction, call.body or {}, call.files)
    return answer if call.query.get("with_response", "").lower() in ("1", "true") else None


def _hook(server: DiscordServer, app: str, token: str) -> Any:
    if int(app) != server.bot.id:
        raise ApiError(404, 10015, "Unknown Webhook")
    return hook(server, token)


def execute(server: DiscordServer, call: Call, app: str, token: str) -> Json:
    return follow_up(_hook(server, app, token), call.body or {}, call.files).json()


def get_answer(server: DiscordServer, call: Call, app: str, token: str, which: str) -> Json:
    return message_of(_hook(server, app, token), unquote(which)).json()


def patch_answer(server: DiscordServer, call: Call, app: str, token: str, which: str) -> Json:
    message = message_of(_hook(server, app, token), unquote(which))
    edit(message, call.body or {}, call.files)
    return message.json()


def delete_answer(server: DiscordServer, call: Call, app: str, token: str, which: str) -> None:
    take_back(_hook(server, app, token), unquote(which))


Handler = Callable[..., Any]
_ROUTES: list[tuple[str, Handler]] = [
    ("GET /users/@me", me),
    ("GET /users/@me/guilds", my_guilds),
    ("POST /users/@me/channels", open_dm),
    ("GET /users/{user}", user),
    ("GET /oauth2/applications/@me", application),
    ("GET /applications/@me", application),
    ("GET /gateway", gateway),
    ("GET /gateway/bot", gateway_bot),
    ("GET /guilds/{guild}", guild),
    ("GET /guilds/{guild}/channels", guild_channels),
    ("GET /guilds/{guild}/roles", guild_roles),
    ("GET /guilds/{guild}/members/{user}", guild_member),
    ("GET /channels/{channel}", channel),
    ("POST /channels/{channel}/typing", typing),
    ("POST /channels/{channel}/messages", post),
    ("GET /channels/{channel}/messages", history),
    ("GET /channels/{channel}/messages/{message}", get_message),
    ("PATCH /channels/{channel}/messages/{message}", patch_message),
    ("DELETE /channels/{channel}/messages/{message}", delete_message),
    ("PUT /channels/{channel}/messages/{message}/reactions/{emoji*}/@me", react),
    ("DELETE /channels/{channel}/messages/{message}/reactions/{emoji*}/@me", unreact),
    ("GET /applications/{application}/commands", get_commands),
    ("PUT /applications/{application}/commands", put_commands),
    ("GET /applications/{application}/guilds/{guild}/commands", get_commands),
    ("PUT /applications/{application}/guilds/{guild}/commands", put_commands),
    ("GET /applications/{application}/commands/{command}", lambda s, c, app, which: one_command(s, c, app, None, which)),
    ("DELETE /applications/{application}/commands/{command}", lambda s, c, app, which: one_command(s, c, app, None, which)),
    ("GET /applications/{application}/guilds/{guild}/commands/{command}", one_command),
    ("DELETE /applications/{application}/guilds/{guild}/commands/{command}", one_command),
    ("POST /interactions/{interaction}/{token*}/callback", callback),
    ("POST /webhooks/{application}/{token*}", execute),
    ("GET /webhooks/{application}/{token*}/messages/{which*}", get_answer),
    ("PATCH /webhooks/{application}/{token*}/messages/{which*}", patch_answer),
    ("DELETE /webhooks/{application}/{token*}/messages/{which*}", delete_answer),
]


def _compiled(pattern: str) -> tuple[str, str, re.Pattern[str]]:
    method, path = pattern.split(" ")
    numbers = re.sub(r"\{\w+\}", r"(\\d+)", re.sub(r"\{\w+\*\}", r"([^/]+)", path))
    return method, path.replace("*", ""), re.compile(numbers)


ROUTES = [(*_compiled(pattern), handler) for pattern, handler in _ROUTES]


def find(method: str, path: str) -> tuple[str, tuple[str, ...], Handler] | None:
    """The route that a request takes, with the numbers in its path."""
    for wanted, name, pattern, handler in ROUTES:
        if wanted == method and (match := pattern.fullmatch(path)):
            return name, match.groups(), handler
    return None
