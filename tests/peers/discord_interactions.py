"""Interactions of a test Discord: what the bot is told that somebody did, what it may answer and when, and what they saw."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from . import discord_limits as limits
from .discord_messages import Files, Message, delete, edit, walk, write
from .discord_world import EVERYBODY_MAY, ApiError, Channel, Json, User, World, bits
from .overheard import SECRETS

SLASH, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
Ack = Literal["message", "defer", "defer update", "update", "choices", "modal"]
ACKS: dict[int, Ack] = {4: "message", 5: "defer", 6: "defer update", 7: "update", 8: "choices", 9: "modal"}
ALLOWED = {SLASH: {4, 5, 9}, COMPONENT: {4, 5, 6, 7, 9}, AUTOCOMPLETE: {8}, MODAL: {4, 5, 6, 7}}


@dataclass(frozen=True)
class Choice:
    """One suggestion for an option that is being typed."""

    name: str
    value: str | int | float


@dataclass(eq=False)
class Modal:
    """The form that a bot opened in front of somebody."""

    interaction: Interaction
    custom_id: str
    title: str
    components: list[Json]
    submitted: bool = False

    @property
    def fields(self) -> dict[str, Json]:
        """What can be filled in, by custom id; a field's "label" is what stands above it."""
        found: dict[str, Json] = {}
        for part in self.components:
            if part["type"] == limits.LABELLED:
                inner = part["component"]
                found[inner["custom_id"]] = {**inner, "label": part["label"], "description": part.get("description")}
            elif part["type"] == 1:
                found |= {inner["custom_id"]: inner for inner in part["components"]}
        return found

    @property
    def text(self) -> str:
        """Everything that a person reads of it."""
        texts = [self.title]
        for part in walk(self.components):
            texts += [str(part[key]) for key in ("label", "description", "placeholder", "value", "content") if part.get(key)]
            texts += [option["label"] for option in part.get("options") or []]
        return "\n".join(texts)


@dataclass(eq=False)
class Interaction:
    """One thing that somebody did and, in time, what they saw of the bot's answer."""

    world: World
    id: int
    token: str
    type: int
    person: User
    channel: Channel
    data: Json
    source: Message | None
    integrations: set[int]
    dispatched: float = 0.0
    ack: Ack | None = None
    """How the bot acknowledged it: "message", "defer", "defer update", "update", "choices" or "modal"."""
    ack_seconds: float | None = None
    """From the dispatch to the moment the acknowledgement was accepted."""
    response: Message | None = None
    """The answer itself, deferred or not; None for an update of the message with the button, a modal or choices."""
    followups: list[Message] = field(default_factory=list)
    modal: Modal | None = None
    choices: list[Choice] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """The error codes with which callbacks to it were refused."""
    expired: bool = False
    """Set it to make the token worthless at once."""

    def __repr__(self) -> str:
        return f"<interaction {self.data.get('name') or self.data.get('custom_id')} of {self.person} ack={self.ack}>"

    # What the person saw

    @property
    def failed(self) -> bool:
        """Whether they were told that the application did not respond."""
        return self.ack is None and self.late

    @property
    def late(self) -> bool:
        return self.age > self.world.deadline

    @property
    def age(self) -> float:
        """Seconds since it was dispatched."""
        return asyncio.get_running_loop().time() - self.dispatched

    @property
    def deferred(self) -> bool:
        """Whether the app is said to be thinking still."""
        return self.response is not None and self.response.loading

    @property
    def ephemeral(self) -> bool:
        """Whether only they see the answer."""
        return self.response is not None and self.response.ephemeral

    @property
    def messages(self) -> list[Message]:
        """The answer and what followed it, as far as they say something."""
        return [message for message in (self.response, *self.followups) if message and not message.loading]

    @property
    def text(self) -> str:
        """Everything that the answers say now."""
        return "\n".join(message.text for message in self.messages if not message.deleted)

    @property
    def reply(self) -> Message:
        """The first thing said to them; AssertionError while there is none."""
        if not self.messages:
            raise AssertionError(f"{self!r} has no reply; {self.world.story()}")
        return self.messages[0]

    async def acknowledged(self) -> Interaction:
        """Wait until it is acknowledged or its time is over."""
        await self.world.wait_for(lambda: self.ack or self.late, self.world.deadline + 2, f"the end of {self!r}")
        return self

    async def answered(self, timeout: float = 20.0) -> Message:
        """The answer, once it says something."""
        await self.world.wait_for(lambda: self.messages, timeout, f"an answer to {self!r}")
        return self.messages[0]

    async def followed_up(self, count: int = 1, timeout: float = 20.0) -> Message:
        """The follow-up with this number, counted from 1."""
        await self.world.wait_for(lambda: len(self.followups) >= count, timeout, f"follow-up {count} to {self!r}")
        return self.followups[count - 1]

    async def shows(self, text: str, timeout: float = 20.0) -> Message:
        """The message, of its answers or the one with the button, that says this, perhaps after an edit."""

        def found() -> Message | None:
            every = [*self.messages, *([self.source] if self.source else [])]
            return next((message for message in every if text in message.text and not message.deleted), None)

        return await self.world.wait_for(found, timeout, f"{text!r} in {self!r}")

    def seen(self) -> Iterator[str]:
        """What it showed besides messages: a form and suggestions."""
        if self.modal:
            yield self.modal.text
        yield from (choice.name for choice in self.choices)

    # What the bot is told

    @property
    def owners(self) -> Json:
        """Through whom the app came here: the server (0) and the person (1)."""
        guild, found = self.channel.guild, {}
        if 0 in self.integrations and (guild is None or guild.has_bot):
            found["0"] = str(guild.id) if guild else "0"
        if 1 in self.integrations and self.person.installed:
            found["1"] = str(self.person.id)
        return found

    @property
    def metadata(self) -> Json:
        """What a message says of the interaction that it answers."""
        body: Json = {"id": str(self.id), "type": self.type, "user": self.person.json}
        return body | {"authorizing_integration_owners": self.owners}

    @property
    def payload(self) -> Json:
        """The data of INTERACTION_CREATE."""
        guild, channel = self.channel.guild, self.channel
        everything = bits(EVERYBODY_MAY)
        may = channel.permissions(self.world.bot) if guild and guild.has_bot else everything
        shown = {**channel.json, "permissions": str(channel.permissions(self.person) if guild else everything)}
        body: Json = {
            "id": str(self.id), "application_id": str(self.world.bot.id), "type": self.type, "data": self.data, "token": self.token,
            "version": 1, "channel_id": str(channel.id), "channel": shown, "app_permissions": str(may), "locale": self.person.locale,
            "entitlements": [], "authorizing_integration_owners": self.owners, "context": 0 if guild else 1,
            "attachment_size_limit": limits.FILE_SIZE,
        }  # fmt: skip
        if guild:
            body |= {"guild_id": str(guild.id), "guild": {"id": str(guild.id), "locale": "en-US", "features": []}}
            body |= {"guild_locale": "en-US", "member": guild.member(self.person, channel)}
        else:
            body["user"] = self.person.json
        if self.source:
            body["message"] = self.source.json()
        return body


def begin(
    world: World, person: User, channel: Channel, kind: int, data: Json, source: Message | None, integrations: set[int]
) -> Interaction:
    """Dispatch an interaction; its time runs from here."""
    made = Interaction(world, world.snowflake(), secrets.token_urlsafe(24), kind, person, channel, data, source, integrations)
    SECRETS.token(made.token)
    world.interactions[made.id] = world.tokens[made.token] = made
    made.dispatched = asyncio.get_running_loop().time()
    world.emit("INTERACTION_CREATE", made.payload, guild=channel.guild)
    return made


# What the bot answers


def respond(interaction: Interaction, body: Json, files: Files) -> Json:
    """Take the callback; returns what it says when asked for a response. Raises ApiError, 10062 when it comes too late."""
    try:
        return _respond(interaction, body, files)
    except ApiError as error:
        interaction.refused.append(error.code)
        interaction.world.changed()
        raise


def _respond(interaction: Interaction, body: Json, files: Files) -> Json:
    if interaction.ack:
        raise ApiError(400, 40060, "Interaction has already been acknowledged.")
    if interaction.late or interaction.expired:
        raise ApiError(404, 10062, "Unknown interaction")
    kind, data = body.get("type"), body.get("data") or {}
    allowed = ALLOWED[interaction.type] - ({6, 7} if interaction.source is None else set())
    if not isinstance(kind, int) or kind not in allowed:
        form = limits.Form()
        form.wrong(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {sorted(allowed)}.")
        form.done()
    assert isinstance(kind, int)
    message = _act(interaction, kind, data, files)
    interaction.ack = ACKS[kind]
    interaction.ack_seconds = interaction.age
    interaction.world.changed()
    about: Json = {"id": str(interaction.id), "type": interaction.type}
    resource: Json = {"type": kind}
    if message:
        about |= {"response_message_id": str(message.id), "response_message_loading": message.loading}
        about["response_message_ephemeral"] = message.ephemeral
        if kind in (4, 7):
            resource["message"] = message.json()
    return {"interaction": about} | ({"resource": resource} if kind != 8 else {})


def _act(interaction: Interaction, kind: int, data: Json, files: Files) -> Message | None:
    """Do what the callback says; returns the message that it is about."""
    if kind in (4, 5):
        interaction.response = _answer(interaction, data, files, loading=kind == 5)
        return interaction.response
    if kind == 7:
        assert interaction.source
        edit(interaction.source, data, files)
    elif kind == 8:
        option = next(part for part in _flat(interaction.data["options"]) if part.get("focused"))
        choices = limits.check_choices(data, option["type"])
        interaction.choices = [Choice(choice["name"], choice["value"]) for choice in choices]
    elif kind == 9:
        limits.check_modal(data)
        interaction.modal = Modal(interaction, data["custom_id"], data["title"], data["components"])
    return interaction.source if kind in (6, 7) else None


def _flat(options: list[Json]) -> Iterator[Json]:
    for option in options:
        yield option
        yield from _flat(option.get("options") or [])


def _answer(interaction: Interaction, data: Json, files: Files = (), *, loading: bool = False, kind: int = 20) -> Message:
    hidden = int(data.get("flags") or 0) & limits.EPHEMERAL
    return write(
        interaction.world, interaction.channel, interaction.world.bot, data, files, interaction=interaction, loading=loading,
        ephemeral_to=interaction.person if hidden else None, kind=kind if interaction.type == SLASH else 0,
    )  # fmt: skip


def hook(world: World, token: str) -> Interaction:
    """The interaction whose token this is, if it may still be followed up."""
    interaction = world.tokens.get(token)
    if interaction is None or interaction.ack in (None, "choices"):
        raise ApiError(404, 10015, "Unknown Webhook")
    if interaction.expired or interaction.age > world.token_life:
        raise ApiError(401, 50027, "Invalid Webhook Token")
    return interaction


def follow_up(interaction: Interaction, body: Json, files: Files) -> Message:
    """Say something more. While the answer is deferred this is the answer, ephemeral or not as the deferral was."""
    if interaction.response is not None and interaction.response.loading:
        edit(interaction.response, body, files)
        return interaction.response
    message = _answer(interaction, body, files, kind=0)
    interaction.followups.append(message)
    interaction.world.changed()
    return message


def message_of(interaction: Interaction, which: str) -> Message:
    """One of its messages by id, or "@original"."""
    original = interaction.response or (interaction.source if interaction.ack in ("update", "defer update") else None)
    every = [original] if which == "@original" else [m for m in (original, *interaction.followups) if m and str(m.id) == which]
    found = every[0] if every else None
    if found is None or found.deleted:
        raise ApiError(404, 10008, "Unknown Message")
    return found


def take_back(interaction: Interaction, which: str) -> None:
    """Delete one of its messages."""
    delete(message_of(interaction, which))
