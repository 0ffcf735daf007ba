"""Messages owed: what is to be sent to whom, how fast a platform may be written to, and how it is kept until sent."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from bot.messages import Address, Choice, File, Reply, Span, Style, VoiceNote


class Lane(StrEnum):
    """Replies overtake everything that the coach sends on its own."""

    REPLY = "0-reply"
    BULK = "1-bulk"


def delivery_key(kind: str, learner: str, day: date) -> str:
    """The key under which a learner is owed a delivery of this kind once a local day."""
    return f"{kind}:{learner}:{day.isoformat()}"


@dataclass(frozen=True, slots=True)
class PutOff:
    """A message is not to be sent before `until`, UTC."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """In `Changes.also`: what this learner is owed of a kind, and is not being sent yet, is no longer owed."""

    learner: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that was given up: its kind, where it was to go, how often it was tried, why, and when. Never what it said."""

    key: str
    kind: str
    platform: str
    tries: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """One message owed to one address.

    key: unique for ever; the same message can't be owed twice.
    kind: "reply", or what the coach sends on its own ("daily", "snooze", "round", "reveal", "aloud"). reply: None while it
    still has to be composed.
    about: what composing needs (a local day, an attempt's id, the words to be said). tries: how often sending was begun.
    unsure: True where an earlier try may have arrived. until: how long it is surely in the hands of who claimed it.
    """

    key: str
    address: Address
    lane: Lane
    kind: str
    reply: Reply | None
    learner: str = ""
    about: str = ""
    due_at: datetime | None = None
    tries: int = 0
    unsure: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a platform may be written to.

    per_second: messages in all. bulk_per_second: of these, what the coach sends on its own; the rest is kept for replies.
    per_chat: messages a second to one private chat, with `burst` at once after a rest.
    group_per_minute: messages a minute to one group. in_flight: requests at one time.
    """

    per_second: float = 30.0
    bulk_per_second: float = 25.0
    per_chat: float = 1.0
    burst: int = 3
    group_per_minute: float = 20.0
    in_flight: int = 4


UNLIMITED = Pace(per_second=1e6, bulk_per_second=1e6, per_chat=1e6, burst=1000, group_per_minute=1e6, in_flight=16)
"""For a platform without limits, such as a terminal."""


def freeze(reply: Reply) -> str:
    """A reply as text, for keeping."""
    spans = [[span.text, span.style.value] for span in reply.spans]
    choices = [[[choice.label, choice.text, choice.asks] for choice in row] for row in reply.choices]
    kept = {"spans": spans, "choices": choices, "calls": reply.calls, "typed": reply.typed}
    if reply.files:
        kept["files"] = [[file.name, b64encode(file.data).decode(), file.says, file.picture] for file in reply.files]
    if reply.note is not None:
        kept["note"] = [b64encode(reply.note.data).decode(), reply.note.seconds, b64encode(reply.note.waveform).decode()]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def thaw(text: str) -> Reply:
    """The reply that `freeze` kept."""
    raw = json.loads(text)
    note = raw.get("note")
    return Reply(
        tuple(Span(words, Style(style)) for words, style in raw["spans"]),
        tuple(tuple(Choice(*choice) for choice in row) for row in raw["choices"]),
        raw.get("calls", ""),
        raw.get("typed", True),
        tuple(File(name, b64decode(data), says, picture) for name, data, says, picture in raw.get("files", ())),
        note=VoiceNote(b64decode(note[0]), note[1], b64decode(note[2])) if note else None,
    )
