"""The quiz on Discord: its command, where in a server something was said, what is known of servers, and posts in channels."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import discord

from adapters.discord import drawing
from adapters.discord.connection import FAULTS, Connection, faults_as
from bot import Place, Reply, Right
from bot.errors import NotAllowed, SendError, SendLater, SendRefused

SUBCOMMAND, STRING, INTEGER, CHANNEL, ROLE = 1, 3, 4, 7, 8
TEXT_CHANNELS = [0, 5]
LEVELS = ("Junior", "Regular", "Senior", "Staff", "Principal")

NEEDED = {"view_channel": "View Channel", "send_messages": "Send Messages", "embed_links": "Embed Links"}
"""What a post in a channel takes, as Discord's settings name it."""

IN_THREADS = {"send_messages_in_threads": "Send Messages in Threads"}
TO_CALL = {"mention_everyone": "Mention @everyone, @here and All Roles"}
"""What calling a role takes that not everybody may call."""

GONE = {10003, 10004}
"""Codes for: no such channel, no such server."""

NO_MEMBER = {10007, 10013}

LOOKED_UP = timedelta(minutes=10)
"""How long it is remembered whether somebody is still a member."""

MOST_LOOKED_UP = 5000

EARLIER = timedelta(seconds=10)
"""How much before a first try the channel is read from: Discord's clock and ours may differ a little."""

COLOUR = 0x2F6F8F


# ---------------------------------------------------------------------------------------------- the command


def _level(*first: dict[str, Any]) -> dict[str, Any]:
    choices = [*first, *({"name": name, "value": number} for number, name in enumerate(LEVELS, 1))]
    return {"type": INTEGER, "name": "level", "description": "How hard it may be", "choices": choices}


def _text(name: str, about: str, *, suggested: bool = False) -> dict[str, Any]:
    return {"type": STRING, "name": name, "description": about, "max_length": 100, "autocomplete": suggested}


def _minutes(about: str) -> dict[str, Any]:
    return {"type": INTEGER, "name": "minutes", "description": about, "min_value": 1, "max_value": 10080}


PERIODS = [{"name": name, "value": value} for name, value in (("This week", "week"), ("This month", "month"), ("Of all time", "all"))]

SUBCOMMANDS: Mapping[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "start": (
        "Ask everybody in this channel a question",
        (_text("topic", "A topic or a question; mine when left out", suggested=True), _level(), _minutes("How long it is open; 10")),
    ),
    "status": ("How many have replied, and when it closes", ()),
    "close": ("End the round in this channel early", ()),
    "board": (
        "Who is where in this server",
        ({"type": STRING, "name": "period", "description": "Since when; this week", "choices": PERIODS},),
    ),
    "hide": ("Be on no board and without a name; again to be back", ()),
    "setup": (
        "The daily question of this server (needs Manage Server)",
        (
            {"type": CHANNEL, "name": "channel", "description": "Where it is asked", "channel_types": TEXT_CHANNELS},
            _text("days", "Such as daily, weekdays, mon-fri, or mon, wed, fri"),
            _text("time", "Such as 09:00, 7:30 pm, or off"),
            _text("zone", "The city or time zone of that time", suggested=True),
            _text("topics", "One or several with commas, or all", suggested=True),
            _level({"name": "Any", "value": 0}),
            {"type": ROLE, "name": "role", "description": "Whom each question calls; @everyone for nobody"},
            _minutes("How long a round is open"),
            _text("weekly", "A weekly board: such as sunday 18:00, or off"),
        ),
    ),
}

SUGGESTED = {"topic": "topic", "topics": "section", "zone": "zone"}


def options() -> list[dict[str, Any]]:
    """The command's parts, as Discord wants them described."""
    return [
        {"type": SUBCOMMAND, "name": name, "description": about, "options": list(parts)} for name, (about, parts) in SUBCOMMANDS.items()
    ]


def given(data: Mapping[str, Any], server: str) -> dict[str, str]:
    """What was filled in beside the words of a command of this kind. Everybody is nobody in particular, and never called."""
    found = {str(part["name"]): str(part.get("value", "")) for one in data.get("options") or () for part in one.get("options") or ()}
    return {name: "" if (name, value) == ("role", server) else value for name, value in found.items()}


# ---------------------------------------------------------------------------------------------- where it was said


def place_of(interaction: discord.Interaction[Any]) -> Place | None:
    """The server and channel of an interaction, and what its author may do there; None where the bot is not a member."""
    if interaction.guild_id is None or not interaction.is_guild_integration():
        return None
    may = interaction.permissions
    manages = may.administrator or may.manage_guild
    moderates = manages or may.manage_messages or may.moderate_members
    rights = {right for right, has in ((Right.MANAGE, manages), (Right.MODERATE, moderates)) if has}
    return Place(str(interaction.guild_id), str(interaction.channel_id), frozenset(rights))


def kept(place: Place) -> list[Any]:
    """A place as it is kept in the inbox."""
    return [place.server, place.channel, sorted(place.rights)]


def taken_out(raw: Sequence[Any] | None) -> Place | None:
    """The place that `kept` kept."""
    return Place(raw[0], raw[1], frozenset(Right(one) for one in raw[2])) if raw else None


# ---------------------------------------------------------------------------------------------- what is known of servers


class Servers:
    """`bot.ports.Venue`: permissions from what the gateway told, members by asking."""

    def __init__(self, connection: Connection, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._now = now
        self._seen: OrderedDict[tuple[str, str], tuple[datetime, bool]] = OrderedDict()

    async def lacking(self, server: str, channel: str, calls: str) -> tuple[str, ...] | None:
        """The names of the permissions that are missing to post in a channel; None where it is not known."""
        guild = self._connection.guild(int(server))
        place = guild.get_channel_or_thread(int(channel)) if guild is not None else None
        if guild is None or place is None or guild.me is None:
            return None
        needed = dict(NEEDED)
        if isinstance(place, discord.Thread):
            del needed["send_messages"]
            needed |= IN_THREADS
            if place.parent is None:
                return None
            place = place.parent
        role = guild.get_role(int(calls)) if calls else None
        if role is not None and not role.mentionable:
            needed |= TO_CALL
        # The library's own answer counts what can't be used without another permission as missing too; we name each for itself.
        mine = discord.abc.GuildChannel.permissions_for(place, guild.me)
        return tuple(name for flag, name in needed.items() if not (mine.administrator or getattr(mine, flag)))

    async def present(self, server: str, members: Sequence[str]) -> frozenset[str]:
        """Those who are still members, or of whom nobody can say."""
        found = await asyncio.gather(*(self._is_member(server, member) for member in members))
        return frozenset(member for member, there in zip(members, found, strict=True) if there)

    async def _is_member(self, server: str, member: str) -> bool:
        now = self._now()
        known = self._seen.get((server, member))
        if known is not None and now - known[0] < LOOKED_UP:
            return known[1]
        try:
            await self._connection.call("GET", "/guilds/{guild_id}/members/{user_id}", guild_id=int(server), user_id=int(member))
            there = True
        except discord.NotFound as error:
            there = error.code not in NO_MEMBER
        except (*FAULTS, SendError):
            return True
        self._seen[server, member] = (now, there)
        while len(self._seen) > MOST_LOOKED_UP:
            self._seen.popitem(last=False)
        return there


# ---------------------------------------------------------------------------------------------- posts


async def there_already(
    connection: Connection, channel: int, since: datetime, nonce: str, body: dict[str, Any], alike: int = 0, file: str = ""
) -> str | None:
    """The id of the message with this body that an earlier try, not before `since`, left in the channel; None where none did.

    alike: how many pages that look the same go before it. file: the name of its one file, by which alone it is known.

    Raises what is in FAULTS."""
    place = connection.chat(channel)
    if place is None:
        raise SendLater("discord is away")
    async for one in place.history(limit=None, after=since - EARLIER, oldest_first=True):
        if one.author.id != connection.me:
            continue
        if one.nonce == nonce:
            return str(one.id)
        if file:
            if any(attached.filename == file for attached in one.attachments):
                return str(one.id)
            continue
        if one.nonce is None and _looks(one) == _looks_as(body):
            if not alike:
                return str(one.id)
            alike -= 1
    return None


def _looks(one: discord.Message) -> tuple[str, list[str], list[str]]:
    rows = [child for row in one.components for child in getattr(row, "children", [row])]
    ids = [str(child.custom_id) for child in rows if getattr(child, "custom_id", None)]
    return one.content.strip(), [embed.description or "" for embed in one.embeds], ids


def _looks_as(body: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    ids = [str(child["custom_id"]) for row in body["components"] for child in row.get("components", [row]) if child.get("custom_id")]
    return body["content"].strip(), [embed.get("description") or "" for embed in body.get("embeds", [])], ids


async def post(connection: Connection, channel: str, reply: Reply, key: str, tried: datetime | None = None) -> str:
    """Posts a reply in a channel as embeds, and returns the id of the last message. The group it calls is called once.

    tried: since when an earlier try may have left it there, where that is too long ago for the nonce, which makes a repetition of
    the same page one message. Raises NotAllowed, SendRefused and SendLater."""
    pages = embeds(reply)
    sent: Any = {}
    for number, embed in enumerate(pages):
        calls = reply.calls if number == 0 else ""
        last = number == len(pages) - 1
        nonce = hashlib.blake2b(f"{key}:{number}".encode(), digest_size=12).hexdigest()
        body = {
            "content": f"<@&{calls}>" if calls else "",
            "embeds": [embed],
            "components": drawing.buttons(reply.choices, reply=False) if last else [],
            "allowed_mentions": {"parse": [], "roles": [calls] if calls else []},
            "nonce": nonce,
            "enforce_nonce": True,
        }
        try:
            with faults_as(SendLater, maybe=True):
                found = await there_already(connection, int(channel), tried, nonce, body) if tried is not None else None
                if found is not None:
                    sent = {"id": found}
                    continue
                sent = await connection.call("POST", "/channels/{channel_id}/messages", body, channel_id=int(channel))
        except discord.HTTPException as error:
            kind = NotAllowed if error.status == 403 or error.code in GONE else SendRefused
            raise kind(f"{error.status} {error.code}") from error
    return str(sent["id"])


def embeds(reply: Reply) -> list[dict[str, Any]]:
    """A reply as embeds, one a message: a bold beginning is the title."""
    title, spans = drawing.headed(reply.spans)
    pages = drawing.drawn(spans, drawing.EMBED) or [""]
    made: list[dict[str, Any]] = [{"description": text, "color": COLOUR} for text in pages]
    if title:
        made[0]["title"] = title
    return made
