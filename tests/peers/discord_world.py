"""Who and what is on a test Discord: accounts, servers with roles and channels, who may do what where, and a way to wait.

Nothing here speaks HTTP or WebSocket: what happens is given to `World.emit`, which the server sends to the bot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .discord_interactions import Interaction
    from .discord_messages import Attachment, Message

Json = dict[str, Any]
T = TypeVar("T")

EPOCH = 1_420_070_400_000
PERMISSIONS = {
    "administrator": 1 << 3,
    "manage_channels": 1 << 4,
    "manage_guild": 1 << 5,
    "add_reactions": 1 << 6,
    "view_channel": 1 << 10,
    "send_messages": 1 << 11,
    "manage_messages": 1 << 13,
    "embed_links": 1 << 14,
    "attach_files": 1 << 15,
    "read_message_history": 1 << 16,
    "mention_everyone": 1 << 17,
    "manage_roles": 1 << 28,
    "use_application_commands": 1 << 31,
    "use_external_apps": 1 << 50,
}
EVERY_PERMISSION = sum(PERMISSIONS.values())
EVERYBODY_MAY = (
    "add_reactions", "view_channel", "send_messages", "embed_links", "attach_files", "read_message_history",
    "mention_everyone", "use_application_commands", "use_external_apps",
)  # fmt: skip
TEXT, DM = 0, 1
INTENTS = {
    "guilds": 1 << 0,
    "members": 1 << 1,
    "presences": 1 << 8,
    "guild_messages": 1 << 9,
    "dm_messages": 1 << 12,
    "message_content": 1 << 15,
}


class ApiError(Exception):
    """A refusal, as Discord words it: HTTP status, JSON code, message and, for a bad form, where it is wrong."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None, **extra: Any) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.errors, self.extra = status, code, message, errors, extra


def bits(names: Iterable[str]) -> int:
    """The permission bits of these names; KeyError for a name that isn't in PERMISSIONS."""
    total = 0
    for name in names:
        total |= PERMISSIONS[name]
    return total


@dataclass(eq=False)
class User:
    """An account, a person's or the bot's."""

    world: World
    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    dms_closed: bool = False
    installed: bool = False
    """Whether this person added the app to their own account."""

    def __repr__(self) -> str:
        return f"<{self.name} {self.id}>"

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def json(self) -> Json:
        return {
            "id": str(self.id), "username": self.name.lower().replace(" ", "_"), "discriminator": "0", "global_name": self.name,
            "avatar": None, "bot": self.bot, "public_flags": 0,
        }  # fmt: skip


@dataclass(eq=False)
class Role:
    """A role of a server; the one with the server's own id is everybody's."""

    guild: Guild
    id: int
    name: str
    permissions: int
    members: set[User] = field(default_factory=set)
    mentionable: bool = False

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"

    @property
    def json(self) -> Json:
        colours = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        return {
            "id": str(self.id), "name": self.name, "permissions": str(self.permissions), "position": self.guild.roles.index(self),
            "color": 0, "colors": colours, "hoist": False, "managed": False, "mentionable": self.mentionable, "flags": 0,
            "icon": None, "unicode_emoji": None,
        }  # fmt: skip


@dataclass(eq=False)
class Channel:
    """A text channel of a server, or somebody's private channel with the bot."""

    world: World
    id: int
    name: str
    guild: Guild | None = None
    person: User | None = None
    overwrites: dict[Role | User, tuple[int, int]] = field(default_factory=dict)
    """What is allowed and denied here, for a role or a member."""
    messages: list[Message] = field(default_factory=list)
    """What is here now, ephemeral messages among it."""
    sent: list[Message] = field(default_factory=list)
    """What the bot ever said here, in order."""
    deleted: bool = False

    def __repr__(self) -> str:
        return f"<#{self.name}>" if self.guild else f"<DM {self.person}>"

    @property
    def mention(self) -> str:
        return f"<#{self.id}>"

    @property
    def json(self) -> Json:
        last = str(self.messages[-1].id) if self.messages else None
        if self.guild is None:
            assert self.person is not None
            return {"id": str(self.id), "type": DM, "recipients": [self.person.json], "last_message_id": last, "flags": 0}
        overwrites = [
            {"id": str(whom.id), "type": 0 if isinstance(whom, Role) else 1, "allow": str(allow), "deny": str(deny)}
            for whom, (allow, deny) in self.overwrites.items()
        ]
        return {
            "id": str(self.id), "type": TEXT, "guild_id": str(self.guild.id), "name": self.name, "parent_id": None, "nsfw": False,
            "position": self.guild.channels.index(self) if self in self.guild.channels else 0, "permission_overwrites": overwrites,
            "topic": None, "rate_limit_per_user": 0, "last_message_id": last, "flags": 0,
        }  # fmt: skip

    def may(self, user: User, *names: str) -> bool:
        """Whether this account has all of these permissions here."""
        needed = bits(names)
        return self.permissions(user) & needed == needed

    def permissions(self, user: User) -> int:
        """The permission bits of an account here, computed as Discord documents it."""
        if self.guild is None:
            return bits(EVERYBODY_MAY) if user is self.person or user is self.world.bot else 0
        if user not in self.guild.members:
            return 0
        base = self.guild.permissions(user)
        if base & PERMISSIONS["administrator"]:
            return EVERY_PERMISSION
        everybody = self.guild.everyone
        allow, deny = self.overwrites.get(everybody, (0, 0))
        base = base & ~deny | allow
        allow = deny = 0
        for role in self.guild.roles[1:]:
            if user in role.members and role in self.overwrites:
                allow, deny = allow | self.overwrites[role][0], deny | self.overwrites[role][1]
        base = base & ~deny | allow
        allow, deny = self.overwrites.get(user, (0, 0))
        base = base & ~deny | allow
        return base if base & PERMISSIONS["view_channel"] else 0

    def denies(self, *names: str, to: Role | User | None = None) -> None:
        """Take permissions away here, from the bot where nobody is named."""
        self._overwrite(to or self.world.bot, 0, bits(names))

    def allows(self, *names: str, to: Role | User | None = None) -> None:
        """Give permissions here, to the bot where nobody is named."""
        self._overwrite(to or self.world.bot, bits(names), 0)

    def deletes(self) -> None:
        """Remove the channel with everything in it."""
        assert self.guild is not None
        body = self.json
        self.deleted = True
        self.guild.channels.remove(self)
        self.world.emit("CHANNEL_DELETE", body, guild=self.guild, intent="guilds")

    def _overwrite(self, whom: Role | User, allow: int, deny: int) -> None:
        before = self.overwrites.get(whom, (0, 0))
        self.overwrites[whom] = (before[0] & ~deny | allow, before[1] & ~allow | deny)
        if self.guild:
            self.world.emit("CHANNEL_UPDATE", self.json, guild=self.guild, intent="guilds")


@dataclass(eq=False)
class Guild:
    """A server: its members with the time they joined, its roles (everybody's first) and its channels."""

    world: World
    id: int
    name: str
    owner: User
    members: dict[User, str] = field(default_factory=dict)
    roles: list[Role] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<guild {self.name}>"

    @property
    def everyone(self) -> Role:
        return self.roles[0]

    @property
    def general(self) -> Channel:
        """The first channel."""
        return self.channels[0]

    @property
    def has_bot(self) -> bool:
        return self.world.bot in self.members

    def channel(self, name: str, *, deny: Iterable[str] = (), only: Iterable[User | Role] | None = None) -> Channel:
        """A new channel. `deny` names what the bot may not do there; `only` names who may see it, the bot among them or not."""
        made = Channel(self.world, self.world.snowflake(), name, self)
        if only is not None:
            made.overwrites[self.everyone] = (0, PERMISSIONS["view_channel"])
            made.overwrites |= {whom: (PERMISSIONS["view_channel"], 0) for whom in only}
        if names := list(deny):
            made.overwrites[self.world.bot] = (made.overwrites.get(self.world.bot, (0, 0))[0], bits(names))
        self.channels.append(made)
        self.world.channels[made.id] = made
        self.world.emit("CHANNEL_CREATE", made.json, guild=self, intent="guilds")
        return made

    def role(self, name: str, *, permissions: Iterable[str] = (), members: Iterable[User] = (), mentionable: bool = False) -> Role:
        """A new role, held by these members."""
        made = Role(self, self.world.snowflake(), name, bits(permissions), set(members), mentionable)
        self.roles.append(made)
        self.world.emit("GUILD_ROLE_CREATE", {"guild_id": str(self.id), "role": made.json}, guild=self, intent="guilds")
        return made

    def permissions(self, user: User) -> int:
        """The permission bits of a member before channels have their say."""
        if user is self.owner:
            return EVERY_PERMISSION
        total = self.everyone.permissions
        for role in self.roles[1:]:
            if user in role.members:
                total |= role.permissions
        return EVERY_PERMISSION if total & PERMISSIONS["administrator"] else total

    def member(self, user: User, channel: Channel | None = None, *, full: bool = True) -> Json:
        """A member as the API gives it: with permissions in an interaction, without the account in a message."""
        body: Json = {"user": user.json} if full else {}
        body |= {
            "roles": [str(role.id) for role in self.roles[1:] if user in role.members],
            "joined_at": self.members.get(user, self.world.stamp()), "deaf": False, "mute": False, "flags": 0, "nick": None,
            "avatar": None, "banner": None, "premium_since": None, "pending": False, "communication_disabled_until": None,
        }  # fmt: skip
        if channel is not None:
            body["permissions"] = str(channel.permissions(user))
        return body

    def json(self, *, members: Iterable[User] | None = None) -> Json:
        """The server as the API gives it; with `members`, as GUILD_CREATE does."""
        body: Json = {
            "id": str(self.id), "name": self.name, "owner_id": str(self.owner.id), "roles": [role.json for role in self.roles],
            "emojis": [], "stickers": [], "features": [], "verification_level": 0, "default_message_notifications": 0,
            "explicit_content_filter": 0, "mfa_level": 0, "afk_timeout": 300, "afk_channel_id": None, "system_channel_id": None,
            "system_channel_flags": 0, "rules_channel_id": None, "public_updates_channel_id": None, "premium_tier": 0,
            "preferred_locale": "en-US", "nsfw_level": 0, "premium_progress_bar_enabled": False, "icon": None, "splash": None,
            "banner": None, "description": None, "vanity_url_code": None, "discovery_splash": None, "application_id": None,
        }  # fmt: skip
        if members is not None:
            channels = [{k: v for k, v in channel.json.items() if k != "guild_id"} for channel in self.channels]
            body |= {
                "joined_at": self.members.get(self.world.bot), "large": len(self.members) > 250, "unavailable": False,
                "member_count": len(self.members), "members": [self.member(user) for user in members], "channels": channels,
                "threads": [], "voice_states": [], "presences": [], "stage_instances": [], "guild_scheduled_events": [],
                "soundboard_sounds": [],
            }  # fmt: skip
        return body

    def gains(self, user: User) -> None:
        """Let somebody join; for the bot it is an invitation."""
        self.members[user] = self.world.stamp()
        if user is self.world.bot:
            self.world.emit("GUILD_CREATE", self.json(members=[user]), guild=self, intent="guilds")
        else:
            self.world.emit("GUILD_MEMBER_ADD", {"guild_id": str(self.id), **self.member(user)}, guild=self, intent="members")

    def loses(self, user: User) -> None:
        """Let somebody leave; for the bot it is being thrown out."""
        if user is self.world.bot:
            self.world.emit("GUILD_DELETE", {"id": str(self.id)}, guild=self, intent="guilds")
            del self.members[user]
            return
        del self.members[user]
        for role in self.roles:
            role.members.discard(user)
        body = {"guild_id": str(self.id), "user": user.json}
        self.world.emit("GUILD_MEMBER_REMOVE", body, guild=self, intent="members")


class World:
    """Everything that Discord remembers, and a way to wait until it changes.

    `now` gives the time in seconds since 1970, for dates, ids and the `nonce_window`. `deadline` and `token_life` are
    the seconds in which an interaction must be acknowledged and may be followed up; they run on the event loop's clock.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] | None = None,
        nonce_window: float = 120.0,
        deadline: float = 3.0,
        token_life: float = 900.0,
    ) -> None:
        self.now = now or time.time
        self.nonce_window, self.deadline, self.token_life = nonce_window, deadline, token_life
        self._last_snowflake = 0
        self._changed = asyncio.Event()
        self._dms: dict[User, Channel] = {}
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, Message] = {}
        self.files: dict[int, Attachment] = {}
        self.interactions: dict[int, Interaction] = {}
        self.tokens: dict[str, Interaction] = {}
        self.commands: dict[int | None, list[Json]] = {None: []}
        """The application commands, everybody's under None and a server's own under its id."""
        self.ledger: list[Message] = []
        """Every message of the bot that was accepted, in order, whoever may see it; deferred ones once they say something."""
        self.nonces: dict[str, Message] = {}
        self.edits: list[tuple[Message, str]] = []
        """Every later change of a message of the bot, with the text that it then had."""
        self.typing: list[Channel] = []
        self.privileged_content = False
        self.announce_dms = False
        """Whether opening a private channel sends CHANNEL_CREATE, which Discord stopped doing for bots with version 8."""
        self.base = ""
        self.bot = User(self, self.snowflake(), "Coach", bot=True)
        self.owner = User(self, self.snowflake(), "Owner")
        self.users |= {self.bot.id: self.bot, self.owner.id: self.owner}

    # Time and numbers

    def snowflake(self) -> int:
        """A new id: later ones are greater, and carry the time."""
        here = (int(self.now() * 1000) - EPOCH) << 22
        self._last_snowflake = max(here, self._last_snowflake + 1)
        return self._last_snowflake

    def stamp(self) -> str:
        """The time as the API writes it."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="microseconds")

    # Who is there

    def guild(
        self,
        name: str,
        members: Iterable[User] = (),
        *,
        channels: Iterable[str] = ("general",),
        owner: User | None = None,
        bot: bool = True,
    ) -> Guild:
        """A new server with these members and, unless `bot` is false, the bot."""
        made = Guild(self, self.snowflake(), name, owner or self.owner)
        made.roles.append(Role(made, made.id, "@everyone", bits(EVERYBODY_MAY)))
        made.members = {user: self.stamp() for user in (made.owner, *members)}
        self.guilds[made.id] = made
        for channel in channels:
            made.channel(channel)
        if bot:
            made.gains(self.bot)
        return made

    def dm(self, person: User) -> Channel:
        """The private channel of this person with the bot."""
        if person not in self._dms:
            made = self._dms[person] = Channel(self, self.snowflake(), "", None, person)
            self.channels[made.id] = made
        return self._dms[person]

    def share_a_guild(self, person: User) -> bool:
        """Whether the bot and this person are members of the same server."""
        return any(person in guild.members and guild.has_bot for guild in self.guilds.values())

    # What the bot hears of

    def emit(
        self,
        event: str,
        data: Json,
        *,
        guild: Guild | None = None,
        intent: str = "",
        redacted: Json | None = None,
    ) -> None:
        """Send an event to whoever listens; the server overrides it.

        It goes to the shard of `guild` (0 without one), and to sessions that asked for `intent` only. `redacted` is what
        those get who may not read what people write.
        """

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
        return "last sent: " + repr([message.text[:80] for message in self.ledger[-5:]])
