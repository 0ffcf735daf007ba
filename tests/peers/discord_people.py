"""People on a test Discord: what they type, press, choose and fill in, and what they can read of the bot's answers.

They do only what a Discord client lets them do: it raises ValueError or LookupError for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import discord_limits as limits
from .discord_commands import fill, nest, path_of, resolve
from .discord_interactions import AUTOCOMPLETE, COMPONENT, MODAL, SLASH, Choice, Interaction, Modal, begin
from .discord_messages import Files, Message, delete, edit, write
from .discord_world import Channel, Guild, Json, Role, User
from .overheard import SECRETS

Pick = str | User | Role | Channel


@dataclass(eq=False, repr=False)
class Person(User):
    """Somebody with a Discord client. Where no channel is named, their private channel with the bot is meant."""

    _read: dict[tuple[Channel, str], int] = field(default_factory=dict)

    @property
    def channel(self) -> Channel:
        """Their private channel with the bot."""
        return self.world.dm(self)

    # Commands

    async def slash(
        self,
        command: str,
        /,
        *,
        channel: Channel | None = None,
        wait: bool = True,
        options: Mapping[str, Any] | None = None,
        **typed: Any,
    ) -> Interaction:
        """Use a command, such as "quiz start", with these options (or `options`, for names that are taken here).

        A value is a str, int, float or bool, a Person, Role or Channel, or (filename, bytes); a choice may go by its
        name. Unless `wait` is false this returns when the bot has acknowledged it or its three seconds are over.
        """
        place = channel or self.channel
        found, steps, expected = self._command(command, place)
        for value in typed.values():
            SECRETS.said(str(value))
        sent, resolved = fill(self.world, place, expected, {**(options or {}), **typed})
        data = self._data(found, nest(steps, sent), resolved, place)
        return await self._begin(place, SLASH, data, None, set(found["integration_types"]), wait)

    async def autocomplete(
        self,
        command: str,
        option: str,
        typed: str,
        /,
        *,
        channel: Channel | None = None,
        **others: Any,
    ) -> list[Choice]:
        """Type this much of an option, after filling in the others, and return the choices that are offered."""
        place = channel or self.channel
        found, steps, expected = self._command(command, place)
        if not any(part["name"] == option and part.get("autocomplete") for part in expected):
            raise LookupError(f"{option!r} of /{command} has no autocomplete")
        sent, resolved = fill(self.world, place, expected, {**others, option: typed}, typing=option)
        data = self._data(found, nest(steps, sent), resolved, place)
        made = await self._begin(place, AUTOCOMPLETE, data, None, set(found["integration_types"]), True)
        if made.failed:
            raise AssertionError(f"no choices came for {option}={typed!r}; {self.world.story()}")
        return made.choices

    def commands(self, channel: Channel | None = None) -> list[str]:
        """The commands that the client offers this person there."""
        return [command["name"] for command in self._offered(channel or self.channel)]

    # Messages with things to press, and forms

    async def presses(self, message: Message, button: str, *, wait: bool = True) -> Interaction:
        """Press a button, named by its label or its custom id."""
        part = message.part(button, {limits.BUTTON})
        if part["style"] == 5:
            raise ValueError(f"the button {button!r} only opens a link")
        return await self._component(message, part, {}, wait)

    async def selects(
        self, message: Message, values: Pick | Sequence[Pick], *, select: str | None = None, wait: bool = True
    ) -> Interaction:
        """Choose options by label or value, or people, roles and channels; `select` is the custom id among several."""
        part = message.part(select, limits.SELECTS)
        return await self._component(message, part, self._chosen(message.channel, part, values), wait)

    async def submits(
        self, form: Modal | Interaction, values: Mapping[str, Any] | None = None, /, *, wait: bool = True, **fields: Any
    ) -> Interaction:
        """Fill in the form that the bot opened, by custom id or label, and send it."""
        modal = form.modal if isinstance(form, Interaction) else form
        if modal is None or modal.interaction.person is not self:
            raise LookupError("no form was opened in front of this person")
        if modal.submitted:
            raise ValueError("the form was sent already")
        given = {**(values or {}), **fields}
        names = {part["label"]: custom_id for custom_id, part in modal.fields.items()}
        given = {names.get(name, name): value for name, value in given.items()}
        for value in given.values():
            SECRETS.said(str(value))
        if unknown := set(given) - set(modal.fields):
            raise LookupError(f"no fields {sorted(unknown)}; there are {sorted(modal.fields)} or {sorted(names)}")
        origin = modal.interaction
        resolved: Json = {}
        components = [self._filled(part, given, origin.channel, resolved) for part in modal.components]
        modal.submitted = True
        data: Json = {"custom_id": modal.custom_id, "components": components}
        if resolved:
            data["resolved"] = resolved
        return await self._begin(origin.channel, MODAL, data, origin.source, origin.integrations, wait)

    # Messages of their own

    async def dm(self, text: str, *, files: Files = ()) -> Message:
        """Write to the bot in private."""
        return await self.says(text, files=files)

    async def speaks(self, data: bytes, *, seconds: float = 1.0) -> Message:
        """Send the bot a voice message in private, as a client records it."""
        about = {"id": "0", "filename": "voice-message.ogg", "duration_secs": seconds, "waveform": "AAECAw=="}
        body: Json = {"flags": limits.VOICE_MESSAGE, "attachments": [about]}
        return write(self.world, self._there(self.channel, "send_messages"), self, body, [("voice-message.ogg", data)])

    async def says(self, text: str, *, channel: Channel | None = None, reply_to: Message | None = None, files: Files = ()) -> Message:
        """Write a message."""
        SECRETS.said(text)
        place = self._there(channel or self.channel, "send_messages")
        if len(text) > limits.CONTENT or not (text.strip() or files):
            raise ValueError(f"a client sends 1 to {limits.CONTENT} characters")
        body: Json = {"content": text}
        if reply_to:
            body["message_reference"] = {"message_id": str(reply_to.id)}
        if place.guild is None and not place.messages and self.world.announce_dms:
            self.world.emit("CHANNEL_CREATE", place.json)
        return write(self.world, place, self, body, files)

    async def edits(self, message: Message, text: str) -> None:
        """Change one's own message."""
        if message.author is not self:
            raise ValueError("people edit only what they wrote")
        edit(message, {"content": text})

    async def deletes(self, message: Message) -> None:
        """Take one's own message away."""
        if message.author is not self:
            raise ValueError("people delete only what they wrote")
        delete(message)

    # Settings

    def closes_dms(self) -> None:
        """Refuse private messages from now on: the bot's are refused with 403 and code 50007."""
        self.dms_closed = True

    def opens_dms(self) -> None:
        """Take private messages again."""
        self.dms_closed = False

    def joins(self, guild: Guild) -> None:
        """Become a member of a server."""
        guild.gains(self)

    def leaves(self, guild: Guild) -> None:
        """Leave a server; where it was the last one shared with the bot, private messages are refused with 403 and 50278."""
        guild.loses(self)

    def installs(self) -> None:
        """Add the app to one's own account, so that its commands are there everywhere."""
        self.installed = True

    # What they see

    async def next_message(self, timeout: float = 20.0, *, channel: Channel | None = None) -> Message:
        """The next message of the bot there that this person can read and hasn't, answers to interactions among them."""
        place = channel or self.channel
        index = self._read.get((place, "sent"), 0)
        await self.world.wait_for(lambda: len(self._sent(place)) > index, timeout, f"a message to {self!r} in {place!r}")
        self._read[place, "sent"] = index + 1
        return self._sent(place)[index]

    async def next_edit(self, timeout: float = 20.0, *, channel: Channel | None = None) -> Message:
        """The next message that the bot changed there, once for each change."""
        place = channel or self.channel
        index = self._read.get((place, "edited"), 0)
        await self.world.wait_for(lambda: len(self._edited(place)) > index, timeout, f"an edit seen by {self!r} in {place!r}")
        self._read[place, "edited"] = index + 1
        return self._edited(place)[index]

    async def quiet(self, seconds: float = 0.1, *, channel: Channel | None = None) -> None:
        """Wait that long and fail if a message came that wasn't read."""
        await asyncio.sleep(seconds)
        if unread := self.unread(channel=channel):
            raise AssertionError(f"{self!r} got {[message.text for message in unread]}")

    def unread(self, *, channel: Channel | None = None) -> list[Message]:
        """What the bot sent there and this person hasn't read yet."""
        place = channel or self.channel
        return self._sent(place)[self._read.get((place, "sent"), 0) :]

    @property
    def pinged_by(self) -> list[Message]:
        """The messages of the bot that really notified them by naming them."""
        return [message for message in self.world.ledger if self in message.pinged]

    # How it is done

    def _sent(self, place: Channel) -> list[Message]:
        return [message for message in place.sent if message.visible_to(self)]

    def _edited(self, place: Channel) -> list[Message]:
        return [message for message, _ in self.world.edits if message.channel is place and message.visible_to(self)]

    def _there(self, place: Channel, *needs: str) -> Channel:
        if place.deleted or not place.may(self, "view_channel", *needs):
            raise ValueError(f"{self!r} can't do that in {place!r}")
        return place

    def _offered(self, place: Channel) -> list[Json]:
        guild = place.guild
        self._there(place, "use_application_commands")
        own = self.world.commands.get(guild.id, []) if guild and guild.has_bot else []
        return [command for command in [*own, *self.world.commands[None]] if self._may_use(command, place)]

    def _may_use(self, command: Json, place: Channel) -> bool:
        guild, kinds, contexts = place.guild, command["integration_types"], command["contexts"]
        if contexts is not None and (0 if guild else 1) not in contexts:
            return False
        if guild is None and command.get("dm_permission") is False:
            return False
        needed = command["default_member_permissions"]
        if guild and needed is not None:
            have = place.permissions(self)
            if int(needed) & ~have or (int(needed) == 0 and guild.owner is not self):
                return False
        by_guild = 0 in kinds and (guild.has_bot if guild else True)
        return by_guild or (1 in kinds and self.installed)

    def _command(self, line: str, place: Channel) -> tuple[Json, list[Json], list[Json]]:
        name, *words = line.removeprefix("/").split()
        offered = [command for command in self._offered(place) if command["type"] == 1]
        found = next((command for command in offered if command["name"] == name), None)
        if found is None:
            raise LookupError(f"no command /{name} for {self!r} in {place!r}; there are {[c['name'] for c in offered]}")
        return found, *path_of(found, words)

    def _data(self, command: Json, options: list[Json], resolved: Json, place: Channel) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": 1, "options": options}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        return data | ({"resolved": resolved} if resolved else {})

    async def _begin(
        self, place: Channel, kind: int, data: Json, source: Message | None, integrations: set[int], wait: bool
    ) -> Interaction:
        made = begin(self.world, self, place, kind, data, source, integrations)
        return await made.acknowledged() if wait else made

    async def _component(self, message: Message, part: Json, extra: Json, wait: bool) -> Interaction:
        if message.deleted or not message.visible_to(self):
            raise LookupError(f"{self!r} doesn't see {message!r}")
        if part.get("disabled"):
            raise ValueError(f"{part.get('label') or part.get('custom_id')!r} is disabled")
        data = {"custom_id": part["custom_id"], "component_type": part["type"], "id": part["id"], **extra}
        return await self._begin(message.channel, COMPONENT, data, message, {0, 1}, wait)

    def _chosen(self, place: Channel, part: Json, values: Pick | Sequence[Pick]) -> Json:
        """The values of a select as a client sends them."""
        picked = [values] if isinstance(values, (str, User, Role, Channel)) else list(values)
        resolved: Json = {}
        sent = []
        for value in picked:
            if part["type"] == limits.STRING_SELECT:
                found = [o["value"] for o in part["options"] if value in (o["label"], o["value"])]
                if not found:
                    raise LookupError(f"no option {value!r}; there are {[o['label'] for o in part['options']]}")
                sent.append(found[0])
            else:
                sent.append(resolve(self.world, place, value, resolved))
        least = part.get("min_values", 1) if part.get("required", True) else 0
        if not least <= len(sent) <= part.get("max_values", 1):
            raise ValueError(f"choose {least} to {part.get('max_values', 1)} options, not {len(sent)}")
        return {"values": sent} | ({"resolved": resolved} if resolved else {})

    def _filled(self, part: Json, given: Mapping[str, Any], place: Channel, resolved: Json) -> Json:
        """A part of a form, filled in."""
        body: Json = {"type": part["type"], "id": part.get("id", 1)}
        if part["type"] == 1:
            return body | {"components": [self._filled(inner, given, place, resolved) for inner in part["components"]]}
        if part["type"] == limits.LABELLED:
            return body | {"component": self._filled(part["component"], given, place, resolved)}
        if part["type"] == limits.TEXT_DISPLAY:
            return body
        name = part["custom_id"]
        body["custom_id"] = name
        if part["type"] in limits.SELECTS:
            chosen = self._chosen(place, part, given.get(name, ()))
            resolved |= chosen.pop("resolved", {})
            return body | chosen
        value = given.get(name, part.get("value") or "")
        if not value and part.get("required", True):
            raise ValueError(f"the field {name!r} is required")
        if value and not (part.get("min_length") or 0) <= len(value) <= (part.get("max_length") or limits.INPUT_VALUE):
            raise ValueError(f"the field {name!r} takes {part.get('min_length') or 0} to {part.get('max_length')} characters")
        return body | {"value": value}
