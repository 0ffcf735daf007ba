"""Messages of a test Discord: how they are written and changed, who may read them, and whom they really ping."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import discord_limits as limits
from .discord_world import ApiError, Channel, Json, Role, User, World

if TYPE_CHECKING:
    from .discord_interactions import Interaction

Files = Sequence[tuple[str, bytes]]


@dataclass(eq=False)
class Attachment:
    """One file that Discord keeps."""

    id: int
    filename: str
    data: bytes
    url: str
    description: str | None = None
    seconds: float | None = None
    waveform: str | None = None

    @property
    def json(self) -> Json:
        kind = mimetypes.guess_type(self.filename)[0] or "application/octet-stream"
        body: Json = {"id": str(self.id), "filename": self.filename, "size": len(self.data), "url": self.url, "proxy_url": self.url}
        body |= {"content_type": kind, "flags": 0}
        if self.seconds is not None:
            body |= {"duration_secs": self.seconds, "waveform": self.waveform}
        return body | ({"description": self.description} if self.description else {})

    @property
    def text(self) -> str:
        """What a person reads when opening it; "" for what isn't text."""
        try:
            return self.data.decode() if b"\0" not in self.data[:1000] else ""
        except UnicodeDecodeError:
            return ""


@dataclass
class Pings:
    """Whom a message calls: those whom it names and was allowed to call."""

    everyone: bool = False
    users: list[User] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)


@dataclass(eq=False)
class Message:
    """One message, as it is now; `versions` keeps everything that could ever be read of it, oldest first."""

    world: World
    id: int
    channel: Channel
    author: User
    created: float
    stamp: str
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    kind: int = 0
    flags: int = 0
    nonce: str | int | None = None
    reply_to: Message | None = None
    interaction: Interaction | None = None
    ephemeral_to: User | None = None
    pings: Pings = field(default_factory=Pings)
    pinged: set[User] = field(default_factory=set)
    """The people who were really notified: named, allowed, and able to read it."""
    edited: str | None = None
    deleted: bool = False
    repeats: int = 0
    """How often a request with the same nonce was answered with this message instead of a new one."""
    versions: list[str] = field(default_factory=list)
    reactions: list[tuple[str, User]] = field(default_factory=list)
    readers: set[User] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"<message {self.id} in {self.channel!r}: {self.text[:60]!r}>"

    # What people see

    @property
    def ephemeral(self) -> bool:
        return self.ephemeral_to is not None

    @property
    def loading(self) -> bool:
        """Whether it only says that the app is thinking."""
        return bool(self.flags & limits.LOADING)

    @property
    def silent(self) -> bool:
        """Whether nobody's device makes a noise for it."""
        return bool(self.flags & limits.SILENT)

    @property
    def text(self) -> str:
        """Everything that a person can read of it now: content, embeds, labels and files."""
        return "\n".join(self._readable())

    @property
    def files(self) -> dict[str, bytes]:
        """The bytes of its files by name."""
        return {file.filename: file.data for file in self.attachments}

    @property
    def parts(self) -> list[Json]:
        """Its buttons and selects, in order."""
        return [part for part in walk(self.components) if part["type"] == limits.BUTTON or part["type"] in limits.SELECTS]

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons (an emoji's name where there is no label)."""
        return [label_of(part) for part in self.parts if part["type"] == limits.BUTTON]

    @property
    def options(self) -> list[str]:
        """The labels of the options of its selects."""
        return [option["label"] for part in self.parts for option in part.get("options", [])]

    @property
    def wire(self) -> str:
        """What a curious client could dig out besides: custom ids and the values of options."""
        found = [str(part["custom_id"]) for part in self.parts if "custom_id" in part]
        return "\n".join(found + [option["value"] for part in self.parts for option in part.get("options", [])])

    def part(self, wanted: str | None, kinds: set[int]) -> Json:
        """The component of these kinds with this label or custom id (None: the only one); LookupError where there is none."""
        found = [part for part in self.parts if part["type"] in kinds]
        for name in (label_of, lambda part: part.get("custom_id")):
            for part in found:
                if wanted is not None and name(part) == wanted:
                    return part
        if wanted is None and len(found) == 1:
            return found[0]
        have = [(label_of(part), part.get("custom_id")) for part in found]
        raise LookupError(f"no component {wanted!r} under {self.text[:60]!r}; there are {have}")

    def visible_to(self, user: User) -> bool:
        """Whether this person could read it, now or when it was posted."""
        if self.ephemeral_to is not None:
            return user is self.ephemeral_to
        return user in self.readers or (not self.deleted and self.channel.may(user, "view_channel"))

    def _readable(self) -> Iterator[str]:
        texts: list[Any] = [self.content]
        for embed in self.embeds:
            texts += [embed.get("author", {}).get("name"), embed.get("title"), embed.get("description"), embed.get("url")]
            texts += [value for entry in embed.get("fields") or [] for value in (entry.get("name"), entry.get("value"))]
            texts.append(embed.get("footer", {}).get("text"))
        for part in walk(self.components):
            texts += [part.get("content"), part.get("label"), part.get("placeholder"), part.get("url")]
            texts += [value for option in part.get("options", []) for value in (option.get("label"), option.get("description"))]
        texts += [value for file in self.attachments for value in (file.filename, file.description, file.text)]
        return (str(text) for text in texts if text)

    # What the bot is told

    def json(self, *, nested: bool = False) -> Json:
        """The message as the API gives it; a nested one leaves out what it replies to."""
        body: Json = {
            "id": str(self.id), "channel_id": str(self.channel.id), "author": self.author.json, "content": self.content,
            "timestamp": self.stamp, "edited_timestamp": self.edited, "tts": False, "mention_everyone": self.pings.everyone,
            "mentions": [user.json for user in self.pings.users], "mention_roles": [str(role.id) for role in self.pings.roles],
            "attachments": [file.json for file in self.attachments], "embeds": self.embeds, "pinned": False, "type": self.kind,
            "flags": self.flags, "components": self.components,
        }  # fmt: skip
        if self.nonce is not None:
            body["nonce"] = self.nonce
        if self.interaction is not None:
            body |= {"webhook_id": str(self.world.bot.id), "application_id": str(self.world.bot.id)}
            body["interaction_metadata"] = self.interaction.metadata
        if self.reactions:
            names = dict.fromkeys(emoji for emoji, _ in self.reactions)
            body["reactions"] = [self._reaction(name) for name in names]
        if self.reply_to is not None:
            body["message_reference"] = {"type": 0, "channel_id": str(self.channel.id), "message_id": str(self.reply_to.id)}
            if not nested:
                body["referenced_message"] = None if self.reply_to.deleted else self.reply_to.json(nested=True)
        return body

    def _reaction(self, emoji: str) -> Json:
        who = [user for name, user in self.reactions if name == emoji]
        details = {"normal": len(who), "burst": 0}
        me = self.world.bot in who
        return {
            "emoji": {"id": None, "name": emoji}, "count": len(who), "count_details": details, "me": me, "me_burst": False,
            "burst_colors": [],
        }  # fmt: skip

    def redacted(self) -> Json:
        """The message for an app that may not read what people write."""
        whole = self.json()
        mine = self.author is self.world.bot or self.world.bot in self.pings.users or self.channel.guild is None
        return whole if mine else whole | {"content": "", "embeds": [], "attachments": [], "components": []}

    def announce(self, event: str) -> None:
        """Tell the bot, unless it isn't there to hear of it."""
        guild = self.channel.guild
        if self.ephemeral or (guild and not self.channel.may(self.world.bot, "view_channel")):
            return
        extra: Json = {}
        if guild:
            extra["guild_id"] = str(guild.id)
            if self.author in guild.members:
                extra["member"] = guild.member(self.author, full=False)
        intent = "guild_messages" if guild else "dm_messages"
        if event == "MESSAGE_DELETE":
            body = {"id": str(self.id), "channel_id": str(self.channel.id), **({"guild_id": str(guild.id)} if guild else {})}
            self.world.emit(event, body, guild=guild, intent=intent)
        else:
            self.world.emit(event, self.json() | extra, guild=guild, intent=intent, redacted=self.redacted() | extra)


def label_of(part: Json) -> str:
    """What stands on a button."""
    return part.get("label") or (part.get("emoji") or {}).get("name") or ""


def walk(components: Sequence[Any]) -> Iterator[Json]:
    """Every component, however deep."""
    for part in components:
        if isinstance(part, dict):
            yield part
            yield from walk(part.get("components") or [])
            yield from walk([part.get("accessory"), part.get("component")])


def write(
    world: World,
    channel: Channel,
    author: User,
    body: Json,
    files: Files = (),
    *,
    interaction: Interaction | None = None,
    ephemeral_to: User | None = None,
    loading: bool = False,
    kind: int = 0,
) -> Message:
    """Post a message, or raise ApiError and post nothing."""
    limits.check_message(body, files)
    message = Message(world, world.snowflake(), channel, author, world.now(), world.stamp(), kind=kind, interaction=interaction)
    message.ephemeral_to = ephemeral_to
    message.flags = int(body.get("flags") or 0) & (4 | limits.SILENT | limits.COMPONENTS_V2 | limits.VOICE_MESSAGE)
    message.flags |= (limits.EPHEMERAL if ephemeral_to else 0) | (limits.LOADING if loading else 0)
    message.nonce = body.get("nonce")
    _take(message, body, files)
    if not loading:
        _refuse_empty(message, body)
    if reference := body.get("message_reference"):
        message.reply_to, message.kind = _replied(channel, reference), 19
    if not loading:
        message.pings = pings(message, body.get("allowed_mentions"))
        message.pinged = _notified(message)
    world.messages[message.id] = message
    channel.messages.append(message)
    _published(message)
    if author is world.bot and not loading:
        world.ledger.append(message)
        channel.sent.append(message)
    message.announce("MESSAGE_CREATE")
    world.changed()
    return message


def edit(message: Message, body: Json, files: Files = ()) -> None:
    """Change a message, or raise ApiError and change nothing. Nobody is pinged by a change."""
    world = message.world
    v2 = (message.flags | int(body.get("flags") or 0)) & limits.COMPONENTS_V2
    limits.check_message({**body, "flags": v2}, files)
    saved = (message.content, message.embeds, message.components, message.attachments)
    _take(message, body, files)
    try:
        _refuse_empty(message, body)
    except ApiError:
        message.content, message.embeds, message.components, message.attachments = saved
        raise
    was_loading = message.loading
    message.flags = message.flags & ~limits.LOADING | v2 | int(body.get("flags") or 0) & 4
    message.pings = pings(message, body.get("allowed_mentions"))
    if not was_loading:
        message.edited = world.stamp()
    _published(message)
    if was_loading:
        world.ledger.append(message)
        message.channel.sent.append(message)
    elif message.author is world.bot:
        world.edits.append((message, message.text))
    message.announce("MESSAGE_UPDATE")
    world.changed()


def delete(message: Message) -> None:
    """Take a message away; what was read was read."""
    message.deleted = True
    message.channel.messages.remove(message)
    message.announce("MESSAGE_DELETE")
    message.world.changed()


def _take(message: Message, body: Json, files: Files) -> None:
    """Put what is given into the message, as Discord keeps it: trimmed, numbered, with addresses for files."""
    world = message.world
    if "content" in body:
        message.content = (body["content"] or "").strip()
    if "embeds" in body:
        message.embeds = [{"type": "rich", **embed} for embed in body["embeds"] or []]
    if "components" in body:
        message.components = _numbered(body["components"] or [])
    described = {str(item.get("id")): item for item in body.get("attachments") or []}
    if "attachments" in body:
        message.attachments = [file for file in message.attachments if str(file.id) in described]
    for index, (name, data) in enumerate(files):
        number = world.snowflake()
        url = f"{world.base}/cdn/attachments/{message.channel.id}/{number}/{name}"
        about = described.get(str(index), {})
        file = Attachment(number, name, data, url, about.get("description"))
        if message.flags & limits.VOICE_MESSAGE:
            file.seconds, file.waveform = about["duration_secs"], about["waveform"]
        world.files[number] = file
        message.attachments = [*message.attachments, file]


def _numbered(components: list[Any]) -> list[Json]:
    """A copy in which every component has an id."""
    count = 0

    def copy(part: Json) -> Json:
        nonlocal count
        count += 1
        made = {"id": count, **{key: value for key, value in part.items() if value is not None}}
        for key in ("components",):
            if key in made:
                made[key] = [copy(inner) for inner in made[key]]
        if isinstance(made.get("accessory"), dict):
            made["accessory"] = copy(made["accessory"])
        return made

    return [copy(part) for part in components]


def _refuse_empty(message: Message, body: Json) -> None:
    shown = [embed for embed in message.embeds if set(embed) - {"type", "color", "timestamp"}]
    if not (message.content or shown or message.components or message.attachments or body.get("poll") or body.get("sticker_ids")):
        raise ApiError(400, 50006, "Cannot send an empty message")


def _replied(channel: Channel, reference: Json) -> Message | None:
    for message in channel.messages:
        if str(message.id) == str(reference.get("message_id")) and not message.ephemeral:
            return message
    if reference.get("fail_if_not_exists", True):
        form = limits.Form()
        form.wrong(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        form.done()
    return None


def _published(message: Message) -> None:
    channel = message.channel
    if message.ephemeral_to or channel.person:
        message.readers |= {user for user in (message.ephemeral_to or channel.person,) if user}
    elif channel.guild:
        message.readers |= {user for user in channel.guild.members if channel.may(user, "view_channel")}
    if not message.loading and (not message.versions or message.versions[-1] != message.text):
        message.versions.append(message.text)


def pings(message: Message, allowed: Json | None) -> Pings:
    """Whom the content calls, of those whom `allowed_mentions` lets it call; without it, everybody it names."""
    found = Pings()
    guild, author = message.channel.guild, message.author
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or [])
    named = {kind: {int(number) for number in (allowed or {}).get(kind) or []} for kind in ("users", "roles")}
    may_call_all = message.channel.may(author, "mention_everyone")
    for number in dict.fromkeys(int(hit) for hit in re.findall(r"<@!?(\d+)>", message.content)):
        user = message.world.users.get(number)
        if user and ("users" in parse or number in named["users"]):
            found.users.append(user)
    replied = message.reply_to.author if message.reply_to else None
    if replied and replied not in found.users and (allowed is None or allowed.get("replied_user")):
        found.users.append(replied)
    if guild:
        for role in guild.roles[1:]:
            called = role.mention in message.content and ("roles" in parse or role.id in named["roles"])
            if called and (role.mentionable or may_call_all):
                found.roles.append(role)
        if re.search(r"@(everyone|here)\b", message.content) and "everyone" in parse and may_call_all:
            found.everyone = True
    return found


def _notified(message: Message) -> set[User]:
    guild = message.channel.guild
    called = set(message.pings.users).union(*(role.members for role in message.pings.roles))
    if message.pings.everyone and guild:
        called |= set(guild.members)
    return {user for user in called if user is not message.author and message.visible_to(user)}
